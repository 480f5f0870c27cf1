"""The frames of one stretch, where all the time goes: (L1)-(L4) and their derivatives, on blocks of memory.

Equals `lstm_step` and `lstm_step_backward` of `layers.lstm`, frame by frame; it is a part of `fast.lstm`,
whose head says to how much and how many times as fast.

A stretch is dense: n clips over some frames. The gates of a frame are blocks (4, n, H), each a stretch of
memory on which NumPy does any operation in one go; a product with weights (4, K, H) makes all four. Here,
and nowhere else, their order is o, i, f, g: the sigmoids lie together, and so do the gates through which c
depends on the frame. The sigmoids' rows of the weights are halved, which is exact, so that one tanh serves
all four gates: sigmoid(a) = 0.5 + 0.5 tanh(a / 2).

Letters: n clips, H hidden, K = D + 1 + H inputs of the gates.
"""

from collections.abc import Iterable

import numpy as np


def go_forward(
    z: np.ndarray,
    W: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    blocks: Iterable[np.ndarray],
    tanh_cs: Iterable[np.ndarray],
    hs: Iterable[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """(L1)-(L4) for the frames of a stretch.

    Parameters
    ----------
    z : (frames, n, K) array
        Holds x and 1; h of the frame before is filled in.
    W : (4, K, H) array
    h, c : (n, H) arrays
        State before the stretch.
    blocks, tanh_cs, hs : iterables of (5, n, H), (n, H) and (n, H) arrays
        Where o, i, f, g and the c before, tanh c and h of each frame are written.

    Returns
    -------
    h, c : (n, H) arrays
        State after the stretch.
    """
    block = np.empty((5, *h.shape), dtype=h.dtype)  # o, i, f, g, c: (i, f) * (g, c) is one product
    a, sigmoids, o, i_f, g_c, c_t = block[:4], block[:3], block[0], block[1:3], block[3:], block[4]
    ig, fc = terms = np.empty_like(i_f)
    half = np.array(0.5, dtype=h.dtype)  # an array: NumPy would convert a float in every call
    # `out` by position is quicker than by name, and [...] = than copyto
    matmul, tanh, multiply, add = np.matmul, np.tanh, np.multiply, np.add
    c_t[...] = c
    for z_t, z_h, block_t, tanh_c, h_t in zip(z, z[:, :, -h.shape[1] :], blocks, tanh_cs, hs):
        z_h[...] = h
        matmul(z_t, W, a)  # (4, n, H)  (L1)
        tanh(a, a)  # (L2)
        multiply(sigmoids, half, sigmoids)
        add(sigmoids, half, sigmoids)
        block_t[...] = block
        multiply(i_f, g_c, terms)  # (L3)
        add(ig, fc, c_t)
        tanh(c_t, tanh_c)  # (L4)
        multiply(o, tanh_c, h_t)
        h = h_t
    return h, c_t


def local_derivatives(
    gates: np.ndarray, c_before: np.ndarray, tanh_c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives within one frame, for all frames at once; s' = s(1 - s) for a sigmoid, g' = 1 - g^2.

    Parameters
    ----------
    gates : (4, M, H) array
    c_before, tanh_c : (M, H) arrays

    Returns
    -------
    da : (4, M, H) array
        The factors that take dh to da_o and dc to da_i, da_f, da_g: o'tanh(c), i'g, f'c, g'i. (L2') times
        (L4') or (L3').
    through : (M, H) array
        The factor that takes dh to dc (L4'): o(1 - tanh(c)^2).
    """
    o, i, _, g = gates
    da, through = np.empty_like(gates), np.empty_like(tanh_c)
    np.subtract(1, gates[:3], out=da[:3])
    da[:3] *= gates[:3]
    for derivative, partner in zip(da, (tanh_c, g, c_before)):
        derivative *= partner
    for derivative, tanh, partner in ((da[3], g, i), (through, tanh_c, o)):
        np.multiply(tanh, tanh, out=derivative)
        np.subtract(1, derivative, out=derivative)
        derivative *= partner
    return da, through


def go_back(
    da: np.ndarray,
    through: np.ndarray,
    f: np.ndarray,
    W_hh: np.ndarray,
    dy: np.ndarray,
    dh: np.ndarray,
    dc: np.ndarray,
) -> None:
    """The chain rule through the frames of a stretch, last frame first.

    Parameters
    ----------
    da : (frames, 4, n, H) array
    through : (frames, n, H) array
        Of `local_derivatives`; `da` becomes the gradient of a.
    f : (frames, n, H) array
        The forget gates.
    W_hh : (4, H, H) array
    dy : (frames, n, H) array
    dh, dc : (n, H) arrays
        Gradients of the state after the stretch; become those of the state before it.
    """
    parts = np.empty((4, *dh.shape), dtype=dh.dtype)
    lower, upper, (first, second) = parts[:2], parts[2:], parts[:2]
    matmul, multiply, add = np.matmul, np.multiply, np.add
    last_first = (each[::-1] for each in (da, *da.swapaxes(0, 1), through, f, dy))
    for da_t, da_o, da_i, da_f, da_g, through_t, f_t, dy_t in zip(*last_first):
        add(dh, dy_t, dh)
        multiply(da_o, dh, da_o)  # (L4'), (L2')
        multiply(through_t, dh, through_t)  # (L4')
        add(dc, through_t, dc)
        # (L3'), (L2'): three calls, each on one stretch of memory, take less than one on all three
        multiply(da_i, dc, da_i)
        multiply(da_f, dc, da_f)
        multiply(da_g, dc, da_g)
        multiply(dc, f_t, dc)  # (L3')
        matmul(da_t, W_hh, parts)  # (4, n, H)  (L1')
        add(lower, upper, lower)  # dh is the sum of the four parts
        add(first, second, dh)
