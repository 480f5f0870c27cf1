"use strict";
// What the page knows: the clip, its runs, and what is picked.
// A frame is named by its number in the whole clip, and found by its index among those that are left.

const page = {
  data: null,
  own: null, // of a page that listens: what it came with
  drawGrowing: null, // and what draws a clip that is still spoken
  network: null, // as learned
  base: null, // the run as it is
  baseGradients: null,
  baseSensitivity: null,
  series: [], // h of each layer's units over time
  changes: noChanges(),
  result: null, // the run with the changes
  gradients: null, // of the probability of its label; while a clip grows, of some frames less
  cell: 0, // the picked layer
  unit: 0,
  index: 0, // the picked frame of the result
  gate: "i",
  weight: null, // {part, column} of the picked term
  verdict: "", // as it is shown
  order: "number",
  view: { orders: [], sensitivity: [] },
  timeline: null,
  player: null,

  // The unit of the last layer on whose gates the label depends most.
  mostTelling() {
    return indexOfLargest(influenceOf(this.base, this.baseGradients, this.network.cells.length - 1));
  },

  gradientsOf(result) {
    return { result, ...backward(result.network, result.frames, ofProbability(result.p, result.best)) };
  },
};

function normsOf(rows) {
  return rows.map((row) => Math.sqrt(sumOf(row.map((value) => value * value))));
}

// How much the label's probability depends on the gates of each unit of a layer.
function influenceOf(result, gradients, cell) {
  const { H } = result.network.cells[cell];
  const influence = new Array(H).fill(0);
  for (const da of gradients.da[cell]) {
    da.forEach((value, row) => (influence[row % H] += Math.abs(value)));
  }
  return influence;
}

function compute() {
  const number = page.result?.numbers[page.index] ?? 0;
  page.result = isChanged(page.changes) ? runClip(page.data, page.changes) : page.base;
  page.gradients = page.result === page.base ? page.baseGradients : page.gradientsOf(page.result);
  page.index = nearest(page.result.numbers, number);
  page.view.sensitivity = normsOf(page.gradients.dx);
}

function nearest(numbers, number) {
  return indexOfLargest(numbers.map((other) => -Math.abs(other - number)));
}

// Orders are those of the run as it is, so that rows stay where they are while something is changed.
function sortUnits() {
  page.view.orders = page.series.map((series, cell) => {
    const influence = influenceOf(page.base, page.baseGradients, cell);
    return ORDERS[page.order](series, influence);
  });
}
