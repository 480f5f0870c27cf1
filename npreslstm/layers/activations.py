"""Sigmoid and softmax, without overflow.

    sigmoid(x) = 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2          (S1)
    softmax(x)_j = exp(x_j - max x) / sum_k exp(x_k - max x)          (S2)
"""

import numpy as np


def sigmoid(x):
    """Logistic function of `x`, any shape, in its dtype.

    Written with tanh (S1), which saturates where exp would overflow and is the form that the C port uses.
    """
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def softmax(x, axis=-1):
    """Softmax of `x` along `axis` (S2), in its dtype; entries of -inf get weight 0."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_backward(dp, p, axis=-1):
    """Gradient with respect to the argument of ``p = softmax(x)`` (S2): dx = p * (dp - sum(p * dp))."""
    return p * (dp - (p * dp).sum(axis=axis, keepdims=True))
