"""Where speech is: an energy gate over a noise floor, in integers, so that C makes the same decisions.

For each hop of 512 samples at 16 kHz (32 ms), the sums and differences of neighbours (Haar's wavelets) give
the energy in seven octaves from 62 Hz to 8 kHz. Each band has a floor, which follows the quiet in both
directions and creeps up under speech. The score is how far the bands are above their floors, each up to CAP,
added up; there is speech where the mean score of five hops is above THRESHOLD, until it is no longer above
RELEASE. docs/frontend.md has the equations and says how well it hears. Levels, floors and scores count 1/256
of a doubling of energy: 85 are a decibel.
"""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npreslstm.annotations import Array, BoolArray, FloatArray, IntArray
from npreslstm.audio.resampling import resample_blocks
from npreslstm.audio.signal import as_float, check_sample_rate, to_mono

SAMPLE_RATE = 16_000  # Hz
HOP = 512  # samples that one decision is about
BANDS = 7  # 4-8 kHz, 2-4 kHz, ... 62-125 Hz
FAINT = 1024  # added to a band's energy: white noise of 1.4 steps of 16 bits
SILENT = 1536  # energy of all bands below which a hop is digital silence: white noise of 0.65 steps
RISE, FALL = 5, 4  # a floor goes 2^-5 of the way up to a louder hop, 2^-4 down to a quieter one
# 2^-2 down in the first half second of sound: it may begin in the middle of a word
FIRST_HOPS, FIRST_FALL = 16, 2
CREEP = 6  # under speech it goes up by as much in a hop: 2.2 dB a second
# 5.9 dB: BANDS * CAP and the noise of four hops are below SMOOTHED * THRESHOLD, so a click is no speech
CAP = 500
THRESHOLD, RELEASE = 1200, 600
SMOOTHED = 5  # hops whose scores are averaged, the decision's own in their middle
LOOK_BACK = 1  # hops before speech that are kept as well
HANGOVER = 1  # hops after it
DELAY = SMOOTHED // 2 + LOOK_BACK  # hops between a hop and its decision


class VoiceActivity:
    """Decides for every 32 ms whether there is speech, as the samples arrive, in constant memory.

    The decisions are the same however the samples are cut into pieces, and the same in C
    (``npr_activity.h``). They come DELAY hops late. Before the first sample and after the last one digital
    silence is assumed.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=16000)
    >>> activity = VoiceActivity()
    >>> quiet, loud = activity.push(0.001 * noise), activity.push(0.1 * noise)
    >>> len(quiet), bool(quiet.any()), bool(loud[-10:].all())
    (28, False, True)
    >>> len(activity.flush())
    3
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all samples and be ready for another signal.

        Examples
        --------
        >>> activity = VoiceActivity()
        >>> _ = activity.push(np.zeros(16000, np.int16))
        >>> activity.reset()
        >>> len(activity.flush())
        0
        """
        self._samples: NDArray[np.int16] = np.zeros(0, np.int16)
        self._floors: list[int] = []
        self._heard = 0  # hops that were not silent
        self._scores = deque([0] * SMOOTHED, SMOOTHED)
        self._speaking = False
        self._kept = 0  # hops for which the answer is still yes
        self._hops = 0

    def push(self, samples: ArrayLike) -> BoolArray:
        """Take in samples, give the decisions that become known.

        Parameters
        ----------
        samples : array_like [shape=(n,) or (n, channels)]
            As of `extract_features`, any number of them, at 16 kHz. Floats are rounded to 16 bits.

        Returns
        -------
        np.ndarray [shape=(m,), dtype=bool]
            One decision a hop, in order; m may be 0.

        Raises
        ------
        InputError
            If the samples are no samples, as of `extract_features`.

        Examples
        --------
        >>> len(VoiceActivity().push(np.zeros(16000, np.int16)))
        28
        """
        samples = np.asarray(samples)
        if samples.size == 0:
            return np.zeros(0, bool)
        held = np.concatenate((self._samples, as_pcm(samples)))
        whole = len(held) // HOP * HOP
        self._samples = held[whole:]
        return self._decisions(_band_energies(held[:whole].reshape(-1, HOP)))

    def flush(self) -> BoolArray:
        """End the signal: give the decisions of the last hops, then be ready for another signal.

        Samples since the last whole hop are left out: no decision is about them.

        Returns
        -------
        np.ndarray [shape=(m,), dtype=bool]
            m is DELAY, or the number of hops if there were fewer.

        Examples
        --------
        >>> activity = VoiceActivity()
        >>> decisions = np.concatenate([activity.push(np.zeros(16000, np.int16)), activity.flush()])
        >>> len(decisions) == 16000 // HOP
        True
        """
        decisions = self._decisions(np.zeros((DELAY, BANDS), np.int64))
        self.reset()
        return decisions

    @property
    def score(self) -> int:
        """Of the newest hop, from 0 to BANDS * CAP.

        Examples
        --------
        >>> activity = VoiceActivity()
        >>> _ = activity.push(np.zeros(16000, np.int16))
        >>> activity.score
        0
        """
        return self._scores[-1]

    def _decisions(self, energies: IntArray) -> BoolArray:
        """Decisions that become known with the band energies (hops, BANDS) of some hops."""
        silent = energies.sum(axis=1) < SILENT
        levels = _log2(energies + FAINT)
        decisions = [self._decide(*hop) for hop in zip(levels.tolist(), silent.tolist())]
        early = max(0, DELAY - self._hops)  # these would be about hops before the first
        self._hops += len(decisions)
        return np.array(decisions[early:], bool)

    def _decide(self, levels: list[int], silent: bool) -> bool:
        """Take in one hop; whether there is speech DELAY hops before it. All are Python's integers."""
        self._scores.append(0 if silent else self._score(levels))
        total = sum(self._scores)
        self._speaking = total > SMOOTHED * (RELEASE if self._speaking else THRESHOLD)
        self._kept = LOOK_BACK + 1 + HANGOVER if self._speaking else max(0, self._kept - 1)
        return self._kept > 0

    def _score(self, levels: list[int]) -> int:
        """Move the floors, and add up what is above them."""
        fall = FIRST_FALL if self._heard < FIRST_HOPS else FALL
        pairs = zip(levels, self._floors or levels)
        self._floors = [floor + _step(level - floor, self._speaking, fall) for level, floor in pairs]
        self._heard += 1
        return sum(min(max(0, level - floor), CAP) for level, floor in zip(levels, self._floors))


