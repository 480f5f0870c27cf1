"""Long short-term memory, forward and backward through time.

One frame, with the gates in PyTorch's order i, f, g, o stacked to 4H rows:

    a = W_ih x + b_ih + W_hh h_before + b_hh                          (L1)
    i, f, o = sigmoid(a_i, a_f, a_o)      g = tanh(a_g)               (L2)
    c = f * c_before + i * g                                          (L3)
    h = o * tanh(c)                                                   (L4)

and backwards through the same four lines, last to first, where dh and dc come from whatever used h and c:

    do = dh * tanh(c)      dc <- dc + dh * o (1 - tanh(c)^2)                              (L4')
    di = dc * g      df = dc * c_before      dg = dc * i      dc_before = dc * f          (L3')
    da_i = di * i (1 - i)      da_f = df * f (1 - f)                                      (L2')
    da_g = dg * (1 - g^2)      da_o = do * o (1 - o)
    dx = W_ih^T da      dh_before = W_hh^T da                                             (L1')
    dW_ih = da x^T      dW_hh = da h_before^T      db = da, of b_ih and of b_hh

`lstm_step` and `lstm_step_backward` are these lines for one frame; `lstm_forward` and `lstm_backward` run
them over all frames. The page writes W x for one clip, a column; here N clips are the rows of x, so W x is
``x @ W.T``, W^T da is ``da @ W``, and the sum over clips of da x^T is ``da.T @ x``.

Letters: N clips, T frames, D inputs, H hidden. Frames come first, (T, N, .), so that those of one time lie
together. Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, parametrised as
torch.nn.LSTM. `fast.lstm` equals this file and is what training runs on.
"""

from typing import NamedTuple

import numpy as np

from npreslstm.layers.activations import sigmoid

GATES = ("i", "f", "g", "o")  # input, forget, cell candidate, output: the order of the four blocks of H rows


class LSTMParams(NamedTuple):
    """Weights of one layer, or their gradients."""

    W_ih: np.ndarray  # (4H, D)
    W_hh: np.ndarray  # (4H, H)
    b_ih: np.ndarray  # (4H,)
    b_hh: np.ndarray  # (4H,)


class LSTMCache(NamedTuple):
    """What the backward pass needs. The shapes are of one frame; those of all frames have a T in front."""

    x: np.ndarray  # (N, D)
    h_before: np.ndarray  # (N, H)
    c_before: np.ndarray  # (N, H)
    i: np.ndarray  # (N, H)
    f: np.ndarray  # (N, H)
    g: np.ndarray  # (N, H)
    o: np.ndarray  # (N, H)
    c: np.ndarray  # (N, H)
    h: np.ndarray  # (N, H)
    params: LSTMParams  # the same for all frames


def gate_slices(H: int) -> dict[str, slice]:
    """Columns of each gate: {'i': slice(0, H), 'f': slice(H, 2H), ...}."""
    return {name: slice(k * H, (k + 1) * H) for k, name in enumerate(GATES)}


def lstm_step(
    x: np.ndarray, h_before: np.ndarray, c_before: np.ndarray, params: LSTMParams
) -> tuple[np.ndarray, np.ndarray, LSTMCache]:
    """Advance N cells by one frame, (L1)-(L4).

    Parameters
    ----------
    x : (N, D) array
    h_before, c_before : (N, H) arrays
        Hidden and cell state after the frame before.
    params : LSTMParams

    Returns
    -------
    h, c : (N, H) arrays
        The new state.
    cache : LSTMCache
        Of this frame.
    """
    W_ih, W_hh, b_ih, b_hh = params
    a = x @ W_ih.T + b_ih + h_before @ W_hh.T + b_hh  # (N, 4H)  (L1)
    a_i, a_f, a_g, a_o = np.split(a, 4, axis=1)  # (N, H) each
    i = sigmoid(a_i)  # (N, H)  (L2)
    f = sigmoid(a_f)  # (N, H)  (L2)
    g = np.tanh(a_g)  # (N, H)  (L2)
    o = sigmoid(a_o)  # (N, H)  (L2)
    c = f * c_before + i * g  # (N, H)  (L3)
    h = o * np.tanh(c)  # (N, H)  (L4)
    return h, c, LSTMCache(x, h_before, c_before, i, f, g, o, c, h, params)


