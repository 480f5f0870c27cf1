"""The slow twins: one clip, four separate gates, Python loops, written from the equations and not from the fast code."""

import math

import numpy as np


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def lstm(x, W_ih, W_hh, b_ih, b_hh, h=None, c=None):
    """Hidden states (T, H) and the last h, c of one clip x (T, D)."""
    H = len(W_hh) // 4
    h = [0.0] * H if h is None else list(h)
    c = [0.0] * H if c is None else list(c)
    states = []
    for frame in x:
        new_h, new_c = [], []
        for unit in range(H):
            i, f, g, o = (_gate(frame, h, W_ih[row], W_hh[row], b_ih[row], b_hh[row]) for row in (unit, H + unit, 2 * H + unit, 3 * H + unit))
            new_c.append(sigmoid(f) * c[unit] + sigmoid(i) * math.tanh(g))
            new_h.append(sigmoid(o) * math.tanh(new_c[-1]))
        h, c = new_h, new_c
        states.append(h)
    return np.array(states), np.array(h), np.array(c)


def _gate(frame, h, w_ih, w_hh, b_ih, b_hh):
    return math.fsum([*(w * x for w, x in zip(w_ih, frame)), *(w * s for w, s in zip(w_hh, h)), b_ih, b_hh])


def attention(h, V, w=None, zeros=0):
    """Context (H,) and weights of one clip h (T, H); `zeros` padded frames of score 0 take part in the softmax."""
    scores = []
    for frame in h:
        projections = [math.fsum(v * x for v, x in zip(column, frame)) for column in np.transpose(V)]
        scores.append(projections[0] if w is None else math.fsum(a * b for a, b in zip(w[0], projections)))
    exponentials = [math.exp(score) for score in scores + [0.0] * zeros]
    weights = [e / math.fsum(exponentials) for e in exponentials]
    context = [math.fsum(weight * frame[unit] for weight, frame in zip(weights, h)) for unit in range(len(h[0]))]
    return np.array(context), np.array(weights)


def batchnorm(x, gamma, beta, mean, var):
    """Rows x (M, F) by given statistics."""
    return np.array([[g * (v - m) / math.sqrt(s + 1e-5) + b for v, g, b, m, s in zip(row, gamma, beta, mean, var)] for row in x])


def batch_statistics(rows, zeros=0):
    """Mean and biased variance of each column over the rows and `zeros` rows of zeros."""
    n = len(rows) + zeros
    mean = [math.fsum(column) / n for column in np.transpose(rows)]
    var = [(math.fsum((v - m) ** 2 for v in column) + zeros * m * m) / n for column, m in zip(np.transpose(rows), mean)]
    return np.array(mean), np.array(var)


def reslstm(clips, tensors, padding="masked", training=False):
    """Logits (N, C) of ResLSTM-SA or LSTM-SA on clips [(T_n, D)], and the attention of each clip; one layer an LSTM or more."""
    longest = max(len(x) for x in clips)
    zeros = [longest - len(x) if padding == "original" else 0 for x in clips]
    if "lstm1.weight_ih_l0" in tensors:
        residual = [_stack(x, tensors, "lstm1") + x for x in clips]
        mean, var = _statistics(np.concatenate(residual), sum(zeros), tensors, "bn_residual", training)
        clips = [batchnorm(y, tensors["bn_residual.weight"], tensors["bn_residual.bias"], mean, var) for y in residual]
        last = "lstm2"
    else:
        last = "lstm"
    attended = [
        attention(_stack(x, tensors, last), tensors["attention_vector"], tensors.get("head_combine.weight"), zero) for x, zero in zip(clips, zeros)
    ]
    contexts = np.array([context for context, _ in attended])
    mean, var = _statistics(contexts, 0, tensors, "bn", training)
    normalised = batchnorm(contexts, tensors["bn.weight"], tensors["bn.bias"], mean, var)
    logits = [[math.fsum(w * v for w, v in zip(row, x)) + b for row, b in zip(tensors["fc.weight"], tensors["fc.bias"])] for x in normalised]
    return np.array(logits), [weights for _, weights in attended]


def _stack(x, tensors, prefix):
    k = 0
    while f"{prefix}.weight_ih_l{k}" in tensors:
        x, _, _ = lstm(x, *(tensors[f"{prefix}.{name}_l{k}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))
        k += 1
    return x


def _statistics(rows, zeros, tensors, prefix, training):
    if training:
        return batch_statistics(rows, zeros)
    return tensors[prefix + ".running_mean"], tensors[prefix + ".running_var"]
