"""Long short-term memory, forward and backward through time.

For one clip, with gates in PyTorch's order i, f, g, o stacked to 4H rows:

    a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh                       (L1)
    i, f, o = sigmoid(a_i, a_f, a_o)      g = tanh(a_g)               (L2)
    c_t = f * c_{t-1} + i * g                                         (L3)
    h_t = o * tanh(c_t)                                               (L4)

`lstm_step` is these four lines. `lstm_forward` runs them over a packed batch (see `packing`), whose runs of frames with
the same n clips are dense. A run's gates are one array (frames, 4, n, H): each gate of a frame is a block of memory, so
that NumPy does every operation on it in one go, and a product with weights (4, H, H) makes all four. The input half of
(L1) is such a product for all frames of the run, the recurrent half one for each frame. The sigmoid gates' rows of W
and b are halved beforehand, which is exact, so that one tanh serves all four gates: sigmoid(a) = 0.5 + 0.5 tanh(a / 2).
`lstm_backward` computes the local derivatives of a run's frames at once; what remains for each frame is the chain rule
through time.

Letters: N clips, T frames, M packed rows (all frames of all clips), D inputs, H hidden. The cache of M rows takes
(D + 6H) M + 2NH numbers, of which DM are the input itself; the backward pass needs little beside its results.

Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, parametrised as torch.nn.LSTM.
"""

from itertools import repeat
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.layers.activations import sigmoid
from npreslstm.layers.packing import Packing

GATES = ("i", "f", "g", "o")  # input, forget, cell candidate, output: the order of the four blocks of H rows


class LSTMParams(NamedTuple):
    """Weights of one layer: W_ih (4H, D), W_hh (4H, H), b_ih (4H,), b_hh (4H,)."""

    W_ih: np.ndarray
    W_hh: np.ndarray
    b_ih: np.ndarray
    b_hh: np.ndarray


class LSTMCache(NamedTuple):
    """What `lstm_backward` needs. Rows of `h` and `c` begin with the N initial states, so row N + r is frame row r."""

    x: np.ndarray  # (M, D)
    params: LSTMParams
    packing: Packing
    gates: list[np.ndarray]  # (frames, 4, n, H) a run: i, f, o, g after their non-linearities
    h: np.ndarray  # (N + M, H)
    c: np.ndarray  # (N + M, H)


def gate_slices(H):
    """Columns of each gate: {'i': slice(0, H), 'f': slice(H, 2H), ...}."""
    return {name: slice(k * H, (k + 1) * H) for k, name in enumerate(GATES)}


def lstm_step(x, h, c, params):
    """Advance N cells by one frame (L1-L4).

    Parameters
    ----------
    x : (N, D) array
    h, c : (N, H) arrays
        Hidden and cell state.
    params : LSTMParams

    Returns
    -------
    h, c : (N, H) arrays
        The new state.
    """
    a = x @ params.W_ih.T + params.b_ih + h @ params.W_hh.T + params.b_hh  # (N, 4H)  (L1)
    a_i, a_f, a_g, a_o = np.split(a, 4, axis=-1)
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)  # (L2)
    c = f * c + i * g  # (N, H)  (L3)
    return o * np.tanh(c), c  # (L4)


def lstm_forward(x, params, packing, h0=None, c0=None):
    """Run one layer over a packed batch, keeping what the backward pass needs.

    Parameters
    ----------
    x : (M, D) array
        Packed input.
    params : LSTMParams
    packing : Packing
        Layout of the rows.
    h0, c0 : (N, H) arrays, optional
        Initial states in the caller's clip order; zeros where absent.

    Returns
    -------
    y : (M, H) array
        Hidden states, packed; a view into the cache, not to be written to.
    (h_n, c_n) : (N, H) arrays
        State after the last frame of each clip, in the caller's clip order.
    cache : LSTMCache

    Raises
    ------
    InputError
        If a shape contradicts the weights or the packing.
    """
    _check(x, params, packing)
    N, H = len(packing.order), params.W_hh.shape[1]
    W_ih, W_hh, b = _gate_blocks(params, x.dtype)
    h, c = _states(h0, packing, H, x.dtype), _states(c0, packing, H, x.dtype)  # (N + M, H)
    gates = []
    h_t, c_t = h[:N], c[:N]
    for run in packing.runs:
        gates.append(_project(run, x, W_ih, b))
        h_t, c_t = _advance(gates[-1], W_hh, h_t[: run.n], c_t[: run.n], run.dense(h[N:]), run.dense(c[N:]))
    last = _last_rows(packing)
    return h[N:], (h[last], c[last]), LSTMCache(x, params, packing, gates, h, c)


