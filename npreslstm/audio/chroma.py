"""Chroma: (T, F) power spectra folded onto the pitch classes of an octave, as
``librosa.feature.chroma_stft``.

Source of the definitions: librosa 0.11 (``filters.chroma``, ``estimate_tuning`` with ``piptrack`` and its
histogram, ``util.normalize``). Tuning is a deviation from A440 as a fraction of a pitch class, in steps of
0.01.
"""

import functools

import numpy as np

PITCH_RANGE = (150.0, 4000.0)  # Hz, of the spectral peaks that tuning is estimated from
PEAK_THRESHOLD = 0.1  # peaks lower than this share of their frame's maximum are ignored
TUNING_EDGES = np.linspace(-0.5, 0.5, 101)
CENTRE_OCTAVE = 5.0  # octaves above A0 = 27.5 Hz: where the weight of a bin is largest
OCTAVE_WIDTH = 2.0


def hz_to_octaves(hz, tuning=0.0, n_chroma=12):
    """Octaves above A0 of the given tuning."""
    return np.log2(hz / (440.0 * 2.0 ** (tuning / n_chroma) / 16))


@functools.lru_cache(maxsize=128)
def chroma_filter_bank(sample_rate, n_fft, n_chroma, tuning):
    """Weights of every bin in every pitch class: (n_chroma, F) float32, ``librosa.filters.chroma``."""
    # bin 1 to one beyond the last
    hz = np.linspace(0, sample_rate, n_fft, endpoint=False)[1 : n_fft // 2 + 2]
    pitch = n_chroma * hz_to_octaves(hz, tuning, n_chroma)
    # a made-up place for 0 Hz: far below, hence broad
    pitch = np.concatenate(([pitch[0] - 1.5 * n_chroma], pitch))
    width = np.maximum(np.diff(pitch), 1.0)  # (F,), in pitch classes
    pitch = pitch[:-1]  # (F,)
    half = np.round(n_chroma / 2)
    # (n_chroma, F)
    distance = np.remainder(pitch - np.arange(n_chroma)[:, None] + half + 10 * n_chroma, n_chroma) - half
    weights = np.exp(-0.5 * (2 * distance / width) ** 2)
    weights /= np.sqrt(np.sum(weights**2, axis=0))
    weights *= np.exp(-0.5 * ((pitch / n_chroma - CENTRE_OCTAVE) / OCTAVE_WIDTH) ** 2)
    # C instead of A as the first class
    weights = np.roll(weights, -3 * (n_chroma // 12), axis=0).astype(np.float32)
    weights.flags.writeable = False
    return weights


@functools.lru_cache(maxsize=16)
def _pitch_bins(sample_rate, n_fft):
    """The first bin of PITCH_RANGE and the first one beyond it. Bin 0 is never inside; the last is, if it is
    rounded to below 4 kHz.
    """
    hz = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    return np.searchsorted(hz, (PITCH_RANGE[0], min(PITCH_RANGE[1], sample_rate / 2)))


def spectral_peaks(power, sample_rate):
    """Interpolated local maxima of every frame between 150 Hz and 4 kHz, as ``librosa.piptrack``.

    Parameters
    ----------
    power : np.ndarray [shape=(T, F)]
    sample_rate : int

    Returns
    -------
    hz, height : np.ndarray [shape=(peaks,), dtype of power]
        Frequency and power of each peak, by a parabola through three bins.
    """
    n_fft = 2 * (power.shape[1] - 1)
    low, high = _pitch_bins(sample_rate, n_fft)
    band = np.ascontiguousarray(power[:, low - 1 : high + 1])  # with a neighbour on either side
    if high == power.shape[1]:
        # the last bin has none: as if mirrored, its peak is not shifted
        band = np.append(band, power[:, -2:-1], axis=1)
    is_peak = band > PEAK_THRESHOLD * power.max(axis=1, keepdims=True)
    is_peak[:, 0] = is_peak[:, -1] = False
    flat = band.ravel()
    rises = flat[1:] > flat[:-1]
    # higher than the left, not lower than the right
    peaks = 1 + np.flatnonzero((rises[:-1] > rises[1:]) & is_peak.ravel()[1:-1])
    left, middle, right = flat[peaks - 1], flat[peaks], flat[peaks + 1]
    # librosa sums in the type of the spectrum and goes on in float64; so do we, for the same roundings.
    curvature = (left + right).astype(np.float64) - 2.0 * middle
    difference = right - left
    slope = difference.astype(np.float64) / 2
    inside = np.abs(slope) < np.abs(curvature)  # otherwise the summit lies more than a bin away
    shift = np.where(inside, -slope / np.where(inside, curvature, 1), 0).astype(power.dtype)
    height = middle + 0.5 * (difference / 2) * shift
    hz = (peaks % band.shape[1] + (low - 1) + shift) * float(sample_rate) / n_fft
    return hz.astype(power.dtype), height


def tuning_histogram(hz, height, n_chroma):
    """How many of the higher half of the peaks deviate how far from the pitches of A440: (100,) counts, see
    TUNING_EDGES.
    """
    hz, height = hz[hz > 0], height[hz > 0]
    hz = hz[height >= _median(height)] if hz.size else hz
    deviation = np.mod(n_chroma * hz_to_octaves(hz), 1.0)
    deviation[deviation >= 0.5] -= 1.0
    below = np.searchsorted(np.sort(deviation).astype(np.float64), TUNING_EDGES)
    return np.diff(below)


def tuning_of_peaks(hz, height, n_chroma):
    """Lower edge of the fullest bin of `tuning_histogram`; see `estimate_tuning`."""
    counts = tuning_histogram(hz, height, n_chroma)
    return float(TUNING_EDGES[np.argmax(counts)]) if counts.any() else 0.0


def _median(values):
    """As ``np.median``, without its checks."""
    half = len(values) // 2
    if len(values) % 2:
        return np.partition(values, half)[half]
    low, high = np.partition(values, [half - 1, half])[half - 1 : half + 1]
    return (low + high) / 2


def estimate_tuning(power, sample_rate, n_chroma=12):
    """Tuning of a whole clip, as ``librosa.estimate_tuning``.

    Parameters
    ----------
    power : np.ndarray [shape=(T, F)]
    sample_rate, n_chroma : int

    Returns
    -------
    float
        In [-0.5, 0.5), a multiple of 0.01; the lowest of equally full bins; 0 where no peak is found
        (silence).
    """
    return tuning_of_peaks(*spectral_peaks(power, sample_rate), n_chroma)


def chroma(power, sample_rate, n_chroma, tuning):
    """Chroma of power spectra, each frame divided by its largest value: (T, F) -> (T, n_chroma)."""
    bank = chroma_filter_bank(sample_rate, 2 * (power.shape[1] - 1), n_chroma, tuning)
    raw = power @ bank.T  # (T, n_chroma)
    largest = raw.max(axis=1, keepdims=True)
    return raw / np.where(largest < np.finfo(raw.dtype).tiny, 1, largest)  # silence stays as it is
