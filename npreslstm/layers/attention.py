"""Soft attention over time: which frames of a clip count.

    e_t = sum_k w_k (v_k . h_t)                      (A1)   w absent: one vector, e_t = v . h_t
    alpha = softmax over t of e                      (A2)
    context = sum_t alpha_t h_t                      (A3)

Here the frames of one clip lie together, padded to T with zeros: h is (N, T, H). With a mask, padded frames get weight
exactly 0. Without one they keep the score 0 and take weight from the others, as in the paper's original code.

`attention_step` is the same sum as a recurrence (Milakov & Gimelshein 2018, "Online normalizer calculation for
softmax"): constant memory for any T. Letters: N clips, T frames, H hidden, K attention vectors.
"""

from typing import NamedTuple

import numpy as np

from npreslstm.layers.activations import softmax, softmax_backward


class AttentionCache(NamedTuple):
    """What `attention_backward` needs."""

    h: np.ndarray  # (N, T, H)
    V: np.ndarray  # (H, K)
    w: np.ndarray | None  # (1, K)
    projections: np.ndarray  # (N, T, K)
    alpha: np.ndarray  # (N, T)


class AttentionState(NamedTuple):
    """Running sums of `attention_step` for N clips."""

    maximum: np.ndarray  # (N,) largest score so far
    total: np.ndarray  # (N,) sum of exp(score - maximum)
    weighted: np.ndarray  # (N, H) sum of exp(score - maximum) * h


def attention_forward(h, V, w=None, mask=None):
    """Weigh the frames of each clip and sum them.

    Parameters
    ----------
    h : (N, T, H) array
        Hidden states; padded frames are zero.
    V : (H, K) array
        Attention vectors, PyTorch's ``attention_vector``.
    w : (1, K) array, optional
        Their combination, ``head_combine.weight``; required when K > 1.
    mask : (N, T) bool array, optional
        Valid frames, at least one a clip.

    Returns
    -------
    context : (N, H) array
    cache : AttentionCache
        `alpha` (N, T) in it are the weights.
    """
    projections = h @ V  # (N, T, K)
    scores = (projections if w is None else projections @ w.T)[..., 0]  # (N, T)  (A1)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    alpha = softmax(scores, axis=1)  # (N, T)  (A2)
    context = (alpha[:, None, :] @ h)[:, 0]  # (N, H)  (A3)
    return context, AttentionCache(h, V, w, projections, alpha)


def one_vector(V, w=None):
    """The vector (H,) that gives the scores of all: (A1) is v . h_t with v = sum_k w_k v_k."""
    return (V if w is None else V @ w.T)[:, 0]


def attention_infer(h, v):
    """`attention_forward` of a single clip by a single vector, with as few calls of NumPy as can be.

    Parameters
    ----------
    h : (T, H) array
    v : (H,) array
        Of `one_vector`.

    Returns
    -------
    context : (H,) array
    alpha : (T,) array
    """
    e = h.dot(v)  # (A1)
    e -= e[e.argmax()]  # less to call than `max`, which is Python
    np.exp(e, e)
    e /= np.add.reduce(e)  # (A2)
    return e.dot(h), e  # (A3)


def attention_backward(dcontext, cache):
    """Gradients of the hidden states and of the attention vectors.

    Parameters
    ----------
    dcontext : (N, H) array
    cache : AttentionCache

    Returns
    -------
    dh : (N, T, H) array
    dV : (H, K) array
    dw : (1, K) array or None
    """
    h, V, w, projections, alpha = cache
    dalpha = (h @ dcontext[:, :, None])[..., 0]  # (N, T)  (A3)
    dscores = softmax_backward(dalpha, alpha, axis=1)  # (N, T)  (A2)
    rows = dscores.reshape(-1, 1)  # (N T, 1)
    if w is None:
        dw = None
        dV = h.reshape(-1, len(V)).T @ rows  # (A1)
    else:
        dw = rows.T @ projections.reshape(len(rows), -1)  # (A1)
        dV = (h.reshape(-1, len(V)).T @ rows) @ w  # (A1)
    through = np.stack([dcontext, np.broadcast_to(one_vector(V, w), dcontext.shape)], axis=1)  # (N, 2, H)
    dh = np.stack([alpha, dscores], axis=2) @ through  # (N, T, H)  (A3), (A1): alpha dcontext + dscores v
    return dh, dV, dw


def attention_start(N, H, dtype=np.float32):
    """State of `attention_step` before the first frame."""
    return AttentionState(np.full(N, -np.inf, dtype=dtype), np.zeros(N, dtype=dtype), np.zeros((N, H), dtype=dtype))


def attention_step(h, state, V, w=None):
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
    score = (projections if w is None else projections @ w.T)[:, 0]  # (N,)  (A1)
    maximum = np.maximum(state.maximum, score)
    shrink, weight = np.exp(state.maximum - maximum), np.exp(score - maximum)  # (N,)  (A2)
    total = state.total * shrink + weight
    weighted = state.weighted * shrink[:, None] + weight[:, None] * h  # (N, H)  (A3)
    return AttentionState(maximum, total, weighted)
