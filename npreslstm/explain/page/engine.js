"use strict";
// The network, forwards, one frame after the other. The tags are those of npreslstm's docs/lstm.md, and the
// names those of npreslstm/layers/. All numbers are float64; the weights are float32, as in their file.

const EPS = 1e-5; // of batch normalisation
const GATES = ["i", "f", "g", "o"]; // the order of the four blocks of H rows

function sigmoid(x) {
  return 0.5 * (1 + Math.tanh(0.5 * x)); // (S1)
}

function softmax(x) {
  const maximum = Math.max(...x);
  const e = Array.from(x, (value) => Math.exp(value - maximum));
  const total = e.reduce((sum, value) => sum + value, 0);
  return e.map((value) => value / total); // (S2)
}

// Row `row` of the matrix W (rows of `x.length` numbers) times x.
function product(W, row, x) {
  const first = row * x.length;
  let sum = 0;
  for (let k = 0; k < x.length; k++) {
    sum += W[first + k] * x[k];
  }
  return sum;
}

// One frame of one LSTM layer. `held` says what a reader holds still: the gate f {f: 0}, a unit {silent: 17}.
function lstmStep(x, before, params, held = {}) {
  const H = params.H;
  const a = new Float64Array(4 * H);
  for (let row = 0; row < 4 * H; row++) {
    const fromInput = product(params.W_ih, row, x) + params.b_ih[row];
    a[row] = fromInput + product(params.W_hh, row, before.h) + params.b_hh[row]; // (L1)
  }
  const step = { x, h_before: before.h, c_before: before.c, a };
  for (const name of [...GATES, "c", "tanh_c", "h"]) {
    step[name] = new Float64Array(H);
  }
  for (let u = 0; u < H; u++) {
    step.i[u] = sigmoid(a[u]); // (L2)
    step.f[u] = held.f ?? sigmoid(a[H + u]); // (L2)
    step.g[u] = Math.tanh(a[2 * H + u]); // (L2)
    step.o[u] = held.silent === u ? 0 : sigmoid(a[3 * H + u]); // (L2)
    step.c[u] = step.f[u] * before.c[u] + step.i[u] * step.g[u]; // (L3)
    step.tanh_c[u] = Math.tanh(step.c[u]);
    step.h[u] = step.o[u] * step.tanh_c[u]; // (L4)
  }
  return step;
}

// The whole network. `model` are its sizes, `tensors` its arrays by PyTorch's names, `changes` what a reader
// wants to be otherwise (what_if.js).
class Network {
  constructor(model, tensors, changes = {}) {
    this.model = model;
    this.tensors = tensors;
    this.changes = changes;
    const inputs = { lstm1: model.input_size, lstm2: model.input_size, lstm: model.input_size };
    this.cells = model.lstms.flatMap((name) =>
      Array.from({ length: model.num_layers }, (_, layer) => this.params(name, layer, inputs[name])),
    );
    this.residual = model.kind === "reslstm-sa";
    this.v = this.attentionVector();
    this.start();
  }

  params(name, layer, inputs) {
    const tensor = (part) => this.tensors[`${name}.${part}_l${layer}`];
    const H = tensor("bias_ih").length / 4;
    return {
      name,
      layer,
      H,
      D: layer === 0 ? inputs : H,
      W_ih: tensor("weight_ih"),
      W_hh: tensor("weight_hh"),
      b_ih: tensor("bias_ih"),
      b_hh: tensor("bias_hh"),
    };
  }

  // The one vector that several attention vectors come to. A vector of zeros asks for nothing: all are heard
  // alike.
  attentionVector() {
    const { hidden_size: H, attention_vectors: K } = this.model;
    const V = this.tensors.attention_vector;
    const w = this.tensors["head_combine.weight"] ?? Float64Array.of(1);
    const v = new Float64Array(H);
    for (let u = 0; u < H && !this.changes.evenAttention; u++) {
      v[u] = product(V.subarray(u * K, u * K + K), 0, w); // (A1)
    }
    return v;
  }

