"""The linear layer and dropout.

    y = x W^T + b                                                   (D1)
    y = x * m,  m = 0 with probability p, else 1 / (1 - p)          (D2)

and backwards

    dx = dy W      dW = dy^T x      db = sum dy                     (D1')
    dx = dy * m                                                     (D2')

Letters: N rows, D inputs, C outputs.
"""

import numpy as np
from numpy.typing import DTypeLike


def linear_forward(x: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, D) -> (N, C) by weights (C, D) and bias (C,). The backward pass needs `x` and `W`."""
    return x @ W.T + b  # (N, C)  (D1)


def linear_backward(
    dy: np.ndarray, x: np.ndarray, W: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx (N, D), dW (C, D), db (C,)) of `linear_forward`."""
    dx = dy @ W  # (N, D)  (D1')
    dW = dy.T @ x  # (C, D)  (D1')
    db = dy.sum(axis=0)  # (C,)  (D1')
    return dx, dW, db


def dropout_mask(
    shape: tuple[int, ...], p: float, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """The factors m of (D2): multiply by them forward, and backward too (D2').

    Parameters
    ----------
    shape : tuple of int
    p : float in [0, 1)
        Share of entries that become zero.
    rng : numpy.random.Generator
    dtype : type of the result, float32 or float64

    Returns
    -------
    array of `shape`
    """
    kept = rng.random(shape) >= p
    return kept.astype(dtype) / dtype(1 - p)  # (D2)
