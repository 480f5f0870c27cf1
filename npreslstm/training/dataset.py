"""What there is to train on: a RAVDESS folder, a manifest of somebody's own corpus, or several of these
together.
"""

import csv
import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from npreslstm.audio.finding import walk
from npreslstm.audio.suffixes import is_audio_name
from npreslstm.errors import InputError
from npreslstm.terminal import UNPRINTABLE
from npreslstm.training.manifest import read_table, refuse

RAVDESS = "RAVDESS speech"
RAVDESS_CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprised")
RAVDESS_NAME = re.compile(r"03-01-(0[1-8])-(0[12])-0[12]-0[12]-(0[1-9]|1\d|2[0-4])\.\w+", re.IGNORECASE)
MANIFEST_COLUMNS = ("file", "label", "speaker")
TWINS = {
    "label": "spelling only: {}; write them alike if they mean the same, or say so with {}",
    "speaker": "spelling only: {}; write them alike if they are one, not to train and test on the same",
}
# quotation marks that CSV does not know, and what spreadsheets write before numbers that are texts
QUOTED = re.compile("=?[\"'“”„«»‘’‚].*[\"'“”«»‘’]|'[0-9]+", re.DOTALL)
# Cyrillic and Greek letters that look like Latin ones
ALIKE = str.maketrans("авекмнорстухіјѕԁαβεικνορτυχ", "abekmhopctyxijsdabeikvoptux")
# what programs write where there is no value
MISSING = {"nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat", "undefined"}
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
        f"line {row.line}"
        for row, *names in zip(rows, labels, speakers)
        if UNPRINTABLE.search("".join(names))
    ]
    refuse(broken, f"{path} has a label or a speaker with a line break or another control character in it")
    quoted = [
        f"line {row.line} ({name})"
        for row, *names in zip(rows, labels, speakers)
        for name in names
        if QUOTED.fullmatch(name)
    ]
    refuse(quoted, f"{path} has quotation marks that are part of labels or speakers; leave them out")
    paths = _find_files(path, [row.values["file"] for row in rows])
    refuse([name for name, count in Counter(paths).items() if count > 1], f"{path} names files twice")
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise InputError(f"{path} has the single label {classes[0]!r}; expected at least two classes")
    _warn_of_twins(path, "label", [label for label in labels if label not in mapped])
    _warn_of_twins(path, "speaker", speakers)
    _warn_of_missing(path, "label", [label for label in labels if label not in mapped])
    _warn_of_missing(path, "speaker", speakers)
    clips = [
        Clip(full, classes.index(label), speaker) for full, label, speaker in zip(paths, labels, speakers)
    ]
    name = os.fsencode(os.path.basename(path)).decode(errors="replace")  # notes hold whole characters
    return Dataset(name, classes, tuple(sorted(clips)))


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
        groups.setdefault(bare_name(name), []).append(name)
    for twins in groups.values():
        if len(twins) > 1:
            found = " and ".join(f"{name!r} (clips: {counts[name]})" for name in twins)
            options = " ".join(f"--label '{name}={twins[-1]}'" for name in twins[:-1])
            warnings.warn(
                f"{path} has {column}s that differ in {TWINS[column].format(found, options)}", stacklevel=4
            )


def _warn_of_missing(path, column, names):
    """Warn of labels or speakers that a program may have written for none."""
    for name, count in sorted(Counter(names).items()):
        if name.casefold() in MISSING:
            remedy = f"--label '{name}={LEFT_OUT}' leaves them out" if column == "label" else "all are one"
            warnings.warn(
                f"{path} has the {column} {name!r} (clips: {count}), as programs write where there is none;"
                f" {remedy}",
                stacklevel=4,
            )


def bare_name(name: str) -> str:
    """What is left of a name without what people and programs write in several ways: case, blanks, lines and
    hyphens between words, accents as letters of their own, letters that look alike, marks at the end, zeros
    before a number and after its point.
    """
    letters = unicodedata.normalize("NFKC", name.casefold()).translate(ALIKE)
    visible = "".join(
        letter for letter in letters if not letter.isspace() and unicodedata.category(letter) != "Cf"
    )
    words = re.sub(r"(?<=[^\W\d_])[_-]+(?=[^\W\d_])|[.,;:!?]+$", "", visible)
    return re.sub(r"^0+(?=\w)|\.0+$", "", words)


def _natural(speaker):
    """Sort key that puts speaker 2 before speaker 10."""
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < 19 else (1, 0, part)
        for part in re.findall(r"\d+|\D+", speaker)
    ]


def speaker_names(text: str) -> list[str]:
    """The names in a list with commas; one that has a comma itself stands in quotation marks, as in CSV.

    Examples
    --------
    >>> speaker_names('S001,"x,S002"')
    ['S001', 'x,S002']
    """
    if '"' in text and text.isprintable():  # a row of CSV has no line end
        names = next(csv.reader([text]))
    else:
        names = text.split(",")
    return [name for name in names if name]