  // Forget all frames.
  start() {
    const zeros = (H) => new Float64Array(H);
    this.states = this.cells.map(({ H }) => ({ h: zeros(H), c: zeros(H) }));
    this.maximum = -Infinity; // the largest score so far
    this.total = 0; // the sum of exp(score - maximum)
    this.weighted = zeros(this.model.hidden_size); // the same sum, weighted by h
  }

  runCells(name, x, steps) {
    let output = x;
    this.cells.forEach((cell, k) => {
      if (cell.name === name) {
        const step = lstmStep(output, this.states[k], cell, this.changes.held?.[k]);
        this.states[k] = step;
        steps[k] = step;
        output = step.h;
      }
    });
    return output;
  }

  normalise(name, x) {
    const part = (what) => this.tensors[`${name}.${what}`];
    const [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(part);
    const y = new Float64Array(x.length);
    for (let k = 0; k < x.length; k++) {
      const u = (x[k] - mean[k]) / Math.sqrt(variance[k] + EPS); // (B2)
      y[k] = gamma[k] * u + beta[k]; // (B2)
    }
    return y;
  }

  // Take in the features x of one frame; give every number that comes of it. The answer, `logits` and `p`, is
  // that of the clip so far.
  step(x) {
    const steps = [];
    const frame = { x, steps };
    let input = x;
    if (this.residual) {
      frame.through = this.runCells("lstm1", x, steps);
      const keep = this.changes.noShortcut ? 0 : 1;
      const add = this.changes.noFirst ? 0 : 1;
      frame.y = Float64Array.from(x, (value, k) => keep * value + add * frame.through[k]); // (R1)
      input = this.normalise("bn_residual", frame.y);
    }
    frame.input = input;
    frame.z = this.runCells(this.residual ? "lstm2" : "lstm", input, steps); // (R2)
    this.attend(frame);
    frame.logits = this.head(frame.context);
    frame.p = softmax(frame.logits);
    return frame;
  }

  attend(frame) {
    const h = frame.z;
    const e = product(this.v, 0, h); // (A1)
    const maximum = Math.max(this.maximum, e); // (A2)
    const shrink = Math.exp(this.maximum - maximum); // (A2)
    const weight = Math.exp(e - maximum); // (A2)
    this.maximum = maximum;
    this.total = this.total * shrink + weight; // (A2)
    this.weighted = this.weighted.map((sum, u) => sum * shrink + weight * h[u]); // (A3)
    const context = this.weighted.map((sum) => sum / this.total); // (R3)
    Object.assign(frame, { e, maximum, total: this.total, context });
  }

  head(context) {
    const input = this.normalise("bn", context);
    const [W, b] = [this.tensors["fc.weight"], this.tensors["fc.bias"]];
    return Float64Array.from(b, (bias, c) => product(W, c, input) + bias); // (R4)
  }

  // All frames of a clip, from the first on.
  run(rows) {
    this.start();
    return rows.map((x) => this.step(x));
  }
}

// The attention of each of `frames`, had the clip ended with the last of them.
function attentionOf(frames) {
  const { maximum, total } = frames[frames.length - 1];
  return Float64Array.from(frames, (frame) => Math.exp(frame.e - maximum) / total); // (A2)
}

// What each frame says: alpha_t W h_t, with W seen through the batch norm, (C,) a frame. Logits are linear in
// the context, so these add up to the logits but for `constant`, which is the same for every clip.
function saidByFrames(network, frames, alpha) {
  const H = network.model.hidden_size;
  const zero = network.head(new Float64Array(H));
  const said = frames.map((frame, t) => {
    const share = network.head(frame.z.map((h) => alpha[t] * h));
    return share.map((logit, c) => logit - zero[c]);
  });
  return { said, constant: zero };
}
