"use strict";
// The clip, to be heard: its samples as a WAV file in memory, which every browser plays.

function wavOf(samples, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const write = (at, text) => [...text].forEach((letter, k) => bytes.setUint8(at + k, letter.charCodeAt(0)));
  write(0, "RIFF");
  bytes.setUint32(4, 36 + 2 * samples.length, true);
  write(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true); // bytes of what follows
  bytes.setUint16(20, 1, true); // PCM
  bytes.setUint16(22, 1, true); // channel
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  write(36, "data");
  bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, k) => bytes.setInt16(44 + 2 * k, Math.round(32767 * value), true));
  return new Blob([bytes.buffer], { type: "audio/wav" });
}

// Plays the clip; `onTime(seconds)` is called for every picture while it does, `onState(playing)` when it
// starts or stops.
class Player {
  constructor(samples, rate, onTime, onState) {
    this.audio = new Audio(URL.createObjectURL(wavOf(samples, rate)));
    this.onTime = onTime;
    for (const event of ["play", "pause", "ended"]) {
      this.audio.addEventListener(event, () => onState(this.playing));
    }
  }

  get playing() {
    return !this.audio.paused && !this.audio.ended;
  }

  seek(time) {
    this.audio.currentTime = Math.max(0, time);
  }

  release() {
    const url = this.audio.src;
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load(); // which ends a load that is under way
    URL.revokeObjectURL(url);
  }

  setSpeed(speed) {
    this.audio.playbackRate = speed;
  }

  async toggle() {
    if (this.playing) {
      this.audio.pause();
      return;
    }
    if (this.audio.currentTime >= this.audio.duration - 0.05) {
      this.seek(0);
    }
    await this.audio.play();
    this.follow();
  }

  follow() {
    this.onTime(this.audio.currentTime);
    if (this.playing) {
      requestAnimationFrame(() => this.follow());
    }
  }
}
