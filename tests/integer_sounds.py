"""16-bit samples that take the integer frontend to its limits, and some like speech."""

import numpy as np
from samples import voice

N = 12_000  # samples at 16 kHz
RATE = 16_000


def as_samples(y):
    """int16 of floats in steps."""
    return np.clip(np.rint(y), -32768, 32767).astype(np.int16)


def chirp(level):
    """From 50 Hz to 7 kHz."""
    t = np.arange(N) / RATE
    return as_samples(level * np.sin(2 * np.pi * (50 * t + 6950 / 2 * t**2 / (N / RATE))))


def clicks():
    """Single steps, some where the window is near 0, and a full one."""
    pcm = np.zeros(N, np.int16)
    pcm[[1, 510, 511, 4000, 4001, 8999]] = 1, -1, 1, 1, 1, -1
    pcm[10_000] = -32768
    return pcm


def extremes(seed=0):
    """{name: int16 samples (N,)}."""
    rng = np.random.default_rng(seed)
    n = np.arange(N)
    return {
        "silence": np.zeros(N, np.int16),
        "constant, lowest": np.full(N, -32768, np.int16),
        "constant, highest": np.full(N, 32767, np.int16),
        "square": np.where(n // 50 % 2, 32767, -32768).astype(np.int16),
        "square, highest frequency": np.where(n % 2, 32767, -32768).astype(np.int16),
        "square, half of it": np.where(n // 2 % 2, 32767, -32768).astype(np.int16),
        "clicks": clicks(),
        "noise of one step": rng.integers(-1, 2, N).astype(np.int16),
        "noise of full scale": rng.integers(-32768, 32768, N).astype(np.int16),
        "signs": np.where(rng.random(N) < 0.5, 32767, -32768).astype(np.int16),
        "minus one": np.full(N, -1, np.int16),
        "chirp": chirp(32767),
        "swelling noise": as_samples(rng.normal(size=N) * 2.0 ** np.linspace(-2, 16, N)),
    }


def ordinary(seed=0):
    """{name: int16 samples (N,)} of what people record."""
    rng = np.random.default_rng(seed)
    spoken = 32768 * voice(N / RATE, seed=seed)
    return {
        "speech": as_samples(spoken),
        "faint speech": as_samples(0.02 * spoken),
        "loud speech": as_samples(12 * spoken),
        "speech with an offset": as_samples(spoken + 1000),
        "speech in noise": as_samples(spoken + 300 * rng.normal(size=N)),
        "noise": as_samples(3000 * rng.normal(size=N)),
        "chirp": chirp(3000),
    }
