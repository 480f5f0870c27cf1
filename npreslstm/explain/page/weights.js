"use strict";
// What goes into a gate, term by term, and what a weight owes to each frame.

const SHOWN_TERMS = 7;

// The name of input `k` of a layer: a feature, a unit below, or the unit before.
function inputName(network, cell, part, k, columns) {
  if (part === "W_hh") {
    return `h of unit ${k}, before`;
  }
  if (network.cells[cell].layer > 0) {
    return `h of unit ${k}, layer below`;
  }
  return network.cells[cell].name === "lstm2" ? `${columns[k]} + LSTM 1` : columns[k];
}

// All products that make up `a` of a gate, the largest first.
function termsOf(network, cell, step, row, columns) {
  const params = network.cells[cell];
  const terms = [];
  for (const [part, values] of [
    ["W_ih", step.x],
    ["W_hh", step.h_before],
  ]) {
    values.forEach((value, column) => {
      const weight = params[part][row * values.length + column];
      const name = inputName(network, cell, part, column, columns);
      terms.push({ part, column, name, weight, value, product: weight * value });
    });
  }
  return terms.sort((p, q) => Math.abs(q.product) - Math.abs(p.product));
}

function termsTable(network, cell, step, row, columns, picked) {
  const terms = termsOf(network, cell, step, row, columns);
  const shown = terms.slice(0, SHOWN_TERMS);
  const params = network.cells[cell];
  const rest = sumOf(terms.slice(SHOWN_TERMS).map((entry) => entry.product));
  const bias = params.b_ih[row] + params.b_hh[row];
  const largest = Math.abs(shown[0].product) || 1;
  const bar = (value) =>
    `<span class="term-bar" style="width:${(38 * Math.abs(value)) / largest}px;` +
    `background:${signedColour(value)}"></span>`;
  const isPicked = (entry) => picked && picked.part === entry.part && picked.column === entry.column;
  const lines = shown.map(
    (entry) => `<tr${isPicked(entry) ? ' class="picked"' : ""}><td><button class="weight"
      data-part="${entry.part}" data-column="${entry.column}"
      aria-label="weight of ${escapeHtml(entry.name)}: its gradient">${escapeHtml(entry.name)}</button></td>
      <td>${fmt(entry.weight)}</td><td>${fmt(entry.value)}</td>
      <td>${fmt(entry.product)}</td><td class="bar-cell">${bar(entry.product)}</td></tr>`,
  );
  const plain = (name, value) =>
    `<tr class="dim"><td>${name}</td><td></td><td></td><td>${fmt(value)}</td>
      <td class="bar-cell">${bar(value)}</td></tr>`;
  return `<thead><tr><th>term</th><th>weight</th><th>value</th><th>product</th><th></th></tr></thead><tbody>
    ${lines.join("")}${plain(`the other ${terms.length - shown.length} terms`, rest)}
    ${plain("both biases", bias)}</tbody>
    <tfoot><tr><th>a</th><td></td><td></td><th>${fmt(step.a[row])}</th><td></td></tr></tfoot>`;
}

// The gradient of one weight as a sum over frames: a picture, and its equation at the marked frame.
function gradientView({ result, gradients, cell, row, picked, index, total, label, name }) {
  const shares = weightGradient(result.frames, gradients.da, cell, picked.part, row, picked.column);
  const sum = sumOf(shares);
  const largest = largestSize(shares) || 1;
  const bars = result.numbers.map((n, j) => `M${n} 0v${(-shares[j] / largest).toFixed(4)}h1V0z`).join("");
  const input = result.frames[index].steps[cell][picked.part === "W_ih" ? "x" : "h_before"][picked.column];
  const inputLetter = picked.part === "W_ih" ? "x" : "h<sub>before</sub>";
  const da = gradients.da[cell][index][row];
  const scale = 10 ** Math.max(0, Math.ceil(-Math.log10(Math.abs(sum) || 1)));
  const unit = scale > 1 ? ` (in 1/${scale.toLocaleString("en")})` : "";
  const others = scale * (sum - shares[index]);
  const marked = result.numbers[index];
  return {
    picture: `<path d="${bars}" class="gradient-bar"/><path d="M${marked + 0.5} -1V1" class="even"/>`,
    viewBox: `0 -1.05 ${total} 2.1`,
    equations: [
      equation(
        "L1'",
        `da &middot; ${inputLetter} = ${factor(scale * da)} &middot; ` +
          `${factor(input)} = ${number(scale * shares[index])}`,
        `this frame${unit}`,
      ),
      equation(
        "L1'",
        `dp/dw = &Sigma; da &middot; ${inputLetter} = ` +
          `${fmt(scale * shares[index])}${term(others)} = ${number(scale * sum)}`,
        `this frame, and the others${unit}`,
      ),
    ].join(""),
    words: `If the weight of ${escapeHtml(name)} grew by 0.1, p(${escapeHtml(label)}) would change by about
      ${fmtSmall(0.1 * sum)}. Try it:`,
    sum,
  };
}
