"""Seconds of a stream as they come: lines of CSV or JSON, or a terminal with bars under the newest line."""

import io
import json
import math
import shutil

from npreslstm.audio.activity import HOP, SAMPLE_RATE
from npreslstm.files import CsvWriter
from npreslstm.report.text import bar
from npreslstm.streaming_recognizer import probabilities_of
from npreslstm.terminal import printable

QUIETEST = -60.0  # dB, the left end of the level
BAR = 30  # characters


def state_of(second):
    """``speech`` or ``silence``."""
    return "speech" if second.speech else "silence"


def predicted(second):
    """The label; ``silence`` without speech, as in the rows of `predict`; nothing before the first result."""
    return (second.label or "") if second.speech else "silence"


class CsvSeconds:
    """CSV with a header, a line a second; times in seconds to the millisecond, level in dB of full scale."""

    def __init__(self, classes, file):
        self._classes, self._file = classes, file
        self._write(["start", "end", "state", "level", "overruns", *classes, "predicted"])

    def second(self, second, overruns):
        """Write one, with the overruns so far."""
        p = second.probabilities
        shares = [f"{p[name]:.6f}" if p else "" for name in self._classes]
        times = [f"{second.start:.3f}", f"{second.end:.3f}"]
        level = f"{second.level:.1f}"
        self._write([*times, state_of(second), level, overruns, *shares, predicted(second)])

    def level(self, level):
        """Between two seconds there is nothing to say."""

    def close(self):
        """No line is open."""

    def _write(self, cells):
        text = io.StringIO()
        CsvWriter(text).writerow(cells)
        print(text.getvalue(), end="", file=self._file, flush=True)


class JsonSeconds(CsvSeconds):
    """JSON lines, one a second, with the starts, results and ends of utterances in it."""

    def _write(self, cells):
        """JSON has no header."""

    def second(self, second, overruns):
        """Write one, with the overruns so far."""
        record = {
            "start": round(second.start, 3),
            "end": round(second.end, 3),
            "state": state_of(second),
            "level": round(second.level, 1) if math.isfinite(second.level) else None,
            "overruns": overruns,
            "predicted": predicted(second),
            "probabilities": second.probabilities and _rounded(second.probabilities),
            "events": [self._event(event) for event in second.events],
        }
        print(json.dumps(record), file=self._file, flush=True)

    def _event(self, event):
        record = {"kind": event.kind.name.lower(), "time": round(event.hop * HOP / SAMPLE_RATE, 3)}
        if event.label is not None:
            shares = _rounded(probabilities_of(event, self._classes))
            record |= {"predicted": event.label, "probabilities": shares}
        return record


class Display:
    """A terminal: a line a second that stays, and under the newest one a bar for each class and the level,
    which are drawn over.
    """

    def __init__(self, classes, file, blocks):
        self._classes, self._file, self._blocks = classes, file, blocks
        self._width = max(map(len, classes))
        self._newest, self._level = None, -math.inf
        self._drawn = 0  # lines of the bars that are on the screen

    def second(self, second, overruns):
        """Write one, with the overruns so far."""
        shown = "-" if predicted(second) == "" else predicted(second)
        if second.label:
            shown += f" {second.probabilities[second.label]:.3f}"
        lost = f"  {overruns} overruns" if overruns else ""
        line = f"{second.end:7.1f} s  {state_of(second):7}  {second.level:6.1f} dB  {shown}{lost}"
        self._newest = second
        self._draw([line])

    def level(self, level):
        """Move the level."""
        self._level = level
        self._draw([])

    def close(self):
        """Take the bars away; the lines stay."""
        self._newest, self._level = None, None
        self._draw([])

    def _draw(self, lines):
        """Lines that stay, in place of the bars, and the bars anew."""
        size = shutil.get_terminal_size()
        bars = self._bars() if self._level is not None else []
        if len(bars) + 2 > size.lines:
            bars = bars[-1:]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        text = "".join(printable(line)[: size.columns - 1] + "\n" for line in lines + bars)
        self._file.write(f"{up}\r\x1b[J{text}")
        self._file.flush()
        self._drawn = len(bars)

    def _bars(self):
        p = (self._newest and self._newest.probabilities) or {}
        lines = [self._bar(name, p.get(name), p.get(name, 0.0)) for name in self._classes]
        share = min(1.0, max(0.0, 1 - self._level / QUIETEST))
        return [*lines, self._bar("level", None, share)]

    def _bar(self, name, value, share):
        figure = "     " if value is None else f"{value:.3f}"
        return f"  {name:{self._width}}  {figure}  {bar(share, BAR, self._blocks)}"


def _rounded(probabilities):
    return {name: round(value, 6) for name, value in probabilities.items()}
