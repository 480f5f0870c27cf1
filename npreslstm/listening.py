"""From a microphone to utterances, while the sound comes in: the specification of ``npr_stream.c``.

`Decimator` brings samples at 16, 44.1 or 48 kHz to 16 kHz, and `VoiceActivity` tells where an utterance
starts and ends. The network hears what lies between, with LEAD hops before it and up to HANGOVER hops after
it: it was trained on clips that end in silence, and its attention looks there. Speech that comes back in
these hops goes on with the same utterance.

About once a second there is a result of the utterance so far. With p the probabilities of the network and n
the frames since the last result,

    s <- s + n / (n + PERIOD) (p - s)          the first of an utterance: s = p

so each result counts as much as all before it. In integers, in Q15,

    s <- floor((PERIOD s + n p) / (n + PERIOD) + 1/2)

The last result of an utterance that the network heard in one piece is p alone.

The network was trained on clips of seconds, so it begins anew when it has heard WINDOW frames. The new window
starts with the last K frames of the old one, which are kept and heard once more. K is 0 unless an overlap is
asked for. After the frames x_1 ... x_t of an utterance the network has heard, from a fresh state,

    x_{m S + 1} ... x_t,     S = WINDOW - K,     m = max(0, ceil((t - WINDOW) / S))

that is K + 1 to WINDOW frames once the first window is full. When there are results does not depend on K.
"""

import enum
import numbers
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npreslstm.annotations import Array
from npreslstm.audio import activity
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.decimation import Decimator
from npreslstm.audio.streaming import StreamingFeatures
from npreslstm.checkpoint import Checkpoint
from npreslstm.errors import InputError, shown
from npreslstm.integer import fixed_point, frontend_tables
from npreslstm.integer.frontend import IntegerFrontend, z_score
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.layers.activations import softmax
from npreslstm.streaming import StreamingResLSTM

LEAD = 8  # hops before the first one of speech
HANGOVER = 16  # hops after the last one
PERIOD = 31  # hops that are heard between two results: 0.992 s
WINDOW = 10 * PERIOD  # hops after which the network begins anew: 9.92 s


class EventKind(enum.Enum):
    """What happened in a recording.

    Examples
    --------
    >>> [kind.name for kind in EventKind]
    ['START', 'RESULT', 'END']
    """

    START = 1  # an utterance begins
    RESULT = 2  # of the utterance so far
    END = 3  # the utterance ended; the result of all of it


class Event(NamedTuple):
    """Of `Listener`.

    Attributes
    ----------
    kind : EventKind
    hop : int
        Of 32 ms each: the first one of speech, the newest that was heard, the first one that was not.
    label : str or int or None
        Of the largest probability, its number where the classes have no names; None for a start.
    probabilities : np.ndarray [shape=(C,)] or None
        float32; uint16 in units of 2^-15 in integer arithmetic.

    Examples
    --------
    >>> Event(EventKind.START, 31).label is None
    True
    """

    kind: EventKind
    hop: int
    label: str | int | None = None
    probabilities: Array | None = None


class _FloatChain:
    """From samples to probabilities: features and network in single precision."""

    features: StreamingFeatures | IntegerFrontend

    def __init__(self, checkpoint: Checkpoint, config: FeatureConfig, mean: Array, std: Array) -> None:
        self._mean, self._scale = mean.astype(np.float32), (1 / std).astype(np.float32)
        self.features = StreamingFeatures(config)
        self._network = StreamingResLSTM(checkpoint.model())

    def frames(self, pcm: Array) -> Array:
        """What the network takes of the frames that samples complete."""
        return (self.features.push(pcm) - self._mean) * self._scale

    def begin(self) -> None:
        """The network forgets all frames."""
        self._network.reset()

    @property
    def heard(self) -> int:
        """Frames since it began."""
        return self._network.frames

    def hear(self, frame: Array) -> None:
        self._network.push(frame)

    def probabilities(self) -> Array:
        return softmax(self._network.result()[None])[0].astype(np.float32)

    def mixed(self, before: Array, now: Array, n: int) -> Array:
        """Smoothed probabilities: `now` counts n parts, `before` PERIOD of them."""
        return before + np.float32(n / (n + PERIOD)) * (now - before)


class _Int8Chain(_FloatChain):
    """The same with the integer network."""

    def __init__(self, checkpoint: Checkpoint, config: FeatureConfig, mean: Array, std: Array) -> None:
        super().__init__(checkpoint, config, mean, std)
        self._quantized = QuantizedModel.from_checkpoint(checkpoint)
        self.begin()

    def frames(self, pcm: Array) -> Array:
        return self._quantized.quantize(super().frames(pcm))

    def begin(self) -> None:
        self._state = self._quantized.start(1)

    @property
    def heard(self) -> int:
        return self._state.frames

    def hear(self, frame: Array) -> None:
        self._quantized.step(frame[None], self._state)

    def probabilities(self) -> Array:
        return softmax((self._logits() / 65536).astype(np.float32))[0]

    def _logits(self) -> Array:
        """(1, C) in Q16."""
        return self._quantized.logits(self._quantized.context(self._state))


