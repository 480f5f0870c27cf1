"""Two LSTMs with a residual connection between them, run as one over a single clip.

Equals the two layers of `layers.lstm` one after the other to 2e-14 in float64; tests/fast/test_lstm_pair.py
holds it. See `one_clip` for its speed.

The model's first half is z = LSTM2(s * (x + LSTM1(x)) + m), where s and m are the frozen batch norm. Folded
into LSTM2 (see `folding`), it leaves z = LSTM2'(x + LSTM1(x)). Write out the gates of LSTM1 at frame t and
of LSTM2' at frame t - 1, the frame before:

    a1_t     = W1 x_t + b1            + U1 h1_{t-1}                       (P1)
    a2_{t-1} = W2 x_{t-1} + b2        + W2 h1_{t-1} + U2 h2_{t-2}         (P2)

Both need h1_{t-1} and states before it, nothing newer: they are the gates of one LSTM of D + H cells, whose
recurrent matrix is [[U1, 0], [W2, U2]] and whose last H cells are one frame late. For one clip the time
goes into calls of NumPy, not into arithmetic, so half as many steps of twice the width take half the time.
For batches they do not: see docs/speed.md.

Letters: T frames, D inputs and cells of LSTM1, H cells of LSTM2, S = D + H. Equations (L1) to (L4) are
those of `layers.lstm`.
"""

import math
from itertools import cycle
from typing import NamedTuple

import numpy as np

from npreslstm.fast.lstm import gate_blocks
from npreslstm.folding import FoldedLSTM

# Rows of a frame's block: 1; tanh(a / 2) of the gates o, i, f; g; c and 2 sigmoid(a_o) of the frame before;
# the products T_I * G and T_F * C.
ONE, T_O, T_I, T_F, G, C, TWO_O, IG, FC, ROWS = range(10)
KEPT_FRAMES = 1024  # most frames of a workspace that is kept: 2.9 MB in float32 for the model's sizes
STEP = 64  # workspaces are for multiples of it, so that most clips find one that is long enough


class PairParams(NamedTuple):
    """Joined weights: four gates in the order o, i, f, g, the sigmoids' halved."""

    V1: np.ndarray  # (4, D + 1, D): what the features and 1 give LSTM1's gates
    V2: np.ndarray  # (4, D + 1, H): and LSTM2's
    U: np.ndarray  # (S, 4S): what both hidden states, doubled, give all gates
    mix: np.ndarray  # (2, 9): what the rows of a frame's block give C and TWO_O of the next


class PairWorkspace:
    """Memory for clips of up to `frames` frames, with the views into it that (L1)-(L4) take.

    Making these costs as much as a tenth of a clip, so they are kept from clip to clip.

    Attributes
    ----------
    z : (frames, D + 1) array
        x and 1.
    a : (frames + 1, 4, S) array
        What x and 1 give the gates. The late cells have no input in the first frame, which is never
        written: gates of zero keep them at zero. The other cells have none in the last frame, where a
        longer clip may have left some: nobody reads what becomes of it.
    hs : (frames + 1, S) array
        Hidden states, doubled.
    steps : list of tuples
        For each frame its rows of `a` and `hs`, the product with the latter, and `_views` of its block: two
        blocks serve in turn. Tuples, since Python takes those apart three times as fast as a NamedTuple.
    """

    def __init__(self, frames: int, D: int, S: int, dtype: np.dtype) -> None:
        self.frames = frames
        self.z = np.ones((frames, D + 1), dtype)
        self.a = np.zeros((frames + 1, 4, S), dtype)
        self.hs = np.zeros((frames + 1, S), dtype)
        even, odd = blocks = np.zeros((2, ROWS, S), dtype)
        blocks[:, ONE] = 1
        in_turn = cycle((_views(even, odd), _views(odd, even)))
        frames_of_a = self.a.reshape(-1, 4 * S)
        self.steps = [(a_t, h_t, h_t.dot, *views) for a_t, h_t, views in zip(frames_of_a, self.hs, in_turn)]
        self.c = even[C]
        self.zeros = np.zeros(S, dtype)
        self.tanh_c = np.zeros(S, dtype)
        self.half = dtype.type(0.5)


