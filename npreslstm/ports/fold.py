"""What a port computes: the network in evaluation mode with everything folded that can be.

Folded, exactly in real arithmetic and in float64 here:

    b = b_ih + b_hh                                                the two biases of every LSTM layer
    W_x <- W_x diag(a), b <- b + W_x d      y -> a y + d           the residual batch norm, into the LSTM after it
    W <- W diag(a), b <- b + W d                                   the last batch norm, into the head
    v = V w                                                        several attention vectors, into one
    rows i, f, o halved                                            sigmoid(z) = (1 + tanh(z / 2)) / 2  (S1): one tanh for all gates

Letters: D inputs, H hidden, C classes.
"""

from typing import NamedTuple

import numpy as np

from npreslstm.layers.batchnorm import EPS
from npreslstm.layers.lstm import gate_slices


class FoldedLSTM(NamedTuple):
    """One layer: tanh(W_x x + W_h h + b) are the gates, up to (S1)."""

    W_x: np.ndarray  # (4H, D)
    W_h: np.ndarray  # (4H, H)
    b: np.ndarray  # (4H,)


class FoldedModel(NamedTuple):
    """The network of a port, float64.

    Attributes
    ----------
    lstms : list of FoldedLSTM
        In order of computation.
    residual : int
        After how many layers the features are added to the hidden state (R1); 0 where there is no such connection.
    attention : (H,) array
    head_W : (C, H) array
    head_b : (C,) array
    """

    lstms: list[FoldedLSTM]
    residual: int
    attention: np.ndarray
    head_W: np.ndarray
    head_b: np.ndarray


def fold(checkpoint):
    """Fold the tensors of a `Checkpoint`.

    Returns
    -------
    FoldedModel
    """
    state = {name: np.asarray(tensor, dtype=np.float64) for name, tensor in checkpoint.state.items()}
    layers, residual = checkpoint.config.num_layers, 0
    if checkpoint.config.kind == "reslstm-sa":
        residual = layers
        first = [_lstm(state, "lstm1", k) for k in range(layers)]
        second = [_lstm(state, "lstm2", k) for k in range(layers)]
        a, d = _affine(state, "bn_residual")
        W_x, W_h, b = second[0]
        lstms = [*first, FoldedLSTM(W_x * a, W_h, b + W_x @ d), *second[1:]]
    else:
        lstms = [_lstm(state, "lstm", k) for k in range(layers)]
    a, d = _affine(state, "bn")
    V, w = state["attention_vector"], state.get("head_combine.weight")
    attention = V[:, 0] if w is None else (V @ w.T)[:, 0]
    return FoldedModel(lstms, residual, attention, state["fc.weight"] * a, state["fc.bias"] + state["fc.weight"] @ d)


def _lstm(state, prefix, k):
    W_x, W_h, b_ih, b_hh = (state[f"{prefix}.{name}_l{k}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    half = np.full(len(W_x), 0.5)  # (4H,)
    half[gate_slices(W_h.shape[1])["g"]] = 1
    return FoldedLSTM(W_x * half[:, None], W_h * half[:, None], (b_ih + b_hh) * half)


def _affine(state, prefix):
    """a, d with a x + d the frozen batch norm (B2)."""
    a = state[f"{prefix}.weight"] / np.sqrt(state[f"{prefix}.running_var"] + EPS)
    return a, state[f"{prefix}.bias"] - a * state[f"{prefix}.running_mean"]
