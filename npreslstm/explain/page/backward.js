"use strict";
// The network, backwards: docs/lstm.md, sections 4 to 7, by the names of npreslstm/layers/.

// Add `factor` times row `row` of the matrix W to `sum`.
function addRow(sum, W, row, factor) {
  const first = row * sum.length;
  for (let k = 0; k < sum.length; k++) {
    sum[k] += W[first + k] * factor;
  }
}

// One frame of one LSTM layer: the gradients of its state before, of its input, and `da` of (L2').
function lstmStepBackward(dh, dc_after, step, params) {
  const H = params.H;
  const da = new Float64Array(4 * H);
  const dc_before = new Float64Array(H);
  for (let u = 0; u < H; u++) {
    const [i, f, g, o, tanh_c] = [step.i[u], step.f[u], step.g[u], step.o[u], step.tanh_c[u]];
    const d_o = dh[u] * tanh_c; // (L4')
    const dc = dc_after[u] + dh[u] * o * (1 - tanh_c ** 2); // (L4')
    const di = dc * g; // (L3')
    const df = dc * step.c_before[u]; // (L3')
    const dg = dc * i; // (L3')
    dc_before[u] = dc * f; // (L3')
    da[u] = di * i * (1 - i); // (L2')
    da[H + u] = df * f * (1 - f); // (L2')
    da[2 * H + u] = dg * (1 - g ** 2); // (L2')
    da[3 * H + u] = d_o * o * (1 - o); // (L2')
  }
  const dx = new Float64Array(params.D);
  const dh_before = new Float64Array(H);
  for (let row = 0; row < 4 * H; row++) {
    addRow(dx, params.W_ih, row, da[row]); // (L1')
    addRow(dh_before, params.W_hh, row, da[row]); // (L1')
  }
  return { dx, dh_before, dc_before, da };
}

// All frames of one layer, the last one first; dy (T, H) comes from the layer above.
function lstmBackward(dy, steps, params) {
  const T = steps.length;
  const [dx, da] = [new Array(T), new Array(T)];
  let dh = new Float64Array(params.H);
  let dc = new Float64Array(params.H);
  for (let t = T - 1; t >= 0; t--) {
    const all = dh.map((value, u) => value + dy[t][u]);
    const back = lstmStepBackward(all, dc, steps[t], params);
    [dx[t], da[t], dh, dc] = [back.dx, back.da, back.dh_before, back.dc_before];
  }
  return { dx, da };
}

function attentionBackward(dcontext, frames, alpha, v) {
  const dalpha = frames.map((frame) => product(dcontext, 0, frame.z)); // (A3')
  const mean = dalpha.reduce((sum, value, t) => sum + alpha[t] * value, 0);
  return frames.map((_, t) => {
    const de = alpha[t] * (dalpha[t] - mean); // (A2')
    return dcontext.map((value, u) => alpha[t] * value + de * v[u]); // (A3') (A1')
  });
}

// The gradient of a batch norm with frozen statistics: the first part of (B1').
function normaliseBackward(network, name, dy) {
  const gamma = network.tensors[`${name}.weight`];
  const variance = network.tensors[`${name}.running_var`];
  return dy.map((value, k) => (value * gamma[k]) / Math.sqrt(variance[k] + EPS)); // (B1')
}

// The gradient of p[best] with respect to the logits, by (S2').
function ofProbability(p, best) {
  return Float64Array.from(p, (value, c) => p[best] * ((c === best ? 1 : 0) - value)); // (S2')
}

// From the gradient of the logits after the last of `frames` to that of each frame's features, `dx` (T, D),
// and to `da` (T, 4H) of each layer, of which the gradients of its weights are made.
function backward(network, frames, dlogits) {
  const H = network.model.hidden_size;
  const dhead = new Float64Array(H);
  dlogits.forEach((value, c) => addRow(dhead, network.tensors["fc.weight"], c, value)); // (R4')
  const dcontext = normaliseBackward(network, "bn", dhead);
  const da = new Array(network.cells.length);
  let d = attentionBackward(dcontext, frames, attentionOf(frames), network.v); // (R3')
  const backThrough = (name) => {
    for (let k = network.cells.length - 1; k >= 0; k--) {
      if (network.cells[k].name === name) {
        const back = lstmBackward(
          d,
          frames.map((frame) => frame.steps[k]),
          network.cells[k],
        ); // (R2')
        [d, da[k]] = [back.dx, back.da];
      }
    }
  };
  if (!network.residual) {
    backThrough("lstm");
    return { dx: d, da };
  }
  backThrough("lstm2");
  const dy = d.map((row) => normaliseBackward(network, "bn_residual", row));
  const keep = network.changes.noShortcut ? 0 : 1;
  const add = network.changes.noFirst ? 0 : 1;
  d = dy.map((row) => row.map((value) => add * value));
  backThrough("lstm1");
  return { dx: dy.map((row, t) => row.map((value, k) => keep * value + d[t][k])), da }; // (R1')
}

// What each frame adds to the gradient of one weight, entry [row, column] of W_ih or W_hh of layer `cell`:
// dW = the sum over frames of da x^T, or of da h_before^T.
function weightGradient(frames, da, cell, part, row, column) {
  const input = part === "W_ih" ? "x" : "h_before";
  return frames.map((frame, t) => da[cell][t][row] * frame.steps[cell][input][column]); // (L1')
}
