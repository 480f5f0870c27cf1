"""Clips of different lengths side by side: which frames are a clip's own, and which are padding.

A padded batch (N, T, D) holds clips of lengths l_n; frame t of clip n is its own where t < l_n. What lies
in the others is never read.

Letters: N clips, T frames of the longest one.
"""

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.errors import InputError


def check_lengths(lengths: ArrayLike) -> np.ndarray:
    """`lengths` as an array (N,); InputError unless it is a non-empty vector of positive integers."""
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or lengths.size == 0 or lengths.dtype.kind not in "iu" or lengths.min() < 1:
        raise InputError(
            f"lengths are {lengths!r}; expected a non-empty vector of integers >= 1: "
            "leave empty clips out of the batch"
        )
    return lengths


def check_fit(lengths: np.ndarray, shape: tuple[int, ...]) -> None:
    """InputError unless a padded batch of a shape (N, T, ...) is of these clips and as long as each."""
    N, T = len(lengths), int(lengths.max())
    if N != shape[0] or T > shape[1]:
        raise InputError(f"lengths are {N} up to {T}; expected {shape[0]} up to {shape[1]}, as the input")


def valid_frames(lengths: np.ndarray) -> np.ndarray:
    """(T, N) bool: whether frame t is one of clip n's own.

    Examples
    --------
    >>> valid_frames(np.array([3, 1])).astype(int).tolist()
    [[1, 1], [1, 0], [1, 0]]
    """
    t = np.arange(lengths.max())[:, None]  # (T, 1)
    return t < lengths  # (T, N)
