"""Who is tested when: folds of speakers. No speaker is ever on both sides."""

from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.training.dataset import LEFT_OUT, RAVDESS, RAVDESS_CLASSES

BY_CORPUS = "corpus"  # folds that leave one corpus out


class Fold(NamedTuple):
    """The speakers that are tested, and those that may choose an epoch or a recipe; the rest train."""

    test: tuple[str, ...]
    validation: tuple[str, ...]


def _speakers(*groups):
    return [tuple(str(actor) for actor in group) for group in groups]


PAPER_TEST = _speakers(
    (2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22)
)
PAPER_VALIDATION = _speakers((3, 6), (10, 11), (8, 17), (1, 14), (2, 5))
EMOBOX_TEST = _speakers(
    (1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22)
)


def _rotated(groups):
    """Folds that test one group each and validate on the next one."""
    return tuple(Fold(test, groups[(k + 1) % len(groups)]) for k, test in enumerate(groups))


TABLES = {
    "paper": tuple(map(Fold, PAPER_TEST, PAPER_VALIDATION)),  # Krasnoproshin & Vashkevich 2026
    "emobox": _rotated(EMOBOX_TEST),  # Ma et al. 2024, EmoBox; it names no validation speakers
}


def make_folds(name, dataset):
    """Folds of a corpus.

    Parameters
    ----------
    name : str
        'paper' or 'emobox', for RAVDESS's 24 actors, or a number of folds: the speakers are then shared out
        so that the folds have about as many clips; the same speakers and counts always give the same folds.
        'corpus', for several corpora: each fold tests one of them.
    dataset : Dataset
        Each of several corpora is shared out to the folds by itself, so that every fold tests and trains on
        speakers of every corpus; by a table, RAVDESS is shared out as the table says, the others into as many
        folds.

    Returns
    -------
    tuple of Fold

    Raises
    ------
    InputError
        If the corpus lacks speakers of the table or has others, or has too few for the number.
    """
    if name == BY_CORPUS:
        return _by_corpus(dataset)
    if dataset.several:
        return _joined([(part.name, _folds_of_part(name, part, dataset)) for part in dataset.parts])
    return _from_table(name, dataset) if name in TABLES else _grouped(name, dataset)


def _by_corpus(dataset):
    if not dataset.several:
        raise InputError(
            f"the folds 'corpus' need several corpora, and there is {dataset.name} alone; give more with"
            " --corpus"
        )
    return _rotated([_named(part.name, part.speakers) for part in dataset.parts])


def _folds_of_part(name, part, dataset):
    """Folds of one of several corpora."""
    if name not in TABLES:
        return _grouped(name, part)
    if RAVDESS not in [other.name for other in dataset.parts]:
        raise InputError(
            f"the folds '{name}' need RAVDESS, and there are {dataset.name}; take a number of folds or"
            " 'corpus'"
        )
    return _from_table(name, part) if part.name == RAVDESS else _grouped(str(len(TABLES[name])), part)


def _joined(folds_of):
    """Folds that test and validate on the speakers of one fold of each corpus; `folds_of` are (corpus, its
    folds).
    """
    named = [
        [[_named(corpus, speakers) for speakers in fold] for fold in folds] for corpus, folds in folds_of
    ]
    return tuple(Fold(*(sum(speakers, ()) for speakers in zip(*folds))) for folds in zip(*named))


def _named(corpus, speakers):
    return tuple(f"{corpus}/{speaker}" for speaker in speakers)


def missing_clips(dataset):
    """File name stems of RAVDESS speech that a RAVDESS dataset lacks, sorted."""
    found = {clip.path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] for clip in dataset.clips}
    # neutral is never strong
    emotions = [(e, i) for e in range(1, len(RAVDESS_CLASSES) + 1) for i in (1, 2) if (e, i) != (1, 2)]
    whole = {
        f"03-01-{e:02}-{i:02}-{s:02}-{r:02}-{a:02}"
        for e, i in emotions
        for s in (1, 2)
        for r in (1, 2)
        for a in range(1, 25)
    }
    return sorted(whole - found)


def _from_table(name, dataset):
    folds = TABLES[name]
    wanted = [speaker for fold in folds for speaker in fold.test]
    lacking, others = (
        sorted(set(wanted) - set(dataset.speakers), key=int),
        sorted(set(dataset.speakers) - set(wanted)),
    )
    wrong = [f"it lacks {', '.join(lacking)}"] if lacking else []
    wrong += [f"it also has {', '.join(others)}"] if others else []
    if wrong:
        raise InputError(
            f"the folds '{name}' need RAVDESS's actors 1 to 24, but of {dataset.name} {' and '.join(wrong)};"
            " take a number of folds, e.g. 5"
        )
    return folds


def _grouped(name, dataset):
    speakers = dataset.speakers
    if not name.isdecimal() or int(name) < 2:
        raise InputError(f"folds are {name!r}; expected {', '.join(TABLES)} or a number of at least 2")
    if int(name) > len(speakers):
        raise InputError(
            f"{dataset.name} has {len(speakers)} speakers ({', '.join(speakers)}): too few for {name} folds"
        )
    clips = {speaker: len(dataset.of({speaker})) for speaker in speakers}
    # In a fixed random order, since neighbouring numbers often are alike (RAVDESS alternates men and women);
    # the longest lists of clips first, each to the fold that has least so far.
    order = [speakers[k] for k in np.random.default_rng(0).permutation(len(speakers))]
    groups = [[] for _ in range(int(name))]
    for speaker in sorted(order, key=lambda speaker: -clips[speaker]):
        min(groups, key=lambda group: sum(clips[member] for member in group)).append(speaker)
    return _rotated([tuple(sorted(group, key=speakers.index)) for group in groups])


def check_classes(dataset, held_out, where=""):
    """Raise InputError if all speakers of a class are held out; `where` begins the message."""
    left = {clip.label for clip in dataset.clips if clip.speaker not in held_out}
    if absent := [label for n, label in enumerate(dataset.classes) if n not in left]:
        remedy = "hold out others"
        if dataset.several:
            remedy += f", or leave these clips out with --label {absent[0]}={LEFT_OUT}"
        raise InputError(
            f"{where}nobody but the speakers held out of training speaks {', '.join(absent)}; {remedy}"
        )
