"""Recordings of any length as windows: a short one whole, a long one in pieces that overlap.

Window k starts at k hops, as long as it fits; the last one ends with the recording. A recording shorter than
a window is one window. With the voice-activity gate, each stretch of speech in a long recording is cut like
that by itself, and what no window covers is silence.
"""

import functools
from typing import NamedTuple

import numpy as np

from npreslstm.audio.activity import spans_of_blocks, speech_spans
from npreslstm.audio.reader import open_audio, read_blocks
from npreslstm.audio.signal import as_float, check_sample_rate, to_mono, warn_of_samples
from npreslstm.errors import InputError, shown

WHOLE = 10.0  # seconds up to which a recording is one window by default
WINDOW, HOP = 4.0, 2.0  # seconds, beyond that
LONGEST = 1e6  # seconds of a window
MOST = 1_000_000  # windows of a recording: 23 days
BLOCK = 1 << 16  # samples that the gate takes from a file at once
MARGIN = 0.25  # seconds on either side of speech that belong to its stretch
SHORTEST = 0.5  # seconds of silence: less, between two stretches or at an end, belongs to the stretch
MOST_OF_SMALL = 100_000  # of a small file, whose windows are all silent
BYTES_A_WINDOW = 20  # of a file whose windows are more


class Window(NamedTuple):
    """Samples `start` to `stop` of a recording."""

    start: int
    stop: int
    samples: np.ndarray | None  # (stop - start,) float32, mono; None where nobody speaks
    sample_rate: int


def check_windows(window, hop, smooth=0.0):
    """Raise InputError unless these are seconds with 0 < hop <= window and smooth >= 0.

    `window` and `hop` may both be None, `hop` may be None alone.
    """
    if not 0 <= smooth <= LONGEST:
        raise InputError(f"smooth is {smooth}; expected seconds from 0 (not at all) to {LONGEST:,.0f}")
    if window is None:
        if hop is not None:
            raise InputError(f"hop is {hop} without a window; expected both, in seconds")
        return
    for name, value in (("window", window), ("hop", window if hop is None else hop)):
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise InputError(f"{name} is {shown(value)}; expected a number of seconds")
        if not 0 < value <= LONGEST:
            raise InputError(f"{name} is {value}; expected seconds above 0 and up to {LONGEST:,.0f}")
    if hop is not None and hop > window:
        raise InputError(
            f"hop is {hop} s; expected at most the window of {window} s, or sound between windows is left out"
        )


def window_starts(n, sample_rate, window=None, hop=None, most=MOST):
    """Where the windows of `n` samples start.

    Parameters
    ----------
    n : int
    sample_rate : int
    window, hop : float, optional
        Seconds. Default window: the whole recording up to 10 s, else 4 s every 2 s; default hop: half a
        window.
    most : int
        Windows; more are refused.

    Returns
    -------
    starts : list of int
    size : int
        Samples of every window.
    """
    if window is None:
        if n <= WHOLE * sample_rate:
            return [0], n
        window, hop = WINDOW, HOP
    size = max(1, round(window * sample_rate))
    step = max(1, round((window / 2 if hop is None else hop) * sample_rate))
    if n <= size:
        return [0], n
    if n // step > most:
        found = f"{n} samples at {sample_rate} Hz are {n // step:,} windows"
        raise InputError(f"{found}; expected at most {most:,}: cut it, or take a longer hop")
    starts = list(range(0, n - size + 1, step))
    return (starts if starts[-1] == n - size else [*starts, n - size]), size


def speech_parts(n, sample_rate, spans, window=None, hop=None):
    """Where the windows of speech are in a long recording, and what is silence between them.

    Parameters
    ----------
    n : int
        Samples.
    sample_rate : int
    spans : list of (float, float)
        As of `speech_spans`.
    window, hop : float, optional
        Seconds. Default window: 4 s every 2 s; default hop: half a window.

    Returns
    -------
    list of (int, int, bool)
        Start, stop, and whether it is a window of speech; in order, and nothing of the recording is left out.
    """
    parts, covered = [], 0
    for first, last in _stretches(n, sample_rate, spans):
        starts, size = window_starts(last - first, sample_rate, window or WINDOW, hop)
        if first > covered:
            parts.append((covered, first, False))
        parts += [(first + start, first + start + size, True) for start in starts]
        covered = last
    if covered < n:
        parts.append((covered, n, False))
    return parts


