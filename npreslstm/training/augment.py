"""What makes 19 speakers sound like more: distortions of batches of z-scored features.

But for `crop`, which takes a single clip, each function changes or returns a padded batch x (N, T, D); padded
frames are of no account.
"""

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


def crop(frames, share, rng):
    """Leave out up to a `share` of a clip's frames (T, D), split at random between its two ends."""
    T = len(frames)
    kept = T - int(rng.integers(int(share * T) + 1))
    start = int(rng.integers(T - kept + 1))
    return frames[start : start + kept]


def mixup(x, targets, alpha, rng, priors=None):
    """Mix each clip with another one of the batch (Zhang et al. 2018).

    Clip n keeps the share s_n >= 1/2, drawn from Beta(alpha, alpha), and its length; what it is mixed with
    counts as 0, the mean, past its own end.

    Parameters
    ----------
    x : (N, T, D) array
        Zero past the lengths.
    targets : (N, C) array
    alpha : float
    rng : numpy.random.Generator
    priors : (N, C) array, optional
        How frequent the classes are where a clip comes from; mixed as the targets are.

    Returns
    -------
    x : (N, T, D) array
    targets : (N, C) array
    priors : (N, C) array or None
    """
    share = rng.beta(alpha, alpha, len(x)).astype(x.dtype)  # (N,)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(len(x))
    mixed = share[:, None, None] * x + (1 - share)[:, None, None] * x[other]
    mixed_targets = share[:, None] * targets + (1 - share)[:, None] * targets[other]
    if priors is not None:
        priors = share[:, None] * priors + (1 - share)[:, None] * priors[other]
    return mixed, mixed_targets, priors