class Workspaces:
    """The memory of `pair_infer`, kept from clip to clip; whoever calls it owns one of these, for one
    model's sizes.

    Attributes
    ----------
    spare : list of PairWorkspace
        Those that no call uses now. Appending to a list and popping from it is safe among threads.
    """

    def __init__(self) -> None:
        self.spare: list[PairWorkspace] = []

    def take(self, T: int, D: int, S: int, dtype: np.dtype) -> PairWorkspace:
        """A workspace for at least T frames that no other thread has."""
        try:
            work = self.spare.pop()
        except IndexError:
            work = None
        if work is None or work.frames < T:
            work = PairWorkspace(-(-T // STEP) * STEP, D, S, dtype)
        return work

    def give_back(self, work: PairWorkspace) -> None:
        """Keep a workspace for the next clip, unless it is large."""
        if work.frames <= KEPT_FRAMES:
            self.spare.append(work)


def _views(block, following):
    """What `_run` takes of a frame's block (9, S) and of the next frame's, where c and 2o belong.

    The block, its rows T_O to G, T_I and T_F, G and C, IG and FC end to end, and of the next block the rows
    C and TWO_O together and each.
    """
    rows, S = block.reshape(-1), block.shape[1]
    parts = (rows[first * S : last * S] for first, last in ((T_O, C), (T_I, G), (G, TWO_O), (IG, ROWS)))
    return block, *parts, following[C:IG], following[C], following[TWO_O]


def join_pair(first: FoldedLSTM, second: FoldedLSTM) -> PairParams:
    """Join two layers (P1, P2).

    Parameters
    ----------
    first, second : FoldedLSTM
        Of D to D and of D to H; the batch norm between them is folded into the second.

    Returns
    -------
    PairParams
    """
    D, H = first.W_h.shape[1], second.W_h.shape[1]
    V1 = gate_blocks(np.column_stack((first.W_x, first.b)))  # (4, D + 1, D)
    V2 = gate_blocks(np.column_stack((second.W_x, second.b)))  # (4, D + 1, H)
    U = zeros_in_lines((D + H, 4, D + H), V1.dtype)
    blocks = U.swapaxes(0, 1)
    blocks[:, :D, :D] = gate_blocks(first.W_h)
    blocks[:, :D, D:] = V2[:, :D]
    blocks[:, D:, D:] = gate_blocks(second.W_h)
    U *= 0.5
    mix = np.zeros((2, ROWS), U.dtype)
    mix[0, [G, C, IG, FC]] = 0.5
    mix[1, [ONE, T_O]] = 1
    return PairParams(V1, V2, U.reshape(D + H, -1), mix)


def pair_infer(x: np.ndarray, params: PairParams, workspaces: Workspaces) -> np.ndarray:
    """Hidden states of the second layer for one clip.

    Parameters
    ----------
    x : (T, D) array
    params : PairParams
    workspaces : Workspaces
        Where memory is taken from, and given back to.

    Returns
    -------
    (T, H) array
        Equal to the two layers run one after the other, to rounding.
    """
    (T, D), S = x.shape, len(params.U)
    work = workspaces.take(T, D, S, x.dtype)
    work.z[:T, :D] = x
    z, blocks = work.z[:T], work.a[: T + 1].swapaxes(0, 1)
    np.matmul(z, params.V1, out=blocks[:, :T, :D])  # (P1)
    np.matmul(z, params.V2, out=blocks[:, 1:, D:])  # (P2)
    _run(work, T + 1, params)
    hidden = work.hs[1 : T + 1, D:] * work.half
    workspaces.give_back(work)
    return hidden


def zeros_in_lines(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeros that begin with a line of the cache, as NumPy's own need not: a tenth faster in products."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + 63, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def _run(work, frames, params):
    """(L1)-(L4) from zero states, with as few calls of NumPy as can be, each with its `out` by position,
    quicker so.

    As sigmoid(a) = (1 + tanh(a / 2)) / 2, (L3) and the gate of (L4) are sums of rows of the block,

        c_t = (G + C + IG + FC) / 2            2 sigmoid(a_o) = ONE + T_O

    and both are one product with `mix`. h remains twice what it should be, which U takes into account. All
    of these factors are exact.

    Parameters
    ----------
    work : PairWorkspace
        Its `a` is read, its `hs` written.
    frames : int
    params : PairParams
    """
    U, mix, tanh_c = params.U, params.mix.dot, work.tanh_c
    tanh, multiply, add = np.tanh, np.multiply, np.add
    work.c[...] = 0
    h_dot = work.zeros.dot
    for a_t, h_t, next_dot, block, gates, i_f, g_c, terms, c_o, c, o in work.steps[:frames]:
        h_dot(U, gates)  # (L1)
        add(gates, a_t, gates)
        tanh(gates, gates)  # (L2)
        multiply(i_f, g_c, terms)  # (L3)
        mix(block, c_o)
        tanh(c, tanh_c)  # (L4)
        multiply(o, tanh_c, h_t)
        h_dot = next_dot
