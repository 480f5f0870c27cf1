"""Features to train on: every clip at several playback speeds, extracted once, over processes, and cached."""

import hashlib
import io
import json
import os
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from npreslstm.audio.features import extract_features
from npreslstm.audio.reader import read_audio
from npreslstm.audio.statistics import FrameStatistics
from npreslstm.files import atomic_write

_CACHE_VERSION = 1  # raised when the same configuration gives other numbers


def clip_variants(path, config, speeds):
    """Features of one clip played at several speeds, pitch and tempo together.

    Parameters
    ----------
    path : str
    config : FeatureConfig
    speeds : sequence of float
        1.15 plays the clip 15 % faster, so higher and shorter.

    Returns
    -------
    list of (T, D) float32 arrays, raw, one a speed
    """
    signal, rate = read_audio(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a speed is made by resampling; nothing to tell anybody about
        return [extract_features(signal, round(rate * speed), config) for speed in speeds]


def prepare(paths, config, speeds=(1.0,), jobs=1, cache=None, progress=None):
    """Features of many clips at several speeds.

    Parameters
    ----------
    paths : list of str
    config : FeatureConfig
    speeds : sequence of float
    jobs : int
        Processes.
    cache : str, optional
        A folder, made if needed. An entry holds for one file (name, size, time), configuration and list of speeds.
    progress : callable, optional
        Called with (clips done, clips in all).

    Returns
    -------
    list
        For each path, its `clip_variants`.
    """
    if cache is not None:
        os.makedirs(cache, exist_ok=True)
    tasks = [(path, config, tuple(speeds), cache) for path in paths]
    features = []
    if jobs == 1:
        results = map(_cached_variants, tasks)
    else:
        pool = ProcessPoolExecutor(jobs)
        results = pool.map(_cached_variants, tasks, chunksize=8)
    try:
        for variants in results:
            features.append(variants)
            if progress:
                progress(len(features), len(paths))
    finally:
        if jobs != 1:
            pool.shutdown(cancel_futures=True)
    return features


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


def _cached_variants(task):
    path, config, speeds, cache = task
    if cache is None:
        return clip_variants(path, config, speeds)
    entry = os.path.join(cache, _key(path, config, speeds) + ".npz")
    try:
        with np.load(entry, allow_pickle=False) as stored:
            return [stored[f"arr_{k}"] for k in range(len(speeds))]
    except FileNotFoundError:
        variants = clip_variants(path, config, speeds)
        buffer = io.BytesIO()
        np.savez(buffer, *variants)
        with atomic_write(entry) as file:
            file.write(buffer.getbuffer())
        return variants


def _key(path, config, speeds):
    status = os.stat(path)
    what = [_CACHE_VERSION, os.path.abspath(path), status.st_size, status.st_mtime_ns, config.to_dict(), speeds]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]
