"""The linear layer and dropout.

    y = x W^T + b                                        (D1)
    y = x * m,  m = 0 with probability p, else 1 / (1 - p)          (D2)

Letters: N rows, D inputs, C outputs.
"""

import numpy as np


def linear_forward(x, W, b):
    """(N, D) -> (N, C) by weights (C, D) and bias (C,) (D1). The backward pass needs `x` and `W`."""
    return x @ W.T + b


def linear_backward(dy, x, W):
    """Gradients (dx (N, D), dW (C, D), db (C,)) of `linear_forward`."""
    return dy @ W, dy.T @ x, dy.sum(axis=0)  # (D1)


def dropout_mask(shape, p, rng, dtype=np.float32):
    """The factors m of (D2): multiply by them forward and backward.

    Parameters
    ----------
    shape : tuple of int
    p : float in [0, 1)
        Share of entries that become zero.
    rng : numpy.random.Generator
    dtype : dtype of the result

    Returns
    -------
    array of `shape`
    """
    return (rng.random(shape) >= p).astype(dtype) / dtype(1 - p)
