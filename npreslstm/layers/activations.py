"""Sigmoid and softmax, without overflow.

    sigmoid(x) = 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2            (S1)
    softmax(x)_j = exp(x_j - max x) / sum_k exp(x_k - max x)          (S2)

and backwards, with s = sigmoid(x) and p = softmax(x)

    dx = ds * s (1 - s)                                               (S1')   see (L2')
    dx = p * (dp - sum_k p_k dp_k)                                    (S2')
"""

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function of `x`, any shape, in its dtype.

    Written with tanh, which saturates where exp would overflow and is the form that the C port uses.
    """
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # (S1)


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Softmax of `x` along `axis`, in its dtype; entries of -inf get weight 0."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)  # (S2)


def softmax_backward(dp: np.ndarray, p: np.ndarray, axis: int = -1) -> np.ndarray:
    """Gradient with respect to the argument of ``p = softmax(x)``."""
    mean = (p * dp).sum(axis=axis, keepdims=True)
    return p * (dp - mean)  # (S2')
