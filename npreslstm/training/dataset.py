"""What there is to train on: a RAVDESS folder, a manifest of somebody's own corpus, or several of these
together.
"""

import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from npreslstm.audio.reader import walk
from npreslstm.audio.suffixes import is_audio_name
from npreslstm.errors import InputError
from npreslstm.training.manifest import read_table, refuse

RAVDESS = "RAVDESS speech"
RAVDESS_CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprised")
RAVDESS_NAME = re.compile(r"03-01-(0[1-8])-(0[12])-0[12]-0[12]-(0[1-9]|1\d|2[0-4])\.\w+", re.IGNORECASE)
MANIFEST_COLUMNS = ("file", "label", "speaker")
CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")
TWINS = {
    "label": "case or blanks only: {}; write them alike if they mean the same, or say so with {}",
    "speaker": (
        "case, blanks or leading zeros only: {}; write them alike if they are one, not to train and test on"
        " the same"
    ),
}
LEFT_OUT = "-"  # the class of labels whose clips are left out


class Clip(NamedTuple):
    """One recording; `corpus` is a number in `Dataset.corpora`."""

    path: str
    label: int
    speaker: str
    corpus: int = 0


class Corpus(NamedTuple):
    """One of several corpora; `classes` are the numbers, in `Dataset.classes`, of those that it
    has clips of.
    """

    name: str
    classes: tuple[int, ...]


class Dataset(NamedTuple):
    """Clips in a fixed order (by path), and what their labels mean.

    Of several corpora that `merge` joined, the clips come corpus by corpus, each in its own order, and the
    name of a speaker begins with that of the corpus: ``nemo.csv/AB``. A dataset of one corpus needs no
    `corpora`.
    """

    name: str
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    corpora: tuple[Corpus, ...] = ()

    @property
    def several(self) -> bool:
        """Whether this is more than one corpus."""
        return len(self.corpora) > 1

    @property
    def parts(self) -> list["Dataset"]:
        """The corpora one by one, in the classes of all, with the speakers' own names."""
        return (
            [self._part(number, corpus) for number, corpus in enumerate(self.corpora)]
            if self.several
            else [self]
        )

    def _part(self, number, corpus):
        mine = [clip for clip in self.clips if clip.corpus == number]
        clips = tuple(c._replace(speaker=c.speaker.removeprefix(f"{corpus.name}/"), corpus=0) for c in mine)
        return Dataset(corpus.name, self.classes, clips, (corpus,))

    @property
    def speakers(self):
        """All speakers, sorted."""
        return sorted({clip.speaker for clip in self.clips}, key=_natural)

    def of(self, speakers):
        """The clips of some speakers."""
        return [clip for clip in self.clips if clip.speaker in speakers]


