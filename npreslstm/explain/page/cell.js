"use strict";
// One unit of an LSTM in one frame, drawn: wires as thick as their numbers, blue below zero, orange above.

function wire(path, value) {
  const width = 1.2 + 4.5 * Math.min(1, Math.abs(value));
  const style = `stroke:${signedColour(value)};stroke-width:${width.toFixed(2)}`;
  return `<path d="${path}" class="wire" style="${style}"/>`;
}

function gateBox(x, y, letter, kind, value) {
  return `<g class="gate" data-gate="${letter}" tabindex="0" role="button"
      aria-label="gate ${letter}, ${fmt(value)}: show what goes into it">
    <rect x="${x - 31}" y="${y - 19}" width="62" height="38" rx="7"/>
    <text x="${x}" y="${y - 4}"><tspan class="letter">${letter}</tspan>
      <tspan class="kind">${kind}</tspan></text>
    <text x="${x}" y="${y + 12}" class="number">${fmt(value)}</text></g>`;
}

function operation(x, y, sign) {
  return `<circle cx="${x}" cy="${y}" r="12" class="operation"/><text x="${x}" y="${y + 5}">${sign}</text>`;
}

// A name over its number.
function wireNumber(x, y, name, value, anchor = "middle") {
  return `<text x="${x}" y="${y}" style="text-anchor:${anchor}"><tspan class="kind">${name}</tspan><tspan
    class="number" x="${x}" dy="15">${fmt(value)}</tspan></text>`;
}

// SVG of unit `u` in `step`; the numbers stand beside the wires that carry them.
function drawCell(step, u) {
  const at = (name) => step[name][u];
  const [kept, added] = [at("f") * at("c_before"), at("i") * at("g")];
  return [
    wire("M6 44H110", at("c_before")),
    wire("M110 44H238", kept),
    wire("M238 44H494", at("c")),
    wire("M110 176V57", at("f")),
    wire("M186 176V126", at("i")),
    wire("M286 176V134Q286 113 266 113H199", at("g")),
    wire("M186 101V84Q186 74 198 74H228Q238 74 238 57", added),
    wire("M406 44V183", at("tanh_c")),
    wire("M372 196H394", at("o")),
    wire("M418 196H494", at("h")),
    operation(110, 44, "&times;"),
    operation(238, 44, "+"),
    operation(186, 113, "&times;"),
    operation(406, 196, "&times;"),
    `<rect x="378" y="88" width="56" height="26" rx="13" class="operation"/>`,
    `<text x="406" y="105">tanh</text>`,
    gateBox(110, 196, "f", "&sigma;", at("f")),
    gateBox(186, 196, "i", "&sigma;", at("i")),
    gateBox(286, 196, "g", "tanh", at("g")),
    gateBox(341, 246, "o", "&sigma;", at("o")).replace(
      "<rect",
      `<path d="M341 227V196H372" class="lead"/><rect`,
    ),
    wireNumber(8, 16, "c before", at("c_before"), "start"),
    wireNumber(176, 16, "f c before", kept),
    wireNumber(252, 74, "i g", added, "start"),
    wireNumber(492, 16, "c", at("c"), "end"),
    wireNumber(416, 138, "tanh(c)", at("tanh_c"), "start"),
    wireNumber(492, 170, "h", at("h"), "end"),
  ].join("");
}

// The same in words, for who hears the page.
function describeCell(step, u) {
  const at = (name) => fmt(step[name][u]);
  return (
    `The cell was ${at("c_before")}. The forget gate keeps ${at("f")} of it, the input gate lets in ` +
    `${at("i")} of the candidate ${at("g")}: the cell is ${at("c")}. The output gate shows ${at("o")} of ` +
    `its tanh: the hidden state is ${at("h")}.`
  );
}
