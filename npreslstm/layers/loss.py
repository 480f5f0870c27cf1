"""Softmax cross-entropy.

    loss = - 1/N sum_n sum_c target_nc log softmax(logits_n)_c           (E1)
    dlogits = (softmax(logits) - target) / N                             (E2)   for targets that sum to 1

Letters: N clips, C classes.
"""

import numpy as np

from npreslstm.errors import InputError


def one_hot(labels, C, dtype=np.float32, smoothing=0.0):
    """Target distributions of class numbers.

    Parameters
    ----------
    labels : (N,) int array, entries in [0, C)
    C : int
        Number of classes.
    dtype : dtype of the result
    smoothing : float in [0, 1)
        Share of each target spread evenly over all classes (Szegedy et al. 2016).

    Returns
    -------
    (N, C) array
        Rows sum to 1.
    """
    labels = np.asarray(labels)
    if labels.size and not (0 <= labels.min() and labels.max() < C):
        raise InputError(f"labels run from {labels.min()} to {labels.max()}; expected class numbers in [0, {C})")
    targets = np.full((len(labels), C), smoothing / C, dtype=dtype)
    targets[np.arange(len(labels)), labels] += 1 - smoothing
    return targets


def cross_entropy(logits, targets):
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
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (N, C)
    N = len(logits)
    return -float((targets * log_p).sum()) / N, (np.exp(log_p) - targets) / N  # (E1), (E2)
