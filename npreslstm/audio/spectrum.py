"""Frames and their power spectra: the one transform that every feature shares.

T frames, F = n_fft // 2 + 1 bins. Window and transform are float64 and the spectrum is rounded to the type
that was asked for: that is what librosa 0.11 does, and it makes the spectrum equal to librosa's in every bit.
"""

import functools

import numpy as np

SAMPLES_AT_ONCE = 1 << 16  # transformed: few calls, and buffers that stay in the cache


@functools.lru_cache(maxsize=16)
def hann(n_fft):
    """Periodic Hann window, (n_fft,) float64: the last sample of the period is left out."""
    window = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, n_fft + 1)[:-1])
    window.flags.writeable = False
    return window


def lead_in(n_fft, hop_length, framing):
    """Zeros before the first sample.

    ``centered``: n_fft / 2, so that frame t is centred on sample t * hop_length, as librosa does by default.
    ``causal``: n_fft - hop_length, so that frame t ends with sample (t + 1) * hop_length - 1.
    """
    return n_fft // 2 if framing == "centered" else n_fft - hop_length


def lead_out(n, n_fft, hop_length, framing):
    """Zeros after the last of n samples: n_fft / 2, or what is missing to a whole hop."""
    return n_fft // 2 if framing == "centered" else -n % hop_length


def n_frames(n, n_fft, hop_length, framing):
    """How many frames n > 0 samples give: 1 + n // hop_length centered, ceil(n / hop_length) causal."""
    padded = lead_in(n_fft, hop_length, framing) + n + lead_out(n, n_fft, hop_length, framing)
    return 1 + (padded - n_fft) // hop_length


def frame_blocks(y, n_fft, hop_length, framing, size):
    """Cut a signal into overlapping frames, `size` at a time.

    Yields
    ------
    np.ndarray [shape=(<= size, n_fft)]
        A view of `y`, or of a padded copy at its ends.
    """
    before, count = lead_in(n_fft, hop_length, framing), n_frames(len(y), n_fft, hop_length, framing)
    for first in range(0, count, size):
        start = first * hop_length - before
        stop = (min(first + size, count) - 1) * hop_length - before + n_fft
        piece = y[max(start, 0) : stop]
        if start < 0 or stop > len(y):
            piece = _pad(piece, max(-start, 0), max(stop - len(y), 0))
        yield _windows(piece, n_fft, hop_length)


def _pad(y, before, after):
    """As ``np.pad`` with zeros, three times as fast."""
    padded = np.empty(before + len(y) + after, y.dtype)
    padded[:before] = 0
    padded[before : before + len(y)] = y
    padded[before + len(y) :] = 0
    return padded


class Framer:
    """Cuts a signal that comes in pieces into the frames that `frame_blocks` cuts the whole into, in constant
    memory.
    """

    def __init__(self, n_fft, hop_length, framing, dtype=np.float32):
        self._shape = n_fft, hop_length, framing
        self._dtype = dtype
        self.reset()

    def reset(self):
        """Forget all samples."""
        self._held = np.zeros(lead_in(*self._shape), self._dtype)
        self._taken = 0

    def push(self, y):
        """Take in samples (k,), give the frames that are complete by now, (m, n_fft)."""
        self._taken += len(y)
        return self._cut(np.concatenate((self._held, y)))

    def flush(self):
        """Take the signal as ended: give the frames that zeros complete, and reset."""
        frames = self._cut(
            np.concatenate((self._held, np.zeros(lead_out(self._taken, *self._shape), self._dtype)))
        )
        self.reset()
        return frames

    def _cut(self, samples):
        n_fft, hop_length, _ = self._shape
        frames = _windows(samples, n_fft, hop_length)
        self._held = samples[len(frames) * hop_length :].copy()
        return frames


def _windows(samples, n_fft, hop_length):
    """All whole frames in `samples`: (n,) -> (m, n_fft), a view."""
    count = max(0, 1 + (len(samples) - n_fft) // hop_length)
    stride = samples.strides[0]
    return np.lib.stride_tricks.as_strided(
        samples, (count, n_fft), (hop_length * stride, stride), writeable=False
    )


def power_spectrum(frames):
    """Power of the windowed spectrum, ``np.abs(stft) ** 2``.

    Parameters
    ----------
    frames : np.ndarray [shape=(T, n_fft), dtype=float32 or float64]

    Returns
    -------
    np.ndarray [shape=(T, n_fft // 2 + 1), dtype of frames]
    """
    n_fft = frames.shape[1]
    window, size = hann(n_fft), max(1, SAMPLES_AT_ONCE // n_fft)
    power = np.empty((len(frames), n_fft // 2 + 1), frames.dtype)
    windowed = np.empty((size, n_fft))
    spectrum = np.empty((size, n_fft // 2 + 1), np.result_type(frames.dtype, np.complex64))
    for start in range(0, len(frames), size):
        out = power[start : start + size]
        rows = slice(0, len(out))
        windowed[rows] = frames[start : start + size]  # NumPy is slow at products of mixed types
        windowed[rows] *= window
        spectrum[rows] = np.fft.rfft(windowed[rows])
        np.square(np.abs(spectrum[rows], out=out), out=out)  # by way of the magnitude: librosa's roundings
    return power
