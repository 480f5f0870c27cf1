"""How each tensor is filled before training, as torch.nn.init does it.

Every function takes the shape, PyTorch's layout (outputs, inputs), and a numpy Generator.
"""

import numpy as np


def xavier_normal(shape, rng):
    """Normal with variance 2 / (inputs + outputs) (Glorot & Bengio 2010)."""
    return rng.normal(0.0, np.sqrt(2 / sum(shape)), shape)


def xavier_uniform(shape, rng):
    """Uniform with the variance of `xavier_normal`."""
    bound = np.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape)


def orthogonal(shape, rng):
    """A tall matrix with orthonormal columns, uniform over all such (Saxe et al. 2014)."""
    q, r = np.linalg.qr(rng.normal(size=shape))
    return q * np.sign(np.diag(r))  # without the signs, QR's own convention would favour some matrices


def forget_bias(shape, rng):
    """Zeros, but 1 for the forget gate; the two biases of a layer add, so it starts at 2."""
    bias = np.zeros(shape)
    H = shape[0] // 4
    bias[H : 2 * H] = 1.0
    return bias


def ones(shape, rng):
    """Ones."""
    return np.ones(shape)


def zeros(shape, rng):
    """Zeros."""
    return np.zeros(shape)


counter = zeros  # batches seen by a batch norm
