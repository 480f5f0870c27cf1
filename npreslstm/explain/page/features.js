"use strict";
// Features of the clip, from its log-mel bands and its chroma: as npreslstm/explain/frames.py has them.

// The first vectors of an orthonormal DCT-II: [coefficient][band].
function dctBasis(bands, count) {
  return Array.from({ length: count }, (_, j) =>
    Float64Array.from({ length: bands }, (_, m) => {
      const angle = (Math.PI * (2 * m + 1) * j) / (2 * bands);
      return Math.sqrt((j === 0 ? 1 : 2) / bands) * Math.cos(angle);
    }),
  );
}

// Rows of a matrix, as views.
function rowsOf(matrix, width) {
  return Array.from({ length: matrix.length / width }, (_, t) => matrix.subarray(t * width, (t + 1) * width));
}

// The frames of a cut clip: those of the whole, but for the ones that its ends have changed.
function cutFrames(frames, cut) {
  const kept = frames.slice(cut.first, cut.last); // maybe fewer: the rest has changed
  cut.changed.forEach(({ name, numbers, rows }) =>
    numbers.forEach((t, k) => (kept[t] = { ...kept[t], [name]: rows[k] })),
  );
  return kept;
}

// Z-scored features of frames {mel, chroma}, as if the sound were `gain` dB louder.
function featuresOf(frames, config, statistics, gain = 0) {
  const basis = dctBasis(config.n_mels, config.n_mfcc);
  let mel = frames.map((frame) => Float64Array.from(frame.mel, (db) => Math.max(db + gain, config.floor)));
  if (config.top_db !== null) {
    const loudest = mel.reduce((most, row) => row.reduce((a, b) => Math.max(a, b), most), -Infinity);
    mel = mel.map((row) => row.map((db) => Math.max(db, loudest - config.top_db)));
  }
  const rows = frames.map((frame, t) => {
    const cepstrum = basis.map((vector) => product(vector, 0, mel[t]));
    const raw = Float64Array.from([...cepstrum, ...frame.chroma]);
    return raw.map((value, k) => (value - statistics.mean[k]) / statistics.std[k]);
  });
  return { rows, mel };
}
