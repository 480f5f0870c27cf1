"""What several test modules need: sounds, and small weights files."""

import wave

import numpy as np

from npreslstm.audio.features import FeatureConfig
from npreslstm.checkpoint import Checkpoint, save_checkpoint
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig

CLASSES = ("calm", "happy", "sad")
FEATURES = FeatureConfig(sample_rate=16000, n_fft=1024, hop_length=512, n_mels=64, trim_db=30.0)


def voice(seconds=1.0, sample_rate=16000, seed=0):
    """Something like speech: harmonics of a gliding pitch, three syllables a second, a little noise: (n,)
    float32.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = (
        2
        * np.pi
        * np.cumsum(rng.uniform(100, 200) * (1 + 0.2 * np.sin(2 * np.pi * rng.uniform(0.3, 1) * t)))
        / sample_rate
    )
    harmonics = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 20))
    return (0.05 * harmonics * (1.1 + np.sin(2 * np.pi * 3 * t)) + 1e-3 * rng.standard_normal(len(t))).astype(
        np.float32
    )


def write_wav(path, signal, sample_rate=16000):
    """16-bit PCM WAV by the standard library; `signal` (n,) or (n, channels) floats or int16.
    Returns `path`.
    """
    signal = np.asarray(signal)
    if signal.dtype != np.int16:
        signal = np.clip(np.round(signal * 32768), -32768, 32767).astype(
            np.int16
        )  # `wave` takes native order
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if signal.ndim == 1 else signal.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(signal.tobytes())
    return path


def checkpoint(features=FEATURES, classes=CLASSES, seed=0, **sizes):
    """A random model whose logits differ from sound to sound, with statistics near those of `voice`."""
    rng = np.random.default_rng(seed)
    config = ModelConfig(**{"hidden_size": 8, "num_classes": len(classes), **sizes})
    state = ResLSTM(config, rng).state_dict()
    state["fc.weight"] *= 4
    mean, std = np.zeros(46), np.full(46, 20.0)
    mean[0], std[0] = -200.0, 100.0
    mean[34:], std[34:] = 0.4, 0.3
    return Checkpoint(
        config,
        state,
        features,
        mean,
        std,
        classes,
        {"seed": seed, "split": {"held out": [2, 5]}, "licence": "none"},
    )


def write_weights(path, **options):
    """A weights file of `checkpoint(**options)`. Returns `path`."""
    save_checkpoint(path, checkpoint(**options))
    return path


def write_clips(folder):
    """Three clips in a new folder: a.wav, b.wav, c.wav."""
    folder.mkdir()
    for k, name in enumerate(("a.wav", "b.wav", "c.wav")):
        write_wav(folder / name, voice(0.5 + k / 4, seed=k))
    return folder
