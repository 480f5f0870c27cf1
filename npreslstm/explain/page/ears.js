"use strict";
// From samples to frames, and from frames to utterances, as npreslstm/listening.py has it.

const LEAD = 8; // frames before the first one of speech
const HANGOVER = 16; // frames after the last one
const WINDOW = 310; // frames after which the network begins anew

// The exported C, as WebAssembly.
class Ears {
  static async load(module, rate) {
    const { instance } = await WebAssembly.instantiate(module);
    return new Ears(instance.exports, rate);
  }

  constructor(c, rate) {
    this.c = c;
    if (!c.start(rate)) {
      throw new Error(`the microphone is at ${rate} Hz; expected 16000, 44100 or 48000`);
    }
    const view = (Type, at, width, count) =>
      Array.from({ length: count }, (_, k) => new Type(c.memory.buffer, at + 4 * width * k, width));
    const hops = c.room() / 512 + 1;
    this.input = new Int16Array(c.memory.buffer, c.input(), c.room());
    const hop = (_, k) => new Int16Array(c.memory.buffer, c.pcm() + 1024 * k, 512);
    this.pcm = Array.from({ length: hops }, hop);
    this.mel = view(Float32Array, c.mel(), 64, hops);
    this.chroma = view(Float32Array, c.chroma(), 12, hops);
    this.decisions = new Int32Array(c.memory.buffer, c.decisions(), hops);
  }

  // Take in 16-bit samples, at most as many as there is room for; the frames that they complete.
  push(samples) {
    this.input.set(samples);
    const hops = this.c.push(samples.length);
    const frames = Array.from({ length: hops }, (_, k) => ({
      pcm: this.pcm[k].slice(),
      mel: this.mel[k].slice(),
      chroma: this.chroma[k].slice(),
      decision: this.decisions[k], // about an earlier frame; below 0: none yet
    }));
    this.c.fetched(hops);
    return frames;
  }
}

// Cuts frames into utterances: calls `onFrame(frame, isFirst)` for each that is heard, `onEnd()` after the
// last one of an utterance.
class Utterances {
  constructor(onFrame, onEnd) {
    Object.assign(this, { onFrame, onEnd, undecided: [], lead: [], heard: 0, quiet: 0 });
    this.speaking = false;
  }

  push(frame) {
    this.undecided.push(frame);
    if (frame.decision >= 0) {
      this.decide(frame.decision > 0, this.undecided.shift());
    }
  }

  decide(speech, frame) {
    this.quiet = speech ? 0 : this.quiet + 1;
    if (speech && !this.speaking) {
      this.speaking = true;
      this.heard = 0;
      this.lead.forEach((earlier) => this.hear(earlier));
      this.lead = [];
    }
    if (this.speaking && this.quiet <= HANGOVER) {
      this.hear(frame);
      return;
    }
    this.end();
    this.lead = [...this.lead, frame].slice(-LEAD);
  }

  hear(frame) {
    if (this.heard === WINDOW) {
      this.onEnd();
      this.heard = 0;
    }
    this.onFrame(frame, this.heard === 0);
    this.heard += 1;
  }

  end() {
    if (this.speaking) {
      this.speaking = false;
      this.onEnd();
    }
  }
}
