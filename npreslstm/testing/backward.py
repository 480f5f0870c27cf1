"""Gradients of a stack of LSTM layers, any number of layers and either direction: the reference that other
backward passes are compared with.

The equations are those of docs/lstm.md and `npreslstm.layers.lstm`, which runs the forward pass here. Going
back, what (L2') to (L4') multiply dh and dc by is known once the forward pass is over, so it is computed
first, for all frames (`local_derivatives`), and what is left is the way back (`direction_backward`):

    dc <- dc + dh * o (1 - tanh(c)^2)                                                     (L4')
    da_i = dc * g i (1 - i)      da_f = dc * c_before f (1 - f)                           (L3') and (L2')
    da_g = dc * i (1 - g^2)      da_o = dh * tanh(c) o (1 - o)                            (L4') and (L2')
    dc_before = dc * f           dh_before = W_hh^T da                                    (L3') and (L1')
    dx = W_ih^T da      dW_ih = da x^T      dW_hh = da h_before^T      db = da            (L1')

`faults` changes these data, never these lines, to see what a mistake makes of the gradients.

The backward direction of a clip runs from its own last frame to its first. Clips of different lengths are
padded at the end, and no gradient comes in there: dh = dc = 0 until the clip's own last frame, so padding
adds nothing to any gradient.

Letters: T frames, N clips, D inputs, H hidden units; L layers times directions, in the order l0, l0_reverse,
l1, ... Frames come first, (T, N, .), as in `npreslstm.layers.lstm`.
"""

from typing import NamedTuple

import numpy as np

from npreslstm.layers.lstm import LSTMCache, LSTMParams, lstm_forward

REVERSE = "_reverse"  # how the names of a backward direction end


class LocalDerivatives(NamedTuple):
    """What dh and dc are multiplied by in each frame; all (T, N, H)."""

    i: np.ndarray  # da_i = dc * this
    f: np.ndarray  # da_f = dc * this
    g: np.ndarray  # da_g = dc * this
    o: np.ndarray  # da_o = dh * this
    c: np.ndarray  # dc <- dc + dh * this
    carry: np.ndarray  # dc_before = dc * this


class DirectionGradients(NamedTuple):
    """Gradients of one layer and direction, and what they were made of."""

    dx: np.ndarray  # (T, N, D)
    dh0: np.ndarray  # (N, H)
    dc0: np.ndarray  # (N, H)
    params: LSTMParams
    dh: np.ndarray  # (T, N, H): of the hidden state of each frame, from all that used it
    dc: np.ndarray  # (T, N, H): of its cell, that through h included


def local_derivatives(cache: LSTMCache) -> LocalDerivatives:
    """The factors of (L2') to (L4'), for all frames."""
    i, f, g, o = cache.i, cache.f, cache.g, cache.o
    tanh_c = np.tanh(cache.c)
    return LocalDerivatives(
        i=g * i * (1 - i),  # (L3') (L2')
        f=cache.c_before * f * (1 - f),  # (L3') (L2')
        g=i * (1 - g**2),  # (L3') (L2')
        o=tanh_c * o * (1 - o),  # (L4') (L2')
        c=o * (1 - tanh_c**2),  # (L4')
        carry=f,  # (L3')
    )


def direction_backward(
    dh_in: np.ndarray, dc_in: np.ndarray, cache: LSTMCache, local: LocalDerivatives
) -> DirectionGradients:
    """Backpropagate through the frames of one layer and direction, the last frame first.

    Parameters
    ----------
    dh_in, dc_in : (T, N, H) arrays
        What comes into each frame's h and c from outside: from the layer above, and at a clip's last frame
        from its final state.
    cache : LSTMCache
        Of `lstm_forward`.
    local : LocalDerivatives
        Of `local_derivatives`.

    Returns
    -------
    DirectionGradients
    """
    T, N, H = dh_in.shape
    W_ih, W_hh, _, _ = cache.params
    dh, dc, da = np.empty((T, N, H)), np.empty((T, N, H)), np.empty((T, N, 4 * H))
    dh_before, dc_before = np.zeros((2, N, H))  # nothing comes from after the last frame
    for t in reversed(range(T)):
        dh[t] = dh_in[t] + dh_before
        dc[t] = dc_in[t] + dc_before + dh[t] * local.c[t]  # (L4')
        da_i = dc[t] * local.i[t]  # (N, H)
        da_f = dc[t] * local.f[t]  # (N, H)
        da_g = dc[t] * local.g[t]  # (N, H)
        da_o = dh[t] * local.o[t]  # (N, H)
        da[t] = np.concatenate([da_i, da_f, da_g, da_o], axis=1)
        dh_before = da[t] @ W_hh  # (L1')
        dc_before = dc[t] * local.carry[t]  # (L3')
    dx = da @ W_ih  # (L1')
    dW_ih = np.einsum("tnk,tnd->kd", da, cache.x, optimize=True)  # (L1')
    dW_hh = np.einsum("tnk,tnj->kj", da, cache.h_before, optimize=True)  # (L1')
    db = da.sum(axis=(0, 1))  # (L1')
    return DirectionGradients(dx, dh_before, dc_before, LSTMParams(dW_ih, dW_hh, db, db), dh, dc)


