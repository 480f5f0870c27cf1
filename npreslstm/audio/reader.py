"""Sound files and arrays in, float32 signals out: reading, mono mix, resampling."""

import functools
import math
import os
import warnings
import wave
from fractions import Fraction

import numpy as np

from npreslstm.errors import InputError

MAX_SAMPLE_RATE = 1_000_000  # Hz
MAX_PEAK = 100.0  # 40 dB above full scale: no recording reaches it, integers kept in floats do
ZERO_CROSSINGS = 64  # of the resampling kernel, on each side
KAISER_BETA = 10.0  # side lobes of the kernel at -100 dB
ROLLOFF = 0.945  # cut-off of the kernel, as a share of the lower Nyquist frequency
MAX_RATIO_TERM = 50_000  # larger up or down factors are approximated, to below 1e-9 of the rate


class ResamplingWarning(UserWarning):
    """The signal was resampled to the rate of the configuration."""


def read_audio(path):
    """Read a sound file.

    FLAC, WAV, OGG and whatever else libsndfile knows, through soundfile; PCM WAV of 8, 16, 24 or 32 bits through
    the standard library where soundfile is not installed.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    signal : np.ndarray [shape=(n,) or (n, channels), dtype=float32]
        Samples; full scale of an integer format is [-1, 1).
    sample_rate : int
        In Hz.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If the file is empty, not audio, without samples, or holds NaN or infinite samples, or if its rate is
        0 or above 1 MHz.
    """
    path = os.fspath(path)
    _check_file(path)
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the package is there, libsndfile is not
        signal, sample_rate = _read_wave(path)
    else:
        try:
            signal, sample_rate = soundfile.read(path, dtype="float32")
        except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless formats such as .raw
            raise InputError(f"{path}: not a readable sound file ({_reason(error, path)}); expected FLAC, WAV or OGG") from None
    check_sample_rate(sample_rate, path)
    check_samples(signal, path)
    return signal, int(sample_rate)


def _check_file(path):
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such file")
    if os.path.isdir(path):
        raise InputError(f"{path}: a folder; expected a sound file")
    if os.path.getsize(path) == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); expected FLAC, WAV or OGG")


def _reason(error, path):
    return str(error).replace(f"Error opening '{path}': ", "").replace(f"Error opening {path!r}: ", "").rstrip(".")


def _read_wave(path):
    """Read PCM WAV by the standard library alone: (n,) or (n, channels) float32 and the rate."""
    try:
        with wave.open(path, "rb") as file:
            width, channels, sample_rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        reason = str(error) or "it ends too early"
        raise InputError(f"{path}: without soundfile only PCM WAV can be read ({reason}): pip install soundfile") from None
    if width not in (1, 2, 3, 4):
        raise InputError(f"{path}: {8 * width} bits a sample; expected 8, 16, 24 or 32")
    data = data[: len(data) // (width * channels) * (width * channels)]  # a cut file may end inside a frame
    signal = _pcm_to_float(data, width)
    return (signal if channels == 1 else signal.reshape(-1, channels)), sample_rate


def _pcm_to_float(data, width):
    """Little-endian PCM bytes to float32 in [-1, 1); 8-bit WAV is unsigned, the others signed."""
    if width == 1:
        return ((np.frombuffer(data, np.uint8).astype(np.float32)) - 128) / 128
    if width == 3:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)  # into the upper three bytes: the sign comes along
        return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    return (np.frombuffer(data, f"<i{width}") / 2.0 ** (8 * width - 1)).astype(np.float32)


def check_sample_rate(sample_rate, name="audio"):
    """Raise InputError unless `sample_rate` is a whole number of Hz from 1 to 1 MHz."""
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, (int, float, np.integer, np.floating)) or sample_rate != sample_rate // 1:
        raise InputError(f"{name}: sample rate {sample_rate!r}; expected a whole number of Hz")
    if not 1 <= sample_rate <= MAX_SAMPLE_RATE:
        raise InputError(f"{name}: sample rate {sample_rate} Hz; expected 1 to {MAX_SAMPLE_RATE}")


