"""A recognizer for sound that is still coming in: blocks of samples in, one result a second out.

`Listener` finds the utterances and hears them; here its events are put on a clock that counts samples. A
second is the same however the samples are cut into blocks.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npreslstm.annotations import StrPath
from npreslstm.audio.activity import as_pcm
from npreslstm.audio.signal import as_float, warn_of_samples
from npreslstm.checkpoint import Checkpoint, load_checkpoint
from npreslstm.errors import InputError
from npreslstm.listening import Event, EventKind, Listener

FULL_SCALE = 32768


class Second(NamedTuple):
    """What a second of sound came to.

    Attributes
    ----------
    start, end : float
        Seconds of sound since the beginning; the last one may be shorter than a second.
    speech : bool
        Whether an utterance was heard in it: speech, and the half second after it.
    level : float
        Root mean square in dB of full scale; -inf for digital silence.
    label : str or None
        Of the newest result; None without speech, and until there is a result.
    probabilities : dict of str to float, or None
        By class, of the same result.
    events : tuple of Event
        All that `Listener` told in this second, in order.

    Examples
    --------
    >>> Second(0.0, 1.0, False, float("-inf")).label is None
    True
    """

    start: float
    end: float
    speech: bool
    level: float
    label: str | None = None
    probabilities: dict[str, float] | None = None
    events: tuple[Event, ...] = ()


class StreamingRecognizer:
    """Hears blocks of samples as they come in, in constant memory, and answers once a second.

    Parameters
    ----------
    weights : str, os.PathLike or Checkpoint, optional
        As of `Recognizer`, with causal features: the bundled ``"robust"`` (the default) and ``"mcu"``.
    rate : {16000, 44100, 48000}
        Of the samples, Hz.
    overlap : float
        Seconds by which the windows of a long utterance overlap, as of `Listener`.

    Attributes
    ----------
    classes : tuple of str
    rate : int

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    InputError
        If the weights cannot hear a stream, or the rate or the overlap is another.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> from npreslstm.audio.reader import read_audio
    >>> speech, rate = read_audio(demo_clip_path())
    >>> recognizer = StreamingRecognizer("mcu", rate)
    >>> blocks = np.array_split(speech, 30)
    >>> seconds = [second for block in blocks for second in recognizer.push(block)]
    >>> for second in seconds + recognizer.finish():
    ...     print(f"{second.end:.2f} {second.speech} {second.level:.1f} dB {second.label}")
    1.00 True -27.6 dB None
    2.00 True -22.1 dB fear
    2.58 True -33.2 dB fear
    """

    def __init__(
        self, weights: StrPath | Checkpoint | None = None, rate: int = 16000, overlap: float = 0.0
    ) -> None:
        checkpoint = weights if isinstance(weights, Checkpoint) else load_checkpoint(weights)
        if not checkpoint.classes:
            raise InputError("the weights have no names of classes; expected some to answer with")
        self.classes = checkpoint.classes
        self._listener = Listener(checkpoint, rate, overlap=overlap)
        self.rate = int(rate)
        self._warned = False
        self._forget()

    def reset(self) -> None:
        """Forget everything and be ready for another recording.

        Examples
        --------
        >>> recognizer = StreamingRecognizer("mcu")
        >>> _ = recognizer.push(np.zeros(8000, np.int16))
        >>> recognizer.reset()
        >>> recognizer.finish()
        []
        """
        self._listener.reset()
        self._forget()

    def push(self, samples: ArrayLike) -> list[Second]:
        """Take in a block, give the seconds that it completes.

        Parameters
        ----------
        samples : array_like [shape=(n,) or (n, channels)]
            Floats in [-1, 1], int16 or int32, n >= 0; they are rounded to 16 bits.

        Returns
        -------
        list of Second

        Raises
        ------
        InputError
            If the samples are no samples, as of `extract_features`.

        Examples
        --------
        >>> [second.speech for second in StreamingRecognizer("mcu").push(np.zeros(40000))]
        [False, False]
        """
        x = np.asarray(samples)
        if x.size == 0:
            return []
        pcm, seconds = as_pcm(x), list[Second]()
        if not self._warned and (x.dtype.kind == "f" or x.ndim == 2):
            self._warned = warn_of_samples(as_float(x))
        while len(pcm) >= self.rate - self._count:
            part, pcm = np.split(pcm, [self.rate - self._count])
            self._hear(part)
            seconds.append(self._end_second())
        self._hear(pcm)
        return seconds

    def finish(self) -> list[Second]:
        """End the recording: the rest of a second, if there is one. Then be ready for another.

        Examples
        --------
        >>> recognizer = StreamingRecognizer("mcu")
        >>> _ = recognizer.push(np.zeros(4000))
        >>> [second.end for second in recognizer.finish()]
        [0.25]
        """
        self._take(self._listener.finish())
        last = [self._end_second()] if self._count or self._events else []
        self._forget()
        return last

    def _forget(self) -> None:
        self._seconds = 0  # that are complete
        self._speaking = False
        self._answer: Event | None = None  # the newest result
        self._begin_second()

    def _begin_second(self) -> None:
        self._count = 0  # samples of this second
        self._energy = 0  # the sum of their squares
        self._speech = self._speaking
        if not self._speaking:
            self._answer = None
        self._events: list[Event] = []

    def _hear(self, pcm: NDArray[np.int16]) -> None:
        self._count += len(pcm)
        self._energy += energy_of(pcm)
        self._take(self._listener.push(pcm))

    def _take(self, events: list[Event]) -> None:
        for event in events:
            self._events.append(event)
            self._speaking = event.kind is not EventKind.END
            self._speech = True
            if event.label is not None:
                self._answer = event

    def _end_second(self) -> Second:
        start = float(self._seconds)
        answer = self._answer
        second = Second(
            start,
            start + self._count / self.rate,
            self._speech,
            in_decibels(self._energy, self._count),
            None if answer is None else str(answer.label),
            None if answer is None else probabilities_of(answer, self.classes),
            tuple(self._events),
        )
        self._seconds += 1
        self._begin_second()
        return second


def energy_of(pcm: NDArray[np.int16]) -> int:
    """The sum of squares.

    Examples
    --------
    >>> energy_of(np.array([-3, 4], np.int16))
    25
    """
    return int(np.square(pcm.astype(np.int64)).sum())


def in_decibels(energy: int, count: int) -> float:
    """The level of so many samples of 16 bits, in dB of full scale: -inf for none, and for silence.

    Examples
    --------
    >>> round(in_decibels(2 * 3276**2, 2), 2)
    -20.0
    """
    return 10 * math.log10(energy / count / FULL_SCALE**2) if energy else -math.inf


def level_of(pcm: NDArray[np.int16]) -> float:
    """As `in_decibels`, of samples (n,).

    Examples
    --------
    >>> level_of(np.zeros(3, np.int16))
    -inf
    """
    return in_decibels(energy_of(pcm), len(pcm))


def probabilities_of(event: Event, classes: tuple[str, ...]) -> dict[str, float] | None:
    """Probabilities by class; None of a start.

    Examples
    --------
    >>> probabilities_of(Event(EventKind.RESULT, 30, "sad", np.array([0.25, 0.75])), ("calm", "sad"))
    {'calm': 0.25, 'sad': 0.75}
    """
    if event.probabilities is None:
        return None
    return dict(zip(classes, event.probabilities.tolist()))
