"""Clips that a training corpus is better without: copies of others, and silence."""

import hashlib
import os
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from npreslstm.training.dataset import Clip, Dataset

SILENT = 1e-3  # MFCC but the first, and chroma, of digital silence are below


def copies(dataset: Dataset) -> list[list[Clip]]:
    """Groups of clips that have the same bytes under several names."""
    sizes = {}
    for clip in dataset.clips:
        sizes.setdefault(os.path.getsize(clip.path), []).append(clip)
    found = {}
    for clip in (clip for clips in sizes.values() if len(clips) > 1 for clip in clips):
        with open(clip.path, "rb") as file:
            found.setdefault(hashlib.blake2b(file.read()).digest(), []).append(clip)
    return [clips for clips in found.values() if len(clips) > 1]


def warn_of_copies(dataset: Dataset) -> None:
    """Warn of `copies`, and whether they have other labels or speakers."""
    found = copies(dataset)
    if not found:
        return
    named = [" = ".join(clip.path for clip in clips) + _contradiction(clips) for clips in found]
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    warnings.warn(
        f"{dataset.name} has the same sound under several names: {', '.join(named[:5])}{more}; leave one of"
        " each",
        stacklevel=2,
    )


def _contradiction(clips):
    what = [("labels", {clip.label for clip in clips}), ("speakers", {clip.speaker for clip in clips})]
    other = [name for name, values in what if len(values) > 1]
    return f" (with different {' and '.join(other)})" if other else ""


def is_silent(frames: NDArray) -> bool:
    """Whether raw features (T, D) are those of digital silence: no band and no pitch stands out
    in any frame.
    """
    return frames.shape[1] > 1 and bool((np.abs(frames[:, 1:]) < SILENT).all())


def warn_of_silence(names: Sequence[str], clips: Sequence[NDArray]) -> None:
    """Warn of clips (T, D) that are `is_silent`."""
    silent = [name for name, frames in zip(names, clips) if is_silent(frames)]
    if silent:
        more = f" and {len(silent) - 5} more" if len(silent) > 5 else ""
        one = "clip is" if len(silent) == 1 else "clips are"
        warnings.warn(
            f"{len(silent)} {one} silent: {', '.join(silent[:5])}{more}; take them out: nothing in them has a"
            " label",
            stacklevel=2,
        )