def lstm_step_backward(
    dh: np.ndarray, dc: np.ndarray, cache: LSTMCache
) -> tuple[np.ndarray, np.ndarray, np.ndarray, LSTMParams]:
    """Go back through one frame, (L4')-(L1').

    Parameters
    ----------
    dh, dc : (N, H) arrays
        Gradients of the state after the frame, from all that used it.
    cache : LSTMCache
        Of this frame.

    Returns
    -------
    dx : (N, D) array
    dh_before, dc_before : (N, H) arrays
        Gradients of the state before the frame.
    grads : LSTMParams
        What this frame adds to the gradients of the weights, all clips together.
    """
    x, h_before, c_before, i, f, g, o, c, _, params = cache
    W_ih, W_hh, _, _ = params
    tanh_c = np.tanh(c)  # (N, H)
    do = dh * tanh_c  # (N, H)  (L4')
    dc = dc + dh * o * (1 - tanh_c**2)  # (N, H)  (L4')
    di = dc * g  # (N, H)  (L3')
    df = dc * c_before  # (N, H)  (L3')
    dg = dc * i  # (N, H)  (L3')
    dc_before = dc * f  # (N, H)  (L3')
    da_i = di * i * (1 - i)  # (N, H)  (L2')
    da_f = df * f * (1 - f)  # (N, H)  (L2')
    da_g = dg * (1 - g**2)  # (N, H)  (L2')
    da_o = do * o * (1 - o)  # (N, H)  (L2')
    da = np.concatenate([da_i, da_f, da_g, da_o], axis=1)  # (N, 4H)  (L2')
    dx = da @ W_ih  # (N, D)  (L1')
    dh_before = da @ W_hh  # (N, H)  (L1')
    dW_ih = da.T @ x  # (4H, D)  (L1')
    dW_hh = da.T @ h_before  # (4H, H)  (L1')
    db = da.sum(axis=0)  # (4H,)  (L1')
    return dx, dh_before, dc_before, LSTMParams(dW_ih, dW_hh, db, db)


def lstm_forward(
    x: np.ndarray, params: LSTMParams, h0: np.ndarray | None = None, c0: np.ndarray | None = None
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], LSTMCache]:
    """Run one layer over all frames.

    Parameters
    ----------
    x : (T, N, D) array
    params : LSTMParams
    h0, c0 : (N, H) arrays, optional
        Initial states; zeros where absent.

    Returns
    -------
    y : (T, N, H) array
        The hidden states.
    (h_n, c_n) : (N, H) arrays
        State after the last frame.
    cache : LSTMCache
        Of all frames.

    Examples
    --------
    >>> params = LSTMParams(np.ones((4, 1)), np.ones((4, 1)), np.zeros(4), np.zeros(4))
    >>> y, (h_n, c_n), cache = lstm_forward(np.ones((3, 1, 1)), params)
    >>> y.shape, bool((y[-1] == h_n).all()), cache.f.shape
    ((3, 1, 1), True, (3, 1, 1))
    """
    N, H = x.shape[1], params.W_hh.shape[1]
    h = np.zeros((N, H), x.dtype) if h0 is None else h0
    c = np.zeros((N, H), x.dtype) if c0 is None else c0
    caches = []
    for x_t in x:
        h, c, cache_t = lstm_step(x_t, h, c, params)
        caches.append(cache_t)
    cache = _of_all_frames(caches, params)
    return cache.h, (h, c), cache


def lstm_backward(
    dy: np.ndarray, cache: LSTMCache, dh_n: np.ndarray | None = None, dc_n: np.ndarray | None = None
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], LSTMParams]:
    """Backpropagate through time: the last frame first.

    Parameters
    ----------
    dy : (T, N, H) array
        Gradient of each frame's hidden state, from the layer above.
    cache : LSTMCache
        Of all frames.
    dh_n, dc_n : (N, H) arrays, optional
        Gradients of the state after the last frame; zeros where absent.

    Returns
    -------
    dx : (T, N, D) array
    (dh0, dc0) : (N, H) arrays
        Gradients of the initial states.
    grads : LSTMParams
        Gradients of the weights: the sums of what the frames add.
    """
    zeros = np.zeros_like(cache.h[0])  # (N, H)
    dh = zeros if dh_n is None else dh_n
    dc = zeros if dc_n is None else dc_n
    dx = np.empty_like(cache.x)  # (T, N, D)
    grads = LSTMParams(*map(np.zeros_like, cache.params))
    for t in reversed(range(len(dy))):
        dh = dh + dy[t]  # (N, H): from frame t + 1, and from the layer above
        dx[t], dh, dc, grads_t = lstm_step_backward(dh, dc, _of_frame(cache, t))
        for total, of_frame in zip(grads, grads_t):
            total += of_frame
    return dx, (dh, dc), grads


def _of_all_frames(caches, params):
    """The caches of single frames as one."""
    *arrays, _ = zip(*caches)
    return LSTMCache(*map(np.stack, arrays), params)


def _of_frame(cache, t):
    """The cache of frame t."""
    *arrays, params = cache
    return LSTMCache(*(array[t] for array in arrays), params)
