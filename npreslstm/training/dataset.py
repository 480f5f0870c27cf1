"""What there is to train on: a RAVDESS folder, or a manifest of somebody's own corpus."""

import csv
import os
import re
from collections import Counter
from typing import NamedTuple

from npreslstm.audio.reader import walk
from npreslstm.audio.suffixes import is_audio_name
from npreslstm.errors import InputError

RAVDESS = "RAVDESS speech"
RAVDESS_CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprised")
RAVDESS_NAME = re.compile(r"03-01-(0[1-8])-(0[12])-0[12]-0[12]-(0[1-9]|1\d|2[0-4])\.\w+", re.IGNORECASE)
MANIFEST_COLUMNS = ("file", "label", "speaker")


class Clip(NamedTuple):
    """One recording."""

    path: str
    label: int
    speaker: str


class Dataset(NamedTuple):
    """Clips in a fixed order (by path), and what their labels mean."""

    name: str
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]

    @property
    def speakers(self):
        """All speakers, sorted."""
        return sorted({clip.speaker for clip in self.clips}, key=_natural)

    def of(self, speakers):
        """The clips of some speakers."""
        return [clip for clip in self.clips if clip.speaker in speakers]


def load_dataset(path):
    """Read a RAVDESS folder or a manifest.

    Parameters
    ----------
    path : str or os.PathLike
        A folder that holds RAVDESS's audio-only speech clips (``Actor_01/03-01-...``), or a CSV file with the columns
        file (relative to the CSV), label and speaker.

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
        return _read_manifest(path)
    raise FileNotFoundError(f"{path} does not exist; expected a RAVDESS folder or a manifest CSV with columns {', '.join(MANIFEST_COLUMNS)}")


def _read_ravdess(folder):
    found = {}
    for where, names in walk(folder):
        for name in names:
            if is_audio_name(name):
                found.setdefault(name.rpartition(".")[0], []).append(os.path.join(where, name))
    wrong = [paths[0] for paths in found.values() if not RAVDESS_NAME.fullmatch(os.path.basename(paths[0]))]
    _refuse(wrong, f"{folder} holds files that are not named as RAVDESS speech (03-01-EE-II-SS-RR-AA.wav); for another corpus give a manifest CSV")
    _refuse([" = ".join(paths) for paths in found.values() if len(paths) > 1], f"{folder} holds clips twice; leave one of each")
    if not found:
        raise InputError(f"{folder} holds no audio; expected RAVDESS's Actor_01 ... Actor_24 with 03-01-*.wav or .flac")
    clips = []
    for stem, (path,) in sorted(found.items()):
        fields = stem.split("-")
        clips.append(Clip(path, int(fields[2]) - 1, str(int(fields[6]))))
    return Dataset(RAVDESS, RAVDESS_CLASSES, tuple(clips))


def _read_manifest(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            reader = csv.DictReader(file, strict=True)
            columns, lines = reader.fieldnames or [], [(reader.line_num, row) for row in reader]
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not a CSV file in UTF-8 ({error}); expected columns {', '.join(MANIFEST_COLUMNS)}") from None
    if missing := [column for column in MANIFEST_COLUMNS if column not in columns]:
        raise InputError(f"{path} lacks the column {', '.join(missing)}; expected {', '.join(MANIFEST_COLUMNS)} in its first line")
    for _, row in lines:  # somebody with and without a blank would be two speakers, one to train on and one to test
        row |= {column: (row[column] or "").strip() for column in MANIFEST_COLUMNS[1:]}
    _refuse([f"line {k}" for k, row in lines if not all(row[column] for column in MANIFEST_COLUMNS)], f"{path} has empty fields")
    rows = [row for _, row in lines]
    if not rows:
        raise InputError(f"{path} lists no clips; expected one line a clip")
    folder = os.path.dirname(os.path.abspath(path))
    paths = [os.path.normpath(os.path.join(folder, row["file"])) for row in rows]
    _refuse([row["file"] for row, full in zip(rows, paths) if not os.path.isfile(full)], f"{path} names files that do not exist")
    _refuse([name for name, count in Counter(paths).items() if count > 1], f"{path} names files twice")
    classes = tuple(sorted({row["label"] for row in rows}))
    if len(classes) < 2:
        raise InputError(f"{path} has the single label {classes[0]!r}; expected at least two classes")
    clips = [Clip(full, classes.index(row["label"]), row["speaker"]) for row, full in zip(rows, paths)]
    return Dataset(os.path.basename(path), classes, tuple(sorted(clips)))


def _refuse(offenders, message):
    if offenders:
        more = f" and {len(offenders) - 5} more" if len(offenders) > 5 else ""
        raise InputError(f"{message}: {', '.join(offenders[:5])}{more}")


def _natural(speaker):
    """Sort key that puts speaker 2 before speaker 10."""
    return [(0, int(part), "") if part.isdecimal() and len(part) < 19 else (1, 0, part) for part in re.findall(r"\d+|\D+", speaker)]
