"""The results of a cross-validation in two files, from which a report recomputes every figure.

    results.json         config, summary and histories of a journal; one line a history
    predictions.csv.gz   run, fold, file, speaker, true, predicted, <one probability a class>;
                         a row for every clip of every run

The networks are not among them. The same journal gives the same bytes.
"""

import csv
import gzip
import io
import json
import os
import re
import zlib

from npreslstm.errors import InputError
from npreslstm.experiments.journal import (
    FIRST_COLUMNS,
    REMEDY,
    Journal,
    are_of_fold,
    checked_history,
    is_config,
    parse_predictions,
    prediction_rows,
)
from npreslstm.experiments.summary import summarise
from npreslstm.files import atomic_write
from npreslstm.formats.plain_data import read_json

JSON, TABLE = FILES = ("results.json", "predictions.csv.gz")
# bytes that a table unpacks to: these, and so many for each of the file
LARGEST_TABLE, TABLE_RATIO = 1 << 24, 20
KEY = re.compile(r"run-(\d+)-fold-(\d+)")


class PackedResults:
    """A folder that `pack_results` wrote, to be read as a `Journal` is.

    Parameters
    ----------
    folder : str

    Attributes
    ----------
    folder : str
    config : dict
        That of the journal.
    summary : dict
        As of `npreslstm.experiments.crossval.summarise`, when it was packed.

    Raises
    ------
    InputError
        If results.json is damaged or holds something else.
    """

    def __init__(self, folder):
        path = os.path.join(folder, JSON)
        packed = read_json(path, REMEDY)
        if not _is_packed(packed):
            expected = "a folder that npreslstm crossval --pack wrote"
            raise InputError(f"{path} is not that of a cross-validation; expected {expected}")
        self.folder, self.config, self.summary = folder, packed["config"], packed["summary"]
        self._histories = packed["histories"]
        self._place = path

    def entries(self):
        """{(run, fold): Predictions} of all that is finished, in order.

        Raises
        ------
        InputError
            If the table is damaged, or not of the speakers of the folds.
        """
        path, found = os.path.join(self.folder, TABLE), {}
        try:
            header, rows = _read_table(path)
            for (run, fold), cells in rows.items():
                found[run, fold] = parse_predictions(header, cells, self.config["classes"])
        except (ValueError, KeyError, csv.Error, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{path} is damaged ({error}): fetch it again, or pack it again") from None
        for (run, fold), predictions in found.items():
            if fold >= len(self.config["folds"]) or not are_of_fold(predictions, self.config, fold):
                what = f"run {run} fold {fold} is not of the speakers of that fold with all their clips"
                raise InputError(f"{path}: {what}: fetch it again, or pack it again")
        return dict(sorted(found.items()))

    def history(self, run, fold):
        """The history of one training; None if it is not there."""
        history = self._histories.get(_key(run, fold))
        return None if history is None else checked_history(history, self._place)


def open_results(folder):
    """The results in a folder, as `npreslstm crossval` left them or packed.

    Returns
    -------
    Journal or PackedResults

    Raises
    ------
    FileNotFoundError
        If the folder holds neither.
    InputError
        If what it holds is damaged, or is both.
    """
    is_packed, is_journal = (os.path.exists(os.path.join(folder, name)) for name in (JSON, "config.json"))
    if is_packed and is_journal:
        remedy = "expected one cross-validation: move one of them to another folder"
        raise InputError(f"{folder} holds both {JSON} and config.json; {remedy}")
    return PackedResults(folder) if is_packed else Journal(folder)


def pack_results(source, folder):
    """Write the results of a cross-validation into two files.

    Parameters
    ----------
    source : str
        A folder of `npreslstm crossval --out`, with a run that is complete; it stays as it is.
    folder : str
        Made if needed; files that were packed there before are replaced.

    Returns
    -------
    PackedResults

    Raises
    ------
    FileNotFoundError
        If there are no results in `source`.
    InputError
        If they are damaged, or no run is complete, or `folder` holds a cross-validation that is not packed.
    """
    journal = open_results(source)
    entries = journal.entries()
    packed = _text(journal, entries)
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(os.path.join(folder, "config.json")):
        raise InputError(f"{folder} holds a cross-validation that is not packed; choose another folder")
    with atomic_write(os.path.join(folder, TABLE)) as file:
        _write_table(file, entries, journal.config["classes"])
    with atomic_write(os.path.join(folder, JSON), "w", encoding="utf-8") as file:
        file.write(packed)
    return PackedResults(folder)


def _text(journal, entries):
    """The text of results.json."""
    found = {_key(*key): journal.history(*key) for key in entries}
    histories = [f"{json.dumps(key)}: {json.dumps(history)}" for key, history in found.items() if history]
    parts = {"config": journal.config, "summary": summarise(journal.config, entries)}
    lines = [f"{json.dumps(name)}: {json.dumps(value, indent=1)}" for name, value in parts.items()]
    lines.append('"histories": {\n' + ",\n".join(histories) + "\n}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _key(run, fold):
    return f"run-{run:02}-fold-{fold}"


def _is_packed(value):
    """Whether a JSON value has what the reader looks at."""
    if not isinstance(value, dict) or not all(
        isinstance(value.get(name), dict) for name in ("config", "summary", "histories")
    ):
        return False
    histories = value["histories"]
    if not all(KEY.fullmatch(key) and isinstance(history, dict) for key, history in histories.items()):
        return False
    return is_config(value["config"])


def _write_table(file, entries, classes):
    """Write the rows of all entries to an open binary file, without a date: equal rows are equal bytes."""
    with (
        gzip.GzipFile("", "wb", compresslevel=9, fileobj=file, mtime=0) as compressed,
        io.TextIOWrapper(compressed, encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["run", "fold", *FIRST_COLUMNS, *classes])
        for key, predictions in entries.items():
            writer.writerows([*key, *row] for row in prediction_rows(predictions, classes))


def _read_table(path):
    """(columns after run and fold, {(run, fold): rows without those two})."""
    found = {}
    most = LARGEST_TABLE + TABLE_RATIO * os.path.getsize(path)
    with gzip.open(path) as packed:
        table = packed.read(most + 1)
    if len(table) > most:
        raise ValueError(f"it unpacks to more than {most:,} bytes")
    with io.StringIO(table.decode("utf-8"), newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        if header[:2] != ["run", "fold"]:
            raise ValueError(f"expected the columns run, fold, {', '.join(FIRST_COLUMNS)} and one a class")
        for row in reader:
            if len(row) != len(header):
                raise ValueError(f"line {reader.line_num} has {len(row)} columns; expected {len(header)}")
            run, fold = map(_number, row[:2])
            found.setdefault((run, fold), []).append(row[2:])
    return header[2:], found


def _number(text):
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"run or fold is {text!r}; expected a number")
    return int(text)
