"""What the command line draws with characters: tables, bars, sparklines, a progress line."""

import re
import shutil
import sys
import time

EIGHTHS = " ▏▎▍▌▋▊▉█"  # of a cell, from the left
LEVELS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.:-=+*#"
CLEAR_LINE = "\r\x1b[K"
# Controls, line and paragraph separators, and what turns the direction of writing: file names may hold them.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def can_draw(stream):
    """Whether block characters can be written to a text stream."""
    try:
        LEVELS.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(text):
    """`text` in one line that does nothing to a terminal: controls as Python writes them (``\\n``)."""
    return UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def show(text, file=None, end="\n"):
    """Print text for people: its lines stay lines, and whatever else would do something to a terminal is made
    `printable`.

    Parameters
    ----------
    text : str
    file : text stream, optional
        Default: standard output.
    end : str
        As of `print`.
    """
    print("\n".join(map(printable, text.split("\n"))), file=file, end=end, flush=file is sys.stderr)


def table(header, rows, right=()):
    """Aligned columns, two spaces apart.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
    right : collection of int
        Columns that are aligned to the right.

    Returns
    -------
    str
        Lines, without a newline at the end.
    """
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    lines = (
        "  ".join(
            cell.rjust(w) if k in right else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def bar(share, width=30, blocks=True):
    """A bar of `share` (0 to 1) of `width` characters."""
    if not blocks:
        return "#" * round(share * width)
    whole, eighth = divmod(round(share * width * 8), 8)
    return "█" * whole + EIGHTHS[eighth].strip()


def sparkline(values, blocks=True):
    """One character a value, its height relative to the largest; None is a blank.

    Parameters
    ----------
    values : sequence of float >= 0 or None

    Returns
    -------
    str
    """
    levels = LEVELS if blocks else ASCII_LEVELS
    largest = max((value for value in values if value is not None), default=0) or 1
    return "".join(
        " " if value is None else levels[min(int(value / largest * len(levels)), len(levels) - 1)]
        for value in values
    )


def duration(seconds):
    """Seconds in words, to two digits or so."""
    minutes = round(seconds / 60)
    return (
        f"{minutes // 60} h {minutes % 60:02} min"
        if minutes >= 60
        else f"{minutes} min"
        if minutes >= 5
        else f"{seconds:.0f} s"
    )


class Progress:
    """One line on a terminal that is written over as work goes on; nothing where the stream is not a
    terminal.

    Parameters
    ----------
    total : int
    unit : str
        What is counted, in the plural.
    stream : text stream, optional
        Default: standard error.
    done : int
        How many were done before, in no time that would tell of the rest.
    """

    EVERY = 0.1  # seconds between two notes

    def __init__(self, total, unit, stream=None, done=0):
        self.total, self.unit, self.stream = total, unit, stream or sys.stderr
        self.before = self.done = done
        self.started, self.noted = time.monotonic(), 0.0
        self.on_terminal = self.stream.isatty()

    def __enter__(self):
        self._show()
        return self

    def __exit__(self, *exception):
        self._write("")

    def step(self, count=1):
        """`count` more are done."""
        self.done += count
        self._show()

    def note(self, text):
        """Say what is being worked on, if the last note was some time ago."""
        if self.on_terminal and time.monotonic() >= self.noted + self.EVERY:
            self.noted = time.monotonic()
            self._show(text)

    def _show(self, note=""):
        text = f"{self.done}/{self.total} {self.unit}"
        if self.before < self.done < self.total:
            each = (time.monotonic() - self.started) / (self.done - self.before)
            text += f", {duration(each * (self.total - self.done))} left"
        self._write(f"{text}  {note}")

    def _write(self, text):
        if self.on_terminal:
            self.stream.write(CLEAR_LINE + printable(text)[: shutil.get_terminal_size().columns - 1])
            self.stream.flush()
