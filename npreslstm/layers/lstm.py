"""Long short-term memory, forward and backward through time.

For one clip, with gates in PyTorch's order i, f, g, o stacked to 4H rows:

    a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh                       (L1)
    i, f, o = sigmoid(a_i, a_f, a_o)      g = tanh(a_g)               (L2)
    c_t = f * c_{t-1} + i * g                                         (L3)
    h_t = o * tanh(c_t)                                               (L4)

`lstm_step` is these four lines. `lstm_forward` runs them over a packed batch (see `packing`), whose runs of frames with
the same n clips are dense:

- What enters the gates of a frame is one row z = [x, 1, h before], so that (L1) is one product, a = W z with
  W = [W_ih, b_ih + b_hh, W_hh], and all weight gradients of the layer are one product too, taken a piece of the rows at a
  time.
- `lstm_run` takes a run through its frames. There the gates of a frame are blocks (4, n, H), in the order o, i, f, g.
- `lstm_backward` computes the local derivatives of all frames at once; what remains for each frame is the chain rule
  through time.

Letters: N clips, n of them running, T frames, M packed rows (all frames of all clips), D inputs, H hidden, K = D + 1 + H.
The cache of M rows takes (D + 1 + 7H) M numbers, and y another HM; docs/speed.md says what each of these choices is worth.

Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, parametrised as torch.nn.LSTM.
"""

from itertools import repeat
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.layers.activations import sigmoid
from npreslstm.layers.lstm_run import go_back, go_forward, local_derivatives
from npreslstm.layers.packing import Packing

GATES = ("i", "f", "g", "o")  # input, forget, cell candidate, output: the order of the four blocks of H rows
BLOCKS = [3, 0, 1, 2]  # the same in the order of `lstm_run`: o, i, f, g
PIECE = 128  # rows of all frames that one product of `lstm_backward` takes: so few that its operands lie in the caches


class LSTMParams(NamedTuple):
    """Weights of one layer: W_ih (4H, D), W_hh (4H, H), b_ih (4H,), b_hh (4H,)."""

    W_ih: np.ndarray
    W_hh: np.ndarray
    b_ih: np.ndarray
    b_hh: np.ndarray


class LSTMCache(NamedTuple):
    """What `lstm_backward` needs."""

    z: np.ndarray  # (M, K): x, 1, h of the frame before
    params: LSTMParams
    packing: Packing
    gates: np.ndarray  # (4, M, H): o, i, f, g after their non-linearities
    c_before: np.ndarray  # (M, H): cell state of the frame before
    tanh_c: np.ndarray  # (M, H)

    @property
    def c(self):
        """(M, H): cell state of each frame, (L3) once more."""
        _, i, f, g = self.gates
        return f * self.c_before + i * g


def gate_slices(H):
    """Columns of each gate: {'i': slice(0, H), 'f': slice(H, 2H), ...}."""
    return {name: slice(k * H, (k + 1) * H) for k, name in enumerate(GATES)}


