"""Long short-term memory, forward and backward through time.

For one clip, with gates in PyTorch's order i, f, g, o stacked to 4H rows:

    a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh                       (L1)
    i, f, o = sigmoid(a_i, a_f, a_o)      g = tanh(a_g)               (L2)
    c_t = f * c_{t-1} + i * g                                         (L3)
    h_t = o * tanh(c_t)                                               (L4)

`lstm_step` is these four lines. `lstm_forward` runs them over a packed batch (see `packing`): the input half of (L1) is
one product for all frames, the recurrent half one product a frame. The sigmoid gates' rows of W and b are halved
beforehand, which is exact, so that one tanh serves all four gates: sigmoid(a) = 0.5 + 0.5 tanh(a / 2). `lstm_backward`
computes the local derivatives of all frames at once; what remains inside its loop is the chain rule through time.

Letters: N clips, T frames, M packed rows (all frames of all clips), D inputs, H hidden. The cache of M rows takes
(D + 7H) M + 2NH numbers, of which DM are the input itself.

Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, parametrised as torch.nn.LSTM.
"""

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
    gates: np.ndarray  # (M, 4H) i, f, g, o after their non-linearities
    tanh_c: np.ndarray  # (M, H)
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
    gates, W, h, c = _prepare(x, params, packing, h0, c0, packing.rows)
    N, H = len(packing.order), params.W_hh.shape[1]
    tanh_c = np.empty((packing.rows, H), dtype=x.dtype)
    recurrent = np.empty((N, 4 * H), dtype=x.dtype)
    scale, shift = _tanh_to_gates(H, x.dtype)
    before = 0  # where the states of the frame before begin
    for start, n in zip(packing.offsets.tolist(), packing.batch_sizes.tolist()):
        after = N + start
        a = gates[start : start + n]  # (n, 4H)
        a += np.matmul(h[before : before + n], W, out=recurrent[:n])  # (L1)
        _cell(a, c[before : before + n], scale, shift, c[after : after + n], tanh_c[start : start + n], h[after : after + n])
        before = after
    last = _last_rows(packing)
    return h[N:], (h[last], c[last]), LSTMCache(x, params, packing, gates, tanh_c, h, c)


def lstm_infer(x, params, packing, h0=None, c0=None):
    """`lstm_forward` without a cache: the same numbers, only the state of the current frame is kept.

    Returns
    -------
    y : (M, H) array
    (h_n, c_n) : (N, H) arrays
    """
    gates, W, h, c = _prepare(x, params, packing, h0, c0, 0)
    N, H = h.shape
    y = np.empty((packing.rows, H), dtype=x.dtype)
    recurrent = np.empty((N, 4 * H), dtype=x.dtype)
    scratch = np.empty((N, H), dtype=x.dtype)
    scale, shift = _tanh_to_gates(H, x.dtype)
    for start, n in zip(packing.offsets.tolist(), packing.batch_sizes.tolist()):
        a = gates[start : start + n]  # (n, 4H)
        a += np.matmul(h[:n], W, out=recurrent[:n])  # (L1)
        _cell(a, c[:n], scale, shift, c[:n], scratch[:n], h[:n])
        y[start : start + n] = h[:n]
    back = np.argsort(packing.order)
    return y, (h[back], c[back])


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
    x, params, packing, gates, tanh_c, h, c = cache
    N, H = len(packing.order), params.W_hh.shape[1]
    previous = _previous_rows(packing)  # (M,) where each frame's preceding state lies in h and c
    da, through_h, f = _local_derivatives(gates, tanh_c, c[previous])
    dh = _in_packed_order(dh_n, packing, (N, H), x.dtype)
    dc = _in_packed_order(dc_n, packing, (N, H), x.dtype)
    dh_in, dc_in = np.empty((N, H), dtype=x.dtype), np.empty((N, H), dtype=x.dtype)
    for start, n in zip(packing.offsets[-2::-1].tolist(), packing.batch_sizes[::-1].tolist()):
        rows = slice(start, start + n)
        d, dh_t, dc_t = da[rows], dh[:n], dc[:n]
        dh_t += dy[rows]
        dc_t += np.multiply(dh_t, through_h[rows], out=dc_in[:n])  # dc += dh * o * (1 - tanh(c)^2)  (L4)
        ifg = d[:, : 3 * H].reshape(n, 3, H)
        ifg *= dc_t[:, None, :]  # (L3), (L2)
        d[:, 3 * H :] *= dh_t  # (L4), (L2)
        dc_t *= f[rows]  # (L3)
        np.matmul(d, params.W_hh, out=dh_in[:n])  # (L1)
        dh_t[...] = dh_in[:n]
    back = np.argsort(packing.order)
    db = da.sum(axis=0)  # (4H,)
    grads = LSTMParams(da.T @ x, da.T @ h[previous], db, db)  # (L1)
    return (da @ params.W_ih if need_dx else None), (dh[back], dc[back]), grads


