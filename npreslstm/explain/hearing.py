"""What a network does with one clip, from samples to logits, in float64, with nothing left out.

Letters: n samples, T frames, D features, C classes.
"""

import dataclasses
import os
import warnings

import numpy as np

from npreslstm.audio.features import prepare_signal
from npreslstm.audio.oddities import is_silent, oddity
from npreslstm.audio.reader import open_audio, read_blocks
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import to_mono, trim_bounds, trim_energies
from npreslstm.audio.sources import source_name
from npreslstm.checkpoint import Checkpoint
from npreslstm.errors import InputError
from npreslstm.explain.frames import Cut, Frames, cuts_of, features_of, frames_of
from npreslstm.layers.activations import softmax
from npreslstm.layers.batchnorm import batchnorm_frozen
from npreslstm.layers.dense import linear_forward
from npreslstm.model import ModelCache, ResLSTM
from npreslstm.recognizer import RecognitionWarning, Recognizer

LONGEST = 30.0  # seconds: more is no picture that anybody could read
PLAYED = 16000  # Hz
BLOCK = 1 << 16  # samples read at once


@dataclasses.dataclass(frozen=True)
class Hearing:
    """One clip and all that is needed to compute everything about it.

    Attributes
    ----------
    name : str
        Of the file, without its folder.
    weights : str
        Their name.
    checkpoint : Checkpoint
    start, duration : float
        Seconds: where in the file the clip starts, and how long it is.
    sound : (n,) float32 array
        The clip at the rate `PLAYED`.
    samples : (m,) float32 array
        The same at the rate of the features.
    heard : (int, int)
        First and last of these samples that the network hears; fewer where the features trim silence.
    frames : Frames
    x : (T, D) float64 array
        Z-scored features, see `features_of`.
    times : (T,) float64 array
        Seconds from the clip's start to the middle of each frame.
    cuts : tuple of Cut
    model : ResLSTM
        In float64, on the reference layers.
    logits : (C,) array
    cache : ModelCache
    note : str
        Why the label means little, or nothing.
    """

    name: str
    weights: str
    checkpoint: Checkpoint
    start: float
    duration: float
    sound: np.ndarray
    samples: np.ndarray
    heard: tuple[int, int]
    frames: Frames
    x: np.ndarray
    times: np.ndarray
    cuts: tuple[Cut, ...]
    model: ResLSTM
    logits: np.ndarray
    cache: ModelCache
    note: str

    @property
    def probabilities(self) -> np.ndarray:
        """(C,)"""
        return softmax(self.logits)

    @property
    def label(self) -> str:
        """The class with the largest probability."""
        return self.checkpoint.classes[int(self.logits.argmax())]

    @property
    def attention(self) -> np.ndarray:
        """(T,), which sum to 1."""
        return self.cache.attention.alpha.reshape(-1)

    @property
    def hidden(self) -> np.ndarray:
        """(T, H): what attention weighs."""
        return self.cache.attention.h.reshape(len(self.x), -1)

    def running_probabilities(self) -> np.ndarray:
        """(T, C): the probabilities after each frame, had the clip ended there."""
        e = self.hidden @ combined_vector(self.model)  # (T,)
        weight = np.exp(e - e.max())  # (T,)
        context = np.cumsum(weight[:, None] * self.hidden, axis=0) / np.cumsum(weight)[:, None]  # (T, H)
        tensors = self.model.tensors
        statistics = (tensors[f"bn.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
        head_input, _ = batchnorm_frozen(context, *statistics)  # (T, H)
        return softmax(linear_forward(head_input, tensors["fc.weight"], tensors["fc.bias"]))

    def sensitivity(self) -> np.ndarray:
        """(T,) Euclidean norm of the gradient of the label's probability with respect to each frame."""
        p, best = self.probabilities, int(self.logits.argmax())
        dlogits = p[best] * (np.eye(len(p))[best] - p)  # (C,)
        _, dx = self.model.backward(dlogits[None], self.cache, return_dx=True)
        return np.sqrt((dx[0] ** 2).sum(axis=1))


def hear(
    path: str | os.PathLike,
    weights: str | os.PathLike | Checkpoint | None = None,
    start: float = 0.0,
    seconds: float | None = None,
) -> Hearing:
    """Run a clip through the network and keep every number.

    Parameters
    ----------
    path : str, os.PathLike or binary file
        As of `read_audio`.
    weights : str, os.PathLike or Checkpoint, optional
        As of `Recognizer`; default: the bundled ``"robust"``.
    start, seconds : float
        Which part of the file; default: all of it. At most 30 s.

    Returns
    -------
    Hearing

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it cannot be used, is too long or silent, or the part is not in it, or the weights lack statistics.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> heard = hear(demo_clip_path(), "mcu")
    >>> heard.label, heard.x.shape, round(float(heard.attention.sum()), 9)
    ('disgust', (81, 46), 1.0)
    """
    checkpoint = Recognizer(weights).checkpoint  # which refuses weights that lack something
    config = checkpoint.features
    name = os.path.basename(source_name(path))
    signal, rate = read_part(path, start, seconds)
    samples = prepare_signal(signal, rate, config, warn=rate < config.sample_rate)
    recorded = to_mono(signal)
    if is_silent(recorded) or is_silent(samples):
        raise InputError(
            f"{name} is silent from {start:g} s on: choose a part with sound by --start, --seconds"
        )
    clip = {
        "name": name,
        "weights": _weights_name(weights),
        "start": float(start),
        "duration": len(samples) / config.sample_rate,
        "sound": resample(samples, config.sample_rate, PLAYED),
        "samples": samples,
        "note": _note(name, samples, config, recorded),
    }
    return Hearing(checkpoint=checkpoint, **clip, **_run(samples, checkpoint))


def hear_nothing(weights: str | os.PathLike | Checkpoint | None = None) -> Hearing:
    """As `hear`, of half a second of silence: what a page shows that waits for a voice.

    Examples
    --------
    >>> hear_nothing("mcu").x.shape
    (16, 46)
    """
    checkpoint = Recognizer(weights).checkpoint
    samples = np.zeros(checkpoint.features.sample_rate // 2, np.float32)
    clip = {
        "name": "silence",
        "weights": _weights_name(weights),
        "start": 0.0,
        "duration": len(samples) / checkpoint.features.sample_rate,
        "sound": np.zeros(PLAYED // 2, np.float32),
        "samples": samples,
        "note": "",
    }
    return Hearing(checkpoint=checkpoint, **clip, **_run(samples, checkpoint))


def _run(samples, checkpoint):
    """What the network hears of a clip's samples, and what it computes: fields of `Hearing`."""
    config = checkpoint.features
    heard = (0, len(samples))
    if config.trim_db is not None:
        heard = trim_bounds(*trim_energies([samples]), config.trim_db)
    y = samples[slice(*heard)]
    frames = frames_of(y, config)
    x = features_of(frames, checkpoint)
    model = checkpoint.model(np.float64, backend="reference")
    logits, cache = model.forward(x[None], [len(x)])
    if not np.isfinite(logits).all():
        raise InputError("the weights give logits that are no finite numbers: they are damaged")
    return {
        "heard": heard,
        "frames": frames,
        "x": x,
        "times": (heard[0] + _middles(len(x), config)) / config.sample_rate,
        "cuts": tuple(cuts_of(y, frames, config)),
        "model": model,
        "logits": logits[0],
        "cache": cache,
    }


def read_part(path, start=0.0, seconds=None):
    """Samples and rate of a part of a file that is at most `LONGEST` long; errors as of `hear`."""
    if not 0 <= start < np.inf:
        raise InputError(f"--start is {start}; expected seconds from 0")
    if seconds is not None and not 0 < seconds <= LONGEST:
        raise InputError(f"--seconds is {seconds}; expected above 0 and up to {LONGEST:g}")
    with open_audio(path) as file:
        rate, total = file.samplerate, file.frames
        name, length = os.path.basename(file.name), file.frames / file.samplerate
        if start >= length:
            raise InputError(f"--start is {start:g} s; {name} ends after {length:.2f} s")
        if seconds is None and length - start > LONGEST:
            raise InputError(
                f"{name} is {length:.0f} s long; a page explains at most {LONGEST:g} s: choose a part, for"
                f" example --start {start:g} --seconds 10"
            )
        first = round(start * rate)
        last = total if seconds is None else min(total, first + max(1, round(seconds * rate)))
        blocks, position = [], 0
        for block in read_blocks(file, BLOCK):
            blocks.append(block[max(0, first - position) : max(0, last - position)])
            position += len(block)
            if position >= last:
                break
    return np.concatenate(blocks), rate


def combined_vector(model: ResLSTM) -> np.ndarray:
    """The one attention vector v (H,) that several come to: v = sum_k w_k v_k."""
    w = model.tensors.get("head_combine.weight")
    V = model.tensors["attention_vector"]  # (H, K)
    return V[:, 0] if w is None else V @ w[0]


def _middles(T, config):
    """Sample in the middle of each frame: (T,)."""
    t = np.arange(T)
    if config.framing == "centered":
        return t * config.hop_length
    return (t + 1) * config.hop_length - config.n_fft // 2


def _note(name, samples, config, signal):
    """What is odd about the clip, in words and as a warning."""
    odd = oddity(samples, config, signal)
    if odd is None:
        return ""
    note = f"{name} is {odd}: the label means little"
    warnings.warn(note, RecognitionWarning, stacklevel=3)  # of who called `hear`
    return note


def _weights_name(weights):
    if weights is None:
        from npreslstm.assets import DEFAULT_WEIGHTS

        return DEFAULT_WEIGHTS
    if isinstance(weights, Checkpoint):
        return "of a checkpoint"
    return os.path.basename(os.fspath(weights))