def _stretches(n, sample_rate, spans):
    """[first, last] of each stretch of speech, in samples: spans with margins, those together that all but
    touch.
    """
    margin, shortest = MARGIN * sample_rate, SHORTEST * sample_rate
    stretches = []
    for start, end in spans:
        first, last = max(0, round(start * sample_rate - margin)), min(n, round(end * sample_rate + margin))
        if first - (stretches[-1][1] if stretches else 0) < shortest:
            first = stretches.pop()[0] if stretches else 0
        stretches.append([first, last])
    if stretches and n - stretches[-1][1] < shortest:
        stretches[-1][1] = n
    return stretches


def _parts(n, sample_rate, window, hop, spans, most=MOST):
    """[(start, stop, whether it is to be heard)]; `spans()` finds the speech, or is None where all is to be
    heard.
    """
    starts, size = window_starts(n, sample_rate, window, hop, most)
    if spans is None or len(starts) == 1:
        return [(start, start + size, True) for start in starts]
    return speech_parts(n, sample_rate, spans(), window, hop)


def signal_windows(signal, sample_rate, window=None, hop=None, gate=False):
    """Windows of an array.

    Parameters
    ----------
    signal : array_like [shape=(n,) or (n, channels)]
        As `extract_features` takes it.
    sample_rate, window, hop
        As in `window_starts`.
    gate : bool
        Whether the windows of a recording of more than one are to be put on speech.

    Yields
    ------
    Window
    """
    check_sample_rate(sample_rate)
    y = as_float(signal)
    warn_of_samples(y)
    y = to_mono(y)
    spans = functools.partial(speech_spans, y, sample_rate)
    for start, stop, heard in _parts(len(y), sample_rate, window, hop, spans if gate else None):
        yield Window(start, stop, y[start:stop] if heard else None, sample_rate)


def file_windows(path, window=None, hop=None, gate=False):
    """Windows of a sound file, read as they are needed: about four of them are in memory, however long it is.

    Parameters
    ----------
    path : str, os.PathLike or binary file
    window, hop, gate
        As in `signal_windows`. With `gate`, a long file is read twice.

    Yields
    ------
    Window

    Raises
    ------
    FileNotFoundError, InputError
        As `read_audio`; what is wrong in the middle of the file is found when that is reached.
    """
    with open_audio(path) as file:
        spans = functools.partial(_file_spans, file)
        most = min(MOST, max(MOST_OF_SMALL, file.size // BYTES_A_WINDOW))
        parts = _parts(file.frames, file.samplerate, window, hop, spans if gate else None, most)
        longest = max((stop - start for start, stop, heard in parts if heard), default=1)
        yield from _read_parts(parts, map(to_mono, read_blocks(file, longest)), file.samplerate)


def _file_spans(file):
    """Where there is speech in an opened file, which is then at its beginning again."""
    spans = spans_of_blocks(map(to_mono, read_blocks(file, BLOCK)), file.samplerate)
    file.rewind()
    return spans


def _read_parts(parts, blocks, sample_rate):
    """Windows of parts in order, from mono blocks."""
    held, at = np.zeros(0, np.float32), 0  # samples from number `at` on
    for start, stop, heard in parts:
        if not heard:
            yield Window(start, stop, None, sample_rate)
            continue
        while at + len(held) < start:
            held, at = next(blocks), at + len(held)
        held, at = held[start - at :], start
        while len(held) < stop - start:
            held = np.concatenate((held, next(blocks))) if len(held) else next(blocks)
        yield Window(start, stop, held[: stop - start], sample_rate)
