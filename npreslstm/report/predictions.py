"""Predictions as a table, CSV or JSON: ``file, start, end, <one column a class>, predicted``, one row a
window.

Where there is no speech a row says ``silence`` and has no probabilities.

The functions take results: for each file its name, its `Prediction` or None, and what was wrong with it or
None. A file without a prediction has a row with its name alone.
"""

import io
import json

import numpy as np

from npreslstm.files import CsvWriter
from npreslstm.report.text import bar, sparkline, table
from npreslstm.terminal import printable

LONGEST_SPARKLINE = 60  # characters


class CsvRows:
    """CSV with a header; probabilities to 6 decimals, times in seconds to the millisecond.

    As all forms whose rows leave as they are done: `body` is the text of some results, which follows that of
    those before, and `tail` what comes in the end.
    """

    tail = ""

    def __init__(self, classes):
        self._classes = classes

    def body(self, results, first):
        """The text of some results; `first` if they are the first ones."""
        text = io.StringIO()
        writer = CsvWriter(text)
        if first:
            writer.writerow(["file", "start", "end", *self._classes, "predicted"])
        writer.writerows(
            _cells(file, row, self._classes, "{:.3f}", "{:.6f}") for file, row, _ in _rows(results)
        )
        return text.getvalue()


class JsonRows:
    """A JSON list with one object a row; `attention` adds the frames' times and weights."""

    tail = "\n]\n"

    def __init__(self, attention=False):
        self._attention = attention

    def body(self, results, first):
        """As of `CsvRows`."""
        records = [_record(file, row, error, self._attention) for file, row, error in _rows(results)]
        return ("[\n" if first else ",\n") + json.dumps(records, indent=1)[2:-2]


class JsonLines:
    """One JSON object a line and row; `attention` adds the frames' times and weights."""

    tail = ""

    def __init__(self, attention=False):
        self._attention = attention

    def body(self, results, first):
        """As of `CsvRows`."""
        records = [_record(file, row, error, self._attention) for file, row, error in _rows(results)]
        return "".join(json.dumps(record) + "\n" for record in records)


class Table:
    """For people: one clip in detail, several rows as a table; `attention` adds a sparkline over time."""

    def __init__(self, classes, attention=False, blocks=True):
        self._classes, self._attention, self._blocks = classes, attention, blocks

    def whole(self, results):
        """The text of all results."""
        rows = list(_rows(results))
        if len(rows) == 1 and rows[0][1] is not None:
            return _card(rows[0][1], self._attention, self._blocks)
        header = ["file", "start", "end", *self._classes, "predicted"]
        cells = [_cells(file, row, self._classes, "{:.2f}", "{:.3f}") for file, row, _ in rows]
        if self._attention:
            header.append("attention")
            cells = [
                [*cell, attention_sparkline(row, 20, self._blocks) if row else ""]
                for cell, (_, row, _) in zip(cells, rows)
            ]
        return table(header, cells, right=range(1, 3 + len(self._classes))) + "\n"


def attention_sparkline(prediction, longest=LONGEST_SPARKLINE, blocks=True):
    """Attention over time from start to end, at most `longest` characters; time without frames (trimmed
    silence) is blank.
    """
    if not prediction.speech:
        return ""
    span = prediction.end - prediction.start
    step = prediction.times[1] - prediction.times[0] if len(prediction.times) > 1 else span
    width = int(np.clip(span / step, 1, longest))
    place = ((prediction.times - prediction.start) / span * width).astype(int).clip(0, width - 1)  # (T,)
    weights = np.bincount(place, prediction.attention, width)
    return sparkline([weight if k in place else None for k, weight in enumerate(weights)], blocks)


def _rows(results):
    for file, prediction, error in results:
        for row in [None] if prediction is None else prediction.windows or [prediction]:
            yield file, row, error


def _cells(file, row, classes, time, probability):
    if row is None:
        return [file] + [""] * (3 + len(classes))
    probabilities = map(probability.format, row.probabilities.values()) if row.speech else [""] * len(classes)
    return [file, time.format(row.start), time.format(row.end), *probabilities, row.label]


def _record(file, row, error, attention):
    if row is None:
        return {
            "file": file,
            "start": None,
            "end": None,
            "probabilities": None,
            "predicted": None,
            "error": error,
        }
    probabilities = {name: round(p, 6) for name, p in row.probabilities.items()}
    record = {
        "file": file,
        "start": round(row.start, 6),
        "end": round(row.end, 6),
        "probabilities": probabilities,
        "predicted": row.label,
    }
    if attention:
        record["attention"] = {
            "times": row.times.round(4).tolist(),
            "weights": [float(f"{weight:.6g}") for weight in row.attention],
        }
    return record


def _card(row, attention, blocks):
    ranked = sorted(row.probabilities.items(), key=lambda item: -item[1])
    lines = [f"{printable(row.file)}  {row.start:.2f}-{row.end:.2f} s  {printable(row.label)}"]
    if not row.speech:
        return lines[0] + "\n"
    lines.append("")
    lines += table(
        ("", "", "", ""), [("", name, f"{p:.3f}", bar(p, blocks=blocks)) for name, p in ranked]
    ).split("\n")[1:]
    if attention:
        lines += ["", f"  attention over time: |{attention_sparkline(row, blocks=blocks)}|"]
    return "\n".join(lines) + "\n"
