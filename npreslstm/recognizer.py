"""Recognizer: sound in, Prediction out.

A long recording is heard in windows, which a voice-activity gate puts on speech; what no window covers is
silence. Every clip, or window of a long one, goes the same way: features as the weights file says, z-scored
by its statistics, the model, softmax; at several playback speeds if wanted, and then the probabilities are
averaged. `batching` runs the windows through the model.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.annotations import Array, FloatArray, Source, StrPath
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.signal import check_speeds
from npreslstm.batching import Clip, Queue, RecognitionWarning
from npreslstm.checkpoint import Checkpoint, load_checkpoint
from npreslstm.errors import InputError
from npreslstm.layers.activations import softmax
from npreslstm.memory import keep_freed_memory
from npreslstm.prediction import Prediction

__all__ = ["RecognitionWarning", "Recognizer"]


OnError = Callable[[Any, Exception], None]  # called with the path and what is wrong


class Recognizer:
    """A model with everything it needs to hear: features, statistics, classes.

    Parameters
    ----------
    weights : str, os.PathLike or Checkpoint, optional
        As `load_checkpoint` takes them; default: the bundled ``"robust"``.
    speeds : sequence of float
        Playback speeds at which everything is heard, pitch and tempo together; 1.0 comes first. Three of
        them, 1, 0.85 and 1.15, take three times as long and err less; docs/accuracy.md says by how much.

    Attributes
    ----------
    checkpoint : Checkpoint
    model : ResLSTM
        In float32.
    classes : tuple of str

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If the file is damaged, or lacks statistics, feature configuration or classes, or the speeds are not
        in [0.5, 2].

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> p = Recognizer().process_file(demo_clip_path())
    >>> p.label
    'fear'
    >>> list(p.probabilities)
    ['neutral', 'calm', 'happy', 'sad', 'angry', 'fear', 'disgust', 'surprised']
    >>> round(float(p.attention.sum()), 6), len(p.attention) == len(p.times)
    (1.0, True)
    """

    def __init__(self, weights: StrPath | Checkpoint | None = None, speeds: Sequence[float] = (1.0,)) -> None:
        check_speeds(speeds)
        keep_freed_memory()
        self.speeds = tuple(speeds)
        self.checkpoint = weights if isinstance(weights, Checkpoint) else load_checkpoint(weights)
        name = "the checkpoint" if isinstance(weights, Checkpoint) else weights
        self._config, self._mean, self._std, self.classes = _all_of(self.checkpoint, name)
        self.model = self.checkpoint.model()

    def process_signal(
        self,
        signal: ArrayLike,
        sample_rate: int,
        window: float | None = None,
        hop: float | None = None,
        *,
        gate: bool = True,
        smooth: float = 0.0,
    ) -> Prediction:
        """Predict an array of samples.

        Parameters
        ----------
        signal : array_like [shape=(n,) or (n, channels)]
            Floats in [-1, 1], int16 or int32.
        sample_rate : int
            Hz. Another rate than the features' is resampled; a lower one leaves bands without sound, and a
            `ResamplingWarning` says so.
        window, hop : float, optional
            Seconds. Default window: the whole clip up to 10 s, else 4 s every 2 s; default hop: half a
            window. The last window ends with the clip.
        gate : bool
            Put the windows of a clip that is longer than one on its speech (`VoiceActivity`), each stretch by
            itself with a quarter of a second on either side, and call the rest silence; False: hear all of
            it.
        smooth : float
            Seconds. The probabilities of each window are averaged with those of windows whose middles are
            nearer than that, with weights that fall linearly to 0; the clip's own stay as they are. 0: not at
            all.

        Returns
        -------
        Prediction

        Warns
        -----
        RecognitionWarning
            If the clip, or a window, is silent or shorter than a frame; or if there is no speech in a clip
            that is longer than a window: then its label is ``"silence"``, and there are no probabilities.

        Raises
        ------
        InputError
            If the signal cannot be used, or `window`, `hop` and `smooth` make no sense.

        Examples
        --------
        >>> from npreslstm.assets import demo_clip_path
        >>> from npreslstm.audio.reader import read_audio
        >>> Recognizer().process_signal(*read_audio(demo_clip_path())).label
        'fear'
        """
        from npreslstm.audio.windows import check_windows, signal_windows

        check_windows(window, hop, smooth)
        queue = Queue(self, smooth)
        clip = queue.add_clip(None, signal_windows(signal, sample_rate, window, hop, gate))
        return queue.finish([clip])[0]

    def process_file(
        self,
        path: Source,
        window: float | None = None,
        hop: float | None = None,
        *,
        gate: bool = True,
        smooth: float = 0.0,
    ) -> Prediction:
        """Predict a sound file, read in pieces if it is long.

        Parameters
        ----------
        path : str, os.PathLike or binary file
            Of an open file (``io.BytesIO``), what comes from its position on; its name becomes the
            prediction's, if it has one.
        window, hop, gate, smooth
            As in `process_signal`. With the gate, a long file is read twice.

        Returns
        -------
        Prediction

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        InputError
            If it is not sound that can be used.

        Examples
        --------
        >>> from npreslstm.assets import demo_clip_path
        >>> p = Recognizer().process_file(demo_clip_path(), window=1.0)
        >>> [window.start for window in p.windows if window.speech][:2]
        [0.0, 0.5]
        """
        return self.process_files([path], window, hop, gate=gate, smooth=smooth)[0]

    @overload
    def process_files(
        self,
        paths: Iterable[Source],
        window: float | None = None,
        hop: float | None = None,
        on_error: None = None,
        progress: Callable[[str], None] | None = None,
        *,
        gate: bool = True,
        smooth: float = 0.0,
    ) -> list[Prediction]: ...

    @overload
    def process_files(
        self,
        paths: Iterable[Source],
        window: float | None = None,
        hop: float | None = None,
        *,
        on_error: OnError,
        progress: Callable[[str], None] | None = None,
        gate: bool = True,
        smooth: float = 0.0,
    ) -> list[Prediction | None]: ...

    def process_files(
        self,
        paths: Iterable[Source],
        window: float | None = None,
        hop: float | None = None,
        on_error: OnError | None = None,
        progress: Callable[[str], None] | None = None,
        *,
        gate: bool = True,
        smooth: float = 0.0,
    ) -> list[Prediction] | list[Prediction | None]:
        """Predict several sound files.

        Parameters
        ----------
        paths : iterable of str, os.PathLike or binary file
        window, hop, gate, smooth
            As in `process_signal`.
        on_error : callable, optional
            Called with the path and the exception for a file that cannot be used; the others are done.
            Without it the exception is raised.
        progress : callable, optional
            Called with a line about every window that was heard: ``"talk.flac 38 s"``.

        Returns
        -------
        list of Prediction
            In the order of `paths`; None for a file that `on_error` was called for.

        Examples
        --------
        >>> from npreslstm.assets import demo_clip_path
        >>> failed = lambda path, error: print(error)
        >>> good, bad = Recognizer().process_files([demo_clip_path(), "gone.wav"], on_error=failed)
        gone.wav: no such file
        >>> good.label, bad
        ('fear', None)
        """
        from npreslstm.audio.finding import listed
        from npreslstm.audio.sources import source_name
        from npreslstm.audio.windows import check_windows, file_windows

        check_windows(window, hop, smooth)
        queue, clips = Queue(self, smooth, progress), list[Clip | None]()
        for path in listed(paths):
            path = os.fspath(path) if isinstance(path, os.PathLike) else path
            try:
                clips.append(queue.add_clip(source_name(path), file_windows(path, window, hop, gate)))
            except (InputError, OSError) as error:
                if on_error is None:
                    raise
                on_error(path, error)
                clips.append(None)
        predictions = iter(queue.finish([clip for clip in clips if clip is not None]))
        return [None if clip is None else next(predictions) for clip in clips]

    @overload
    def process_folder(
        self,
        folder: StrPath,
        window: float | None = None,
        hop: float | None = None,
        on_error: None = None,
        *,
        gate: bool = True,
        smooth: float = 0.0,
    ) -> list[Prediction]: ...

    @overload
    def process_folder(
        self,
        folder: StrPath,
        window: float | None = None,
        hop: float | None = None,
        *,
        on_error: OnError,
        gate: bool = True,
        smooth: float = 0.0,
    ) -> list[Prediction | None]: ...

    def process_folder(
        self,
        folder: StrPath,
        window: float | None = None,
        hop: float | None = None,
        on_error: OnError | None = None,
        *,
        gate: bool = True,
        smooth: float = 0.0,
    ) -> list[Prediction] | list[Prediction | None]:
        """Predict all sound files in a folder and the folders in it, sorted by name.

        Parameters
        ----------
        folder : str or os.PathLike
        window, hop, on_error, gate, smooth
            As in `process_files`.

        Returns
        -------
        list of Prediction

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        InputError
            If it holds no sound files.

        Examples
        --------
        >>> from npreslstm.assets import demo_clip_path
        >>> [p.label for p in Recognizer().process_folder(os.path.dirname(demo_clip_path()))]
        ['fear']
        """
        from npreslstm.audio.reader import find_audio

        files = find_audio([folder])
        if on_error is None:
            return self.process_files(files, window, hop, gate=gate, smooth=smooth)
        return self.process_files(files, window, hop, on_error=on_error, gate=gate, smooth=smooth)

    def _features(
        self, signal: FloatArray, sample_rate: int, speed: float = 1.0
    ) -> tuple[FloatArray, FloatArray, str | None]:
        """The model's input (T, D) of one window, the middle of each frame in seconds, and what is odd about
        it.

        Another speed takes resampling, of which there is no need to warn.
        """
        from npreslstm.audio.features import prepare_signal
        from npreslstm.audio.oddities import oddity
        from npreslstm.audio.signal import trim_bounds, trim_energies

        config = self._config
        lower = sample_rate < config.sample_rate  # from a higher rate all is there that the weights listen to
        y = prepare_signal(signal, round(sample_rate * speed), config, warn=lower and speed == 1)
        first, last = (
            (0, len(y)) if config.trim_db is None else trim_bounds(*trim_energies([y]), config.trim_db)
        )
        x = self._inputs(y[first:last])
        return x, (first + _frame_middles(len(x), config)) / config.sample_rate, oddity(y, config, signal)

    def _inputs(self, y: FloatArray) -> FloatArray:
        """Z-scored features (T, D) float32 of samples (n,) at the rate of the features, trimmed."""
        from npreslstm.audio.features import features_of_signal

        config = dataclasses.replace(self._config, trim_db=None)
        features = features_of_signal(y, config.sample_rate, config)
        return ((features - self._mean) / self._std).astype(np.float32)

    def _infer(self, clips: Sequence[FloatArray]) -> list[tuple[FloatArray, FloatArray]]:
        """Class probabilities (C,) and attention (T,) of each of some clips of z-scored features (T, D)."""
        lengths = np.array([len(x) for x in clips])
        batch = np.zeros((len(clips), lengths.max(), clips[0].shape[1]), np.float32)  # (N, T, D)
        for x, row in zip(clips, batch):
            row[: len(x)] = x
        logits, alpha = self.model.infer(batch, lengths)
        if not np.isfinite(logits).all():
            raise InputError("the weights give logits that are no finite numbers: they are damaged")
        return [(p, a[:T].copy()) for p, a, T in zip(softmax(logits), alpha, lengths)]


def _all_of(
    checkpoint: Checkpoint, name: StrPath | None
) -> tuple[FeatureConfig, FloatArray, FloatArray, tuple[str, ...]]:
    """Configuration, mean, std and classes; an InputError that names those that are not there."""
    features, mean, std, classes = checkpoint.features, checkpoint.mean, checkpoint.std, checkpoint.classes
    if features is not None and mean is not None and std is not None and classes is not None:
        return features, mean, std, classes
    parts = {
        "statistics": mean is not None and std is not None,
        "feature configuration": features is not None,
        "classes": classes is not None,
    }
    missing = [part for part, there in parts.items() if not there]
    remedy = f"npreslstm convert {name} OUT.npz --like OTHER.npz"
    raise InputError(
        f"{name} has no {', no '.join(missing)}; Recognizer needs them: take them from other weights with"
        f" `{remedy}`"
    )


def _frame_middles(T: int, config: FeatureConfig) -> Array:
    """Sample in the middle of each frame: (T,)."""
    t = np.arange(T)
    return (
        t * config.hop_length
        if config.framing == "centered"
        else (t + 1) * config.hop_length - config.n_fft // 2
    )