def plain(dh_in, dc_in, cache):
    """`direction_backward` with the right factors."""
    return direction_backward(dh_in, dc_in, cache, local_derivatives(cache))


def stack_forward(x, lengths, layers, h0, c0, turn=None, kept=None):
    """Run all layers and directions.

    Parameters
    ----------
    x : (T, N, D) array
    lengths : (N,) int array
    layers : dict
        {'l0': LSTMParams, 'l0_reverse': LSTMParams, ...}
    h0, c0 : (L, N, H) arrays
    turn : function, optional
        What takes the place of `in_order`.
    kept : dict, optional
        Caches of directions that need not run again.

    Returns
    -------
    dict
        {'l0': LSTMCache, ...}; frames of a backward direction are in the order in which it runs.
    """
    turn, kept, caches = turn or in_order, kept or {}, {}
    for names in by_layer(layers):
        outputs = []
        for name in names:
            k = len(caches)
            caches[name] = kept.get(name)
            if name not in kept:
                _, _, caches[name] = lstm_forward(turn(name, x, lengths), layers[name], h0[k], c0[k])
            outputs.append(turn(name, caches[name].h, lengths))
        x = np.concatenate(outputs, axis=2)  # (T, N, directions * H)
    return caches


def stack_backward(dy, lengths, caches, dh_n, dc_n, directions=None):
    """Go back through all layers and directions, the last layer first.

    Parameters
    ----------
    dy : (T, N, directions * H) array
        Gradient of the last layer's output.
    lengths : (N,) int array
    caches : dict
        Of `stack_forward`.
    dh_n, dc_n : (L, N, H) arrays
        Gradients of the state after each clip's last frame, as each direction runs.
    directions : dict, optional
        {'l0': function}: what takes the place of `direction_gradients`.

    Yields
    ------
    name : str
        'l1', 'l1_reverse', 'l0', ...
    gradients : DirectionGradients
        With the frames of `dx` in the order of time, those of `dh` and `dc` as the direction runs.
    """
    directions = directions or {}
    dy = np.where(valid_frames(lengths, len(dy))[:, :, None], dy, 0)
    numbers = {name: k for k, name in enumerate(caches)}
    for names in reversed(by_layer(caches)):
        dx = 0
        for name, dy_of_one in zip(names, np.split(dy, len(names), axis=2)):
            run, k = directions.get(name, direction_gradients), numbers[name]
            gradients = run(name, dy_of_one, dh_n[k], dc_n[k], lengths, caches[name])
            dx = dx + gradients.dx  # both directions read the same frames
            yield name, gradients
        dy = dx


def direction_gradients(name, dy, dh_n, dc_n, lengths, cache, back=plain):
    """`direction_backward` of padded clips: frames in the order of time, the final state's gradients at each
    clip's own last frame.
    """
    T = len(dy)
    dh_in = in_order(name, dy, lengths) + at_last_frame(dh_n, lengths, T)
    dc_in = at_last_frame(dc_n, lengths, T)
    gradients = back(dh_in, dc_in, cache)
    return gradients._replace(dx=in_order(name, gradients.dx, lengths))


def in_order(name, frames, lengths):
    """Frames (T, N, .) in the order in which a direction runs, or from that order back to the order of time:
    each clip of a backward direction is turned round, its padding stays at the end.
    """
    if not name.endswith(REVERSE):
        return frames
    t = np.arange(len(frames))[:, None]  # (T, 1)
    places = np.where(t < lengths, lengths - 1 - t, t)  # (T, N)
    return np.take_along_axis(frames, places[:, :, None], axis=0)


def at_last_frame(state, lengths, T):
    """(T, N, H) zeros, with the gradient of a final state (N, H) where each clip ends."""
    frames = np.zeros((T, *state.shape))
    frames[lengths - 1, np.arange(len(lengths))] = state
    return frames


def valid_frames(lengths, T):
    """(T, N), true within a clip's length."""
    return np.arange(T)[:, None] < lengths


def by_layer(names):
    """[['l0', 'l0_reverse'], ['l1', 'l1_reverse'], ...]."""
    layers = {}
    for name in names:
        layers.setdefault(name.removesuffix(REVERSE), []).append(name)
    return list(layers.values())
