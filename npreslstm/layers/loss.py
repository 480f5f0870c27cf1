"""Softmax cross-entropy.

    loss = - 1/N sum_n sum_c target_nc log softmax(logits_n)_c           (E1)
    dlogits = (softmax(logits) - target) / N                             (E1')   for targets that sum to 1

Letters: N clips, C classes.
"""

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.errors import InputError


def one_hot(
    labels: ArrayLike, C: int, dtype: type[np.floating] = np.float32, smoothing: float = 0.0
) -> np.ndarray:
    """Target distributions of class numbers.

    Parameters
    ----------
    labels : (N,) int array, entries in [0, C)
    C : int
        Number of classes.
    dtype : type of the result, float32 or float64
    smoothing : float in [0, 1)
        Share of each target spread evenly over all classes (Szegedy et al. 2016).

    Returns
    -------
    (N, C) array
        Rows sum to 1.
    """
    labels = np.asarray(labels)
    if labels.size and not (0 <= labels.min() and labels.max() < C):
        raise InputError(
            f"labels run from {labels.min()} to {labels.max()}; expected class numbers in [0, {C})"
        )
    targets = np.full((len(labels), C), smoothing / C, dtype=dtype)  # (N, C)
    targets[np.arange(len(labels)), labels] += 1 - smoothing
    return targets


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cross-entropy and its gradient.

    Parameters
    ----------
    logits : (N, C) array
    targets : (N, C) array
        Distributions: rows that sum to 1.

    Returns
    -------
    loss : float
    dlogits : (N, C) array
    """
    N = len(logits)
    shifted = logits - logits.max(axis=1, keepdims=True)  # (N, C)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (N, C)
    loss = -float((targets * log_p).sum()) / N  # (E1)
    dlogits = (np.exp(log_p) - targets) / N  # (N, C)  (E1')
    return loss, dlogits
