"use strict";
// A clip that is still spoken: what `runClip` computes, frame by frame.

class GrowingClip {
  // Of the frames of `data`, to which more are added.
  constructor(data, changes) {
    Object.assign(this, { data, changes, taken: 0, frames: [], numbers: [], mel: [] });
    this.network = changedNetwork(data, changes);
  }

  // Take in the frames that are new.
  catchUp() {
    const { header, statistics, frames } = this.data;
    for (; this.taken < frames.length; this.taken++) {
      if (!this.changes.removed.includes(this.taken)) {
        const { rows, mel } = featuresOf(
          [frames[this.taken]],
          header.features,
          statistics,
          this.changes.gain,
        );
        this.frames.push(this.network.step(rows[0]));
        this.numbers.push(this.taken);
        this.mel.push(mel[0]);
      }
    }
  }

  // Probabilities of what there is so far.
  get p() {
    return this.frames[this.frames.length - 1].p;
  }

  get result() {
    return resultOf(this.network, this.frames.slice(), this.numbers.slice(), this.mel.slice());
  }
}
