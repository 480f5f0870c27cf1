"""Recordings of any length as windows: a short one whole, a long one in pieces that overlap.

Window k starts at k hops, as long as it fits; the last one ends with the recording. A recording shorter than a window
is one window.
"""

import numpy as np

from npreslstm.audio.reader import open_audio, read_blocks
from npreslstm.audio.signal import as_float, check_sample_rate, to_mono, warn_of_scale
from npreslstm.errors import InputError

WHOLE = 10.0  # seconds up to which a recording is one window by default
WINDOW, HOP = 4.0, 2.0  # seconds, beyond that
LONGEST = 1e6  # seconds of a window
MOST = 1_000_000  # windows of a recording: 23 days
MOST_OF_SMALL = 100_000  # of a small file, whose windows are all silent
BYTES_A_WINDOW = 20  # of a file whose windows are more


def check_windows(window, hop):
    """Raise InputError unless `window` and `hop` are both None or seconds with 0 < hop <= window; `hop` alone may be None."""
    if window is None:
        if hop is not None:
            raise InputError(f"hop is {hop} without a window; expected both, in seconds")
        return
    for name, value in (("window", window), ("hop", window if hop is None else hop)):
        if not 0 < value <= LONGEST:
            raise InputError(f"{name} is {value}; expected seconds above 0 and up to {LONGEST:,.0f}")
    if hop is not None and hop > window:
        raise InputError(f"hop is {hop} s; expected at most the window of {window} s, or sound between windows is left out")


def window_starts(n, sample_rate, window=None, hop=None, most=MOST):
    """Where the windows of `n` samples start.

    Parameters
    ----------
    n : int
    sample_rate : int
    window, hop : float, optional
        Seconds. Default window: the whole recording up to 10 s, else 4 s every 2 s; default hop: half a window.
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


def signal_windows(signal, sample_rate, window=None, hop=None):
    """Windows of an array.

    Parameters
    ----------
    signal : array_like [shape=(n,) or (n, channels)]
        As `extract_features` takes it.
    sample_rate, window, hop
        As in `window_starts`.

    Yields
    ------
    start : int
    samples : np.ndarray [shape=(size,), dtype=float32]
        Mono.
    """
    check_sample_rate(sample_rate)
    y = as_float(signal)
    warn_of_scale(y)
    y = to_mono(y)
    starts, size = window_starts(len(y), sample_rate, window, hop)
    for start in starts:
        yield start, y[start : start + size]


def file_windows(path, window=None, hop=None):
    """Windows of a sound file, read as they are needed: about four of them are in memory, however long it is.

    Parameters
    ----------
    path : str, os.PathLike or binary file
    window, hop
        As in `window_starts`.

    Yields
    ------
    start : int
    samples : np.ndarray [shape=(size,), dtype=float32]
        Mono.
    sample_rate : int

    Raises
    ------
    FileNotFoundError, InputError
        As `read_audio`; what is wrong in the middle of the file is found when that is reached.
    """
    with open_audio(path) as file:
        most = min(MOST, max(MOST_OF_SMALL, file.size // BYTES_A_WINDOW))
        starts, size = window_starts(file.frames, file.samplerate, window, hop, most)
        blocks = map(to_mono, read_blocks(file, path, size))
        held, at = np.zeros(0, np.float32), 0  # samples from number `at` on
        for start in starts:
            held, at = held[start - at :], start
            while len(held) < size:
                held = np.concatenate((held, next(blocks)))
            yield start, held[:size], file.samplerate