def check_samples(signal, name="audio"):
    """Raise InputError unless `signal` is a float array (n,) or (n, channels) with n > 0 and finite values."""
    if signal.ndim not in (1, 2):
        raise InputError(f"{name}: an array of shape {signal.shape}; expected (n,) or (n, channels)")
    if signal.size == 0:
        raise InputError(f"{name}: no samples")
    peak = max(signal.max(), -signal.min())
    if not np.isfinite(peak):
        raise InputError(f"{name}: NaN or infinite samples; expected finite values in [-1, 1]")
    if peak > MAX_PEAK:
        raise InputError(f"{name}: samples up to {peak:.6g}; expected floats in [-1, 1]: divide by the full scale (32768 for 16 bits)")


def as_float(signal, dtype=np.float32):
    """A signal as floats in [-1, 1].

    Parameters
    ----------
    signal : array_like [shape=(n,) or (n, channels)]
        Floats are taken as they are; int16 is divided by 2**15, int32 by 2**31.
    dtype : {np.float32, np.float64}
        Of the result.

    Returns
    -------
    np.ndarray [shape=signal.shape, dtype=dtype]

    Raises
    ------
    InputError
        If the type is neither, the shape is another, there are no samples, or they are NaN, infinite, or
        integers kept in floats.
    """
    signal = np.asarray(signal)
    if signal.dtype in (np.int16, np.int32):
        signal = (signal / 2.0 ** (8 * signal.itemsize - 1)).astype(dtype)
    elif not np.issubdtype(signal.dtype, np.floating):
        raise InputError(f"audio is {signal.dtype}; expected floats in [-1, 1], int16 or int32: convert it, or use read_audio()")
    signal = signal.astype(dtype, copy=False)
    check_samples(signal)
    return signal


def to_mono(signal):
    """The mean of the channels: (n,) or (n, channels) -> (n,), as ``librosa.to_mono``."""
    return signal if signal.ndim == 1 else signal.mean(axis=1)


def resample(signal, from_rate, to_rate):
    """Resample by a polyphase filter: a Kaiser-windowed sinc of 64 zero crossings a side.

    Flat within 0.01 dB up to 0.9 of the lower Nyquist frequency; what would alias is 99 dB below it.

    Parameters
    ----------
    signal : np.ndarray [shape=(n,)]
    from_rate, to_rate : int
        In Hz.

    Returns
    -------
    np.ndarray [shape=(ceil(n * to_rate / from_rate),), dtype of signal]
    """
    from scipy.signal import resample_poly

    check_sample_rate(from_rate)
    check_sample_rate(to_rate)
    if from_rate == to_rate:
        return signal
    up, down = _ratio(int(from_rate), int(to_rate))
    y = resample_poly(signal, up, down, window=_kernel(up, down))
    n = -(-len(signal) * int(to_rate) // int(from_rate))
    y = y[:n] if len(y) >= n else np.pad(y, (0, n - len(y)))  # an approximated ratio may be a sample off
    return y.astype(signal.dtype, copy=False)


def _ratio(from_rate, to_rate):
    """Up and down factors; coprime giants, such as 999983 to 48000, are approximated."""
    ratio = Fraction(to_rate, from_rate)
    if ratio > 1:
        near = 1 / (1 / ratio).limit_denominator(MAX_RATIO_TERM)
    else:
        near = ratio.limit_denominator(MAX_RATIO_TERM)
    near = near if near > 0 else ratio
    return near.numerator, near.denominator


@functools.lru_cache(maxsize=8)
def _kernel(up, down):
    """Kaiser-windowed sinc at `up` times the input rate; `resample_poly` scales it."""
    longest = max(up, down)
    half = ZERO_CROSSINGS * longest
    t = np.arange(-half, half + 1) * (ROLLOFF / longest)
    h = np.sinc(t) * np.kaiser(2 * half + 1, KAISER_BETA)
    return h / h.sum()


def warn_resampling(from_rate, to_rate, empty_bands, n_mels):
    """One line that says what resampling does: `empty_bands` are the mel bands, of `n_mels`, that it leaves without signal."""
    text = f"audio at {from_rate} Hz is resampled to {to_rate} Hz"
    if empty_bands:
        text += f": nothing is above {from_rate / 2:g} Hz, so mel bands {n_mels - empty_bands} to {n_mels - 1} of {n_mels} are empty"
    warnings.warn(text, ResamplingWarning, stacklevel=4)
