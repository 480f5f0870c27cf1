"""The windows of many clips, run through the model many at a time, and put together as predictions.

Since padding is masked, a window's result does not depend on its neighbours (1e-5 in float32).
"""

import os
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.annotations import FloatArray
from npreslstm.prediction import SILENCE, Prediction, smoothed

if TYPE_CHECKING:
    from npreslstm.recognizer import Recognizer


# padded frames run through the model at once, some 40 clips: one by one, each takes about ten times as long
BATCH_FRAMES = 4096


class RecognitionWarning(UserWarning):
    """The result is defined, but means little.

    Examples
    --------
    >>> from npreslstm.recognizer import Recognizer
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     p = Recognizer("mcu").process_signal(np.zeros(16000, np.float32), 16000)
    >>> print(caught[0].message)
    the signal is silent: the label means little
    """


class Window:
    """A part on its way; `heard` gets probabilities and attention of each speed in turn, nothing without
    speech.
    """

    def __init__(self, start: float, end: float, times: ArrayLike = ()) -> None:
        self.start, self.end = start, end
        self.times: FloatArray = np.array(times, np.float64)
        self.heard: list[tuple[FloatArray, FloatArray]] = []

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2

    @property
    def probabilities(self) -> FloatArray:
        return np.mean([probabilities for probabilities, _ in self.heard], axis=0)

    @property
    def attention(self) -> FloatArray:
        return self.heard[0][1]


Clip = tuple[str | None, list[Window]]  # the name and the windows


class Queue:
    """Collects the windows of many clips and runs the model on as many as BATCH_FRAMES allows."""

    def __init__(
        self, recognizer: "Recognizer", smooth: float = 0.0, progress: Callable[[str], None] | None = None
    ) -> None:
        self._recognizer, self._smooth, self._progress = recognizer, smooth, progress
        self._waiting: list[tuple[Window, FloatArray]] = []

    def add_clip(self, file: str | None, windows: Iterable[tuple[int, int, FloatArray | None, int]]) -> Clip:
        """Take in the windows of one clip; returns what `finish` is to be given for it."""
        done: list[Window] = []
        oddities: list[str | None] = []
        for start, stop, y, rate in windows:
            if y is None:
                done.append(Window(start / rate, stop / rate))
                continue
            features, times, oddity = self._recognizer._features(y, rate)
            window = Window(start / rate, stop / rate, start / rate + times)
            done.append(window)
            oddities.append(oddity)
            self._wait(window, features)
            for speed in self._recognizer.speeds[1:]:
                self._wait(window, self._recognizer._features(y, rate, speed)[0])
            if self._progress:
                self._progress(f"{os.path.basename(file or '')} {window.end:.0f} s")
        _warn(file, oddities)
        return file, done

    def _wait(self, window: Window, features: FloatArray) -> None:
        longest = max(len(other) for _, other in [*self._waiting, (window, features)])
        if (len(self._waiting) + 1) * longest > BATCH_FRAMES:
            self._run()
        self._waiting.append((window, features))

    def finish(self, clips: Iterable[Clip]) -> list[Prediction]:
        """The prediction of each clip."""
        self._run()
        return [self._prediction(*clip) for clip in clips]

    def _run(self) -> None:
        if not self._waiting:
            return
        windows, features = zip(*self._waiting)
        for window, result in zip(windows, self._recognizer._infer(features)):
            window.heard.append(result)
        self._waiting = []

    def _prediction(self, file: str | None, parts: list[Window]) -> Prediction:
        speech = [part for part in parts if part.heard]
        if len(parts) == 1:
            return self._rows(file, parts, speech)[0]
        mean = np.mean([w.probabilities for w in speech], axis=0)
        attention = np.concatenate([w.attention for w in speech]) / np.float32(len(speech))
        times = np.concatenate([w.times for w in speech])
        rows = self._rows(file, parts, speech)
        return self._labelled(file, 0.0, parts[-1].end, mean, attention, times, rows)

    def _rows(self, file: str | None, parts: list[Window], speech: list[Window]) -> tuple[Prediction, ...]:
        """A Prediction of each part."""
        middles, probabilities = [w.middle for w in speech], [w.probabilities for w in speech]
        shown = iter(smoothed(middles, probabilities, self._smooth))
        return tuple(
            (
                self._labelled(file, part.start, part.end, next(shown), part.attention, part.times)
                if part.heard
                else Prediction(file, part.start, part.end, SILENCE, {}, np.zeros(0, np.float32), part.times)
            )
            for part in parts
        )

    def _labelled(
        self, file: str | None, start: float, end: float, probabilities: FloatArray, *rest: Any
    ) -> Prediction:
        classes = self._recognizer.classes
        return Prediction(
            file,
            start,
            end,
            classes[int(probabilities.argmax())],
            dict(zip(classes, probabilities.tolist())),
            *rest,
        )


def _warn(file: str | None, oddities: list[str | None]) -> None:
    """One warning for each kind of oddity in the windows of a clip, or that there are none."""
    name = "the signal" if file is None else file
    if not oddities:
        text = f"no speech was heard in {name}: it is called silence; without the gate all of it is heard"
        warnings.warn(text, RecognitionWarning, stacklevel=4)
    for oddity in sorted({oddity for oddity in oddities if oddity is not None}):
        count = oddities.count(oddity)
        what = name if len(oddities) == 1 else f"{count} of {len(oddities)} windows of {name}"
        verb = "is" if len(oddities) == 1 or count == 1 else "are"
        warnings.warn(f"{what} {verb} {oddity}: the label means little", RecognitionWarning, stacklevel=4)
