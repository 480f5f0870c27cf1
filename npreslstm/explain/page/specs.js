"use strict";
// What tracks there are: their names, their heights, and what their rows are.

const GATE_NAMES = {
  i: ["input gate", "L2"],
  f: ["forget gate", "L2"],
  g: ["candidate", "L2"],
  o: ["output gate", "L2"],
  c: ["cell", "L3"],
  h: ["hidden state", "L4"],
};

function cellTitle(network, k) {
  const { name, layer } = network.cells[k];
  const number = name.replace(/\D/g, "");
  const title = `LSTM${number ? ` ${number}` : ""}`;
  return network.model.num_layers > 1 ? `${title}, layer ${layer}` : title;
}

// What is heard, and what is made of it before the network.
function inputSpecs({ header }) {
  const { features, columns } = header;
  return [
    {
      group: "What comes in",
      id: "sound",
      name: "sound",
      description: "the samples of the clip",
      height: 54,
      span: "sound",
    },
    {
      id: "mel",
      name: `log-mel <small>${features.n_mels} bands, ${Math.round(features.fmin)} Hz to
        ${(features.fmax / 1000).toFixed(1)} kHz</small>`,
      description: "loudness of each band of frequencies, high ones at the top",
      height: 74,
      heat: true,
      rows: { count: features.n_mels, what: (row) => `band ${row}` },
    },
    {
      id: "features",
      name: `features x <small>${features.n_mfcc} MFCC above, ${features.n_chroma} chroma
        below</small>`,
      description: "the z-scored features that the network is given",
      height: 2 * Math.max(columns.length, 24),
      heat: true,
      rows: { count: columns.length, what: (row) => columns[row] },
    },
  ];
}

// The gates and the state of each layer, and the residual connection.
function cellSpecs({ header }, network) {
  const D = header.columns.length;
  const specs = [];
  network.cells.forEach((cell, k) => {
    for (const [letter, [name, equation]] of Object.entries(GATE_NAMES)) {
      const source = cell.name === "lstm1" ? "h is added to the features" : "h is what attention reads";
      const isLast = cell.layer === network.model.num_layers - 1;
      specs.push({
        group: letter === "i" ? cellTitle(network, k) : undefined,
        groupNote: `${cell.H} units, one a row${isLast ? `; ${source}` : ""}`,
        id: `${letter}-${k}`,
        name: `${name} <i>${letter}</i> ${tagLink(equation)}`,
        description: `${name} ${letter} of each unit of ${cellTitle(network, k)}`,
        height: Math.max(44, cell.H),
        heat: true,
        cell: k,
        letter,
        rows: { count: cell.H, what: (row) => `unit ${row}` },
      });
    }
    if (cell.name === "lstm1" && cell.layer === network.model.num_layers - 1) {
      specs.push({
        group: "The residual connection",
        groupNote: "what LSTM 1 says is added to what it was given",
        id: "residual",
        name: `y = x + h ${tagLink("R1")}`,
        description: "features and LSTM 1 added up",
        height: 2 * Math.max(D, 24),
        heat: true,
        cell: k,
        letter: "y",
        rows: { count: D, what: (row) => header.columns[row] },
      });
    }
  });
  return specs;
}

// Attention, and the answer.
function answerSpecs({ header }) {
  const C = header.classes.length;
  const classRows = header.classes.map((name) => `<span>${escapeHtml(name)}</span>`).join("");
  return [
    {
      group: "Attention, and what it rests on",
      groupNote: "attention is where the answer is read out, |dp/dx| is where it was heard",
      id: "attention",
      name: `attention &alpha; ${tagLink("A2")} <small>bars: of the whole clip; line: as if it ended at the
        marked frame; dots: even</small>`,
      description: "attention of each frame",
      height: 84,
    },
    {
      id: "sensitivity",
      name: `|dp/dx| <small id="sensitivity-of"></small>`,
      description: "how much the label's probability depends on each frame",
      height: 62,
    },
    {
      group: "The answer",
      groupNote: "what each frame says for and against each class, added up",
      id: "said",
      name: `<span class="rows">${classRows}</span>`,
      description: "what each frame says for and against each class, alpha W h",
      height: 13 * C,
      heat: true,
      rows: { count: C, what: (row) => header.classes[row] },
    },
    {
      id: "running",
      name: `probabilities <small>of the clip so far</small><span id="legend"></span>`,
      description: "the probability of each class after each frame",
      height: 120,
    },
  ];
}

// What tracks there are, in the order in which things happen.
function trackSpecs(data, network) {
  return [...inputSpecs(data), ...cellSpecs(data, network), ...answerSpecs(data)];
}
