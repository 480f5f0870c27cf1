"""How weights do on clips as other microphones, rooms, lines and files would give them."""

import os
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import extract_features
from npreslstm.audio.folder import open_cache
from npreslstm.audio.reader import read_audio
from npreslstm.audio.signal import to_mono
from npreslstm.checkpoint import Checkpoint
from npreslstm.conditions.condition import Condition, Sources, apply
from npreslstm.conditions.table import AS_RECORDED, TABLE
from npreslstm.errors import InputError
from npreslstm.experiments.evaluate import in_classes_of
from npreslstm.layers.activations import softmax
from npreslstm.parallel import run_all
from npreslstm.training.batches import predict
from npreslstm.training.calibration import expected_calibration_error
from npreslstm.training.conditioned import entropy_of, entry_digest, load_entry, store_entry, voices_at
from npreslstm.training.dataset import Dataset
from npreslstm.training.inspection import warn_of_silence
from npreslstm.training.metrics import bootstrap_uar, confusion_matrix, uar

SEED = 1  # of noises and rooms; training draws from seed 0
TALKERS = 12  # clips of other speakers that babble
VERSION = 1  # raised whenever the same clips and conditions give other features


class Trial(NamedTuple):
    """One clip to be heard under all conditions; `voices` are files of other speakers."""

    index: int
    path: str
    voices: tuple[str, ...]
    configs: tuple[FeatureConfig, ...]
    conditions: tuple[Condition, ...]
    seed: int
    cache: str | None


class Hearing(NamedTuple):
    """What weights make of N clips under one condition."""

    uar: float
    interval: list[float] | None
    calibration_error: float
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def robustness(
    checkpoints: dict[str, Checkpoint],
    dataset: Dataset,
    table: dict[str, Condition] = TABLE,
    seed: int = SEED,
    jobs: int = 1,
    cache: str | None = None,
    progress=None,
) -> dict[str, dict[str, Hearing]]:
    """Score weights under conditions.

    Parameters
    ----------
    checkpoints : dict
        {name: Checkpoint} with features, statistics and classes.
    dataset : Dataset
        The clips; those of speakers that the weights know say nothing.
    table : dict
        {name: Condition}.
    seed : int
        Of noises and rooms, which are drawn anew for each clip.
    jobs : int
        Processes.
    cache : str, optional
        A folder, made if needed, that keeps features: interrupted work goes on where it was.
    progress : callable, optional
        Called with (clips done, clips in all).

    Returns
    -------
    dict
        {name of weights: {name of condition: Hearing}}

    Raises
    ------
    InputError
        If the corpus has labels that weights do not know, or clips cannot be read.
    """
    if not dataset.clips:
        raise InputError(f"{dataset.name} has no clips to score")
    for checkpoint in checkpoints.values():
        in_classes_of(checkpoint, dataset)
    configs = tuple(dict.fromkeys(checkpoint.features for checkpoint in checkpoints.values()))
    features = features_under(dataset, configs, tuple(table.values()), seed, jobs, cache, progress)
    if AS_RECORDED in table:
        clips = [heard[list(table).index(AS_RECORDED)] for heard in features[0]]
        warn_of_silence([clip.path for clip in dataset.clips], clips)
    return {
        name: _hearings(
            checkpoint,
            in_classes_of(checkpoint, dataset),
            table,
            features[configs.index(checkpoint.features)],
        )
        for name, checkpoint in checkpoints.items()
    }


def _hearings(checkpoint, dataset, table, features):
    """{condition: Hearing}; `features` as of `features_under`, of one configuration."""
    labels = np.array([clip.label for clip in dataset.clips])
    speakers = np.array([clip.speaker for clip in dataset.clips])
    model, C = checkpoint.model(), len(checkpoint.classes)
    found = {}
    for k, name in enumerate(table):
        z = [((clip[k] - checkpoint.mean) / checkpoint.std).astype(np.float32) for clip in features]
        probabilities = softmax(predict(model, z))  # (N, C)
        predicted = probabilities.argmax(axis=1)
        interval = bootstrap_uar(
            labels, (predicted == labels)[None], speakers, 10_000, np.random.default_rng(0)
        )
        error = expected_calibration_error(probabilities, labels)
        found[name] = Hearing(
            uar(confusion_matrix(labels, predicted, C)), interval, error, predicted, probabilities
        )
    return found


def features_under(
    dataset: Dataset,
    configs: tuple[FeatureConfig, ...],
    conditions: tuple[Condition, ...],
    seed: int = SEED,
    jobs: int = 1,
    cache: str | None = None,
    progress=None,
) -> list[list[list[NDArray[np.float32]]]]:
    """Raw features of clips under conditions: for each configuration, clip and condition a (T, D) array.

    The babble behind a clip is of the other speakers of the data set, or of one speaker's other clips where
    there are no others.
    """
    cache = None if cache is None else open_cache(cache)
    voices = {speaker: _other_voices(dataset, speaker) for speaker in dataset.speakers}
    trials = [
        Trial(n, c.path, voices[c.speaker], configs, conditions, seed, cache)
        for n, c in enumerate(dataset.clips)
    ]
    done = {}
    for trial, features in (
        run_all(_work, trials, jobs) if jobs > 1 else ((trial, _work(trial)) for trial in trials)
    ):
        done[trial.index] = features
        if progress:
            progress(len(done), len(trials))
    return [[done[n][k] for n in range(len(trials))] for k in range(len(configs))]


def _other_voices(dataset, speaker):
    others = [clip.path for clip in dataset.clips if clip.speaker != speaker] or [
        clip.path for clip in dataset.clips
    ]
    chosen = np.linspace(0, len(others) - 1, min(TALKERS, len(others))).round().astype(int)
    return tuple(others[n] for n in chosen)


def _work(trial):
    """Features of one clip for each configuration and condition, from the cache if they are there."""
    entries = [
        trial.cache and os.path.join(trial.cache, f"robustness-{_key(trial, config)}.npz")
        for config in trial.configs
    ]
    features = [load_entry(entry) for entry in entries]
    if any(len(found) != len(trial.conditions) for found in features):
        features = _hear(trial)
        for entry, found in zip(entries, features):
            store_entry(entry, found)
    return features


def _hear(trial):
    y, rate = read_audio(trial.path)
    y = to_mono(y)
    sources = Sources(voices_at(trial.voices, rate, trial.path), [])
    features = [[] for _ in trial.configs]
    for k, condition in enumerate(trial.conditions):
        rng = np.random.default_rng([trial.seed, entropy_of(trial.path), k])
        heard = apply(condition, y, rate, rng, sources)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a file's rate is one of the conditions: no news
            for found, config in zip(features, trial.configs):
                found.append(extract_features(heard, rate, config))
    return features


def _key(trial, config):
    settings = [VERSION, config.to_dict(), [str(condition) for condition in trial.conditions], trial.seed]
    return entry_digest(settings, (trial.path, *trial.voices))
