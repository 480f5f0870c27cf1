"""What happens to samples before they are cut into frames: checks, floats, mono, trimming."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from npreslstm.annotations import Array, FloatArray
from npreslstm.errors import InputError, shown

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1000, 1_000_000  # Hz
SMALL_FILE = 1_000_000  # bytes; what a file may unpack to grows with it from there
UNPACKED = 300  # bytes in memory for each byte of a file, at most
MAX_PEAK = 100.0  # 40 dB above full scale: no recording reaches it, integers kept in floats do
LOUD_PEAK = 2.0  # 6 dB above full scale: more than clipping and lossy encoders make of music
MAX_CHANNELS = 64  # more are samples, of an array that has its axes the other way round
TRIM_FRAME = 2048  # samples, of the loudness that trimming goes by
TRIM_HOP = 512
QUIETEST = 1e-10  # mean square of full scale below which trimming tells no differences
TELLING = 1000  # samples by which channels are compared
CANCELLED = 0.01  # of the channels' energy is left in their mean: 1/64 is where one of MAX_CHANNELS has sound


class ScaleWarning(UserWarning):
    """Samples that look like integers, or like another scale than [-1, 1]."""


class ChannelWarning(UserWarning):
    """Channels of which next to nothing is left where they are averaged."""


def check_sample_rate(sample_rate: float, name: str = "audio") -> None:
    """Raise InputError unless `sample_rate` is a whole number of Hz from 1 kHz to 1 MHz."""
    whole = (
        isinstance(sample_rate, (int, float, np.integer, np.floating))
        and not isinstance(sample_rate, bool)
        and sample_rate % 1 == 0
    )
    if not whole:
        raise InputError(f"{name}: sample rate {shown(sample_rate)}; expected a whole number of Hz")
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        expected = f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}"
        raise InputError(f"{name}: sample rate {shown(sample_rate)} Hz; expected {expected}")


def check_memory(name: str, size: int, nbytes: float, what: str) -> None:
    """Raise InputError if what is made of a file of `size` bytes would take far more memory than it gives
    reason for.

    Hours of digital silence are a few kilobytes of FLAC. Speech makes some 30 bytes of samples or features
    out of each byte of the formats in use; silence in FLAC, as recorders write it, up to 300.
    """
    if nbytes > UNPACKED * max(SMALL_FILE, size):
        raise InputError(f"{name}: {what} would take {nbytes / 1e6:,.0f} MB, out of {size:,} bytes: cut it")


def check_speeds(speeds: Sequence[float]) -> None:
    """Raise InputError unless the playback speeds are 1.0 first, and all from a half to two."""
    if len(speeds) == 0 or speeds[0] != 1.0 or not all(0.5 <= speed <= 2 for speed in speeds):
        raise InputError(f"speeds are {tuple(speeds)}; expected 1.0 first, and all in [0.5, 2]")


def check_samples(signal: FloatArray, name: str = "audio") -> float:
    """The peak of `signal`; InputError unless it is a float array (n,) or (n, channels) with n > 0 and finite
    values in range.
    """
    if signal.ndim not in (1, 2):
        raise InputError(f"{name}: an array of shape {signal.shape}; expected (n,) or (n, channels)")
    if signal.ndim == 2 and signal.shape[1] > max(MAX_CHANNELS, signal.shape[0]):
        raise InputError(
            f"{name}: an array of shape {signal.shape}; expected (n, channels): it looks transposed, pass"
            " signal.T"
        )
    if signal.size == 0:
        raise InputError(f"{name}: no samples")
    peak = max(signal.max(), -signal.min())
    if not np.isfinite(peak):
        raise InputError(
            f"{name}: NaN or infinite samples, or too large for float32; expected finite values in [-1, 1]"
        )
    if peak > MAX_PEAK:
        raise InputError(
            f"{name}: samples up to {peak:.6g}; expected floats in [-1, 1]: divide by the full scale (32768"
            " for 16 bits)"
        )
    return peak


def warn_of_scale(signal: Array, name: str = "audio", stacklevel: int = 2) -> bool:
    """Warn if samples beyond [-1, 1] look like integers or another scale; returns whether they do."""
    peak = max(signal.max(), -signal.min())
    if peak <= 1:
        return False
    if np.array_equal(signal, np.rint(signal)):
        what = (
            "all whole numbers, as integers kept in floats are: divide by the full scale (32768 for 16 bits)"
        )
    elif peak > LOUD_PEAK:
        what = "of another scale than [-1, 1]: divide by their full scale"
    else:
        return False
    warnings.warn(f"{name}: samples up to {peak:.6g}, {what}", ScaleWarning, stacklevel=stacklevel + 1)
    return True


def warn_of_cancelling(signal: FloatArray, name: str = "audio", stacklevel: int = 2) -> bool:
    """Warn if `to_mono` would leave next to nothing of samples (n, channels); returns whether it would.

    So it is where one channel is the other one upside down, as of a balanced line that was recorded as
    stereo. A few samples may do so by chance, and tell nothing.
    """
    if signal.ndim == 1 or len(signal) < TELLING:
        return False
    mean = to_mono(signal)
    energy = float(np.vdot(signal, signal)) / signal.shape[1]  # mean over the channels
    if energy <= len(signal) * QUIETEST or float(np.vdot(mean, mean)) >= CANCELLED * energy:
        return False
    warnings.warn(
        f"{name}: the channels cancel each other where they are averaged; give one of them: ffmpeg -i IN -af"
        " 'pan=mono|c0=c0' OUT.wav",
        ChannelWarning,
        stacklevel=stacklevel + 1,
    )
    return True


def warn_of_samples(signal: FloatArray, name: str = "audio", stacklevel: int = 2) -> bool:
    """`warn_of_scale` or `warn_of_cancelling`; returns whether one of them did."""
    warned = warn_of_scale(signal, name, stacklevel + 1)
    return warned or warn_of_cancelling(signal, name, stacklevel + 1)


def as_float(signal: ArrayLike, dtype: DTypeLike = np.float32) -> FloatArray:
    """A signal as floats in [-1, 1].

    Parameters
    ----------
    signal : array_like [shape=(n,) or (n, channels)]
        Floats are taken as they are; int16 is divided by 2**15, int32 by 2**31, of either byte order.
    dtype : {np.float32, np.float64}
        Of the result.

    Returns
    -------
    np.ndarray [shape=signal.shape, dtype=dtype]

    Raises
    ------
    InputError
        If the type or the shape is another, there are no samples, or they are NaN, infinite, or integers kept
        in floats.
    """
    signal = np.asarray(signal)
    if signal.dtype.kind == "i" and signal.itemsize in (2, 4):  # of either byte order
        signal = (signal / 2.0 ** (8 * signal.itemsize - 1)).astype(dtype)
    elif not np.issubdtype(signal.dtype, np.floating):
        raise InputError(
            f"audio is {signal.dtype}; expected floats in [-1, 1], int16 or int32: convert it, or use"
            " read_audio()"
        )
    check_samples(signal)
    return signal.astype(dtype, copy=False)


def to_mono(signal: FloatArray) -> FloatArray:
    """The mean of the channels: (n,) or (n, channels) -> (n,), as ``librosa.to_mono``.

    Examples
    --------
    >>> to_mono(np.array([[0.5, 0.25], [1.0, 0.0]])).tolist()
    [0.375, 0.5]
    """
    return signal if signal.ndim == 1 else signal.mean(axis=1)


def trim_energies(blocks: Iterable[FloatArray]) -> tuple[FloatArray, int]:
    """Energy of each run of TRIM_HOP samples, the last one maybe shorter, and how many samples there are.

    Parameters
    ----------
    blocks : iterable of np.ndarray [shape=(k,)]
        The signal in pieces, each but the last a multiple of TRIM_HOP long.

    Returns
    -------
    energies : np.ndarray [shape=(ceil(n / TRIM_HOP),), dtype=float64]
    n : int
    """
    energies, n = [np.zeros(0)], 0
    for block in blocks:
        whole = np.zeros(-(-len(block) // TRIM_HOP) * TRIM_HOP)
        whole[: len(block)] = block
        energies.append(np.square(whole).reshape(-1, TRIM_HOP).sum(axis=1))
        n += len(block)
    return np.concatenate(energies), n


def trim_bounds(energies: FloatArray, n: int, trim_db: float) -> tuple[int, int]:
    """Where the sound starts and stops, as ``librosa.effects.trim`` finds it.

    Frame i is the 2048 samples centred on sample 512 i, zeros beyond the ends; its loudness is its mean
    square. Kept are the samples from the first to the last frame that is at most `trim_db` below the loudest.

    Parameters
    ----------
    energies : np.ndarray [shape=(ceil(n / TRIM_HOP),)]
    n : int
        Samples.
    trim_db : float

    Returns
    -------
    start, stop : int
    """
    reach = TRIM_FRAME // TRIM_HOP // 2  # runs that a frame spans on either side of its centre
    padded = np.zeros(n // TRIM_HOP + 2 * reach)  # one frame for each multiple of TRIM_HOP from 0 to n
    inner = padded[reach:]
    inner[: min(len(energies), len(inner))] = energies[: len(inner)]
    power = np.convolve(padded, np.ones(2 * reach), mode="valid") / TRIM_FRAME
    db = 10 * np.log10(np.maximum(power, QUIETEST))
    loud = np.flatnonzero(db - db.max() > -trim_db)
    return int(loud[0]) * TRIM_HOP, min(n, (int(loud[-1]) + 1) * TRIM_HOP)


def trim_silence(y: FloatArray, trim_db: float) -> FloatArray:
    """`y` without leading and trailing silence, see `trim_bounds`: (n,) -> (m,)."""
    start, stop = trim_bounds(*trim_energies([y]), trim_db)
    return y[start:stop]
