"""Features to train on: every clip at several playback speeds."""

import numpy as np

from npreslstm.audio.folder import extract_folder
from npreslstm.audio.statistics import FrameStatistics
from npreslstm.errors import InputError


def prepare(paths, config, speeds=(1.0,), jobs=1, cache=None, progress=None):
    """Features of many clips at several speeds.

    Parameters
    ----------
    paths : list of str
    config : FeatureConfig
    speeds : sequence of float
        See `extract_folder`.
    jobs : int
        Processes.
    cache : str, optional
        A folder, made if needed, that keeps the features of every clip and speed.
    progress : callable, optional
        Called with (extractions done, extractions in all).

    Returns
    -------
    list
        For each path the list of its features, (T, D) float32 arrays, raw, one a speed.

    Raises
    ------
    InputError
        If clips cannot be read; lists them.
    """
    columns = []
    for speed in speeds:
        before, total = len(columns) * len(paths), len(speeds) * len(paths)
        step = progress and (lambda done, _, before=before, total=total: progress(before + done, total))
        files = extract_folder(paths, config, jobs, cache, step, speed)
        if bad := [file.error for file in files if file.error is not None]:
            raise InputError(
                f"{len(bad)} of {len(paths)} clips cannot be used:"
                f" {'; '.join(bad[:5])}{' ...' if len(bad) > 5 else ''}"
            )
        columns.append([file.features for file in files])
    return [list(variants) for variants in zip(*columns)]


def statistics(clips):
    """Mean and standard deviation of each column over all frames.

    Parameters
    ----------
    clips : iterable of (T, D) arrays

    Returns
    -------
    mean, std : (D,) float64 arrays
        A column that never changes gets the standard deviation 1.
    """
    total = FrameStatistics()
    for frames in clips:
        total.update(frames)
    return total.mean, np.where(total.std > 0, total.std, 1.0)