def _prepare(x, params, packing, h0, c0, frames):
    """Input half of (L1) for all rows, the recurrent weights to go with it, and room for N + `frames` states."""
    N, H = len(packing.order), params.W_hh.shape[1]
    if x.shape != (packing.rows, params.W_ih.shape[1]):
        raise InputError(f"packed input is {x.shape}; expected ({packing.rows}, {params.W_ih.shape[1]}): rows of the packing, columns of W_ih")
    half, _ = _tanh_to_gates(H, x.dtype)
    gates = x @ (params.W_ih * half[:, None]).T  # (M, 4H)
    gates += (params.b_ih + params.b_hh) * half
    h, c = np.empty((N + frames, H), dtype=x.dtype), np.empty((N + frames, H), dtype=x.dtype)
    h[:N] = _in_packed_order(h0, packing, (N, H), x.dtype)
    c[:N] = _in_packed_order(c0, packing, (N, H), x.dtype)
    return gates, np.ascontiguousarray((params.W_hh * half[:, None]).T), h, c


def _tanh_to_gates(H, dtype):
    """scale, shift (4H,) with gate = scale * tanh(scale * a) + shift: 1/2, 1/2 for the sigmoids, 1, 0 for g."""
    scale, shift = np.full(4 * H, 0.5, dtype=dtype), np.full(4 * H, 0.5, dtype=dtype)
    g = gate_slices(H)["g"]
    scale[g], shift[g] = 1.0, 0.0
    return scale, shift


def _cell(a, c_before, scale, shift, c, tanh_c, h):
    """(L2)-(L4) in place for n running clips: `a` becomes the gates, `c`, `tanh_c` and `h` are written."""
    H = c.shape[1]
    np.tanh(a, out=a)  # (L2)
    a *= scale
    a += shift
    np.multiply(a[:, :H], a[:, 2 * H : 3 * H], out=tanh_c)  # i * g, parked in tanh_c
    np.multiply(a[:, H : 2 * H], c_before, out=c)  # (L3)
    c += tanh_c
    np.tanh(c, out=tanh_c)
    np.multiply(a[:, 3 * H :], tanh_c, out=h)  # (L4)


def _local_derivatives(gates, tanh_c, c_before):
    """Derivatives within one frame, for all frames at once.

    Returns
    -------
    da : (M, 4H) array
        What dc (for i, f, g) and dh (for o) are to be multiplied by to give the gradient of `a` (L2).
    through_h : (M, H) array
        o * (1 - tanh(c)^2), by which dh enters dc (L4).
    f : (M, H) array
        The forget gate, by which dc goes back one frame (L3).
    """
    H = tanh_c.shape[1]
    i, f, g, o = (gates[:, rows] for rows in gate_slices(H).values())
    da = np.empty_like(gates)
    np.multiply(g, i * (1 - i), out=da[:, :H])
    np.multiply(c_before, f * (1 - f), out=da[:, H : 2 * H])
    np.multiply(i, 1 - g * g, out=da[:, 2 * H : 3 * H])
    np.multiply(tanh_c, o * (1 - o), out=da[:, 3 * H :])
    return da, o * (1 - tanh_c * tanh_c), f


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
