"""Analytic gradients against numeric ones.

    numeric_k = (8 (f(p + d e_k) - f(p - d e_k)) - (f(p + 2d e_k) - f(p - 2d e_k))) / 12 d      (G1)   error of order d^4
    relative error = max |analytic - numeric| / max(|analytic|, |numeric|)                      (G2)   over one tensor

In float64 a correct gradient shows 1e-12 to 1e-7; a wrong term shows 1e-3 or more.
"""

import numpy as np

from npreslstm.layers.loss import cross_entropy, one_hot
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig

TOLERANCE = 4e-7  # largest relative error (G2) of a correct gradient: ten times what batch norms of a few rows show


def numeric_gradient(f, p, delta=3e-4):
    """Five-point central differences (G1) of a scalar function.

    Parameters
    ----------
    f : callable
        Takes nothing, reads `p`, returns a float.
    p : array
        Any shape, float64; changed in place and restored.
    delta : float
        Step.

    Returns
    -------
    array shaped as `p`
    """
    gradient = np.empty_like(p)
    for index in np.ndindex(p.shape):
        kept = p[index]
        slope = 0.0
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            p[index] = kept + steps * delta
            slope += weight * f()
        p[index] = kept
        gradient[index] = slope / (12 * delta)
    return gradient


def relative_error(analytic, numeric):
    """Largest deviation of two arrays over the largest entry of either (G2); 0 if both are zero."""
    scale = max(np.abs(analytic).max(), np.abs(numeric).max())
    return float(np.abs(analytic - numeric).max() / scale) if scale else 0.0


def gradcheck(config=None, rng=None, N=3, T=7, padding="masked", training=True):
    """Check `ResLSTM.backward` on random weights and input.

    Parameters
    ----------
    config : ModelConfig, optional
        Default: ResLSTM-SA with distinct small sizes (D, H, C = 4, 5, 6), so that no transposition can hide.
    rng : numpy.random.Generator, optional
        Default: seed 0.
    N, T : int
        Clips (at least 2 in training) and frames; the clips have different lengths.
    padding : {'masked', 'original'}
    training : bool
        Batch statistics and dropout, or evaluation with frozen statistics.

    Returns
    -------
    dict
        {parameter name: relative error}, and the same for the features under 'x'.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    model = ResLSTM(config or ModelConfig(input_size=4, hidden_size=5, num_classes=6), rng, np.float64)
    for tensor in model.tensors.values():
        if tensor.dtype == np.float64:  # distinct random numbers everywhere, biases and running statistics included
            tensor += 0.3 * rng.random(tensor.shape)
    lengths = np.maximum(T - np.arange(N), 1)[::-1]
    x = rng.normal(size=(N, T, model.config.input_size))
    targets = one_hot(rng.integers(model.config.num_classes, size=N), model.config.num_classes, np.float64)
    seed = int(rng.integers(2**32))

    def run():
        logits, cache = model.forward(x, lengths, training, padding, np.random.default_rng(seed) if training else None)
        return cross_entropy(logits, targets), cache

    (_, dlogits), cache = run()
    grads, dx = model.backward(dlogits, cache, return_dx=True)
    checked = {"x": (x, dx), **{name: (model.tensors[name], grad) for name, grad in grads.items()}}
    return {name: relative_error(analytic, numeric_gradient(lambda: run()[0][0], p)) for name, (p, analytic) in checked.items()}
