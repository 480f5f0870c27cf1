"""Noise: white, pink, speech-shaped, babble of other voices, or recorded backgrounds; laid under a voice at a
given distance.
"""

import numpy as np
from numpy.typing import NDArray

from npreslstm.conditions.filters import spectrum_size
from npreslstm.conditions.levels import active_level, rms
from npreslstm.errors import InputError

KINDS = ("white", "pink", "speech", "babble", "background")
TALKERS = 6  # voices of a babble
SPEEDS = (0.8, 1.25)  # between which a talker's recording is played: one person's clips become several voices
SMOOTHING = 32  # lines over which the spectrum of speech is smoothed


def add_noise(
    y: NDArray[np.floating], rate: int, noise: NDArray[np.floating], decibels: float
) -> NDArray[np.floating]:
    """Lay noise (n,) under a voice (n,), its power `decibels` below the active speech level."""
    return y + noise * (active_level(y, rate) / rms(noise) * 10 ** (-decibels / 20))


def make_noise(
    kind: str, n: int, rng: np.random.Generator, sources: list[NDArray[np.floating]]
) -> NDArray[np.floating]:
    """Noise of any level.

    Parameters
    ----------
    kind : {'white', 'pink', 'speech', 'babble', 'background'}
    n : int
        Samples.
    rng : numpy.random.Generator
    sources : list of (m,) arrays
        Voices at the same rate, for speech-shaped noise and babble; for a background recordings of that.

    Returns
    -------
    (n,) array

    Raises
    ------
    InputError
        If the kind is unknown, or needs sources and has none.
    """
    if kind == "white":
        return rng.standard_normal(n, dtype=np.float32)
    if kind == "pink":
        return pink_noise(n, rng)
    if kind not in KINDS:
        raise InputError(f"noise is {kind!r}; expected one of {', '.join(KINDS)}")
    if not sources:
        raise InputError(
            f"noise of kind {kind!r} is made of recordings, and there are none; give some, or take white or"
            " pink"
        )
    if kind == "speech":
        return speech_shaped_noise(n, sources[rng.integers(len(sources))], rng)
    if kind == "babble":
        return sum(talker(sources[rng.integers(len(sources))], n, rng) for _ in range(TALKERS))
    return excerpt(sources[rng.integers(len(sources))], n, rng)


def pink_noise(n: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """Noise whose power falls by 3 dB an octave."""
    size = spectrum_size(n)
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return np.fft.irfft(spectrum, size)[:n]


def speech_shaped_noise(
    n: int, voice: NDArray[np.floating], rng: np.random.Generator
) -> NDArray[np.floating]:
    """Noise with the long-term spectrum of a voice."""
    size = spectrum_size(max(n, len(voice)))
    power = np.square(np.abs(np.fft.rfft(voice, size)))
    envelope = np.sqrt(np.convolve(power, np.full(SMOOTHING, 1 / SMOOTHING), mode="same"))
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(size, dtype=np.float32)) * envelope, size)[:n]


def excerpt(source: NDArray[np.floating], n: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """n samples of a recording from a random place on, at root mean square 1, repeated where it
    is shorter.
    """
    start = int(rng.integers(len(source)))
    chosen = np.take(source, np.arange(start, start + n), mode="wrap")
    return chosen / rms(chosen)


def talker(source: NDArray[np.floating], n: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """As `excerpt`, of the recording played slower or faster."""
    speed = rng.uniform(*SPEEDS)
    heard = excerpt(source, int(n * speed) + 2, rng)
    return np.interp(np.arange(n) * speed, np.arange(len(heard)), heard)
