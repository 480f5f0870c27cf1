"""Several corpora as one: which of their labels mean the same."""

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

from npreslstm.errors import InputError
from npreslstm.terminal import UNPRINTABLE
from npreslstm.training.dataset import LEFT_OUT, QUOTED, Clip, Corpus, Dataset, bare_name
from npreslstm.training.manifest import refuse


def merge(datasets: Sequence[Dataset], labels: Mapping[str, str]) -> Dataset:
    """Several corpora as one, to train on or to score together.

    Parameters
    ----------
    datasets : sequence of Dataset
        Two or more of one corpus each, of different names.
    labels : mapping of str to str
        What labels mean: {label: class} for all corpora, {'corpus/label': class} for one, which goes first. A
        label that is not in it is a class itself. The class '-' leaves the clips out.

    Returns
    -------
    Dataset
        Its classes are those of the first corpus in their order, then the new ones of the second, and so on.

    Raises
    ------
    InputError
        If there are not two corpora, or two of one name; if a file is in two of them; if a corpus shares
        fewer than two classes with the others; if a label may be another name of a class (each of two corpora
        has labels that the other lacks) and `labels` does not say; or if `labels` names what no corpus has.

    Examples
    --------
    >>> clips = Clip("1.wav", 0, "ann"), Clip("2.wav", 1, "ben")
    >>> ours = Dataset("ours.csv", ("angry", "happy", "sad"), clips)
    >>> theirs = Dataset("theirs.csv", ("anger", "happy"), (Clip("a.wav", 0, "ann"), Clip("b.wav", 1, "ann")))
    >>> both = merge([ours, theirs], {"anger": "angry"})
    >>> both.classes, both.speakers
    (('angry', 'happy', 'sad'), ['ours.csv/ann', 'ours.csv/ben', 'theirs.csv/ann'])
    """
    names = [dataset.name for dataset in datasets]
    if len(datasets) < 2:
        raise InputError(f"one corpus only ({', '.join(names)}); expected at least two to be joined")
    _check_files(datasets)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(
            f"two corpora are called {twice[0]}; rename one: speakers are known by the name of their corpus"
        )
    _check_mapping(datasets, labels)
    mapped = [_mapped(dataset, labels) for dataset in datasets]
    _check_meeting(mapped)
    _check_doubts(datasets, mapped, labels)
    classes = tuple(dict.fromkeys(name for dataset in mapped for name in dataset.classes))
    clips, corpora = [], []
    for number, dataset in enumerate(mapped):
        place = [classes.index(name) for name in dataset.classes]
        clips += [Clip(c.path, place[c.label], f"{dataset.name}/{c.speaker}", number) for c in dataset.clips]
        corpora.append(Corpus(dataset.name, tuple(sorted({place[clip.label] for clip in dataset.clips}))))
    return Dataset(" + ".join(names), classes, tuple(clips), tuple(corpora))


def relabel(dataset: Dataset, labels: Mapping[str, str]) -> Dataset:
    """A single corpus with other names for its labels; `labels` as of `merge`.

    Raises
    ------
    InputError
        If `labels` names what the corpus does not have, or fewer than two classes are left.
    """
    _check_mapping([dataset], labels)
    mapped = _mapped(dataset, labels)
    if len(mapped.classes) < 2:
        raise InputError(
            f"{dataset.name} is left with the classes {', '.join(mapped.classes) or 'none'}; expected at"
            " least two"
        )
    return mapped


def _mapped(dataset, labels):
    """The dataset under the names that a mapping gives its labels."""
    names = [_meaning(dataset, label, labels) for label in dataset.classes]
    classes = tuple(dict.fromkeys(name for name in names if name is not None))
    kept = [clip for clip in dataset.clips if names[clip.label] is not None]
    clips = tuple(clip._replace(label=classes.index(names[clip.label])) for clip in kept)
    return dataset._replace(classes=classes, clips=clips)


def _meaning(dataset, label, labels):
    """The class of a label; None if its clips are left out."""
    said = labels.get(f"{dataset.name}/{label}", labels.get(label))
    return label if said is None else None if said == LEFT_OUT else said


def _check_files(datasets):
    """Raise InputError if two corpora have a file in common."""
    found = {}
    for dataset in datasets:
        for path in {os.path.realpath(clip.path): None for clip in dataset.clips}:
            found.setdefault(path, []).append(dataset.name)
    twice = [f"{path} ({', '.join(names)})" for path, names in found.items() if len(names) > 1]
    refuse(twice, "corpora have files in common")


def _check_mapping(datasets, labels):
    """Raise InputError if a mapping names labels that nobody has, or maps one to nothing."""
    known = {label for dataset in datasets for label in dataset.classes}
    known |= {f"{dataset.name}/{label}" for dataset in datasets for label in dataset.classes}
    if unknown := [label for label in labels if label not in known]:
        raise InputError(f"no corpus has the label {', '.join(unknown)}; {_listed(datasets)}")
    if nothing := [label for label, name in labels.items() if not name]:
        raise InputError(
            f"the label {', '.join(nothing)} means nothing; expected a class, or {LEFT_OUT} to leave its"
            " clips out"
        )
    if wrong := [name for name in labels.values() if UNPRINTABLE.search(name) or QUOTED.fullmatch(name)]:
        raise InputError(
            f"the class {wrong[0]!r} has control characters or quotation marks of its own; leave them out"
        )
    classes = {_meaning(dataset, label, labels) for dataset in datasets for label in dataset.classes}
    _warn_of_twins(classes, labels)


def _warn_of_twins(classes, labels):
    """Warn of classes of a mapping that differ from another class in spelling only."""
    found = {}
    for name in sorted(classes - {None}):
        found.setdefault(bare_name(name), []).append(name)
    for twins in found.values():
        if len(twins) > 1 and not set(labels.values()).isdisjoint(twins):
            names = " and ".join(map(repr, twins))
            warnings.warn(
                f"the classes {names} differ in spelling only; write them alike if they are one", stacklevel=4
            )


def _check_meeting(mapped):
    """Raise InputError if a corpus shares fewer than two classes with the others."""
    for dataset in mapped:
        others = {name for other in mapped if other is not dataset for name in other.classes}
        common = [name for name in dataset.classes if name in others]
        if len(common) < 2:
            raise InputError(
                f"{dataset.name} has {' and '.join(common) or 'no label'} in common with the other corpora;"
                f" expected at least two: {_listed(mapped)}; say which mean the same, e.g. anger=angry"
            )


def _check_doubts(datasets, mapped, labels):
    """Raise InputError if a new label of a corpus may be another name of a class that it lacks, and the
    mapping is silent.
    """
    before = dict.fromkeys(mapped[0].classes)
    for dataset, now in zip(datasets[1:], mapped[1:]):
        said = {label for label in dataset.classes if label in labels or f"{dataset.name}/{label}" in labels}
        new = [label for label in dataset.classes if label not in said and label not in before]
        lacking = [name for name in before if name not in now.classes]
        if new and lacking:
            raise InputError(
                f"{dataset.name} has {', '.join(new)} and lacks {', '.join(lacking)} of the corpora before"
                f" it: say what each of its labels means, e.g. {new[0]}={lacking[0]} if that is the same,"
                f" {new[0]}={new[0]} if it is a class of its own, {new[0]}={LEFT_OUT} to leave its clips out"
            )
        before |= dict.fromkeys(now.classes)


def _listed(datasets):
    return "; ".join(f"{dataset.name} has {', '.join(dataset.classes) or 'none'}" for dataset in datasets)
