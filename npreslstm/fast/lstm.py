"""Long short-term memory over packed clips, forward and backward through time.

Equals `layers.lstm` to 2e-15 in float64, gradients of the weights to 1e-14; tests/fast/test_fast.py holds
it. It is 2.1 times as fast forward and 1.6 times backward.

The equations and their tags are those of `layers.lstm`. `lstm_forward` runs them over a packed batch (see
`packing`), whose stretches of frames with the same n clips are dense:

- What enters the gates of a frame is one row z = [x, 1, h before], so that (L1) is one product, a = W z with
  W = [W_ih, b_ih + b_hh, W_hh], and all weight gradients of the layer are one product too, taken a piece of
  the rows at a time.
- `lstm_frames` takes a stretch through its frames. There the gates of a frame are blocks (4, n, H), in the
  order o, i, f, g.
- `lstm_backward` computes the local derivatives of all frames at once; what remains for each frame is the
  chain rule through time.

Letters: N clips, n of them running, T frames, M packed rows (all frames of all clips), D inputs, H hidden,
K = D + 1 + H. The cache of M rows takes (D + 1 + 7H) M numbers, and y another HM; docs/speed.md says what
each of these choices is worth.
"""

from itertools import repeat
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.fast.lstm_frames import go_back, go_forward, local_derivatives
from npreslstm.fast.packing import Packing
from npreslstm.layers.lstm import LSTMParams

BLOCKS = [3, 0, 1, 2]  # the gates of `layers.lstm.GATES` in the order of `lstm_frames`: o, i, f, g
PIECE = 128  # rows that one product of `lstm_backward` takes: so few that its operands lie in the caches


class LSTMCache(NamedTuple):
    """What `lstm_backward` needs."""

    z: np.ndarray  # (M, K): x, 1, h of the frame before
    params: LSTMParams
    packing: Packing
    gates: np.ndarray  # (4, M, H): o, i, f, g after their non-linearities
    c_before: np.ndarray  # (M, H): cell state of the frame before
    tanh_c: np.ndarray  # (M, H)

    @property
    def o(self) -> np.ndarray:
        """(M, H): output gates."""
        return self.gates[0]

    @property
    def i(self) -> np.ndarray:
        """(M, H): input gates."""
        return self.gates[1]

    @property
    def f(self) -> np.ndarray:
        """(M, H): forget gates."""
        return self.gates[2]

    @property
    def g(self) -> np.ndarray:
        """(M, H): cell candidates."""
        return self.gates[3]

    @property
    def c(self) -> np.ndarray:
        """(M, H): cell state of each frame, (L3) once more."""
        return self.f * self.c_before + self.i * self.g

    @property
    def h(self) -> np.ndarray:
        """(M, H): hidden state of each frame, (L4) once more."""
        return self.o * self.tanh_c


def gate_blocks(W: np.ndarray) -> np.ndarray:
    """Weights (4H, K) as `lstm_frames` wants them: (4, K, H), as o, i, f, g, the sigmoids' halved."""
    W = W.reshape(4, len(W) // 4, -1)[BLOCKS]
    W[:3] *= 0.5
    return np.ascontiguousarray(W.swapaxes(1, 2))


def lstm_forward(
    x: np.ndarray,
    params: LSTMParams,
    packing: Packing,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], LSTMCache]:
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
    for stretch in packing.stretches:
        going = slice(stretch.n)  # the others keep what they ended with
        kept = stretch.dense_blocks(blocks), stretch.dense(tanh_c), stretch.dense(y)
        h[going], c[going] = go_forward(stretch.dense(z), W, h[going], c[going], *kept)
    back = np.argsort(packing.order)
    return y, (h[back], c[back]), LSTMCache(z, params, packing, blocks[:4], blocks[4], tanh_c)


def lstm_infer(
    x: np.ndarray,
    params: LSTMParams,
    packing: Packing,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """`lstm_forward` without a cache, the same bits.

    Returns
    -------
    y : (M, H) array
    (h_n, c_n) : (N, H) arrays
    """
    W, z, h, c = _prepare(x, params, packing, h0, c0)
    N, H = c.shape
    y = np.empty((len(z), H), dtype=x.dtype)
    blocks = np.empty((5, N, H), dtype=x.dtype)  # overwritten frame by frame, as is tanh_c
    tanh_c = np.empty((N, H), dtype=x.dtype)
    for stretch in packing.stretches:
        going = slice(stretch.n)
        kept = repeat(blocks[:, going]), repeat(tanh_c[going]), stretch.dense(y)
        h[going], c[going] = go_forward(stretch.dense(z), W, h[going], c[going], *kept)
    back = np.argsort(packing.order)
    return y, (h[back], c[back])


def lstm_backward(
    dy: np.ndarray,
    cache: LSTMCache,
    dh_n: np.ndarray | None = None,
    dc_n: np.ndarray | None = None,
    need_dx: bool = True,
) -> tuple[np.ndarray | None, tuple[np.ndarray, np.ndarray], LSTMParams]:
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
    W_ih = params.W_ih.reshape(4, H, D)[BLOCKS]
    W_hh = params.W_hh.reshape(4, H, H)[BLOCKS]
    da, through = local_derivatives(gates, c_before, tanh_c)
    dh = _in_packed_order(dh_n, packing, (N, H), z.dtype)
    dc = _in_packed_order(dc_n, packing, (N, H), z.dtype)
    for stretch in packing.stretches[::-1]:
        derivatives = stretch.dense_blocks(da), stretch.dense(through), stretch.dense(cache.f)
        go_back(*derivatives, W_hh, stretch.dense(dy), dh[: stretch.n], dc[: stretch.n])
    dW = np.zeros((4, z.shape[1], H), dtype=z.dtype)  # (4, K, H)
    dx = np.empty((len(z), D), dtype=z.dtype) if need_dx else None
    for start in range(0, len(z), PIECE):
        rows = slice(start, start + PIECE)
        dW += np.matmul(z[rows].T, da[:, rows])  # (L1')
        if need_dx:
            np.matmul(da[:, rows], W_ih).sum(axis=0, out=dx[rows])  # (L1')
    dW = dW[np.argsort(BLOCKS)].swapaxes(1, 2).reshape(4 * H, -1)  # (4H, K)
    back = np.argsort(packing.order)
    grads = LSTMParams(dW[:, :D], dW[:, D + 1 :], dW[:, D], dW[:, D])
    return dx, (dh[back], dc[back]), grads


def _prepare(x, params, packing, h0, c0):
    """W (4, K, H), z (M, K) still without h, and the initial states (N, H) in packed order."""
    (M, D), H, N = x.shape, params.W_hh.shape[1], len(packing.order)
    if (M, D) != (packing.rows, params.W_ih.shape[1]):
        raise InputError(
            f"packed input is {x.shape}; expected ({packing.rows}, {params.W_ih.shape[1]}): "
            "rows of the packing, columns of W_ih"
        )
    for name, tensor, shape in zip(params._fields, params, ((4 * H, D), (4 * H, H), (4 * H,), (4 * H,))):
        if tensor.shape != shape:
            raise InputError(
                f"{name} is {tensor.shape}; expected {shape}: "
                f"four gates of {H} hidden units, the columns of W_hh"
            )
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
        raise InputError(
            f"a state is {state.shape}; expected {shape}: one row a clip, one column a hidden unit"
        )
    return state[packing.order]
