"""Soft attention over time: which frames of a clip count.

    e_t = sum_k w_k (v_k . h_t)                      (A1)   w absent: one vector, e_t = v . h_t
    alpha = softmax over t of e                      (A2)
    context = sum_t alpha_t h_t                      (A3)

and backwards, where h_t gets two gradients: for what it adds to the context (A3') and for its score (A1'):

    dalpha_t = dcontext . h_t        dh_t = alpha_t dcontext                                (A3')
    de_t = alpha_t (dalpha_t - sum_s alpha_s dalpha_s)                                      (A2')
    dw_k = sum_t de_t (v_k . h_t)    dv_k = w_k sum_t de_t h_t                              (A1')
    dh_t <- dh_t + de_t v            with v = sum_k w_k v_k

With a mask, padded frames get weight exactly 0. Without one their score is 0, since they are zeros, and they
take weight from the others, as in the paper's original code.

`attention_step` is the same sum as a recurrence (Milakov & Gimelshein 2018, "Online normalizer calculation
for softmax"): constant memory for any T. Letters: N clips, T frames, H hidden, K attention vectors.
"""

from typing import NamedTuple

import numpy as np

from npreslstm.layers.activations import softmax, softmax_backward


class AttentionCache(NamedTuple):
    """What `attention_backward` needs."""

    h: np.ndarray  # (T, N, H)
    V: np.ndarray  # (H, K)
    w: np.ndarray | None  # (1, K)
    projections: np.ndarray  # (T, N, K)
    alpha: np.ndarray  # (T, N)


class AttentionState(NamedTuple):
    """Running sums of `attention_step` for N clips."""

    maximum: np.ndarray  # (N,) largest score so far
    total: np.ndarray  # (N,) sum of exp(score - maximum)
    weighted: np.ndarray  # (N, H) sum of exp(score - maximum) * h


def combination(w: np.ndarray | None, V: np.ndarray) -> np.ndarray:
    """The factors w_k (K,) of (A1): those of `w` (1, K), or 1 for the only vector."""
    return np.ones(1, V.dtype) if w is None else w[0]


def attention_forward(
    h: np.ndarray, V: np.ndarray, w: np.ndarray | None = None, mask: np.ndarray | None = None
) -> tuple[np.ndarray, AttentionCache]:
    """Weigh the frames of each clip and sum them.

    Parameters
    ----------
    h : (T, N, H) array
        Hidden states; padded frames are zero.
    V : (H, K) array
        Attention vectors v_k, PyTorch's ``attention_vector``.
    w : (1, K) array, optional
        Their combination, ``head_combine.weight``; required when K > 1.
    mask : (T, N) bool array, optional
        Valid frames, at least one a clip.

    Returns
    -------
    context : (N, H) array
    cache : AttentionCache
        `alpha` (T, N) in it are the weights.
    """
    projections = h @ V  # (T, N, K)
    e = projections @ combination(w, V)  # (T, N)  (A1)
    if mask is not None:
        e = np.where(mask, e, -np.inf)
    alpha = softmax(e, axis=0)  # (T, N)  (A2)
    context = (alpha[:, :, None] * h).sum(axis=0)  # (N, H)  (A3)
    return context, AttentionCache(h, V, w, projections, alpha)


def attention_backward(
    dcontext: np.ndarray, cache: AttentionCache
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Gradients of the hidden states and of the attention vectors, (A3')-(A1').

    Parameters
    ----------
    dcontext : (N, H) array
    cache : AttentionCache

    Returns
    -------
    dh : (T, N, H) array
    dV : (H, K) array
    dw : (1, K) array or None
    """
    h, V, w, projections, alpha = cache
    w_k = combination(w, V)  # (K,)
    v = V @ w_k  # (H,)
    dalpha = (dcontext * h).sum(axis=2)  # (T, N)  (A3')
    dh = alpha[:, :, None] * dcontext  # (T, N, H)  (A3')
    de = softmax_backward(dalpha, alpha, axis=0)  # (T, N)  (A2')
    dw_k = (de[:, :, None] * projections).sum(axis=(0, 1))  # (K,)  (A1')
    dv = (de[:, :, None] * h).sum(axis=(0, 1))  # (H,)  (A1')
    dV = np.outer(dv, w_k)  # (H, K)  (A1')
    dh = dh + de[:, :, None] * v  # (T, N, H)  (A1')
    return dh, dV, None if w is None else dw_k[None]


def attention_start(N: int, H: int, dtype: np.dtype = np.float32) -> AttentionState:
    """State of `attention_step` before the first frame."""
    return AttentionState(np.full(N, -np.inf, dtype), np.zeros(N, dtype), np.zeros((N, H), dtype))


def attention_step(
    h: np.ndarray, state: AttentionState, V: np.ndarray, w: np.ndarray | None = None
) -> AttentionState:
    """Take in one frame; ``state.weighted / state.total[:, None]`` is the context of the frames so far.

    Parameters
    ----------
    h : (N, H) array
    state : AttentionState
    V, w
        As in `attention_forward`.

    Returns
    -------
    AttentionState
    """
    projections = h @ V  # (N, K)
    e = (projections if w is None else projections @ w.T)[:, 0]  # (N,)  (A1)
    maximum = np.maximum(state.maximum, e)  # (N,)  (A2)
    shrink = np.exp(state.maximum - maximum)  # (N,)  (A2)
    weight = np.exp(e - maximum)  # (N,)  (A2)
    total = state.total * shrink + weight  # (N,)  (A2)
    weighted = state.weighted * shrink[:, None] + weight[:, None] * h  # (N, H)  (A3)
    return AttentionState(maximum, total, weighted)
