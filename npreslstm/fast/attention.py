"""Soft attention over time: as products of whole batches, and for one clip.

Equals `layers.attention` to 2e-15 in float64, its gradients to 8e-15; tests/fast/test_fast.py holds it. It is
1.5 times as fast.

The equations and their tags are those of `layers.attention`. Here the frames of one clip lie together,
padded to T with zeros: h is (N, T, H), so that (A3) and its gradient are one matrix product a clip, and the
two parts of dh, (A3') and (A1'), are one product as well. Letters: N clips, T frames, H hidden, K attention
vectors.
"""

import numpy as np

from npreslstm.folding import one_vector
from npreslstm.layers.activations import softmax, softmax_backward
from npreslstm.layers.attention import AttentionCache


def attention_forward(
    h: np.ndarray, V: np.ndarray, w: np.ndarray | None = None, mask: np.ndarray | None = None
) -> tuple[np.ndarray, AttentionCache]:
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
        Its arrays have the clips before the frames, as `h` has; `alpha` (N, T) are the weights.
    """
    projections = h @ V  # (N, T, K)
    e = (projections if w is None else projections @ w.T)[..., 0]  # (N, T)  (A1)
    if mask is not None:
        e = np.where(mask, e, -np.inf)
    alpha = softmax(e, axis=1)  # (N, T)  (A2)
    context = (alpha[:, None, :] @ h)[:, 0]  # (N, H)  (A3)
    return context, AttentionCache(h, V, w, projections, alpha)


def attention_infer(h: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`attention_forward` of a single clip by a single vector, with as few calls of NumPy as can be.

    Parameters
    ----------
    h : (T, H) array
    v : (H,) array
        Of `folding.one_vector`.

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


def attention_backward(
    dcontext: np.ndarray, cache: AttentionCache
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
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
    dalpha = (h @ dcontext[:, :, None])[..., 0]  # (N, T)  (A3')
    de = softmax_backward(dalpha, alpha, axis=1)  # (N, T)  (A2')
    rows = de.reshape(-1, 1)  # (N T, 1)
    if w is None:
        dw = None
        dV = h.reshape(-1, len(V)).T @ rows  # (A1')
    else:
        dw = rows.T @ projections.reshape(len(rows), -1)  # (A1')
        dV = (h.reshape(-1, len(V)).T @ rows) @ w  # (A1')
    v = np.broadcast_to(one_vector(V, w), dcontext.shape)  # (N, H)
    through = np.stack([dcontext, v], axis=1)  # (N, 2, H)
    dh = np.stack([alpha, de], axis=2) @ through  # (N, T, H)  (A3'), (A1'): alpha dcontext + de v
    return dh, dV, dw