def lstm_infer(x, params, packing, h0=None, c0=None):
    """`lstm_forward` without a cache: the same numbers, only the state of the current frame is kept.

    Returns
    -------
    y : (M, H) array
    (h_n, c_n) : (N, H) arrays
    """
    _check(x, params, packing)
    N, H = len(packing.order), params.W_hh.shape[1]
    W_ih, W_hh, b = _gate_blocks(params, x.dtype)
    y = np.empty((packing.rows, H), dtype=x.dtype)
    h, c = _in_packed_order(h0, packing, (N, H), x.dtype), _in_packed_order(c0, packing, (N, H), x.dtype)
    h_t = h
    for run in packing.runs:
        h_t, _ = _advance(_project(run, x, W_ih, b), W_hh, h_t[: run.n], c[: run.n], run.dense(y), repeat(c[: run.n]))
    return y, (y[_last_rows(packing) - N], c[np.argsort(packing.order)])


def lstm_backward(dy, cache, dh_n=None, dc_n=None, need_dx=True):
    """Backpropagate through time.

    Parameters
    ----------
    dy : (M, H) array
        Gradient with respect to the hidden states, packed.
    cache : LSTMCache
    dh_n, dc_n : (N, H) arrays, optional
        Gradients with respect to the final states; zeros where absent.
    need_dx : bool
        Whether the gradient of the input is wanted; the first layer of a network saves a product without it.

    Returns
    -------
    dx : (M, D) array or None
    (dh0, dc0) : (N, H) arrays
        Gradients of the initial states, in the caller's clip order.
    grads : LSTMParams
        Gradients of the weights. Those of the two biases are equal and share one array.
    """
    x, params, packing, gates, h, c = cache
    N, H, D = len(packing.order), params.W_hh.shape[1], x.shape[1]
    W_hh = params.W_hh.reshape(4, H, H)
    previous = _previous_rows(packing)  # (M,) where each frame's preceding state lies in h and c
    da = np.empty((len(x), 4 * H), dtype=x.dtype)
    dh = _in_packed_order(dh_n, packing, (N, H), x.dtype)
    dc = _in_packed_order(dc_n, packing, (N, H), x.dtype)
    for run, run_gates in zip(packing.runs[::-1], gates[::-1]):
        rows = run.rows
        local = _local_derivatives(run_gates, c[previous[rows]].reshape(run.frames, run.n, H), run.dense(c[N:]))
        _go_back(local, run_gates[:, 1], W_hh, run.dense(dy), dh[: run.n], dc[: run.n])
        run.dense(da).reshape(run.frames, run.n, 4, H)[...] = local[:, :4].swapaxes(1, 2)
    dW = da.T @ np.concatenate([x, h[previous], np.ones((len(da), 1), dtype=x.dtype)], axis=1)  # (4H, D + H + 1)  (L1)
    back = np.argsort(packing.order)
    return (da @ params.W_ih if need_dx else None), (dh[back], dc[back]), LSTMParams(dW[:, :D], dW[:, D:-1], dW[:, -1], dW[:, -1])


def _check(x, params, packing):
    if x.shape != (packing.rows, params.W_ih.shape[1]):
        raise InputError(f"packed input is {x.shape}; expected ({packing.rows}, {params.W_ih.shape[1]}): rows of the packing, columns of W_ih")


def _gate_blocks(params, dtype):
    """W_ih (4, D, H), W_hh (4, H, H) and b (4, 1, H) with one block a gate, in the order i, f, o, g.

    The sigmoids come first so that one call serves the three; theirs are halved, see the header.
    """
    H = params.W_hh.shape[1]
    order, half = [0, 1, 3, 2], np.array([0.5, 0.5, 0.5, 1.0], dtype=dtype).reshape(4, 1, 1)
    W_ih, W_hh, b = (p.reshape(4, H, -1)[order] * half for p in (params.W_ih, params.W_hh, params.b_ih + params.b_hh))
    return tuple(np.ascontiguousarray(p.transpose(0, 2, 1)) for p in (W_ih, W_hh, b))


def _project(run, x, W_ih, b):
    """Input half of (L1) for the frames of a run: (frames, 4, n, H)."""
    a = np.matmul(run.dense(x)[:, None], W_ih)
    a += b
    return a