def _step(above: int, speaking: bool, fall: int) -> int:
    """How far a floor moves where the level is so far above it."""
    if above < 0:
        return -(-above >> fall)
    return min(CREEP, above) if speaking else above >> RISE


def speech_spans(signal: ArrayLike, sample_rate: int) -> list[tuple[float, float]]:
    """Where speech is in a signal.

    Parameters
    ----------
    signal : array_like [shape=(n,) or (n, channels)]
        As of `extract_features`.
    sample_rate : int
        Hz. Another rate than 16 kHz means resampling.

    Returns
    -------
    list of (float, float)
        Start and end of each stretch of speech, in seconds, in order. The last one ends with the signal if
        the last hop has speech. An empty list for a signal shorter than a hop.

    Raises
    ------
    InputError
        If the signal cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> y = 0.001 * np.random.default_rng(0).normal(size=32000)
    >>> y[16000:24000] *= 100
    >>> speech_spans(y, 16000)
    [(0.928, 1.6)]
    """
    check_sample_rate(sample_rate)
    return spans_of_blocks([to_mono(as_float(signal))], sample_rate)


def spans_of_blocks(blocks: Iterable[FloatArray], sample_rate: int) -> list[tuple[float, float]]:
    """As `speech_spans`, of mono samples (k,) float that come in pieces, in constant memory."""
    activity, counted = VoiceActivity(), _Counted(blocks)
    decisions = [activity.push(piece) for piece in resample_blocks(counted, sample_rate, SAMPLE_RATE)]
    return _spans(np.concatenate([*decisions, activity.flush()]), counted.samples / sample_rate)


class _Counted:
    """Passes blocks on and counts their samples."""

    def __init__(self, blocks: Iterable[FloatArray]) -> None:
        self._blocks, self.samples = blocks, 0

    def __iter__(self) -> Iterator[FloatArray]:
        for block in self._blocks:
            self.samples += len(block)
            yield block


def _spans(decisions: BoolArray, seconds: float) -> list[tuple[float, float]]:
    """Start and end of each run of yes, in seconds; one up to the last hop goes on to the end of
    the signal.
    """
    edges = np.flatnonzero(np.diff(decisions, prepend=False, append=False)) * HOP / SAMPLE_RATE
    if len(decisions) and decisions[-1]:
        edges[-1] = seconds
    return [(start, end) for start, end in edges.reshape(-1, 2).tolist()]


def as_pcm(samples: Array) -> NDArray[np.int16]:
    """Mono int16 of what `as_float` takes; mono int16 stays as it is."""
    if samples.dtype == np.int16 and samples.ndim == 1:
        return samples
    steps = np.rint(32768 * to_mono(as_float(samples, np.float64)))
    return np.clip(steps, -32768, 32767).astype(np.int16)


def _band_energies(hops: NDArray[np.int16]) -> IntArray:
    """Energy of differences of neighbours, of their sums, and so on: (hops, HOP) -> (hops, BANDS) int64."""
    sums = hops.astype(np.int64)
    energies = np.empty((len(hops), BANDS), np.int64)
    for band in range(BANDS):
        left, right = sums[:, 0::2], sums[:, 1::2]
        energies[:, band] = np.square(left - right).sum(axis=1)
        sums = left + right
    return energies


def _log2(values: IntArray) -> IntArray:
    """256 log2 of integers from 1 to 2^53, straight lines between the powers of two: too low by 0 to 23.1."""
    mantissa, exponent = np.frexp(values.astype(np.float64))  # mantissa in [1/2, 1)
    return 256 * (exponent.astype(np.int64) - 2) + np.floor(512 * mantissa).astype(np.int64)
