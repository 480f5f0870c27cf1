"""What golden vectors are made of: synthetic inputs, and every stage from PCM to probabilities computed from
them.

Sound is int16 PCM at the rate of the features; it takes the way that `Recognizer` takes. Two cases begin at
z-scored features instead, because no sound makes them. Weights without a feature configuration have such
cases only.
"""

from typing import NamedTuple

import numpy as np

from npreslstm.audio import chroma, mfcc, spectrum
from npreslstm.audio.features import extract_features, prepare_signal
from npreslstm.audio.signal import trim_silence
from npreslstm.testing.model import trace

SEED = 4
SHORT, LONGEST = 12, 124  # frames; the longest clip of RAVDESS has 124
LENGTHS = (12, 1, 7, 9)  # of the padded batch


class Case(NamedTuple):
    """One input: `pcm` (n,) int16, or z-scored features `x` (N, T, D) with `lengths` (N,)."""

    description: str
    pcm: np.ndarray | None = None
    x: np.ndarray | None = None
    lengths: np.ndarray | None = None


def cases(checkpoint):
    """{name: Case} for the weights of a `Checkpoint`, always the same for the same sizes and features."""
    D, rng = checkpoint.config.input_size, np.random.default_rng(SEED)
    made = {
        "padded-batch": Case(
            "four clips of 12, 1, 7 and 9 frames, padded with zeros",
            x=_padded(rng, D),
            lengths=np.array(LENGTHS),
        ),
        "saturating": Case(
            "features of +-50: gates and hidden states at their limits",
            x=_saturating(rng, D),
            lengths=np.array([SHORT]),
        ),
    }
    if has_sound(checkpoint):
        return {
            name: Case(text, pcm=pcm) for name, (text, pcm) in _sounds(checkpoint.features, rng).items()
        } | made
    walks = {"one-frame": ("one frame", 1), "longest": (f"{LONGEST} frames", LONGEST)}
    return {
        name: Case(text, x=_walk(rng, (1, T, D)), lengths=np.array([T])) for name, (text, T) in walks.items()
    } | made


def has_sound(checkpoint):
    """Whether the weights say how features are made and z-scored."""
    return checkpoint.features is not None and checkpoint.mean is not None and checkpoint.std is not None


def compute(checkpoint, case, dtype=np.float64):
    """Every stage of one case.

    Parameters
    ----------
    checkpoint : Checkpoint
    case : Case
    dtype : float64 or float32
        Of the arithmetic.

    Returns
    -------
    lengths : (N,) int array
    tensors : dict of str to array
        ``power`` (T, bins), ``mel_db`` (T, n_mels), ``tuning`` (1,), ``features`` (T, D) where the case is
        sound, then what `npreslstm.testing.trace` gives.
    """
    tensors, x, lengths = {}, case.x, case.lengths
    if case.pcm is not None:
        tensors = _frontend(case.pcm, checkpoint.features, dtype)
        features = tensors["features"]
        x = ((features - checkpoint.mean.astype(dtype)) / checkpoint.std.astype(dtype))[None]
        lengths = np.array([len(features)])
    return lengths, tensors | trace(checkpoint.model(dtype), x, lengths, dtype)


def _frontend(pcm, config, dtype):
    y = prepare_signal(pcm, config.sample_rate, config, dtype)
    if config.trim_db is not None:
        y = trim_silence(y, config.trim_db)
    frames = next(spectrum.frame_blocks(y, config.n_fft, config.hop_length, config.framing, len(y)))
    power = spectrum.power_spectrum(frames)
    mel = mfcc.mel_spectrogram(power, config.sample_rate, config.n_mels, config.fmin, config.upper_hz)
    tuning = (
        chroma.estimate_tuning(power, config.sample_rate, config.n_chroma)
        if config.tuning is None
        else config.tuning
    )
    features = extract_features(pcm, config.sample_rate, config, dtype)
    return {
        "power": power,
        "mel_db": mfcc.power_to_db(mel, config.floor_db),
        "tuning": np.array([tuning], dtype),
        "features": features,
    }


def _sounds(config, rng):
    """{name: (description, pcm)}."""
    rate, n = config.sample_rate, (SHORT - 1) * config.hop_length + config.hop_length // 2
    one, longest = config.hop_length // 2, (LONGEST - 1) * config.hop_length + config.hop_length // 2
    t = np.arange(n) / rate
    tones = sum(np.sin(2 * np.pi * hz * t) for hz in (220.0, 440.0, 1318.5, 0.4 * rate)) / 5
    return {
        "speech": (f"a gliding voice in syllables, {SHORT} frames", _pcm(_voice(n, rate, rng))),
        "silence": (f"digital zero, {SHORT} frames", np.zeros(n, np.int16)),
        "clipping": (
            "the voice ten times full scale, cut off at full scale",
            _pcm(10 * _voice(n, rate, rng)),
        ),
        "tones": ("four steady sines, the highest at 0.4 of the sample rate", _pcm(tones)),
        "one-frame": ("a sound shorter than a frame", _pcm(_voice(one, rate, rng))),
        "longest": (f"the voice for {LONGEST} frames", _pcm(_voice(longest, rate, rng))),
    }


def _voice(n, rate, rng):
    """Harmonics of a gliding pitch, three syllables a second, and a little noise."""
    t = np.arange(n) / rate
    pitch = rng.uniform(110, 200) * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    harmonics = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 30))
    return 0.25 * harmonics * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * t)) + 1e-3 * rng.standard_normal(n)


def _pcm(signal):
    return np.clip(np.round(signal * 32768), -32768, 32767).astype(np.int16)


def _walk(rng, shape):
    """Slow random walks with a variance of 1: what z-scored features are like."""
    x = rng.normal(size=shape)
    for t in range(1, shape[1]):
        x[:, t] = 0.8 * x[:, t - 1] + 0.6 * x[:, t]
    return x.astype(np.float32)


def _padded(rng, D):
    x = _walk(rng, (len(LENGTHS), max(LENGTHS), D))
    x[np.arange(max(LENGTHS)) >= np.array(LENGTHS)[:, None]] = 0
    return x


def _saturating(rng, D):
    return rng.choice(np.array([-50, 50], np.float32), size=(1, SHORT, D))
