"""Two LSTMs with a residual connection and a frozen batch norm between them, run as one over a single clip.

The model's first half is z = LSTM2(s * (x + LSTM1(x)) + m), where s and m are the frozen batch norm. Write out the gates of
LSTM1 at frame t and of LSTM2 at frame t - 1, the frame before:

    a1_t     = W1 x_t + b1                          + U1 h1_{t-1}                           (P1)
    a2_{t-1} = W2 s x_{t-1} + (W2 m + b2)           + W2 s h1_{t-1} + U2 h2_{t-2}           (P2)

Both need h1_{t-1} and states before it, nothing newer: they are the gates of one LSTM of D + H cells, whose recurrent
matrix is [[U1, 0], [W2 s, U2]] and whose last H cells are one frame late. For one clip the time goes into calls of NumPy,
not into arithmetic, so half as many steps of twice the width take half the time. For batches they do not: see
docs/speed.md.

Letters: T frames, D inputs and cells of LSTM1, H cells of LSTM2, S = D + H. Equations (L1) to (L4) are those of `lstm`.
"""

import math
from typing import NamedTuple

import numpy as np

from npreslstm.layers.lstm import gate_blocks


class PairParams(NamedTuple):
    """Joined weights: four gates in the order o, i, f, g, the sigmoids' halved; the last row of V1 and V2 is the bias."""

    V1: np.ndarray  # (4, D + 1, D): what the features give LSTM1's gates
    V2: np.ndarray  # (4, D + 1, H): and LSTM2's
    U: np.ndarray  # (S, 4S): what both hidden states, doubled, give all gates


def join_pair(first, second, scale, shift):
    """Join two layers and the affine map between them (P1, P2).

    Parameters
    ----------
    first, second : LSTMParams
        Of D to D and of D to H.
    scale, shift : (D,) arrays
        s and m.

    Returns
    -------
    PairParams
    """
    D, H = first.W_hh.shape[1], second.W_hh.shape[1]
    W2 = second.W_ih * scale
    V1 = _with_bias(first.W_ih, first.b_ih + first.b_hh)  # (P1)
    V2 = _with_bias(W2, second.b_ih + second.b_hh + second.W_ih @ shift)  # (P2)
    U = zeros_in_lines((D + H, 4, D + H), W2.dtype)
    blocks = U.swapaxes(0, 1)
    blocks[:, :D, :D], blocks[:, :D, D:], blocks[:, D:, D:] = gate_blocks(first.W_hh), V2[:, :D], gate_blocks(second.W_hh)
    U *= 0.5
    return PairParams(V1, V2, U.reshape(D + H, -1))


def pair_infer(x, params):
    """Hidden states of the second layer for one clip.

    Parameters
    ----------
    x : (T, D) array
    params : PairParams

    Returns
    -------
    (T, H) array
        Equal to the two layers run one after the other, to rounding.
    """
    (T, D), S = x.shape, len(params.U)
    x1 = np.ones((T, D + 1), dtype=x.dtype)
    x1[:, :D] = x
    a = np.empty((T + 1, 4, S), dtype=x.dtype)
    blocks = a.swapaxes(0, 1)
    np.matmul(x1, params.V1, out=blocks[:, :T, :D])  # (P1)
    np.matmul(x1, params.V2, out=blocks[:, 1:, D:])  # (P2)
    a[0, :, D:] = 0  # gates of zero keep the late cells at zero in the first frame
    a[T, :, :D] = 0  # there is no frame T for the others
    hs = np.empty((T + 1, S), dtype=x.dtype)
    _run(a.reshape(T + 1, 4 * S), params.U, hs)
    return hs[1:, D:]


def zeros_in_lines(shape, dtype):
    """Zeros that begin with a line of the cache, as NumPy's own need not: products with them are a tenth faster."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + 63, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def _with_bias(W, b):
    """W (4H, D) and b (4H,) -> (4, D + 1, H)."""
    return gate_blocks(np.concatenate([W, b[:, None]], axis=1))


def _run(a, U, hs):
    """(L1)-(L4) from zero states, with as few calls of NumPy as can be, each with its `out` by position, which is quicker.

    As 1 + tanh(a / 2) = 2 sigmoid(a), the sigmoids are twice what they should be: a product with 1/2 in (L3) sums and mends i g
    and f c, and h remains twice what it should be, which U takes into account. All of these factors are exact.

    Parameters
    ----------
    a : (frames, 4S) array
        The input half of (L1).
    U : (S, 4S) array
        For 2h: half the weights.
    hs : (frames, S) array
        Hidden states, written.
    """
    S = hs.shape[1]
    block = np.zeros(5 * S, dtype=hs.dtype)  # 2o, 2i, 2f, g, c; so (i, f) * (g, c) is one product
    gates, sigmoids, o, i_f, g_c, c = block[: 4 * S], block[: 3 * S], block[:S], block[S : 3 * S], block[3 * S :], block[4 * S :]
    terms, tanh_c, one, halves = np.empty_like(i_f), np.empty_like(c), np.ones_like(sigmoids), np.full(2, 0.5, dtype=hs.dtype)
    ig_fc = terms.reshape(2, S)
    tanh, multiply, add, half_sum = np.tanh, np.multiply, np.add, halves.dot
    h = np.zeros_like(c)
    for a_t, h_t in zip(a, hs):
        h.dot(U, gates)  # (L1)
        add(gates, a_t, gates)
        tanh(gates, gates)  # (L2)
        add(sigmoids, one, sigmoids)
        multiply(i_f, g_c, terms)  # (L3)
        half_sum(ig_fc, c)
        tanh(c, tanh_c)  # (L4)
        multiply(o, tanh_c, h_t)
        h = h_t
    hs *= halves[0]