def load_dataset(path: str | os.PathLike, mapped: Collection[str] = ()) -> Dataset:
    """Read a RAVDESS folder or a manifest.

    Parameters
    ----------
    path : str or os.PathLike
        A folder that holds RAVDESS's audio-only speech clips (``Actor_01/03-01-...``), or a CSV file with the
        columns file (relative to the CSV), label and speaker.
    mapped : collection of str, optional
        Labels that `relabel` or `merge` will give a meaning, so that there is no need to warn of their
        spelling.

    Returns
    -------
    Dataset

    Raises
    ------
    FileNotFoundError
        If there is no such path.
    InputError
        If the names, columns, files or labels are not as expected; lists the offenders.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        return _read_ravdess(path)
    if os.path.isfile(path):
        return _read_manifest(path, mapped)
    raise FileNotFoundError(
        f"{path} does not exist; expected a RAVDESS folder or a manifest CSV with columns"
        f" {', '.join(MANIFEST_COLUMNS)}"
    )


def _read_ravdess(folder):
    found = {}
    for where, names in walk(folder):
        for name in names:
            if is_audio_name(name):
                found.setdefault(name.rpartition(".")[0], []).append(os.path.join(where, name))
    wrong = [paths[0] for paths in found.values() if not RAVDESS_NAME.fullmatch(os.path.basename(paths[0]))]
    refuse(
        wrong,
        f"{folder} holds files that are not named as RAVDESS speech (03-01-EE-II-SS-RR-AA.wav); for another"
        " corpus give a manifest CSV",
    )
    refuse(
        [" = ".join(paths) for paths in found.values() if len(paths) > 1],
        f"{folder} holds clips twice; leave one of each",
    )
    if not found:
        raise InputError(
            f"{folder} holds no audio; expected RAVDESS's Actor_01 ... Actor_24 with 03-01-*.wav or .flac"
        )
    clips = []
    for stem, (path,) in sorted(found.items()):
        fields = stem.split("-")
        clips.append(Clip(path, int(fields[2]) - 1, str(int(fields[6]))))
    return Dataset(RAVDESS, RAVDESS_CLASSES, tuple(clips))


def _read_manifest(path, mapped):
    rows = read_table(path, MANIFEST_COLUMNS)
    if not rows:
        raise InputError(f"{path} lists no clips; expected one line a clip")
    # somebody with and without a blank would be two speakers, one to train on and one to test
    labels = [row.values["label"].strip() for row in rows]
    speakers = [row.values["speaker"].strip() for row in rows]
    broken = [
        f"line {row.line}" for row, *names in zip(rows, labels, speakers) if CONTROL.search("".join(names))
    ]
    refuse(broken, f"{path} has a label or a speaker with a line break or another control character in it")
    paths = _find_files(path, [row.values["file"] for row in rows])
    refuse([name for name, count in Counter(paths).items() if count > 1], f"{path} names files twice")
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise InputError(f"{path} has the single label {classes[0]!r}; expected at least two classes")
    _warn_of_twins(path, "label", [label for label in labels if label not in mapped])
    _warn_of_twins(path, "speaker", speakers)
    clips = [
        Clip(full, classes.index(label), speaker) for full, label, speaker in zip(paths, labels, speakers)
    ]
    return Dataset(os.path.basename(path), classes, tuple(sorted(clips)))


def _find_files(path, names):
    """Full paths of what a manifest names; a name that is there with slashes, or without the blanks around
    it, is meant so.
    """
    folder = os.path.dirname(os.path.abspath(path))
    found = [_find_file(folder, name) for name in names]
    refuse(
        [name for name, full in zip(names, found) if full is None], f"{path} names files that do not exist"
    )
    changed = [name for name, full in zip(names, found) if full != _full(folder, name)]
    if backslashes := [name for name in changed if "\\" in name]:
        warnings.warn(
            f"{path} has backslashes in names of files, read as slashes, e.g. {backslashes[0]!r}",
            stacklevel=4,
        )
    return found


def _find_file(folder, name):
    for meant in (name, name.strip(), name.strip().replace("\\", "/")):
        if os.path.isfile(full := _full(folder, meant)):
            return full
    return None


def _full(folder, name):
    return os.path.normpath(os.path.join(folder, name))


def _warn_of_twins(path, column, names):
    """Warn of labels or speakers that may be meant to be one."""
    counts, groups = Counter(names), {}
    for name in sorted(counts):
        groups.setdefault(bare_name(name, column), []).append(name)
    for twins in groups.values():
        if len(twins) > 1:
            found = " and ".join(f"{name!r} (clips: {counts[name]})" for name in twins)
            options = " ".join(f"--label '{name}={twins[-1]}'" for name in twins[:-1])
            warnings.warn(
                f"{path} has {column}s that differ in {TWINS[column].format(found, options)}", stacklevel=4
            )


def bare_name(name: str, column: str = "label") -> str:
    """What is left of a name without what people and programs write in several ways: case, blanks, accents as
    letters of their own, and leading zeros of a speaker.
    """
    letters = unicodedata.normalize("NFKC", name.casefold())
    visible = "".join(
        letter for letter in letters if not letter.isspace() and unicodedata.category(letter) != "Cf"
    )
    return visible.lstrip("0") if column == "speaker" else visible


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


def _natural(speaker):
    """Sort key that puts speaker 2 before speaker 10."""
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < 19 else (1, 0, part)
        for part in re.findall(r"\d+|\D+", speaker)
    ]
