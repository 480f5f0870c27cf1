"""Features of every clip under drawn recording conditions, to train on beside the clips as they are.

What a clip becomes depends on that clip, on others of the same speaker (who babble behind it) and on
backgrounds without speech. So the features may be made once for all folds: nothing of a speaker who is held
out gets into those of another.
"""

import functools
import hashlib
import io
import json
import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import extract_features
from npreslstm.audio.folder import open_cache
from npreslstm.audio.oddities import is_silent
from npreslstm.audio.reader import read_audio
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import to_mono, trim_silence
from npreslstm.conditions.condition import Sources, apply
from npreslstm.conditions.drawing import draw
from npreslstm.conditions.filters import played
from npreslstm.conditions.noise import KINDS
from npreslstm.errors import InputError
from npreslstm.files import atomic_write
from npreslstm.formats.npy import read_npz
from npreslstm.parallel import run_all

VERSION = 2  # raised whenever the same clips and settings give other numbers
VOICES = 12  # clips of a speaker that babble
TRIM_DB = 30.0  # babble has no pauses at its ends


class Draws(NamedTuple):
    """What is drawn for each clip.

    Attributes
    ----------
    config : FeatureConfig
    speeds : tuple of float
        Playback speeds, taken in turn.
    count : int
        Conditions for each clip.
    seed : int
    backgrounds : tuple of str
        Files without speech.
    """

    config: FeatureConfig
    speeds: tuple[float, ...]
    count: int
    seed: int = 0
    backgrounds: tuple[str, ...] = ()


class Task(NamedTuple):
    """One clip, and the clips of the same speaker."""

    index: int
    path: str
    voices: tuple[str, ...]
    draws: Draws
    cache: str | None


def prepare_conditioned(
    paths: list[str],
    speakers: list[str],
    draws: Draws,
    jobs: int = 1,
    cache: str | None = None,
    progress=None,
) -> list[list[NDArray[np.float32]]]:
    """Features of clips under conditions.

    Parameters
    ----------
    paths : list of str
    speakers : list of str
        Of each clip.
    draws : Draws
    jobs : int
        Processes; the features do not depend on it.
    cache : str, optional
        A folder, made if needed, with an entry for every clip that is done: interrupted work goes on where it
        was.
    progress : callable, optional
        Called with (clips done, clips in all).

    Returns
    -------
    list
        For each clip the list of its ``draws.count`` features, (T, D) float32 arrays, raw.

    Raises
    ------
    InputError
        If clips cannot be read.
    """
    cache = None if cache is None else open_cache(cache)
    of_speaker = {
        name: tuple(path for path, who in zip(paths, speakers) if who == name) for name in set(speakers)
    }
    tasks = [
        Task(n, path, _spread(of_speaker[who]), draws, cache)
        for n, (path, who) in enumerate(zip(paths, speakers))
    ]
    done = {}
    for task, variants in (
        run_all(_work, tasks, jobs) if jobs > 1 else ((task, _work(task)) for task in tasks)
    ):
        done[task.index] = variants
        if progress:
            progress(len(done), len(tasks))
    return [done[n] for n in range(len(tasks))]


def _spread(paths):
    """VOICES of a speaker's clips, evenly over the list."""
    chosen = np.linspace(0, len(paths) - 1, min(VOICES, len(paths))).round().astype(int)
    return tuple(paths[n] for n in chosen)


def _work(task):
    """The features of one clip, from the cache if they are there."""
    entry = task.cache and os.path.join(task.cache, f"conditioned-{_key(task)}.npz")
    variants = load_entry(entry)
    if len(variants) < task.draws.count:
        variants = condition_clip(task)
        store_entry(entry, variants)
    return variants[: task.draws.count]


def condition_clip(task: Task) -> list[NDArray[np.float32]]:
    """Features of one clip under its conditions: a list of (T, D) arrays."""
    draws = task.draws
    rate = draws.config.sample_rate
    y = read_at(task.path, rate)
    voices = voices_at(task.voices, rate, task.path)
    sources = Sources(voices, _backgrounds(draws.backgrounds, rate))
    lacking = {"background"} if not sources.backgrounds else set()
    lacking |= {"speech", "babble"} if not voices else set()
    kinds = tuple(kind for kind in KINDS if kind not in lacking)
    at_speed = functools.cache(lambda speed: played(y, rate * speed, rate))
    variants = []
    for k in range(draws.count):
        rng = np.random.default_rng([draws.seed, entropy_of(task.path), k])
        heard = apply(draw(rng, kinds), at_speed(draws.speeds[k % len(draws.speeds)]), rate, rng, sources)
        variants.append(extract_features(heard, rate, draws.config))
    return variants


def voices_at(paths: tuple[str, ...], rate: int, besides: str) -> list[NDArray[np.float32]]:
    """Recordings at a rate, without the silence at their ends; all but the file `besides`."""
    return [voice for path, voice in zip(paths, _trimmed(paths, rate)) if path != besides]


@functools.lru_cache(maxsize=4)
def _trimmed(paths, rate):
    return [trim_silence(read_at(path, rate), TRIM_DB) for path in paths]


@functools.lru_cache(maxsize=1)
def _backgrounds(paths, rate):
    """The sounds; InputError if one is silent, since what is drawn as noisy would be clean."""
    sounds = [read_at(path, rate) for path in paths]
    for path, y in zip(paths, sounds):
        if is_silent(y):
            raise InputError(f"{path} is silent; expected sounds to lay behind clips: take it out")
    return sounds


def read_at(path: str, rate: int) -> NDArray[np.float32]:
    """A sound file, mono, at a rate: (n,)."""
    y, from_rate = read_audio(path)
    return resample(to_mono(y), from_rate, rate)


@functools.lru_cache(maxsize=8192)
def digest_of(path: str) -> bytes:
    """Digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.blake2b(file.read(), digest_size=16).digest()


def entropy_of(path: str) -> int:
    """A number that follows from a file's bytes, to seed what is drawn for it: wherever the file is, the same
    is drawn.
    """
    return int.from_bytes(digest_of(path)[:8], "little")


def _key(task):
    """Name of the cache entry: a digest of everything that decides the features but their number, as each
    draw has a seed of its own.
    """
    draws = task.draws
    settings = [VERSION, draws.config.to_dict(), list(draws.speeds), draws.seed]
    return entry_digest(settings, (task.path, *task.voices, *draws.backgrounds))


def entry_digest(settings: list, paths: tuple[str, ...]) -> str:
    """Hex digest of JSON values and of the bytes of files."""
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=20)
    for path in paths:
        digest.update(digest_of(path))
    return digest.hexdigest()


def store_entry(entry: str | None, variants: list[NDArray[np.float32]]) -> None:
    """Write (T, D) arrays to a cache entry, whole or not at all; nothing without a cache."""
    if entry is None:
        return
    buffer = io.BytesIO()
    np.savez(buffer, rows=np.concatenate(variants), lengths=[len(frames) for frames in variants])
    with atomic_write(entry) as file:
        file.write(buffer.getbuffer())


def load_entry(entry: str | None) -> list[NDArray[np.float32]]:
    """Arrays of a cache entry; none if they are not there or not as they were written."""
    if entry is None or not os.path.isfile(entry):
        return []
    try:
        stored = read_npz(entry, "delete it")  # checks a CRC-32 of each array
    except InputError:
        return []
    rows, lengths = stored.get("rows"), stored.get("lengths")
    if rows is None or lengths is None or rows.ndim != 2 or lengths.ndim != 1 or lengths.sum() != len(rows):
        return []
    return np.split(rows, np.cumsum(lengths)[:-1])
