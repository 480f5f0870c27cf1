"""Mel bands, decibels, cepstrum: (T, F) power spectra to (T, n_mfcc) MFCC, as ``librosa.feature.mfcc``.

Source of the definitions: librosa 0.11 (``filters.mel`` with Slaney's scale and area normalisation,
``power_to_db``, orthonormal DCT-II).
"""

import functools
import warnings

import numpy as np

LINEAR_STEP = 200.0 / 3  # Hz a mel below BREAK_HZ
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_STEP
LOG_STEP = np.log(6.4) / 27.0  # above BREAK_HZ
BANDS_AT_ONCE = 16  # mel bands in one matrix product, over the bins that any of them hears


def hz_to_mel(hz):
    """Slaney's mel scale: linear below 1 kHz, logarithmic above."""
    hz = np.asarray(hz, np.float64)
    return np.where(
        hz < BREAK_HZ, hz / LINEAR_STEP, BREAK_MEL + np.log(np.maximum(hz, BREAK_HZ) / BREAK_HZ) / LOG_STEP
    )


def mel_to_hz(mel):
    """Inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    return np.where(
        mel < BREAK_MEL,
        mel * LINEAR_STEP,
        BREAK_HZ * np.exp(LOG_STEP * (np.maximum(mel, BREAK_MEL) - BREAK_MEL)),
    )


def mel_edges(n_mels, fmin, fmax):
    """Corner frequencies in Hz, (n_mels + 2,): band m rises from edge m to m + 1 and falls to m + 2."""
    return mel_to_hz(np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2))


@functools.lru_cache(maxsize=16)
def mel_filter_bank(sample_rate, n_fft, n_mels, fmin, fmax):
    """Triangular mel filters of unit area (Slaney): (n_mels, F) float32, ``librosa.filters.mel``."""
    hz = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)  # (F,)
    edges = mel_edges(n_mels, fmin, fmax)  # (n_mels + 2,)
    width = np.diff(edges)
    ramps = np.subtract.outer(edges, hz)  # (n_mels + 2, F)
    rise = -ramps[:-2] / width[:-1, None]
    fall = ramps[2:] / width[1:, None]
    weights = np.maximum(0, np.minimum(rise, fall)).astype(np.float32)
    weights *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    weights.flags.writeable = False
    empty = np.count_nonzero((weights == 0).all(axis=1))
    if empty:
        warnings.warn(
            f"{empty} of {n_mels} mel bands are narrower than a bin and stay empty: take fewer bands or a"
            " larger n_fft",
            stacklevel=2,
        )
    return weights


@functools.lru_cache(maxsize=16)
def _mel_blocks(sample_rate, n_fft, n_mels, fmin, fmax):
    """The filter bank without most of its zeros: (bands, bins, weights (bins, bands)) for 16 neighbouring
    bands each.

    A bin belongs to at most two bands, so all but a few of the F bins are zero for any band. Small dense
    blocks take a sixth of the dense product and beat a general sparse product, which would need the spectrum
    transposed.
    """
    bank = mel_filter_bank(sample_rate, n_fft, n_mels, fmin, fmax)
    blocks = []
    for first in range(0, n_mels, BANDS_AT_ONCE):
        part = bank[first : first + BANDS_AT_ONCE]
        heard = np.flatnonzero(part.any(axis=0))
        if len(heard):
            bins = slice(int(heard[0]), int(heard[-1]) + 1)
            blocks.append((slice(first, first + len(part)), bins, np.ascontiguousarray(part[:, bins].T)))
    return blocks


def mel_spectrogram(power, sample_rate, n_mels, fmin, fmax):
    """Energy in mel bands: (T, F) -> (T, n_mels)."""
    mel = np.zeros((len(power), n_mels), power.dtype)
    for bands, bins, weights in _mel_blocks(sample_rate, 2 * (power.shape[1] - 1), n_mels, fmin, fmax):
        mel[:, bands] = power[:, bins] @ weights
    return mel


def power_to_db(power, floor_db):
    """Decibels with reference 1, not below `floor_db`."""
    floor = power.dtype.type(10.0 ** (floor_db / 10.0))
    return 10.0 * np.log10(np.maximum(floor, power))


@functools.lru_cache(maxsize=16)
def dct_basis(n_mels, n_mfcc):
    """The first vectors of an orthonormal DCT-II, as columns: (n_mels, n_mfcc) float64."""
    angle = np.pi * np.outer(2 * np.arange(n_mels) + 1, np.arange(n_mfcc)) / (2 * n_mels)
    basis = np.sqrt(2.0 / n_mels) * np.cos(angle)
    basis[:, 0] = np.sqrt(1.0 / n_mels)
    basis.flags.writeable = False
    return basis


def mfcc(log_mel, n_mfcc):
    """Cepstral coefficients of a log-mel spectrogram: (T, n_mels) -> (T, n_mfcc).

    Summed in float64, for the bands of a silent frame add up to -1100: float32 sums would be off by 1e-3.
    """
    return (log_mel @ dct_basis(log_mel.shape[1], n_mfcc)).astype(log_mel.dtype)
