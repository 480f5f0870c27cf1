"""Frames and their power spectra: the one transform that every feature shares.

T frames, F = n_fft // 2 + 1 bins. Window and transform are float64 and the spectrum is rounded to the type that was
asked for: that is what librosa 0.11 does, and it makes the spectrum equal to librosa's in every bit.
"""

import functools

import numpy as np

BLOCK = 16  # frames transformed at once: the block stays in the second-level cache


@functools.lru_cache(maxsize=16)
def hann(n_fft):
    """Periodic Hann window: (n_fft,) float64, the last sample of the period left out."""
    window = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, n_fft + 1)[:-1])
    window.flags.writeable = False
    return window


def n_frames(n, n_fft, hop_length, framing):
    """How many frames n > 0 samples give.

    ``centered``: frame t is centred on sample t * hop, zeros before and after, as librosa does by default.
    ``causal``: frame t ends with sample (t + 1) * hop - 1, zeros before the first sample and after the last; it is
    ready as soon as hop more samples are there.
    """
    if framing == "centered":
        return 1 + (n + 2 * (n_fft // 2) - n_fft) // hop_length
    return -(-n // hop_length)


def frame(y, n_fft, hop_length, framing):
    """Cut a signal into overlapping frames, see `n_frames`: (n,) -> (T, n_fft), a read-only view of a padded copy."""
    count = n_frames(len(y), n_fft, hop_length, framing)
    before = n_fft // 2 if framing == "centered" else n_fft - hop_length
    padded = np.zeros(max((count - 1) * hop_length + n_fft, before + len(y)), y.dtype)
    padded[before : before + len(y)] = y
    return np.lib.stride_tricks.sliding_window_view(padded, n_fft)[: (count - 1) * hop_length + 1 : hop_length]


def power_spectrum(frames):
    """Power of the windowed spectrum, ``np.abs(stft) ** 2``.

    Parameters
    ----------
    frames : np.ndarray [shape=(T, n_fft), dtype=float32 or float64]

    Returns
    -------
    np.ndarray [shape=(T, n_fft // 2 + 1), dtype of frames]
    """
    import scipy.fft

    window = hann(frames.shape[1])
    complex_type = np.result_type(frames.dtype, np.complex64)
    power = np.empty((len(frames), frames.shape[1] // 2 + 1), frames.dtype)
    for start in range(0, len(frames), BLOCK):
        spectrum = scipy.fft.rfft(frames[start : start + BLOCK] * window, overwrite_x=True)
        magnitude = np.abs(spectrum.astype(complex_type, copy=False))
        np.square(magnitude, out=power[start : start + BLOCK])
    return power