def gate_blocks(W):
    """Weights (4H, K) as `lstm_run` wants them: (4, K, H), gates in the order o, i, f, g, those of the sigmoids halved."""
    W = W.reshape(4, len(W) // 4, -1)[BLOCKS]
    W[:3] *= 0.5
    return np.ascontiguousarray(W.swapaxes(1, 2))


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
        Hidden states, packed.
    (h_n, c_n) : (N, H) arrays
        State after the last frame of each clip, in the caller's clip order.
    cache : LSTMCache

    Raises
    ------
    InputError
        If a shape contradicts the weights or the packing.
    """
    W, z, h, c = _prepare(x, params, packing, h0, c0)
    M, H = len(z), c.shape[1]
    y, tanh_c = (np.empty((M, H), dtype=x.dtype) for _ in range(2))
    blocks = np.empty((5, M, H), dtype=x.dtype)  # o, i, f, g and the c before
    for run in packing.runs:
        going = slice(run.n)  # the others keep what they ended with
        h[going], c[going] = go_forward(run.dense(z), W, h[going], c[going], run.dense_blocks(blocks), run.dense(tanh_c), run.dense(y))
    back = np.argsort(packing.order)
    return y, (h[back], c[back]), LSTMCache(z, params, packing, blocks[:4], blocks[4], tanh_c)


def lstm_infer(x, params, packing, h0=None, c0=None):
    """`lstm_forward` without a cache, the same bits.

    Returns
    -------
    y : (M, H) array
    (h_n, c_n) : (N, H) arrays
    """
    W, z, h, c = _prepare(x, params, packing, h0, c0)
    N, H = c.shape
    y = np.empty((len(z), H), dtype=x.dtype)
    blocks, tanh_c = np.empty((5, N, H), dtype=x.dtype), np.empty((N, H), dtype=x.dtype)  # overwritten frame by frame
    for run in packing.runs:
        going = slice(run.n)
        h[going], c[going] = go_forward(run.dense(z), W, h[going], c[going], repeat(blocks[:, going]), repeat(tanh_c[going]), run.dense(y))
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

    Raises
    ------
    InputError
        If a gradient has another shape than what it is of.
    """
    z, params, packing, gates, c_before, tanh_c = cache
    if dy.shape != tanh_c.shape:
        raise InputError(f"dy is {dy.shape}; expected {tanh_c.shape}, as y")
    N, H, D = len(packing.order), params.W_hh.shape[1], params.W_ih.shape[1]
    W_ih, W_hh = params.W_ih.reshape(4, H, D)[BLOCKS], params.W_hh.reshape(4, H, H)[BLOCKS]
    f = gates[2]
    da, through = local_derivatives(gates, c_before, tanh_c)
    dh = _in_packed_order(dh_n, packing, (N, H), z.dtype)
    dc = _in_packed_order(dc_n, packing, (N, H), z.dtype)
    for run in packing.runs[::-1]:
        go_back(run.dense_blocks(da), run.dense(through), run.dense(f), W_hh, run.dense(dy), dh[: run.n], dc[: run.n])
    dW, dx = np.zeros((4, z.shape[1], H), dtype=z.dtype), np.empty((len(z), D), dtype=z.dtype) if need_dx else None
    for start in range(0, len(z), PIECE):
        rows = slice(start, start + PIECE)
        dW += np.matmul(z[rows].T, da[:, rows])  # (4, K, H)  (L1)
        if need_dx:
            np.matmul(da[:, rows], W_ih).sum(axis=0, out=dx[rows])  # (L1)
    dW = dW[np.argsort(BLOCKS)].swapaxes(1, 2).reshape(4 * H, -1)  # (4H, K)
    back = np.argsort(packing.order)
    grads = LSTMParams(dW[:, :D], dW[:, D + 1 :], dW[:, D], dW[:, D])
    return dx, (dh[back], dc[back]), grads


def _prepare(x, params, packing, h0, c0):
    """W (4, K, H), z (M, K) still without h, and the initial states (N, H) in packed order."""
    (M, D), H, N = x.shape, params.W_hh.shape[1], len(packing.order)
    if (M, D) != (packing.rows, params.W_ih.shape[1]):
        raise InputError(f"packed input is {x.shape}; expected ({packing.rows}, {params.W_ih.shape[1]}): rows of the packing, columns of W_ih")
    for name, tensor, shape in zip(params._fields, params, ((4 * H, D), (4 * H, H), (4 * H,), (4 * H,))):
        if tensor.shape != shape:
            raise InputError(f"{name} is {tensor.shape}; expected {shape}: four gates of {H} hidden units, the columns of W_hh")
    W = gate_blocks(np.concatenate([params.W_ih, (params.b_ih + params.b_hh)[:, None], params.W_hh], axis=1))
    z = np.empty((M, D + 1 + H), dtype=x.dtype)
    z[:, :D], z[:, D] = x, 1
    return W, z, *(_in_packed_order(state, packing, (N, H), x.dtype) for state in (h0, c0))


def _in_packed_order(state, packing, shape, dtype):
    """A copy of `state` (N, H) with the longest clip first; zeros if it is None."""
    if state is None:
        return np.zeros(shape, dtype=dtype)
    state = np.asarray(state, dtype=dtype)
    if state.shape != shape:
        raise InputError(f"a state is {state.shape}; expected {shape}: one row a clip, one column a hidden unit")
    return state[packing.order]
