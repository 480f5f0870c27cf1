"""What a network does with one clip, from samples to logits, in float64, with nothing left out.

The frames' log-mel bands are kept without the floors of the features, so that the features can be had again
of the same sound at another level, exactly: a gain adds the same to each band, before the floors.

Letters: n samples, T frames, D features, C classes.
"""

import dataclasses
import os
import warnings
from typing import NamedTuple

import numpy as np

from npreslstm.audio import chroma, mfcc, spectrum
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import frames_at_once, prepare_signal
from npreslstm.audio.reader import open_audio, read_blocks, source_name
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import trim_bounds, trim_energies
from npreslstm.checkpoint import Checkpoint
from npreslstm.errors import InputError
from npreslstm.layers.activations import softmax
from npreslstm.layers.batchnorm import batchnorm_frozen
from npreslstm.layers.dense import linear_forward
from npreslstm.model import ModelCache, ResLSTM
from npreslstm.recognizer import FAINTEST, RecognitionWarning, Recognizer, _oddity

LONGEST = 30.0  # seconds: more is no picture that anybody could read
PLAYED = 16000  # Hz
BLOCK = 1 << 16  # samples read at once
LOWEST_DB = -200.0  # of a band: below what any gain can lift above a floor
CUT = 0.25  # seconds that are cut off an end
QUIET_DB = 30.0  # below the loudest: such ends are trimmed
ROUNDING = 1e-4  # dB: a product of matrices rounds a row by where it stands; more is another frame


class Frames(NamedTuple):
    """What the features of each frame are made of."""

    log_mel: np.ndarray  # (T, n_mels) float32, dB, without floors
    chroma: np.ndarray  # (T, n_chroma) float32


@dataclasses.dataclass(frozen=True)
class Cut:
    """The clip without some of its ends: frames `first` to `last` of it, but for those that differ, since
    the silence that a frame reaches into now begins elsewhere.
    """

    name: str
    samples: tuple[int, int]  # from where to where, of those that are heard
    first: int
    last: int
    changed: np.ndarray  # (k,) int, frames of the cut clip
    frames: Frames  # those k


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
    ('angry', (81, 46), 1.0)
    """
    checkpoint = Recognizer(weights).checkpoint  # which refuses weights that lack something
    config = checkpoint.features
    name = os.path.basename(source_name(path))
    signal, rate = read_part(path, start, seconds)
    samples = prepare_signal(signal, rate, config, warn=rate < config.sample_rate)
    if np.std(samples, dtype=np.float64) < FAINTEST:
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
        "note": _note(name, samples, config),
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
        "cuts": tuple(_cuts(y, frames, config)),
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
        for block in read_blocks(file, path, BLOCK):
            blocks.append(block[max(0, first - position) : max(0, last - position)])
            position += len(block)
            if position >= last:
                break
    return np.concatenate(blocks), rate


def frames_of(y: np.ndarray, config: FeatureConfig) -> Frames:
    """What the features of a signal (n,) float32 at the configuration's rate are made of."""
    blocks = spectrum.frame_blocks(y, config.n_fft, config.hop_length, config.framing, frames_at_once(config))
    power = np.concatenate([spectrum.power_spectrum(frames) for frames in blocks])  # (T, F)
    rate = config.sample_rate
    tuning = config.tuning
    if tuning is None:
        tuning = chroma.estimate_tuning(power, rate, config.n_chroma)
    mel = mfcc.mel_spectrogram(power, rate, config.n_mels, config.fmin, config.upper_hz)
    return Frames(mfcc.power_to_db(mel, LOWEST_DB), chroma.chroma(power, rate, config.n_chroma, tuning))


def floor_of(config: FeatureConfig) -> float:
    """The lowest value of a band of the features, in dB, as float32 has it."""
    return float(mfcc.power_to_db(np.zeros(1, np.float32), config.floor_db)[0])


def features_of(frames: Frames, checkpoint: Checkpoint, gain_db: float = 0.0) -> np.ndarray:
    """Z-scored features (T, D) float64 of a clip's frames, as if it were `gain_db` louder.

    `Recognizer` rounds the same numbers to float32.
    """
    config = checkpoint.features
    log_mel = np.maximum(frames.log_mel.astype(np.float64) + gain_db, floor_of(config))  # (T, n_mels)
    if config.top_db is not None:
        log_mel = np.maximum(log_mel, log_mel.max() - config.top_db)
    cepstrum = log_mel @ mfcc.dct_basis(config.n_mels, config.n_mfcc)  # (T, n_mfcc)
    features = np.concatenate([cepstrum, frames.chroma], axis=1)  # (T, D)
    return (features - checkpoint.mean) / checkpoint.std


def combined_vector(model: ResLSTM) -> np.ndarray:
    """The one attention vector v (H,) that several come to: v = sum_k w_k v_k."""
    w = model.tensors.get("head_combine.weight")
    V = model.tensors["attention_vector"]  # (H, K)
    return V[:, 0] if w is None else V @ w[0]


def _cuts(y, frames, config):
    """The clip without a quarter of a second at either end, and without quiet ends; those that leave sound
    and change something. They begin and end where a hop does.
    """
    hop, n = config.hop_length, len(y)
    cut = -(-round(CUT * config.sample_rate) // hop) * hop
    begin, end = trim_bounds(*trim_energies([y]), QUIET_DB)
    spans = {
        f"first {1000 * cut / config.sample_rate:.0f} ms cut off": (cut, n),
        f"last {1000 * cut / config.sample_rate:.0f} ms cut off": (0, (n - cut) // hop * hop),
        f"ends trimmed, {QUIET_DB:g} dB below the loudest": (
            begin // hop * hop,
            min(n, -(-end // hop) * hop),
        ),
    }
    for name, (first, last) in spans.items():
        if last - first >= config.n_fft and (first, last) != (0, n):
            yield _cut(name, y, (first, last), frames, config)


def _cut(name, y, span, frames, config):
    """The clip without the samples outside `span`, which begins with a hop; its frames that the whole clip
    has not.
    """
    new = frames_of(y[slice(*span)], config)
    first = span[0] // config.hop_length
    T = len(new.log_mel)
    same = np.ones(T, bool)
    for old, now in zip(frames, new):
        part = old[first : first + T]
        same[len(part) :] = False
        same[: len(part)] &= (abs(part - now[: len(part)]) < ROUNDING).all(axis=1)
    changed = np.flatnonzero(~same)
    return Cut(name, span, first, first + T, changed, Frames(new.log_mel[changed], new.chroma[changed]))


def _middles(T, config):
    """Sample in the middle of each frame: (T,)."""
    t = np.arange(T)
    if config.framing == "centered":
        return t * config.hop_length
    return (t + 1) * config.hop_length - config.n_fft // 2


def _note(name, samples, config):
    """What is odd about the clip, in words and as a warning."""
    oddity = _oddity(samples, config)
    if oddity is None:
        return ""
    note = f"{name} is {oddity}: the label means little"
    warnings.warn(note, RecognitionWarning, stacklevel=3)  # of who called `hear`
    return note


def _weights_name(weights):
    if weights is None:
        from npreslstm.assets import DEFAULT_WEIGHTS

        return DEFAULT_WEIGHTS
    if isinstance(weights, Checkpoint):
        return "of a checkpoint"
    return os.path.basename(os.fspath(weights))
