"""What programs say on a terminal: text that does nothing else to it, messages, reasons, progress."""

import contextlib
import re
import shutil
import sys
import time

CLEAR_LINE = "\r\x1b[K"
# Controls, line and paragraph separators, and what turns the direction of writing: file names may hold them.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


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


def say(message):
    """Print one line on standard error, over a progress line if there is one."""
    clear = CLEAR_LINE if sys.stderr.isatty() else ""
    with contextlib.suppress(OSError):  # a full disk behind standard error changes nothing
        print(clear + printable(f"npreslstm: {message}".replace("\n", " ")), file=sys.stderr)


def reason(error):
    """What went wrong with which file, in one line and without the error number."""
    if getattr(error, "strerror", None) is None:
        return str(error) or type(error).__name__
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


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


class _Line:
    """A line on stderr that is written over on a terminal, and now and then repeated elsewhere."""

    def show(self, text, done, total):
        if sys.stderr.isatty():
            print(CLEAR_LINE, end="", file=sys.stderr)
            show(text, sys.stderr, end="\n" if done == total else "")
        elif done == total or done % max(1, total // 20) == 0:
            show(text, sys.stderr)


class ClipLine(_Line):
    """Progress of feature extraction."""

    def __call__(self, done, total):
        self.show(f"features of clip {done}/{total}", done, total)


class EpochLine(_Line):
    """Progress of training."""

    def __call__(self, epoch):
        uar = "" if epoch.uar is None else f"  validation UAR {epoch.uar:.4f}"
        minutes, seconds = divmod(round(epoch.seconds_left), 60)
        self.show(
            f"epoch {epoch.epoch}/{epoch.epochs}  loss {epoch.loss:.4f}{uar}  {minutes}:{seconds:02d} left",
            epoch.epoch,
            epoch.epochs,
        )
