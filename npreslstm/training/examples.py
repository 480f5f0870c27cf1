"""A corpus as training takes it: features clip by clip, divided by who speaks."""

from typing import NamedTuple

import numpy as np

from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import extract_features
from npreslstm.errors import InputError
from npreslstm.training.conditioned import Draws, prepare_conditioned
from npreslstm.training.inspection import warn_of_silence
from npreslstm.training.prepare import prepare


class _Examples(NamedTuple):
    name: str
    classes: tuple[str, ...]
    config: FeatureConfig | None
    variants: list[list[np.ndarray]]  # a clip and speed: (T, D)
    labels: np.ndarray  # (N,) int
    speakers: np.ndarray  # (N,) str
    corpora: np.ndarray  # (N,) int
    heard: np.ndarray | None  # (number of corpora, C) bool
    corpus_names: tuple[str, ...]


class Examples(_Examples):
    """Features of a corpus, clip by clip.

    Attributes
    ----------
    name : str
    classes : tuple of str
    config : FeatureConfig or None
        What the features were made with.
    variants : list
        As `prepare` returns them.
    labels : (N,) int array
    speakers : (N,) str array
    corpora : (N,) int array
        The number of each clip's corpus; all 0 by default.
    heard : (number of corpora, C) bool array or None
        Whether a corpus has clips of a class; None for one corpus.
    corpus_names : tuple of str
        Empty for one corpus.
    """

    __slots__ = ()

    def __new__(
        cls, name, classes, config, variants, labels, speakers, corpora=None, heard=None, corpus_names=()
    ):
        """By default all clips are of one corpus."""
        corpora = np.zeros(len(labels), dtype=int) if corpora is None else corpora
        return super().__new__(
            cls, name, classes, config, variants, labels, speakers, corpora, heard, corpus_names
        )


def prepare_examples(
    dataset, config, speeds=(1.0,), jobs=1, cache=None, progress=None, conditions=0, backgrounds=()
):
    """`Examples` of a `Dataset`.

    Parameters
    ----------
    dataset : Dataset
    config, speeds, jobs, cache, progress
        As of `prepare`.
    conditions : int
        Recording conditions drawn for each clip, whose features come after those of the speeds.
    backgrounds : sequence of str
        As of `conditioned.Draws`.

    Returns
    -------
    Examples
    """
    clips, paths = dataset.clips, [clip.path for clip in dataset.clips]
    total = len(paths) * (len(speeds) + bool(conditions))
    done_before = len(paths) * len(speeds)
    variants = prepare(
        paths, config, speeds, jobs, cache, progress and (lambda done, _: progress(done, total))
    )
    if conditions:
        draws = Draws(config, tuple(speeds), conditions, backgrounds=tuple(backgrounds))
        step = progress and (lambda done, _: progress(done_before + done, total))
        under = prepare_conditioned(paths, [clip.speaker for clip in clips], draws, jobs, cache, step)
        variants = [plain + drawn for plain, drawn in zip(variants, under)]
    warn_of_silence(paths, [frames for frames, *_ in variants])
    labels, speakers = np.array([clip.label for clip in clips]), np.array([clip.speaker for clip in clips])
    corpora = np.array([clip.corpus for clip in clips])
    names = tuple(corpus.name for corpus in dataset.corpora) if dataset.several else ()
    return Examples(
        dataset.name, dataset.classes, config, variants, labels, speakers, corpora, _heard(dataset), names
    )


def _heard(dataset):
    """Which corpus has clips of which class, (number of corpora, C) bool; None for one corpus."""
    if not dataset.several:
        return None
    heard = np.zeros((len(dataset.corpora), len(dataset.classes)), dtype=bool)
    for row, corpus in zip(heard, dataset.corpora):
        row[list(corpus.classes)] = True
    return heard


def synthetic_examples(seed):
    """`Examples` of the synthetic corpus."""
    from npreslstm.training import synthetic

    clips = list(synthetic.synthetic_clips(np.random.default_rng(seed)))
    variants = [
        [extract_features(signal, synthetic.CONFIG.sample_rate, synthetic.CONFIG)] for signal, _, _ in clips
    ]
    labels, speakers = (
        np.array([label for _, label, _ in clips]),
        np.array([speaker for _, _, speaker in clips]),
    )
    return Examples(
        f"synthetic tones, seed {seed}", synthetic.CLASSES, synthetic.CONFIG, variants, labels, speakers
    )


class Split(NamedTuple):
    """Clip numbers of three disjoint sets of speakers."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_by_speaker(speakers, validation=(), test=()):
    """Divide clips by who speaks; everybody not named is trained on.

    Parameters
    ----------
    speakers : (N,) str array
    validation, test : sequences of str

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If a speaker is unknown or in both sets, or nobody is left to train on.
    """
    speakers = np.asarray(speakers)
    if unknown := sorted({*validation, *test} - set(speakers.tolist())):
        raise InputError(
            f"no clips of speaker {', '.join(unknown)}; the corpus has"
            f" {', '.join(sorted(set(speakers.tolist())))}"
        )
    if both := sorted(set(validation) & set(test)):
        raise InputError(f"speaker {', '.join(both)} is in both validation and test; expected disjoint sets")
    in_validation, in_test = np.isin(speakers, list(validation)), np.isin(speakers, list(test))
    rest = ~(in_validation | in_test)
    if not rest.any():
        raise InputError("no speakers are left to train on: hold out fewer")
    return Split(np.flatnonzero(rest), np.flatnonzero(in_validation), np.flatnonzero(in_test))


def speaker_names(examples, clips, others=()):
    """Sorted names of those who speak some clips, and of others."""
    return sorted({*examples.speakers[clips].tolist(), *others}, key=length_first)


def length_first(name):
    """Sort key by which speaker 2 comes before speaker 10."""
    return len(name), name
