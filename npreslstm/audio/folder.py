"""Features of many sound files: over processes, cached, one bad file not spoiling the rest."""

import functools
import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from npreslstm.annotations import Array, FloatArray, Progress, StrPath
from npreslstm.audio.config import FEATURE_CONFIGS, FeatureConfig
from npreslstm.audio.features import extract_file, features_of_signal
from npreslstm.audio.finding import check_file, listed, place_of
from npreslstm.audio.reader import read_audio
from npreslstm.audio.statistics import FrameStatistics
from npreslstm.errors import InputError
from npreslstm.files import check_folder, read_sealed, sweep, write_sealed
from npreslstm.formats.npy import parse_npy
from npreslstm.parallel import run_in_order
from npreslstm.terminal import reason

_Warning = tuple[type[Warning], str]  # category, text

__all__ = ["FileFeatures", "extract_folder", "folder_statistics"]

CACHE_VERSION = 2  # raised whenever the same file and configuration give other numbers


class FileFeatures(NamedTuple):
    """What became of one file: `features` (T, D) float32, or None and the `error` that says why.

    Examples
    --------
    >>> FileFeatures("clip.wav", None, "clip.wav: no samples").error
    'clip.wav: no samples'
    """

    path: str
    features: Array | None
    error: str | None


def extract_folder(
    paths: Iterable[StrPath],
    config: FeatureConfig = FEATURE_CONFIGS["paper"],
    jobs: int = 1,
    cache_dir: StrPath | None = None,
    progress: Progress | None = None,
    speed: float = 1.0,
) -> list[FileFeatures]:
    """Raw features of many sound files.

    Parameters
    ----------
    paths : sequence of str or os.PathLike
        Sound files; `npreslstm.audio.reader.find_audio` lists those of a folder.
    config : FeatureConfig
    jobs : int
        Processes; the features do not depend on it.
    cache_dir : str or os.PathLike, optional
        A folder, made if needed, that remembers the features of every file done. An entry is found by the
        content of the file and the configuration, so neither a changed file nor a changed configuration is
        ever answered from it; it is written whole or not at all, so the work can be interrupted at any time
        and taken up again, and with a digest, so a damaged one is made anew.
    progress : callable, optional
        Called with (files done, files in all) after each.
    speed : float
        Play the clips at another speed, pitch and tempo together: 1.1 makes them a tenth faster and higher.

    Returns
    -------
    list of FileFeatures
        In the order of `paths`.

    Raises
    ------
    InputError
        If `jobs` is not positive, or nothing can be written into the cache's folder.
    OSError
        If the cache's disk is full, or a worker process was killed.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> [clip] = extract_folder([demo_clip_path()])
    >>> clip.features.shape, clip.error
    ((61, 46), None)
    """
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; expected at least 1")
    names = list(map(os.fsdecode, listed(paths)))
    cache = None if cache_dir is None else open_cache(cache_dir)
    work = functools.partial(_work, config, cache, speed)
    done: list[FileFeatures] = []
    jobs = min(jobs, len(names))
    for result, raised in map(work, names) if jobs <= 1 else run_in_order(work, names, jobs):
        for category, message in raised:
            warnings.warn(message, category, stacklevel=2)
        done.append(result)
        if progress is not None:
            progress(len(done), len(names))
    return done


def open_cache(folder: StrPath) -> str:
    """The path of a folder for features, made if needed, without what was left in it half-written."""
    folder = os.path.abspath(folder)
    check_folder("the cache", folder)
    sweep(folder)
    return folder


def extract_all(
    paths: Iterable[str], config: FeatureConfig, cache_dir: str | None = None
) -> tuple[list[FileFeatures], list[_Warning]]:
    """`FileFeatures` of each of some files, and the warnings that came up as (category, text)."""
    done = [_work(config, cache_dir, 1.0, path) for path in paths]
    return [result for result, _ in done], [warning for _, raised in done for warning in raised]


def folder_statistics(
    paths: Iterable[StrPath],
    config: FeatureConfig = FEATURE_CONFIGS["paper"],
    jobs: int = 1,
    cache_dir: StrPath | None = None,
    progress: Progress | None = None,
) -> FrameStatistics:
    """Statistics of all frames of many sound files; the same bits for any order of `paths` and any number of
    jobs.

    Parameters
    ----------
    paths, config, jobs, cache_dir, progress
        As of `extract_folder`.

    Returns
    -------
    FrameStatistics
        Each file's own statistics, merged in the order of the sorted paths.

    Raises
    ------
    InputError
        If there are no files, or one cannot be read: statistics must not silently lack a file.
    OSError
        As of `extract_folder`.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> statistics = folder_statistics([demo_clip_path()])
    >>> statistics.count, statistics.mean.shape
    (61, (46,))
    """
    total = FrameStatistics()
    for file in extract_folder(sorted(map(os.fsdecode, listed(paths))), config, jobs, cache_dir, progress):
        if file.error is not None:
            raise InputError(file.error)
        total.merge(FrameStatistics().update(file.features))
    if total.count == 0:
        raise InputError("no sound files; expected at least one")
    return total


def _work(
    config: FeatureConfig, cache_dir: str | None, speed: float, path: str
) -> tuple[FileFeatures, list[_Warning]]:
    """One file: its `FileFeatures`, and the warnings that came up as (category, text)."""
    features = error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            features = (
                _extract(path, config, speed)
                if cache_dir is None
                else _cached(path, config, cache_dir, speed)
            )
        except (InputError, FileNotFoundError) as failure:
            error = reason(failure)
    return FileFeatures(path, features, error), [
        (warning.category, str(warning.message)) for warning in caught
    ]


def _extract(path: str, config: FeatureConfig, speed: float) -> FloatArray:
    if speed == 1.0:
        return extract_file(path, config)
    signal, rate = read_audio(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a speed is made by resampling: that is no news
        return features_of_signal(signal, round(rate * speed), config)


def _cached(path: str, config: FeatureConfig, cache_dir: str, speed: float) -> FloatArray:
    check_file(place_of(path))
    entry = os.path.join(cache_dir, _key(path, config, speed) + ".npy")
    features = _load(entry, config)
    if features is None:
        features = _extract(path, config, speed)
        buffer = io.BytesIO()
        np.save(buffer, features)
        write_sealed(entry, buffer.getbuffer())
    return features


def _key(path: str, config: FeatureConfig, speed: float) -> str:
    """Name of the cache entry: a digest of the file's bytes and of everything that decides the features."""
    digest = hashlib.blake2b(
        json.dumps([CACHE_VERSION, config.to_dict(), speed], sort_keys=True).encode(), digest_size=20
    )
    with open(place_of(path), "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _load(entry: str, config: FeatureConfig) -> FloatArray | None:
    """Features from the cache; None if they are not there or not as they were written."""
    data = read_sealed(entry)
    if data is None:
        return None
    try:
        features = parse_npy(data)
    except InputError:
        return None
    good = (
        features.dtype == np.float32
        and features.ndim == 2
        and features.shape[1] == config.n_features
        and len(features)
    )
    return features if good else None
