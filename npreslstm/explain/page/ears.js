"use strict";
// From samples to frames, and from frames to utterances, as npreslstm/listening.py has it.

const LEAD = 8; // frames before the first one of speech
const HANGOVER = 16; // frames after the last one
const PERIOD = 31; // frames between two results
const WINDOW = 10 * PERIOD; // frames after which the network begins anew
const OVERLAP = WINDOW / 2; // frames at the end of a window that the next one begins with

// Weights of each bin of the spectrum in the pitch classes, one bin after the other, as chroma_filter_bank of
// npreslstm/audio/chroma.py has them. Of bin k they are kept for `count[k]` classes from `start[k]` on.
function chromaWeights({ sample_rate, n_fft, n_chroma, tuning }, start, count) {
  const lowest = (440 * 2 ** (tuning / n_chroma)) / 16; // A0, in Hz
  const pitchOf = (k) => n_chroma * Math.log2((k * sample_rate) / n_fft / lowest);
  const pitch = Array.from({ length: count.length + 1 }, (_, k) => pitchOf(k));
  pitch[0] = pitch[1] - 1.5 * n_chroma; // 0 Hz has none: far below
  const half = Math.round(n_chroma / 2);
  return Array.from(count, (kept, k) => {
    const width = Math.max(1, pitch[k + 1] - pitch[k]);
    const distance = (c) => ((pitch[k] - c + half + 10 * n_chroma) % n_chroma) - half;
    const bump = (c) => Math.exp(-0.5 * ((2 * distance(c)) / width) ** 2);
    const bumps = Array.from({ length: n_chroma }, (_, c) => bump(c));
    const norm = Math.sqrt(bumps.reduce((sum, value) => sum + value ** 2, 0));
    const octave = Math.exp(-0.5 * ((pitch[k] / n_chroma - 5) / 2) ** 2); // loudest five octaves above A0
    const ofClass = (c) => (bumps[(c + 3 * (n_chroma / 12)) % n_chroma] / norm) * octave; // C is the first
    return Array.from({ length: kept }, (_, j) => ofClass((start[k] + j) % n_chroma));
  }).flat();
}

// The exported C, as WebAssembly.
class Ears {
  static async load(module, rate, features) {
    const { instance } = await WebAssembly.instantiate(module);
    return new Ears(instance.exports, rate, features);
  }

  constructor(c, rate, features) {
    this.c = c;
    if (!c.start(rate)) {
      throw new Error(`the microphone is at ${rate} Hz; expected 16000, 44100 or 48000`);
    }
    const table = (Type, at, length) => new Type(c.memory.buffer, at, length);
    const bins = features.n_fft / 2 + 1;
    const runs = [c.chroma_start(), c.chroma_count()].map((at) => table(Uint8Array, at, bins));
    const weights = chromaWeights(features, ...runs);
    table(Float32Array, c.chroma_weights(), weights.length).set(weights);
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

  // The decisions that are still out when the sound has ended.
  finish() {
    const decisions = [];
    for (let decision = this.c.finish(); decision >= 0; decision = this.c.finish()) {
      decisions.push(decision);
    }
    return decisions;
  }
}

// Finds utterances among frames, and tells what `Listener` tells: {kind, hop, p}, `kind` being "start",
// "result" or "end", and `hop` a number of a frame. `voice` is the network: it is told to begin(hop, frames)
// with frames that it may have heard before, is given more by hear(frame), and has the probabilities `p` of
// what it has heard since it began.
class Utterances {
  constructor(voice, tell) {
    Object.assign(this, { voice, tell, undecided: [], lead: [], decided: 0, quiet: 0, speaking: false });
  }

  push(frame) {
    this.undecided.push(frame);
    this.decide(frame.decision);
  }

  // A decision about the frame that waits longest; below 0: none yet.
  decide(decision) {
    if (decision < 0) {
      return;
    }
    const frame = this.undecided.shift();
    const hop = this.decided++;
    this.quiet = decision ? 0 : this.quiet + 1;
    if (decision && !this.speaking) {
      this.begin(hop);
    }
    if (this.speaking && this.quiet <= HANGOVER) {
      this.hear(frame, hop);
      return;
    }
    this.end(hop);
    this.lead = [...this.lead, frame].slice(-LEAD);
  }

  begin(hop) {
    Object.assign(this, { speaking: true, whole: true, window: [], since: 0, smoothed: null });
    this.tell({ kind: "start", hop });
    this.lead.forEach((frame, k) => this.hear(frame, hop - this.lead.length + k));
    this.lead = [];
  }

  hear(frame, hop) {
    if (this.window.length === WINDOW) {
      this.window = this.window.slice(WINDOW - OVERLAP);
      this.whole = false;
      this.voice.begin(hop - OVERLAP, this.window);
    } else if (this.window.length === 0) {
      this.voice.begin(hop, []);
    }
    this.voice.hear(frame);
    this.window.push(frame);
    this.since += 1;
    if (this.since === PERIOD) {
      this.result("result", hop);
    }
  }

  // A result of the utterance so far: each counts as much as all before it, but the last one of an utterance
  // that was heard in one piece is the network's alone.
  result(kind, hop) {
    const { voice, smoothed, since } = this;
    const share = smoothed === null || (kind === "end" && this.whole) ? 1 : since / (since + PERIOD);
    const before = smoothed ?? voice.p;
    this.smoothed = voice.p.map((value, c) => before[c] + share * (value - before[c]));
    this.since = 0;
    this.tell({ kind, hop, p: this.smoothed });
  }

  end(hop = this.decided) {
    if (this.speaking) {
      this.speaking = false;
      this.result("end", hop);
    }
  }
}
