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

KEPT_FRAMES = 1024  # most frames of a workspace that is kept: 2.3 MB in float32 for the model's sizes


class PairParams(NamedTuple):
    """Joined weights: four gates in the order o, i, f, g, the sigmoids' halved."""

    V1: np.ndarray  # (4, D, D): what the features give LSTM1's gates
    V2: np.ndarray  # (4, D, H): and LSTM2's
    b: np.ndarray  # (4, S): biases
    U: np.ndarray  # (S, 4S): what both hidden states, doubled, give all gates
    spare: list  # `PairWorkspace`s that no call uses now


class PairWorkspace:
    """Memory for clips of up to `frames` frames, with the views into it that (L1)-(L4) take.

    Making these costs as much as a tenth of a clip, so they are kept from clip to clip.

    Attributes
    ----------
    a : (frames + 1, 4, S) array
        Gates, their input half.
    hs : (frames + 1, S) array
        Hidden states, doubled.
    steps : list of ((4S,) array, (S,) array)
        The rows of `a` and `hs`.
    """

    def __init__(self, frames, S, dtype):
        self.frames = frames
        self.a, self.hs = np.zeros((frames + 1, 4, S), dtype), np.zeros((frames + 1, S), dtype)
        self.steps = list(zip(self.a.reshape(-1, 4 * S), self.hs))
        self.block = np.zeros(5 * S, dtype)  # of one frame: 2o, 2i, 2f, g, c; so (i, f) * (g, c) is one product
        self.terms, self.tanh_c = np.zeros((2, S), dtype), np.zeros(S, dtype)
        self.zeros, self.ones, self.halves = np.zeros(S, dtype), np.ones(3 * S, dtype), np.full(2, 0.5, dtype)


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
    V1, V2 = gate_blocks(first.W_ih), gate_blocks(second.W_ih * scale)
    b1, b2 = first.b_ih + first.b_hh, second.b_ih + second.b_hh + second.W_ih @ shift
    b = np.concatenate([gate_blocks(b1[:, None]), gate_blocks(b2[:, None])], axis=2)[:, 0]
    U = zeros_in_lines((D + H, 4, D + H), b.dtype)
    blocks = U.swapaxes(0, 1)
    blocks[:, :D, :D], blocks[:, :D, D:], blocks[:, D:, D:] = gate_blocks(first.W_hh), V2, gate_blocks(second.W_hh)
    U *= 0.5
    return PairParams(V1, V2, b, U.reshape(D + H, -1), [])


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
    work = _workspace(params, T, S, x.dtype)
    a = work.a[: T + 1]
    blocks = a.swapaxes(0, 1)
    np.matmul(x, params.V1, out=blocks[:, :T, :D])  # (P1)
    np.matmul(x, params.V2, out=blocks[:, 1:, D:])  # (P2)
    a += params.b
    a[0, :, D:] = 0  # gates of zero keep the late cells at zero in the first frame
    a[T, :, :D] = 0  # there is no frame T for the others
    _run(work, T + 1, params.U)
    z = work.hs[1 : T + 1, D:] * work.halves[0]
    if work.frames <= KEPT_FRAMES:
        params.spare.append(work)
    return z


def _workspace(params, T, S, dtype):
    """A workspace for T frames that no other thread has."""
    try:
        work = params.spare.pop()
    except IndexError:
        work = None
    if work is None or work.frames < T:
        work = PairWorkspace(-(-T // 64) * 64, S, dtype)  # in steps of 64 frames, so that most clips find one that is long enough
    return work


def zeros_in_lines(shape, dtype):
    """Zeros that begin with a line of the cache, as NumPy's own need not: products with them are a tenth faster."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + 63, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def _run(work, frames, U):
    """(L1)-(L4) from zero states, with as few calls of NumPy as can be, each with its `out` by position, which is quicker.

    As 1 + tanh(a / 2) = 2 sigmoid(a), the sigmoids are twice what they should be: a product with 1/2 in (L3) sums and mends i g
    and f c, and h remains twice what it should be, which U takes into account. All of these factors are exact.

    Parameters
    ----------
    work : PairWorkspace
        Its `a` is read, its `hs` written.
    frames : int
    U : (S, 4S) array
        For 2h: half the weights.
    """
    S, block = len(U), work.block
    gates, sigmoids, o, i_f, g_c, c = block[: 4 * S], block[: 3 * S], block[:S], block[S : 3 * S], block[3 * S :], block[4 * S :]
    tanh_c, ones, ig_fc = work.tanh_c, work.ones, work.terms
    terms = ig_fc.reshape(-1)
    tanh, multiply, add, half_sum = np.tanh, np.multiply, np.add, work.halves.dot
    c[...] = 0
    h = work.zeros
    for a_t, h_t in work.steps[:frames]:
        h.dot(U, gates)  # (L1)
        add(gates, a_t, gates)
        tanh(gates, gates)  # (L2)
        add(sigmoids, ones, sigmoids)
        multiply(i_f, g_c, terms)  # (L3)
        half_sum(ig_fc, c)
        tanh(c, tanh_c)  # (L4)
        multiply(o, tanh_c, h_t)
        h = h_t
