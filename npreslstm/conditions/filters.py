"""Filters by a product of spectra: rooms, microphones, telephone bands. Letters: n samples, F = size / 2 + 1
frequencies.
"""

import numpy as np
from numpy.typing import NDArray

SMEAR = 4096  # samples: by then the responses of `shape` have died away


def spectrum_size(n: int) -> int:
    """Length of a fast transform that holds n samples: the next even number without prime factors above 5."""
    n += n % 2
    while not _is_fast(n):
        n += 2
    return n


def _is_fast(n):
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n == 1


def convolve(y: NDArray[np.floating], response: NDArray[np.floating]) -> NDArray[np.floating]:
    """The first n samples of a signal (n,) convolved with a response (m,)."""
    size = spectrum_size(len(y) + len(response))
    spectrum = np.fft.rfft(y, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(y)]


def shape(y: NDArray[np.floating], rate: int, gain) -> NDArray[np.floating]:
    """A signal (n,) through a filter without delay.

    Parameters
    ----------
    y : (n,) array
    rate : int
        Hz.
    gain : callable
        Takes frequencies (F,) in Hz, gives factors (F,).

    Returns
    -------
    (n,) array
    """
    size = spectrum_size(len(y) + SMEAR)  # what is smeared over the end must not come back at the beginning
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    return np.fft.irfft(np.fft.rfft(y, size) * gain(frequencies), size)[: len(y)]


def high_pass(frequencies: NDArray[np.floating], cutoff: float, order: int = 4) -> NDArray[np.floating]:
    """Butterworth's gain, -3 dB at the cut-off, 6 dB an octave for each order: (F,) -> (F,)."""
    ratio = cutoff / np.maximum(frequencies, 1e-3)
    return 1 / np.sqrt(1 + ratio ** (2 * order))


def low_pass(frequencies: NDArray[np.floating], cutoff: float, order: int = 4) -> NDArray[np.floating]:
    """As `high_pass`, the other way round."""
    ratio = frequencies / cutoff
    return 1 / np.sqrt(1 + ratio ** (2 * order))


def tilt(frequencies: NDArray[np.floating], decibels: float) -> NDArray[np.floating]:
    """Gain that rises by so many decibels an octave about 1 kHz, flat below 50 Hz: (F,) -> (F,)."""
    octaves = np.log2(np.maximum(frequencies, 50.0) / 1000.0)
    return 10 ** (decibels * octaves / 20)


def played(y: NDArray[np.floating], rate: float, to_rate: int) -> NDArray[np.floating]:
    """A signal (n,) at another sample rate, by its spectrum; another `rate` than its own plays it faster or
    slower.

    Several times as fast as `audio.resampling.resample` at odd ratios, but digital silence comes out as
    rounding errors.
    """
    size = spectrum_size(len(y) + SMEAR)
    # up to half a percent slower than asked for, and many times as fast
    to_size = spectrum_size(round(size * to_rate / rate))
    spectrum = np.fft.rfft(y, size)[: to_size // 2 + 1]
    heard = np.fft.irfft(spectrum, to_size) * (to_size / size)
    return heard[: round(len(y) * to_size / size)].astype(y.dtype, copy=False)
