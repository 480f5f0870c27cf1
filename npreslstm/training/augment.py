"""What makes 19 speakers sound like more: distortions of batches of z-scored features.

`crop` and `mixup` draw what is done to the clips of a batch; each other function changes a padded batch
x (N, T, D), whose padded frames are of no account.
"""

from typing import NamedTuple

import numpy as np


def add_noise(x, scale, rng):
    """Add normal noise of standard deviation `scale` to every number, in place."""
    x += scale * rng.standard_normal(x.shape, dtype=x.dtype)


def add_offset(x, scale, rng):
    """Add one normal number of standard deviation `scale` a clip and column, in place: another voice, another
    room.
    """
    x += scale * rng.standard_normal((len(x), 1, x.shape[2]), dtype=x.dtype)


def mask_time(x, lengths, masks, longest, rng):
    """Set up to `masks` spans of up to `longest` frames of each clip to 0, the mean, in place (Park et al.
    2019).
    """
    for clip, T in zip(x, lengths):
        for _ in range(masks):
            width = int(rng.integers(min(longest, T - 1) + 1))
            start = int(rng.integers(T - width + 1))
            clip[start : start + width] = 0


def mask_columns(x, masks, widest, rng):
    """Set up to `masks` runs of up to `widest` neighbouring columns of each clip to 0, in place."""
    D = x.shape[2]
    for clip in x:
        for _ in range(masks):
            width = int(rng.integers(min(widest, D) + 1))
            start = int(rng.integers(D - width + 1))
            clip[:, start : start + width] = 0


def crop(T, share, rng):
    """Leave out up to a `share` of T frames, split at random between the two ends; returns (first, end) of
    what is kept.
    """
    kept = T - int(rng.integers(int(share * T) + 1))
    first = int(rng.integers(T - kept + 1))
    return first, first + kept


class Mixture(NamedTuple):
    """Which clips of a batch of N are mixed (Zhang et al. 2018): clip n keeps a share of itself, the rest is
    another one. As the shares are at least 1/2, it stays the clip that it is.
    """

    shares: np.ndarray  # (N,) float32, from 1/2 to 1
    others: np.ndarray  # (N,) int, numbers of clips

    def of(self, rows):
        """The mixture of one array (N, ...) of a batch: of its clips, or of their targets or priors.

        A clip keeps its length; what it is mixed with counts as 0, the mean, past its own end.
        """
        shares = self.shares.reshape(-1, *[1] * (rows.ndim - 1))
        return shares * rows + (1 - shares) * rows[self.others]


def mixup(N, alpha, rng):
    """A `Mixture` of N clips, whose shares are those of Beta(alpha, alpha) or what they leave."""
    shares = rng.beta(alpha, alpha, N).astype(np.float32)
    return Mixture(np.maximum(shares, 1 - shares), rng.permutation(N))