def _advance(gates, W_hh, h, c, hs, cs):
    """(L1)-(L4) for the frames of a run.

    Parameters
    ----------
    gates : (frames, 4, n, H) array
        Holds the input half of (L1), becomes the gates.
    W_hh : (4, H, H) array
    h, c : (n, H) arrays
        State before the run.
    hs, cs : iterables of (n, H) arrays
        Where the state of each frame is written.

    Returns
    -------
    h, c : (n, H) arrays
        State after the run.
    """
    a, tanh_c = np.empty_like(gates[0]), np.empty_like(h)
    i, f, o, g = a
    sigmoids = a[:3]
    half = np.array(0.5, dtype=a.dtype)  # an array, which NumPy need not convert in every call as it does a float
    for gates_t, h_t, c_t in zip(gates, hs, cs):
        np.matmul(h, W_hh, out=a)  # (L1)
        a += gates_t
        np.tanh(a, out=a)  # (L2)
        sigmoids *= half
        sigmoids += half
        gates_t[...] = a
        np.multiply(f, c, out=c_t)  # (L3)
        c_t += np.multiply(i, g, out=tanh_c)
        np.tanh(c_t, out=tanh_c)
        np.multiply(o, tanh_c, out=h_t)  # (L4)
        h, c = h_t, c_t
    return h, c


def _local_derivatives(gates, c_before, c):
    """Derivatives within one frame, for all frames of a run at once.

    Parameters
    ----------
    gates : (frames, 4, n, H) array
    c_before, c : (frames, n, H) arrays

    Returns
    -------
    (frames, 5, n, H) array
        The factors that take dc to da_i, da_f, da_g (L2), and those that take dh to da_o (L2) and to dc (L4):
        i'g, f'c, g'i, o'tanh(c), o(1 - tanh(c)^2), where i' = i(1 - i) and g' = 1 - g^2.
    """
    frames, _, n, H = gates.shape
    local = np.empty((frames, 5, n, H), dtype=gates.dtype)
    i, f, o, g = (gates[:, k] for k in range(4))
    tanh_c = np.tanh(c)
    for k, gate, partner in ((0, i, g), (1, f, c_before), (3, o, tanh_c)):
        derivative = np.subtract(1, gate, out=local[:, k])
        derivative *= gate
        derivative *= partner
    for k, tanh, partner in ((2, g, i), (4, tanh_c, o)):
        derivative = np.multiply(tanh, tanh, out=local[:, k])
        np.subtract(1, derivative, out=derivative)
        derivative *= partner
    return local


def _go_back(local, f, W_hh, dy, dh, dc):
    """The chain rule through the frames of a run, last frame first.

    Parameters
    ----------
    local : (frames, 5, n, H) array
        Of `_local_derivatives`; its blocks 0 to 3 become da_i, da_f, da_g, da_o.
    f : (frames, n, H) array
        The forget gates.
    W_hh : (4, H, H) array
    dy : (frames, n, H) array
    dh, dc : (n, H) arrays
        Gradients of the state after the run; become those of the state before it.
    """
    parts = np.empty_like(local[0, :4])
    for local_t, f_t, dy_t in zip(local[::-1], f[::-1], dy[::-1]):
        da_i, da_f, da_g, da_o, through = local_t
        dh += dy_t
        da_o *= dh  # (L4), (L2)
        through *= dh  # (L4)
        dc += through
        da_i *= dc  # (L3), (L2)
        da_f *= dc
        da_g *= dc
        dc *= f_t  # (L3)
        np.matmul(local_t[:4], W_hh, out=parts)  # (4, n, H)  (L1)
        np.add.reduce(parts, axis=0, out=dh)


def _states(initial, packing, H, dtype):
    """Room for N initial states, which are filled in, and those of all frames: (N + M, H)."""
    N = len(packing.order)
    states = np.empty((N + packing.rows, H), dtype=dtype)
    states[:N] = _in_packed_order(initial, packing, (N, H), dtype)
    return states


def _in_packed_order(state, packing, shape, dtype):
    """A copy of `state` (N, H) with the longest clip first; zeros if it is None."""
    if state is None:
        return np.zeros(shape, dtype=dtype)
    state = np.asarray(state, dtype=dtype)
    if state.shape != shape:
        raise InputError(f"a state is {state.shape}; expected {shape}: one row a clip, one column a hidden unit")
    return state[packing.order]


def _previous_rows(packing):
    """(M,) rows of the states that precede each frame, in an array that begins with the N initial states."""
    N = len(packing.order)
    starts = np.concatenate([[0], N + packing.offsets[:-2]])  # (T,) where the frame before begins
    return np.repeat(starts - packing.offsets[:-1], packing.batch_sizes) + np.arange(packing.rows)


def _last_rows(packing):
    """(N,) rows of each clip's last state, in an array that begins with the N initial states."""
    N = len(packing.order)
    position = np.argsort(packing.order)  # where each clip stands among the running ones
    return N + packing.offsets[packing.lengths - 1] + position
