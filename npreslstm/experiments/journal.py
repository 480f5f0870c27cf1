"""The journal of a cross-validation: a folder to which every finished fold of a run is added, whole or not at
all.

    config.json                     what decides the results: corpus, features, model, recipe, folds, seed
    predictions/run-00-fold-0.csv   the entry itself: file, speaker, true, predicted, <a probability a class>
    history/run-00-fold-0.json      seed, seconds, curves of training
    weights/run-00-fold-0.npz       the network of that fold, as any other weights file
    snapshots/                      of folds under way
    summary.json                    the scores; follows from the above
    lock                            held by the process that works on the folder

`config.json` and `predictions/` are all that a report needs. `npreslstm.experiments.packed` puts them into
two files.
"""

import contextlib
import csv
import json
import os
import re
from typing import NamedTuple

import numpy as np

from npreslstm.checkpoint import save_checkpoint
from npreslstm.errors import InputError
from npreslstm.files import CsvWriter, atomic_write, fcntl, sweep
from npreslstm.formats.plain_data import differences, misfit, read_json
from npreslstm.schema import MOST_CLASSES

ENTRY = re.compile(r"run-(\d+)-fold-(\d+)\.csv")
LOCK = "lock"  # a file that stays, and is empty
KINDS = ("predictions", "history", "weights", "snapshots")
LONGEST = 1e12  # seconds of a training
REMEDY = "delete it, or fetch it again"
CONFIG_REMEDY = "fetch it again, or choose another folder"  # without it nobody knows what the rest is of
ROUNDED = 1e-5  # by as much as this a probability of five decimals may be off
FIRST_COLUMNS = ("file", "speaker", "true", "predicted")

_NAMES = [str]
CONFIG = {  # what is looked at in config.json, see `misfit`
    "data": str, "classes": _NAMES, "clips": {str: int}, "scored speakers": [_NAMES],
    "validation speakers": str, "seed": int, "folds": [{"test": _NAMES, "validation": _NAMES}],
    "model": {"kind": str, "hidden_size": int}, "features": dict, "recipe": {"statistics": str, "keep": str},
    "teachers": ([_NAMES], None), "teachers by run": (bool, None), "heard at": ([float], None),
}  # fmt: skip
HISTORY = {"seed": int, "seconds": float, "loss": ([float], None), "validation UAR": ([float], None)}


class Predictions(NamedTuple):
    """What was predicted for the clips of one fold, or of several."""

    files: tuple[str, ...]
    speakers: np.ndarray  # (N,) str
    labels: np.ndarray  # (N,) int
    predicted: np.ndarray  # (N,) int
    probabilities: np.ndarray  # (N, C)


class Journal:
    """A folder of results.

    Parameters
    ----------
    folder : str
    config : dict, optional
        JSON values that decide the results. The folder is made if needed and must be of the same
        configuration. Without it the folder is only read.

    Attributes
    ----------
    folder : str
    config : dict

    Raises
    ------
    FileNotFoundError
        If there is no journal in a folder to be read.
    InputError
        If the folder is of another configuration, or is no journal.
    """

    def __init__(self, folder, config=None):
        self.folder, path = folder, os.path.join(folder, "config.json")
        if config is not None:
            settle_config(folder, config)
            for name in KINDS:
                os.makedirs(os.path.join(folder, name), exist_ok=True)
        elif not os.path.exists(path):
            raise FileNotFoundError(f"{folder} holds no cross-validation: there is no config.json in it")
        self.config = read_json(path, CONFIG_REMEDY)
        if not is_config(self.config):
            raise InputError(
                f"{path} is not that of a cross-validation; expected a folder that npreslstm crossval --out"
                " wrote"
            )

    def clear(self):
        """Take away what workers left half-written when they were killed; only for who holds the lock."""
        for kind in ("", *KINDS):
            sweep(os.path.join(self.folder, kind))

    def path(self, kind, run, fold):
        """File of one entry; `kind` is predictions, history, weights or snapshots."""
        ending = {"predictions": "csv", "history": "json", "weights": "npz", "snapshots": "npz"}[kind]
        return os.path.join(self.folder, kind, f"run-{run:02}-fold-{fold}.{ending}")

    def add(self, run, fold, predictions, history, checkpoint):
        """Enter a finished fold."""
        save_checkpoint(self.path("weights", run, fold), checkpoint)
        write_json(self.path("history", run, fold), history)
        self.enter(run, fold, predictions)
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path("snapshots", run, fold))

    def enter(self, run, fold, predictions):
        """Enter the predictions alone, of networks that are kept elsewhere."""
        with atomic_write(self.path("predictions", run, fold), "w", encoding="utf-8", newline="") as file:
            write_predictions(file, predictions, self.config["classes"])

    def entries(self):
        """{(run, fold): Predictions} of all that is finished, in order.

        Raises
        ------
        InputError
            If a file is damaged, or not of the speakers of its fold.
        """
        found = {}
        for name in os.listdir(os.path.join(self.folder, "predictions")):
            if match := ENTRY.fullmatch(name):
                run, fold = map(int, match.groups())
                if fold >= len(self.config["folds"]):
                    raise InputError(
                        f"{name} in {self.folder} is of no fold: there are {len(self.config['folds'])}, from"
                        " 0; take it away"
                    )
                found[run, fold] = self._read(os.path.join(self.folder, "predictions", name), fold)
        return dict(sorted(found.items()))

    def _read(self, path, fold):
        try:
            with open(path, newline="", encoding="utf-8") as file:
                header, *rows = csv.reader(file, strict=True)
            predictions = parse_predictions(header, rows, self.config["classes"])
        except (ValueError, KeyError, csv.Error) as error:
            raise InputError(f"{path} is damaged ({error}): delete it, and run again") from None
        if not are_of_fold(predictions, self.config, fold):
            speakers = ", ".join(self.config["scored speakers"][fold])
            raise InputError(
                f"{path} is not of the speakers {speakers} with all their clips: delete it, and run again"
            )
        return predictions

    def history(self, run, fold):
        """What `add` was given; None if it is not there."""
        path = self.path("history", run, fold)
        if not os.path.exists(path):
            return None
        return checked_history(read_json(path, REMEDY), path)

    def write_summary(self, summary):
        """Write summary.json."""
        write_json(os.path.join(self.folder, "summary.json"), summary)


