"use strict";
// The equations of one unit in one frame, with their numbers, each line a chain of equal things.

const number = (value, digits) => `<b>${fmt(value, digits)}</b>`;
const sub = (letter, index) => `${letter}<sub>${index}</sub>`;

function equation(tag, text, note = "") {
  return `<div class="equation">${tagLink(tag)}<span class="formula">${text}</span>${
    note ? `<span class="dim note">${note}</span>` : ""
  }</div>`;
}

// The four parts that a gate's argument is the sum of.
function partsOf(cell, step, row) {
  return [
    product(cell.W_ih, row, step.x),
    cell.b_ih[row],
    product(cell.W_hh, row, step.h_before),
    cell.b_hh[row],
  ];
}

function lstmEquations(cell, step, u, held = {}) {
  const at = (name) => step[name][u];
  const lines = GATES.map((gate, k) => {
    const row = k * cell.H + u;
    const [first, ...rest] = partsOf(cell, step, row);
    const sum = fmt(first) + rest.map((value) => term(value)).join("");
    const names = `${sub("a", gate)} = W<sub>ih</sub>x + b<sub>ih</sub> + W<sub>hh</sub>h + b<sub>hh</sub>`;
    return equation("L1", `${names} = ${sum} = ${number(step.a[row])}`);
  });
  const gateLine = (gate, k) => {
    const value = at(gate);
    if ((gate === "f" && held.f !== undefined) || (gate === "o" && held.silent === u)) {
      return equation("L2", `${gate} = ${number(value)}`, "held there by you");
    }
    const name = gate === "g" ? "tanh" : "&sigma;";
    const a = step.a[k * cell.H + u];
    return equation("L2", `${gate} = ${name}(${sub("a", gate)}) = ${name}(${fmt(a)}) = ${number(value)}`);
  };
  lines.push(...GATES.map(gateLine));
  const [kept, added] = [at("f") * at("c_before"), at("i") * at("g")];
  const products =
    `${fmt(at("f"))} &middot; ${factor(at("c_before"))} + ` + `${fmt(at("i"))} &middot; ${factor(at("g"))}`;
  lines.push(
    equation(
      "L3",
      `c = f c<sub>before</sub> + i g = ${products} = ${fmt(kept)}${term(added)} = ${number(at("c"))}`,
    ),
    equation("L4", `h = o tanh(c) = ${fmt(at("o"))} &middot; tanh(${fmt(at("c"))}) = ${number(at("h"))}`),
  );
  return lines;
}

// After LSTM 1: the shortcut, and the batch norm before LSTM 2.
function residualEquations({ network, frame, columns }, u) {
  const part = (what) => network.tensors[`bn_residual.${what}`][u];
  const [x, h, y] = [frame.x[u], frame.through[u], frame.y[u]];
  const { noShortcut, noFirst } = network.changes;
  const sum = noShortcut ? `h = ${number(y)}` : noFirst ? `x = ${number(y)}` : null;
  const normal =
    `${factor(part("weight"))} &middot; (${fmt(y)}${term(-part("running_mean"))}) / ` +
    `&radic;(${fmt(part("running_var"))} + 0.00001)${term(part("bias"))}`;
  return [
    equation("R1", `y = ${sum ?? `x + h = ${fmt(x)}${term(h)} = ${number(y)}`}`, escapeHtml(columns[u])),
    equation(
      "B2",
      `&gamma; (y &minus; mean) / &radic;(var + &epsilon;) + &beta; = ${normal} = ${number(frame.input[u])}`,
      "what LSTM 2 is given",
    ),
  ];
}

// After the last LSTM: attention, context, logit and probability, of the whole clip.
function answerEquations({ network, result, frame, index, classes }, u) {
  const alpha = result.alpha[index];
  const last = result.frames[result.frames.length - 1];
  const [h, H] = [frame.z[u], network.model.hidden_size];
  const own = network.v[u] * h;
  const context = last.context[u];
  const best = result.best;
  const input = network.normalise("bn", last.context);
  const weight = network.tensors["fc.weight"][best * H + u];
  const [bias, logit] = [network.tensors["fc.bias"][best], last.logits[best]];
  const total = sumOf(Array.from(last.logits, (value) => Math.exp(value - largestOf(last.logits))));
  const name = escapeHtml(classes[best]);
  return [
    equation(
      "A1",
      `e = v &middot; h = ${factor(network.v[u])} &middot; ${factor(h)}${term(frame.e - own)} = ` +
        `${number(frame.e)}`,
      `this unit, and the other ${H - 1}`,
    ),
    equation(
      "A2",
      `&alpha; = exp(e &minus; max) / &Sigma; = ` +
        `exp(${fmt(frame.e)}${term(-last.maximum)}) / ${fmt(last.total)} = ${number(alpha)}`,
      `even would be ${fmt(1 / result.frames.length)}`,
    ),
    equation(
      "A3",
      `context = &Sigma; &alpha; h = ${fmt(alpha)} &middot; ${factor(h)}${term(context - alpha * h)} = ` +
        `${number(context)}`,
      "this frame, and the others",
    ),
    equation(
      "R4",
      `logit of ${name} = ${factor(weight)} &middot; ${factor(input[u])}` +
        `${term(logit - bias - weight * input[u])}${term(bias)} = ${number(logit)}`,
      "this unit, normalised by (B2), the others, and the bias",
    ),
    equation(
      "S2",
      `p = exp(logit &minus; max) / &Sigma; = ` +
        `exp(${fmt(logit)}${term(-largestOf(last.logits))}) / ${fmt(total)} = ${number(last.p[best])}`,
      `the answer: ${name}`,
    ),
  ];
}
