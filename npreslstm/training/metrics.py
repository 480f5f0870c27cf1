"""Scores of predicted classes. Letters: N clips, C classes."""

import numpy as np


def confusion_matrix(labels, predicted, C):
    """Counts (C, C): row the true class, column the predicted one.

    Parameters
    ----------
    labels, predicted : (N,) int arrays, entries in [0, C)
    C : int

    Returns
    -------
    (C, C) int array
    """
    return np.bincount(np.asarray(labels) * C + np.asarray(predicted), minlength=C * C).reshape(C, C)


def recalls(confusion):
    """Share of each class that was found, (C,); NaN for a class without clips."""
    total = confusion.sum(axis=1)
    return np.divide(np.diag(confusion), total, out=np.full(len(total), np.nan), where=total > 0)


def uar(confusion):
    """Unweighted average recall: the mean of `recalls` over the classes that have clips."""
    return float(np.nanmean(recalls(confusion)))
