"""Prediction: what was heard in a clip or a part of it; and the smoothing of neighbouring windows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from npreslstm.annotations import Array, FloatArray

SILENCE = "silence"  # label of a part without speech


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was heard in a clip, in a window of a long one, or between its windows.

    Attributes
    ----------
    file : str or None
        As given; None for a signal.
    start, end : float
        Seconds from the beginning of the file.
    label : str
        The most probable class; ``"silence"`` where there is no speech.
    probabilities : dict
        {class: probability} in the order of the classes; of a clip in windows, the mean of theirs as they
        were heard, before any smoothing. Empty where there is no speech.
    attention : (T,) float32 array
        Weight of each frame in the result; they add up to 1. Of several speeds, those of the clip as it is.
    times : (T,) float64 array
        Middle of each frame, in seconds from the beginning of the file. Trimmed silence has no frames.
    windows : tuple of Prediction
        The windows of a long clip and the silence between them, in order; empty where the clip is one window,
        or has no speech at all.

    Examples
    --------
    >>> p = Prediction(None, 0.0, 2.5, "angry", {"angry": 0.7, "calm": 0.3}, np.ones(1), np.zeros(1))
    >>> p.speech, max(p.probabilities, key=p.probabilities.get)
    (True, 'angry')
    """

    file: str | None
    start: float
    end: float
    label: str
    probabilities: dict[str, float]
    attention: Array = field(repr=False)
    times: Array = field(repr=False)
    windows: tuple["Prediction", ...] = field(default=(), repr=False)

    @property
    def speech(self) -> bool:
        """Whether anything was heard.

        Examples
        --------
        >>> Prediction(None, 0.0, 2.5, SILENCE, {}, np.zeros(0), np.zeros(0)).speech
        False
        """
        return bool(self.probabilities)


def smoothed(
    middles: Sequence[float], probabilities: Sequence[FloatArray], seconds: float
) -> list[FloatArray]:
    """Average each window's probabilities with those of its neighbours.

    Parameters
    ----------
    middles : sequence of float [shape=(N,)]
        Seconds, ascending.
    probabilities : sequence of np.ndarray [shape=(N, C)]
    seconds : float
        Distance of middles from which on a neighbour has no weight; it falls linearly from 1. 0: as they are.

    Returns
    -------
    list of np.ndarray [shape=(C,)]

    Examples
    --------
    >>> rows = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    >>> [row.round(3).tolist() for row in smoothed([0.0, 2.0], rows, 4.0)]
    [[0.667, 0.333], [0.333, 0.667]]
    """
    if seconds == 0 or not len(middles):
        return list(probabilities)
    middles, rows = np.asarray(middles), np.asarray(probabilities)
    return [_average(middles, rows, middle, seconds) for middle in middles]


def _average(middles: FloatArray, rows: FloatArray, middle: float, seconds: float) -> FloatArray:
    """Mean of rows (N, C) with weights that fall with the distance from `middle`."""
    near = slice(*np.searchsorted(middles, (middle - seconds, middle + seconds)))
    weights = 1 - np.abs(middles[near] - middle) / seconds
    return (weights @ rows[near] / weights.sum()).astype(rows.dtype)
