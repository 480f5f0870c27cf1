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


def bootstrap_uar(labels, hits, speakers, C, resamples, rng, level=0.95):
    """Interval of the mean UAR over speakers: what it would be with others of their kind.

    Speakers are drawn with replacement, as many as there are, each with all their clips in all runs; the
    interval is that of the percentiles of the mean UAR (Efron 1979). A class that nobody drawn speaks is left
    out of a mean.

    Parameters
    ----------
    labels : (N,) int array
    hits : (R, N) bool array
        Whether each run was right about each clip.
    speakers : (N,) array
    C : int
        Classes.
    resamples : int
    rng : numpy.random.Generator
    level : float

    Returns
    -------
    list of two floats, or None
        The lower and the upper end; of a single speaker nothing can be said.
    """
    if len(np.unique(speakers)) < 2:
        return None
    drawn = _resampled_uar(labels, [hits], speakers, C, resamples, rng)[0]
    return _interval(drawn, level)


def bootstrap_difference(labels, hits, other_hits, speakers, C, resamples, rng, level=0.95):
    """Interval, over speakers, of how much higher the mean UAR of other runs on the same clips is; see
    `bootstrap_uar`.
    """
    if len(np.unique(speakers)) < 2:
        return None
    drawn, others = _resampled_uar(labels, [hits, other_hits], speakers, C, resamples, rng)
    return _interval(others - drawn, level)


def _resampled_uar(labels, groups, speakers, C, resamples, rng):
    """Mean UAR of each group of runs (R, N) for speakers drawn with replacement, the same for all groups:
    [(B,)].
    """
    names, who = np.unique(speakers, return_inverse=True)
    S = len(names)
    cell = who * C + labels  # (N,): one number for every speaker and class
    total = np.bincount(cell, minlength=S * C).reshape(S, C)
    drawn = rng.multinomial(S, np.full(S, 1 / S), size=resamples)  # (B, S): how often each speaker
    totals = drawn @ total  # (B, C)
    means = []
    for hits in groups:
        R = len(hits)
        right = np.array([np.bincount(cell, run, S * C).reshape(S, C) for run in hits])  # (R, S, C)
        rights = (drawn @ right.transpose(1, 0, 2).reshape(S, R * C)).reshape(resamples, R, C)
        share = np.divide(
            rights, totals[:, None], out=np.full(rights.shape, np.nan), where=totals[:, None] > 0
        )
        means.append(np.nanmean(share, axis=2).mean(axis=1))
    return means


def _interval(values, level):
    tail = (1 - level) / 2
    return np.quantile(values, [tail, 1 - tail]).tolist()
