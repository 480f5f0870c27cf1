"""Features of many sound files: over processes, cached, one bad file not spoiling the rest."""

import functools
import hashlib
import io
import json
import os
import warnings
from typing import NamedTuple

import numpy as np

from npreslstm.audio.config import NAMED
from npreslstm.audio.features import extract_file, features_of_signal
from npreslstm.audio.reader import check_file, listed, place_of, read_audio
from npreslstm.audio.statistics import FrameStatistics
from npreslstm.errors import InputError
from npreslstm.files import read_sealed, sweep, write_sealed
from npreslstm.formats.npy import parse_npy
from npreslstm.parallel import run_in_order

CACHE_VERSION = 2  # raised whenever the same file and configuration give other numbers


class FileFeatures(NamedTuple):
    """What became of one file: `features` (T, D) float32, or None and the `error` that says why."""

    path: str
    features: np.ndarray | None
    error: str | None


def extract_folder(paths, config=NAMED["paper"], jobs=1, cache_dir=None, progress=None, speed=1.0):
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
        If `jobs` is not positive.
    OSError
        If the cache cannot be written, or a worker process was killed.
    """
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; expected at least 1")
    paths = list(map(os.fsdecode, listed(paths)))
    if cache_dir is not None:
        cache_dir = open_cache(cache_dir)
    work, done = functools.partial(_work, config, cache_dir, speed), []
    jobs = min(jobs, len(paths))
    for result, raised in map(work, paths) if jobs <= 1 else run_in_order(work, paths, jobs):
        for category, message in raised:
            warnings.warn(message, category, stacklevel=2)
        done.append(result)
        if progress is not None:
            progress(len(done), len(paths))
    return done


def open_cache(folder):
    """The path of a folder for features, made if needed, without what was left in it half-written."""
    folder = os.path.abspath(folder)
    os.makedirs(folder, exist_ok=True)
    sweep(folder)
    return folder


def extract_all(paths, config, cache_dir=None):
    """`FileFeatures` of each of some files, and the warnings that came up as (category, text)."""
    done = [_work(config, cache_dir, 1.0, path) for path in paths]
    return [result for result, _ in done], [warning for _, raised in done for warning in raised]


def folder_statistics(paths, config=NAMED["paper"], jobs=1, cache_dir=None, progress=None):
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
    """
    total = FrameStatistics()
    for file in extract_folder(sorted(map(os.fsdecode, listed(paths))), config, jobs, cache_dir, progress):
        if file.error is not None:
            raise InputError(file.error)
        total.merge(FrameStatistics().update(file.features))
    if total.count == 0:
        raise InputError("no sound files; expected at least one")
    return total


def _work(config, cache_dir, speed, path):
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
            error = str(failure)
    return FileFeatures(path, features, error), [
        (warning.category, str(warning.message)) for warning in caught
    ]


def _extract(path, config, speed):
    if speed == 1.0:
        return extract_file(path, config)
    signal, rate = read_audio(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a speed is made by resampling: that is no news
        return features_of_signal(signal, round(rate * speed), config)


def _cached(path, config, cache_dir, speed):
    check_file(place_of(path))
    entry = os.path.join(cache_dir, _key(path, config, speed) + ".npy")
    features = _load(entry, config)
    if features is None:
        features = _extract(path, config, speed)
        buffer = io.BytesIO()
        np.save(buffer, features)
        write_sealed(entry, buffer.getbuffer())
    return features


def _key(path, config, speed):
    """Name of the cache entry: a digest of the file's bytes and of everything that decides the features."""
    digest = hashlib.blake2b(
        json.dumps([CACHE_VERSION, config.to_dict(), speed], sort_keys=True).encode(), digest_size=20
    )
    with open(place_of(path), "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _load(entry, config):
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