class _IntegerChain(_Int8Chain):
    """Integers throughout."""

    def __init__(self, checkpoint: Checkpoint, config: FeatureConfig, mean: Array, std: Array) -> None:
        super().__init__(checkpoint, config, mean, std)
        self.features: IntegerFrontend = IntegerFrontend(config)
        self._statistics = frontend_tables.statistics(checkpoint, self._quantized.x_bits)

    def frames(self, pcm: Array) -> Array:
        return z_score(self.features.push(pcm), self._statistics)

    def probabilities(self) -> Array:
        return fixed_point.softmax(self._logits())[0]

    def mixed(self, before: Array, now: Array, n: int) -> Array:
        parts = n + PERIOD
        total = PERIOD * before.astype(np.int64) + n * now.astype(np.int64)
        return ((total + parts // 2) // parts).astype(np.uint16)


CHAINS = {"float32": _FloatChain, "int8": _Int8Chain, "integer": _IntegerChain}


def overlap_hops(overlap: float) -> int:
    """Seconds by which windows overlap, as the nearest number of hops.

    Parameters
    ----------
    overlap : float
        From 0 to less than a window.

    Returns
    -------
    int
        Less than WINDOW.

    Raises
    ------
    InputError
        For any other overlap.

    Examples
    --------
    >>> overlap_hops(5.0)  # 4.992 s
    156
    """
    seconds_a_hop = activity.HOP / activity.SAMPLE_RATE
    window = WINDOW * seconds_a_hop
    number = isinstance(overlap, numbers.Real) and not isinstance(overlap, bool)
    if not (number and 0 <= overlap < window):
        raise InputError(
            f"overlap is {shown(overlap)}; expected seconds from 0 to less than {window:g}, which is a window"
        )
    return min(WINDOW - 1, round(overlap / seconds_a_hop))


def streamed(config: FeatureConfig | None) -> FeatureConfig:
    """Features that stream at 16 kHz in hops of 512; of others, InputError that names weights that will do.

    Examples
    --------
    >>> streamed(FeatureConfig.named("mcu")).sample_rate
    16000
    """
    if config is None:
        reason = "the weights have no features"
    elif steps := config.noncausal_steps:
        reason = f"the weights' features need sound still to come: {'; '.join(steps)}"
    elif (config.sample_rate, config.hop_length) != (activity.SAMPLE_RATE, activity.HOP):
        reason = f"the weights' features are at {config.sample_rate} Hz in hops of {config.hop_length}"
    else:
        return config
    raise InputError(
        f"{reason}; expected causal ones at {activity.SAMPLE_RATE} Hz in hops of {activity.HOP}, as those"
        " of the weights robust and mcu"
    )


class Listener:
    """Hears a recording as it is made, in constant memory, and tells the emotion of each utterance in it.

    The events are those of ``npr_stream`` in C, the same however the samples are cut into pieces. They come
    `npreslstm.audio.activity.DELAY` hops late.

    Parameters
    ----------
    checkpoint : Checkpoint
        With features that stream at 16 kHz in hops of 512 samples, and statistics.
    rate : {16000, 44100, 48000}
        Of the samples, Hz.
    arithmetic : {'float32', 'int8', 'integer'}
        Of the features and of the network, as of C: floats; floats and the integer network; integers.
    overlap : float
        Seconds, to the nearest hop: how much of an utterance the network hears once more when it begins anew,
        after 9.92 s of it. Less than 9.92; C that is exported without an option has 0.

    Raises
    ------
    InputError
        If the checkpoint has other features or no statistics, for another rate, arithmetic or overlap, or if
        the network cannot be quantised.

    Examples
    --------
    >>> import numpy as np
    >>> import npreslstm
    >>> from npreslstm.audio.reader import read_audio
    >>> speech, rate = read_audio("npreslstm/data/demo.wav")
    >>> pcm = np.rint(32768 * np.clip(speech, -1, 32767 / 32768)).astype(np.int16)
    >>> listener = Listener(npreslstm.load_checkpoint("mcu"), rate)
    >>> for event in [*listener.push(pcm), *listener.finish()]:
    ...     print(event.kind.name, event.hop, event.label)
    START 3 None
    RESULT 30 fear
    RESULT 61 fear
    END 80 fear
    """

    def __init__(
        self, checkpoint: Checkpoint, rate: int, arithmetic: str = "float32", overlap: float = 0.0
    ) -> None:
        config = streamed(checkpoint.features)
        if checkpoint.mean is None or checkpoint.std is None:
            raise InputError(
                "the weights have no statistics; expected mean and std to z-score the features with:"
                " npreslstm convert --mean-std adds them"
            )
        self._classes = checkpoint.classes
        if arithmetic not in CHAINS:
            raise InputError(f"arithmetic is {arithmetic!r}; expected {', '.join(CHAINS)}")
        # frames that the next window starts with
        self._recent: deque[Array] = deque(maxlen=overlap_hops(overlap))
        self._decimator = Decimator(rate)
        self._activity = activity.VoiceActivity()
        self._chain = CHAINS[arithmetic](checkpoint, config, checkpoint.mean, checkpoint.std)
        self.reset()

    def reset(self) -> None:
        """Forget everything and be ready for another recording.

        Examples
        --------
        >>> from npreslstm.checkpoint import load_checkpoint
        >>> listener = Listener(load_checkpoint("mcu"), 16000)
        >>> listener.reset()
        >>> listener.finish()
        []
        """
        for part in (self._decimator, self._activity, self._chain.features):
            part.reset()
        self._frames: deque[Array] = deque()  # of the hops that the gate has not decided about
        self._lead: deque[Array] = deque(maxlen=LEAD)  # frames before the next hop that were not heard
        self._decided = 0  # hops
        self._speaking = False
        self._quiet = 0  # hops since the last one of speech
        self._since = 0  # frames since the last result
        self._smoothed: Array | None = None  # probabilities (C,)

    def push(self, samples: NDArray[np.int16]) -> list[Event]:
        """Take in samples, give the events that they bring.

        Parameters
        ----------
        samples : np.ndarray [shape=(n,), dtype=np.int16]
            n may be 0.

        Returns
        -------
        list of Event

        Raises
        ------
        InputError
            If the samples are of another type or shape.

        Examples
        --------
        >>> from npreslstm.checkpoint import load_checkpoint
        >>> Listener(load_checkpoint("mcu"), 16000).push(np.zeros(16000, np.int16))
        []
        """
        pcm = self._decimator.push(samples)
        self._frames.extend(self._chain.frames(pcm))
        return self._events(self._activity.push(pcm))

    def finish(self) -> list[Event]:
        """End the recording: its last events. Then be ready for another.

        Examples
        --------
        >>> from npreslstm.checkpoint import load_checkpoint
        >>> Listener(load_checkpoint("mcu"), 16000).finish()
        []
        """
        events = self._events(self._activity.flush())
        if self._speaking:
            events.append(self._result(EventKind.END, self._decided))
        self.reset()
        return events

    def _events(self, decisions: Array) -> list[Event]:
        events: list[Event] = []
        for speech in decisions.tolist():
            events.extend(self._decide(speech, self._frames.popleft()))
        return events

    def _decide(self, speech: bool, frame: Array) -> list[Event]:
        """The events, none or one, that a decision about the next hop brings."""
        hop = self._decided
        self._decided += 1
        self._quiet = 0 if speech else self._quiet + 1
        began = speech and not self._speaking
        if began:
            self._begin()
        if not self._speaking or self._quiet > HANGOVER:
            ended, self._speaking = self._speaking, False
            self._lead.append(frame)
            return [self._result(EventKind.END, hop)] if ended else []
        self._hear(frame)
        if self._since == PERIOD:
            return [self._result(EventKind.RESULT, hop)]
        return [Event(EventKind.START, hop)] if began else []

    def _begin(self) -> None:
        """An utterance begins, with what was before it."""
        self._speaking, self._since, self._smoothed = True, 0, None
        self._whole = True  # the network has heard it from its beginning
        self._chain.begin()
        self._recent.clear()
        for frame in self._lead:
            self._hear(frame)
        self._lead.clear()

    def _hear(self, frame: Array) -> None:
        if self._chain.heard == WINDOW:
            self._begin_anew()
        self._chain.hear(frame)
        self._recent.append(frame)
        self._since += 1

    def _begin_anew(self) -> None:
        """Another window of the same utterance begins, with the end of the one before."""
        self._whole = False
        self._chain.begin()
        for frame in self._recent:
            self._chain.hear(frame)

    def _result(self, kind: EventKind, hop: int) -> Event:
        now, before = self._chain.probabilities(), self._smoothed
        if before is not None and not (kind is EventKind.END and self._whole):
            now = self._chain.mixed(before, now, self._since)
        self._smoothed, self._since = now, 0
        best = int(now.argmax())
        return Event(kind, hop, self._classes[best] if self._classes else best, now)
