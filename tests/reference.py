"""One clip through the reference layers, for tests that compare clip by clip, and random weights."""

import numpy as np

from npreslstm.layers.lstm import LSTMParams, lstm_forward


def lstm(x, W_ih, W_hh, b_ih, b_hh, h=None, c=None):
    """Hidden states (T, H) and the last h, c of one clip x (T, D)."""
    start = (None if state is None else np.asarray(state)[None] for state in (h, c))
    y, (h_n, c_n), _ = lstm_forward(x[:, None], LSTMParams(W_ih, W_hh, b_ih, b_hh), *start)
    return y[:, 0], h_n[0], c_n[0]


def random_params(rng, D, H, dtype=np.float64):
    """Random weights with b_ih and b_hh distinct, so that losing one shows."""
    shapes = (4 * H, D), (4 * H, H), (4 * H,), (4 * H,)
    return LSTMParams(*(rng.normal(0, 0.5, shape).astype(dtype) for shape in shapes))
