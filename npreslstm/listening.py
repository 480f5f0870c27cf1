"""From a microphone to utterances, while the sound comes in: the specification of ``npr_stream.c``.

Samples at 16, 44.1 or 48 kHz go through `Decimator` to 16 kHz, `VoiceActivity` tells where an utterance starts and
ends, and the network hears what is between, LEAD hops before it, and up to HANGOVER hops after it, for it was trained on
clips that end in silence, and its attention looks there; speech within them goes on with the utterance. About once a
second there is a result of the utterance so far. With p the probabilities of the network and n the frames since the last result,

    s <- s + n / (n + PERIOD) (p - s)          the first of an utterance: s = p

so that each result counts as much as all before it. After WINDOW frames the network begins anew, for it was trained on
clips of seconds.
"""

import enum
from collections import deque
from typing import NamedTuple

import numpy as np

from npreslstm.audio import activity
from npreslstm.audio.decimation import Decimator
from npreslstm.audio.streaming import StreamingFeatures
from npreslstm.errors import InputError
from npreslstm.layers.activations import softmax
from npreslstm.streaming import StreamingResLSTM

LEAD = 8  # hops before the first one of speech
HANGOVER = 16  # hops after the last one
PERIOD = 31  # hops that are heard between two results: 0.992 s
WINDOW = 10 * PERIOD  # hops after which the network begins anew


class EventKind(enum.Enum):
    """What happened in a recording."""

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
    probabilities : np.ndarray [shape=(C,), dtype=np.float32] or None
    """

    kind: EventKind
    hop: int
    label: "str | int | None" = None
    probabilities: "np.ndarray | None" = None


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
    network : object, optional
        Takes z-scored frames by ``push``, gives logits by ``result``, begins anew by ``reset``, and counts ``frames``. Default:
        the checkpoint's `StreamingResLSTM`.

    Raises
    ------
    InputError
        If the checkpoint has other features or no statistics, or for another rate.

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
    @@
    """

    def __init__(self, checkpoint, rate, network=None):
        config = checkpoint.features
        if config is None or (config.sample_rate, config.hop_length) != (activity.SAMPLE_RATE, activity.HOP):
            raise InputError(
                f"the weights' features are {config}; expected some that stream at {activity.SAMPLE_RATE} Hz in"
                f" hops of {activity.HOP} samples, as those of 'mcu' do"
            )
        if checkpoint.mean is None or checkpoint.std is None:
            raise InputError(
                "the weights have no statistics; expected mean and std to z-score the features with"
            )
        self._classes = checkpoint.classes
        self._mean, self._scale = checkpoint.mean.astype(np.float32), (1 / checkpoint.std).astype(np.float32)
        self._decimator = Decimator(rate)
        self._features = StreamingFeatures(config)
        self._activity = activity.VoiceActivity()
        self._network = StreamingResLSTM(checkpoint.model()) if network is None else network
        self.reset()

    def reset(self):
        """Forget everything and be ready for another recording."""
        for part in (self._decimator, self._features, self._activity, self._network):
            part.reset()
        self._frames = deque()  # of the hops that the gate has not decided about
        self._lead = deque(maxlen=LEAD)  # frames before the next hop that were not heard
        self._decided = 0  # hops
        self._speaking = False
        self._quiet = 0  # hops since the last one of speech
        self._since = 0  # frames since the last result
        self._smoothed = None  # probabilities (C,)

    def push(self, samples):
        """Take in samples, give the events that they bring.

        Parameters
        ----------
        samples : np.ndarray [shape=(n,), dtype=np.int16]
            n may be 0.

        Returns
        -------
        list of Event
        """
        pcm = self._decimator.push(samples)
        self._frames.extend((self._features.push(pcm) - self._mean) * self._scale)
        return self._events(self._activity.push(pcm))

    def finish(self):
        """End the recording: its last events. Then be ready for another."""
        events = self._events(self._activity.flush())
        if self._speaking:
            events.append(self._result(EventKind.END, self._decided))
        self.reset()
        return events

    def _events(self, decisions):
        events = []
        for speech in decisions.tolist():
            events.extend(self._decide(speech, self._frames.popleft()))
        return events

    def _decide(self, speech, frame):
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

    def _begin(self):
        """An utterance begins, with what was before it."""
        self._speaking, self._since, self._smoothed = True, 0, None
        self._network.reset()
        for frame in self._lead:
            self._hear(frame)
        self._lead.clear()

    def _hear(self, frame):
        if self._network.frames == WINDOW:
            self._network.reset()
        self._network.push(frame)
        self._since += 1

    def _result(self, kind, hop):
        now = softmax(self._network.result()[None])[0].astype(np.float32)
        part = np.float32(self._since / (self._since + PERIOD))
        self._smoothed = now if self._smoothed is None else self._smoothed + part * (now - self._smoothed)
        self._since = 0
        best = int(self._smoothed.argmax())
        return Event(kind, hop, self._classes[best] if self._classes else best, self._smoothed)
