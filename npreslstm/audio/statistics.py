"""Mean and standard deviation of frames, mergeable over files and processes (Welford 1962; Chan, Golub,
LeVeque 1979).
"""

import numpy as np

from npreslstm.errors import InputError


class FrameStatistics:
    """Count, mean and squared deviations of the frames seen so far, in float64.

    Merging partial statistics in a fixed order (say, of sorted file names) gives the same bits, whatever the
    order in which the parts were computed.
    """

    def __init__(self):
        self.count = 0
        self._mean = None  # (D,)
        self._m2 = None  # (D,), sum of squared deviations from the mean

    def update(self, frames):
        """Take in frames (T, D); returns self."""
        frames = np.asarray(frames, np.float64)
        if frames.ndim != 2:
            raise InputError(f"frames have shape {frames.shape}; expected (T, D)")
        if len(frames) == 0:
            return self
        mean = frames.mean(axis=0)
        return self._combine(len(frames), mean, ((frames - mean) ** 2).sum(axis=0))

    def merge(self, other):
        """Take in other statistics; returns self."""
        return self if other.count == 0 else self._combine(other.count, other._mean, other._m2)

    def _combine(self, count, mean, m2):
        if self.count == 0:
            self.count, self._mean, self._m2 = count, mean.copy(), m2.copy()
            return self
        if mean.shape != self._mean.shape:
            raise InputError(f"frames of {mean.shape[0]} columns; expected {self._mean.shape[0]} as before")
        total = self.count + count
        delta = mean - self._mean
        self._mean = self._mean + delta * (count / total)
        self._m2 = self._m2 + m2 + delta**2 * (self.count * count / total)
        self.count = total
        return self

    @property
    def mean(self):
        """Mean of each column, (D,) float64."""
        self._require_frames()
        return self._mean.copy()

    @property
    def std(self):
        """Population standard deviation of each column (divided by the count, as ``np.std``),
        (D,) float64.
        """
        self._require_frames()
        return np.sqrt(self._m2 / self.count)

    def _require_frames(self):
        if self.count == 0:
            raise InputError("no frames were taken in; expected at least one")
