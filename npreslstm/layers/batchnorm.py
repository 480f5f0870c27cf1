"""Batch normalisation over rows.

    mean = sum x / n        var = sum (x - mean)^2 / n                    (B1)
    u = (x - mean) / sqrt(var + eps)        y = gamma * u + beta          (B2)
    running <- (1 - momentum) * running + momentum * statistic            (B3)   variance over n - 1

and backwards, where a row moves the mean and the variance of all rows, so its gradient has three parts:

    dgamma = sum dy * u      dbeta = sum dy      du = gamma * dy                            (B2')
    dx = (du - mean(du) - u * mean(du * u)) / sqrt(var + eps)                               (B1')

With frozen statistics, as in evaluation, only the first part is left: dx = du / sqrt(var + eps).

Source: Ioffe & Szegedy 2015 as torch.nn.BatchNorm1d: eps 1e-5, momentum 0.1.
Letters: n rows, F features.
"""

from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError

EPS = 1e-5
MOMENTUM = 0.1

Statistics = tuple[np.ndarray, np.ndarray]


class BatchNormCache(NamedTuple):
    """What `batchnorm_backward` needs; `n` is how many rows the statistics are of, 0 where they
    were frozen.
    """

    normalised: np.ndarray  # (n, F), u
    gamma: np.ndarray  # (F,)
    inverse_std: np.ndarray  # (F,)
    n: int


def check_rows(n: int) -> None:
    """Refuse a single row, whose variance has no meaning, with an InputError."""
    if n < 2:
        raise InputError(
            "batch normalisation got 1 row in training; expected at least 2: "
            "merge the clip into another batch"
        )


def batchnorm_forward(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray
) -> tuple[np.ndarray, Statistics, BatchNormCache]:
    """Normalise by the statistics of the batch (training).

    Parameters
    ----------
    x : (n, F) array
    gamma, beta : (F,) arrays

    Returns
    -------
    y : (n, F) array
    (mean, var) : (F,) arrays
        Biased statistics of the batch.
    cache : BatchNormCache

    Raises
    ------
    InputError
        If there is a single row, whose variance has no meaning.
    """
    check_rows(len(x))
    mean = x.mean(axis=0)  # (F,)  (B1)
    centred = x - mean  # (n, F)  (B1)
    var = (centred**2).mean(axis=0)  # (F,)  (B1)
    inverse_std = 1 / np.sqrt(var + x.dtype.type(EPS))  # (F,)  (B2)
    u = centred * inverse_std  # (n, F)  (B2)
    y = gamma * u + beta  # (n, F)  (B2)
    return y, (mean, var), BatchNormCache(u, gamma, inverse_std, len(x))


def batchnorm_frozen(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, running_mean: np.ndarray, running_var: np.ndarray
) -> tuple[np.ndarray, BatchNormCache]:
    """Normalise by given statistics (evaluation): an affine map of each row by itself.

    Parameters
    ----------
    x : (n, F) array
    gamma, beta, running_mean, running_var : (F,) arrays

    Returns
    -------
    y : (n, F) array
    cache : BatchNormCache
    """
    inverse_std = 1 / np.sqrt(running_var + x.dtype.type(EPS))  # (F,)
    u = (x - running_mean) * inverse_std  # (n, F)  (B2)
    y = gamma * u + beta  # (n, F)  (B2)
    return y, BatchNormCache(u, gamma, inverse_std, 0)


def batchnorm_backward(dy: np.ndarray, cache: BatchNormCache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of the rows and of the affine map, (B2')-(B1').

    Parameters
    ----------
    dy : (n, F) array
    cache : BatchNormCache

    Returns
    -------
    dx : (n, F) array
    dgamma, dbeta : (F,) arrays
    """
    u, gamma, inverse_std, n = cache
    dgamma = (dy * u).sum(axis=0)  # (F,)  (B2')
    dbeta = dy.sum(axis=0)  # (F,)  (B2')
    du = gamma * dy  # (n, F)  (B2')
    if n == 0:
        return du * inverse_std, dgamma, dbeta
    through_mean = du.mean(axis=0)  # (F,)  (B1')
    through_var = u * (du * u).mean(axis=0)  # (n, F)  (B1')
    dx = (du - through_mean - through_var) * inverse_std  # (n, F)  (B1')
    return dx, dgamma, dbeta


def running_statistics(
    running_mean: np.ndarray, running_var: np.ndarray, batch: Statistics, n: int
) -> Statistics:
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
    unbiased = var * (n / (n - 1))  # (F,)
    new_mean = (1 - MOMENTUM) * running_mean + MOMENTUM * mean  # (F,)  (B3)
    new_var = (1 - MOMENTUM) * running_var + MOMENTUM * unbiased  # (F,)  (B3)
    return new_mean, new_var