def checked_history(history, path):
    """The history of one training, if it has what is looked at; else an InputError that names the file."""
    place = misfit(history, HISTORY)
    if place is None and 0 <= history["seconds"] < LONGEST:
        return history
    what = f"{place or 'seconds'} of a history is missing, or not what it should be"
    raise InputError(f"{path} is damaged ({what}): {REMEDY}")


def is_config(config):
    """Whether a JSON value has what the reader of a journal looks at."""
    if misfit(config, CONFIG) is not None or len(config["classes"]) > MOST_CLASSES:
        return False
    corpora, classes = config.get("corpora", {}), set(config["classes"])
    if not isinstance(corpora, dict) or not all(
        isinstance(own, list) and _among(own, classes) for own in corpora.values()
    ):
        return False
    scored = config["scored speakers"]
    if len(scored) != len(config["folds"]):
        return False
    groups = [*scored, *(fold[which] for fold in config["folds"] for which in ("test", "validation"))]
    return all(name in config["clips"] for names in groups for name in names)


def _among(own, classes):
    """Whether there are classes in a list, and all are known."""
    return bool(own) and all(isinstance(label, str) and label in classes for label in own)


def settle_config(folder, config):
    """Write config.json into a folder, made if needed; if one is there already, it must say the same, and if
    none is there, nothing else may be.
    """
    path = os.path.join(folder, "config.json")
    refuse_packed(folder)
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(path):
        if any(map(ENTRY.fullmatch, _names_in(os.path.join(folder, "predictions")))):
            raise InputError(
                f"{folder} has results, but no config.json that says what they are of: {CONFIG_REMEDY}"
            )
        write_json(path, config)
    if changed := differences(read_json(path, CONFIG_REMEDY), json.loads(json.dumps(config))):
        more = f"; and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise InputError(
            f"{folder} holds results of another configuration: {'; '.join(changed[:5])}{more}; choose another"
            " folder"
        )


def _names_in(folder):
    """Names of the files in a folder, which need not be there."""
    return os.listdir(folder) if os.path.isdir(folder) else []


def refuse_packed(folder):
    """Raise InputError, before anything is written, for a folder whose results are packed."""
    if os.path.exists(os.path.join(folder, "results.json")):
        raise InputError(f"{folder} holds results that are packed: choose another folder")


@contextlib.contextmanager
def lock_folder(folder):
    """Keep other processes from working on a folder, made if needed, meanwhile.

    The lock is on a file of its own, which is never replaced, so that all who come lock the same one. It ends
    with this process, however that ends.
    """
    refuse_packed(folder)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, LOCK), "a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                remedy = "wait for it, or choose another folder"
                raise InputError(f"another process is working on {folder}: {remedy}") from None
        yield


def write_json(path, value):
    """Write a JSON value, whole or not at all."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def write_predictions(file, predictions, classes):
    """Write `Predictions` as CSV to an open text file."""
    writer = CsvWriter(file)
    writer.writerow([*FIRST_COLUMNS, *classes])
    writer.writerows(prediction_rows(predictions, classes))


def prediction_rows(predictions, classes):
    """The cells of each clip, as `FIRST_COLUMNS` and one column a class."""
    for name, speaker, label, predicted, row in zip(*predictions):
        yield [name, speaker, classes[label], classes[predicted], *(f"{p:.5f}" for p in row)]


def parse_predictions(header, rows, classes):
    """`Predictions` from the cells of `write_predictions`; ValueError or KeyError if they are not such."""
    if header != [*FIRST_COLUMNS, *classes] or any(len(row) != len(header) for row in rows):
        raise ValueError(f"expected the columns {', '.join(FIRST_COLUMNS)} and one a class")
    index = {name: k for k, name in enumerate(classes)}
    labels, predicted = (np.array([index[row[column]] for row in rows], dtype=int) for column in (2, 3))
    probabilities = np.array([[float(p) for p in row[4:]] for row in rows]).reshape(len(rows), len(classes))
    if not np.isfinite(probabilities).all():
        raise ValueError("a probability is no number")
    if (probabilities < 0).any() or (probabilities > 1).any():
        raise ValueError("a probability is below 0 or above 1")
    if (
        probabilities[np.arange(len(rows)), predicted] < probabilities.max(axis=1, initial=0) - ROUNDED
    ).any():
        raise ValueError("the class that was predicted is not the likeliest")
    return Predictions(
        tuple(row[0] for row in rows), np.array([row[1] for row in rows]), labels, predicted, probabilities
    )


def are_of_fold(predictions, config, fold):
    """Whether predictions are of the scored speakers of a fold, with all their clips."""
    names, counts = np.unique(predictions.speakers, return_counts=True)
    expected = {speaker: config["clips"][speaker] for speaker in config["scored speakers"][fold]}
    return dict(zip(names.tolist(), counts.tolist())) == expected
