"use strict";
// Units of a layer in other orders, and which of them behave alike.

// Correlation of two series; 0 where one of them does not move.
function correlation(a, b) {
  const n = a.length;
  const mean = (x) => x.reduce((sum, value) => sum + value, 0) / n;
  const [centre_a, centre_b] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let t = 0; t < n; t++) {
    const [da, db] = [a[t] - centre_a, b[t] - centre_b];
    ab += da * db;
    aa += da * da;
    bb += db * db;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}

// h of every unit of layer `cell` over time: [unit][frame].
function seriesOf(frames, cell) {
  const H = frames[0].steps[cell].h.length;
  return Array.from({ length: H }, (_, u) => Float64Array.from(frames, (frame) => frame.steps[cell].h[u]));
}

// The other units by how nearly they move with, or against, one of them: [{unit, r}].
function unitsLike(series, unit) {
  const others = series.map((other, u) => ({ unit: u, r: correlation(series[unit], other) }));
  return others.filter((other) => other.unit !== unit).sort((a, b) => Math.abs(b.r) - Math.abs(a.r));
}

// An order in which each unit is followed by the one of those left that is most like it.
function chain(series) {
  const left = new Set(series.keys());
  let unit = 0;
  const order = [];
  while (left.size) {
    order.push(unit);
    left.delete(unit);
    let most = -Infinity;
    const here = series[unit];
    for (const other of left) {
      const r = Math.abs(correlation(here, series[other]));
      if (r > most) {
        [most, unit] = [r, other];
      }
    }
  }
  return order;
}

const byLargest = (values) => [...values.keys()].sort((a, b) => values[b] - values[a]);

const ORDERS = {
  number: (series) => [...series.keys()],
  activity: (series) => byLargest(series.map((h) => h.reduce((sum, value) => sum + Math.abs(value), 0))),
  likeness: chain,
  influence: (series, influence) => byLargest(influence.map(Math.abs)),
};
