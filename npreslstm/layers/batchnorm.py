"""Batch normalisation over rows.

    mean = sum x / n        var = sum (x - mean)^2 / n                    (B1)
    y = gamma * (x - mean) / sqrt(var + eps) + beta                       (B2)
    running <- (1 - momentum) * running + momentum * statistic            (B3)   with the unbiased variance, n - 1

The rows are the packed frames of a batch (or its clips), so that padding has no part in the statistics. The paper's
original code counts the padded frames, which are zero, as rows too: `zero_rows` adds that many without storing them.

Source: Ioffe & Szegedy 2015 as torch.nn.BatchNorm1d: eps 1e-5, momentum 0.1.
Letters: M rows, F features.
"""

from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError

EPS = 1e-5
MOMENTUM = 0.1


class BatchNormCache(NamedTuple):
    """What `batchnorm_backward` needs; `n` is the number of rows behind the statistics, 0 where they were frozen."""

    normalised: np.ndarray  # (M, F)
    gamma: np.ndarray  # (F,)
    inverse_std: np.ndarray  # (F,)
    n: int


def batchnorm_forward(x, gamma, beta, zero_rows=0):
    """Normalise by the statistics of the batch (training).

    Parameters
    ----------
    x : (M, F) array
    gamma, beta : (F,) arrays
    zero_rows : int
        Rows of zeros that count in the statistics besides those of `x`.

    Returns
    -------
    y : (M, F) array
    (mean, var) : (F,) arrays
        Biased statistics of the batch.
    cache : BatchNormCache

    Raises
    ------
    InputError
        If there is a single row, whose variance has no meaning.
    """
    n = len(x) + zero_rows
    if n < 2:
        raise InputError("batch normalisation got 1 row in training; expected at least 2: merge the clip into another batch")
    mean = _column_sums(x) / n  # (F,)  (B1)
    centred = x - mean  # (M, F)
    var = (np.einsum("mf,mf->f", centred, centred) + zero_rows * mean * mean) / n  # (F,)  (B1)
    inverse_std = 1 / np.sqrt(var + x.dtype.type(EPS))
    normalised = np.multiply(centred, inverse_std, out=centred)
    return gamma * normalised + beta, (mean, var), BatchNormCache(normalised, gamma, inverse_std, n)  # (B2)


def batchnorm_frozen(x, gamma, beta, running_mean, running_var):
    """Normalise by given statistics (evaluation): an affine map of each row by itself.

    Parameters
    ----------
    x : (M, F) array
    gamma, beta, running_mean, running_var : (F,) arrays

    Returns
    -------
    y : (M, F) array
    cache : BatchNormCache
    """
    inverse_std = 1 / np.sqrt(running_var + x.dtype.type(EPS))
    normalised = (x - running_mean) * inverse_std  # (M, F)
    return gamma * normalised + beta, BatchNormCache(normalised, gamma, inverse_std, 0)  # (B2)


def batchnorm_affine(gamma, beta, running_mean, running_var):
    """(B2) with given statistics as y = scale * x + shift: (scale, shift), (F,) arrays."""
    scale = gamma / np.sqrt(running_var + running_var.dtype.type(EPS))
    return scale, beta - running_mean * scale


def batchnorm_backward(dy, cache):
    """Gradients of the input, gamma and beta.

    Zero rows have no gradient of their own, but through (B1) they share in the count n.

    Parameters
    ----------
    dy : (M, F) array
    cache : BatchNormCache

    Returns
    -------
    dx : (M, F) array
    dgamma, dbeta : (F,) arrays
    """
    normalised, gamma, inverse_std, n = cache
    dbeta = _column_sums(dy)  # (F,)  (B2)
    dgamma = np.einsum("mf,mf->f", dy, normalised)  # (F,)  (B2)
    if n == 0:
        return dy * (gamma * inverse_std), dgamma, dbeta
    centred = dy - dbeta / n  # (B1), the mean
    centred -= normalised * (dgamma / n)  # (B1), the variance
    centred *= gamma * inverse_std
    return centred, dgamma, dbeta


def running_statistics(running_mean, running_var, batch, n):
    """New running statistics (B3) from those of a batch.

    Parameters
    ----------
    running_mean, running_var : (F,) arrays
    batch : (mean, var)
        Biased statistics as `batchnorm_forward` returns them.
    n : int
        Rows behind them.

    Returns
    -------
    running_mean, running_var : (F,) arrays
    """
    mean, var = batch
    unbiased = var * (n / (n - 1))
    return (
        (1 - MOMENTUM) * running_mean + MOMENTUM * mean,
        (1 - MOMENTUM) * running_var + MOMENTUM * unbiased,
    )


def _column_sums(x):
    """(M, F) -> (F,) as a product, which is three times as fast as ``x.sum(axis=0)``."""
    return np.ones(len(x), dtype=x.dtype) @ x
