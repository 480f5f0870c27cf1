"""Scores of predicted classes. Letters: N clips, C classes."""

import numpy as np

BLOCK = 1 << 22  # numbers at a time


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
    return np.bincount(
        np.asarray(labels, np.intp) * C + np.asarray(predicted, np.intp), minlength=C * C
    ).reshape(C, C)


def recalls(confusion):
    """Share of each class that was found, (C,); NaN for a class without clips."""
    total = confusion.sum(axis=1)
    return np.divide(np.diag(confusion), total, out=np.full(len(total), np.nan), where=total > 0)


def uar(confusion):
    """Unweighted average recall: the mean of `recalls` over the classes that have clips."""
    return float(np.nanmean(recalls(confusion)))


def bootstrap_uar(labels, hits, speakers, resamples, rng, level=0.95):
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
    drawn = _resampled_uar(labels, [hits], speakers, resamples, rng)[0]
    return _interval(drawn, level)


def bootstrap_difference(labels, hits, other_hits, speakers, resamples, rng, level=0.95):
    """Interval, over speakers, of how much higher the mean UAR of other runs on the same clips is; see
    `bootstrap_uar`.
    """
    if len(np.unique(speakers)) < 2:
        return None
    drawn, others = _resampled_uar(labels, [hits, other_hits], speakers, resamples, rng)
    return _interval(others - drawn, level)


def _resampled_uar(labels, groups, speakers, resamples, rng):
    """Mean UAR of each group of runs (R, N) for speakers drawn with replacement, the same for all groups:
    [(B,)].
    """
    names, who = np.unique(speakers, return_inverse=True)
    present, labels = np.unique(labels, return_inverse=True)  # the other classes have no share
    S, C = len(names), len(present)
    cell = who * C + labels  # (N,): one number for every speaker and class
    total = np.bincount(cell, minlength=S * C).reshape(S, C).astype(float)
    total = total[:, None]  # (S, 1, C)
    rights = [np.array([np.bincount(cell, run, S * C).reshape(S, C) for run in hits]) for hits in groups]
    rights = [right.transpose(1, 0, 2) for right in rights]  # (S, R, C)
    size = max(1, BLOCK // max(S, *(right[0].size for right in rights)))
    means = [[] for _ in groups]
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        # how often each speaker, (S, B)
        drawn = rng.multinomial(S, np.full(S, 1 / S), size=count).T.astype(float, order="C")
        in_all = _sum_over_speakers(drawn, total)
        for found, right in zip(means, rights):
            found.append(_mean_uar(_sum_over_speakers(drawn, right), in_all))
    return [np.concatenate(found) for found in means]


def _sum_over_speakers(drawn, counts):
    """Counts (S, R, C) of the speakers drawn so often (S, B), summed: (B, R, C).

    One class at a time, over the speakers who have any: the product of whole matrices would take S * C steps
    a draw, however few clips there are. The sums are of whole numbers, so their order changes no bit.
    """
    sums = np.empty((drawn.shape[1], *counts.shape[1:]))
    for c in range(counts.shape[2]):
        having = np.flatnonzero(counts[:, :, c].any(axis=1))
        sums[:, :, c] = drawn[having].T @ counts[having, :, c]
    return sums


def _mean_uar(right, total):
    """Mean over runs of the UAR (B,): so many clips right (B, R, C) of so many in all (B, 1, C)."""
    share = np.divide(right, total, out=np.full(right.shape, np.nan), where=total > 0)
    return np.nanmean(share, axis=2).mean(axis=1)


def _interval(values, level):
    tail = (1 - level) / 2
    return np.quantile(values, [tail, 1 - tail]).tolist()
