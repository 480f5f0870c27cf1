"""The integer frontend: from 16-bit samples to the input of the integer network, without a float.

It computes what the streaming frontend of `npreslstm.audio` computes, in integers of 32 bits. This file is
the specification of ``npr_frontend_int.c``, which gives the same bits; docs/frontend.md has the equations
(I1) to (I13) beside those in real numbers, with the bound of every value.

One product serves all steps, a number of up to 31 bits times one of 16, of which the upper bits are kept:

    half(x, c) = floor(x c / 2^16)        half of x times c, for c in Q15                     (I1)

Letters: T frames, N = n_fft samples, H = N / 2, F = H + 1 bins, M mel bands, D features. ``Qn`` means a value
in units of 2^-n. Arrays are int64; what C holds in 32 bits fits 32 bits.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npreslstm.annotations import Array, IntArray
from npreslstm.audio.activity import as_pcm
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.spectrum import Framer
from npreslstm.integer import fixed_point as fp
from npreslstm.integer import frontend_tables
from npreslstm.integer.frontend_tables import FrontendTables, Statistics

__all__ = ["IntegerFrontend", "features_of_clip", "z_score"]

POWER_BITS = 15  # of a spectral value before it is squared
LEVEL_BITS = 16  # of the decibels' fraction, and of a power in a sum of 16-bit weights
CEPSTRUM_BITS = 4  # more, before the cosine transform
CHROMA_BITS = 9  # that leave room for the sum over all bins
RATIO_BITS = 16  # of the largest pitch class, before the division
SHARED_BITS = 15  # chroma leave the division in Q15, and go on in Q30
FRAMES_AT_ONCE = 256  # some 20 MB of intermediate arrays


def half(x: IntArray, c: IntArray | int) -> IntArray:
    """Half the product of x and c, c in Q15, rounded down (I1)."""
    return (x * c) >> 16


def bit_length(v: IntArray) -> IntArray:
    """Bits of integers from 0 to 2^53 - 1: 0 for 0, n for 2^(n - 1) to 2^n - 1."""
    return np.frexp(v.astype(np.float64))[1].astype(np.int64)


def magnitude(x: IntArray) -> IntArray:
    """x, or -1 - x of a negative x: as many bits as |x|, or one less where that is a power of two."""
    return x ^ (x >> 63)


def window(frames: IntArray, cosine: IntArray) -> tuple[IntArray, IntArray]:
    """Samples times Hann's window, Q31, and the frame's exponent: (T, N) -> (T, N), (T,)."""
    N = frames.shape[1]
    n = np.arange(N)
    y = frames * (32768 + cosine[np.minimum(n, N - n)])  # (T, N)  (I2)
    up = 30 - bit_length(np.bitwise_or.reduce(magnitude(y), axis=1))  # (T,)  -1 to 30
    z = (y << np.maximum(up, 0)[:, None]) >> np.maximum(-up, 0)[:, None]  # (I3)
    return z, up


def turned(re: IntArray, im: IntArray, minus_cos: IntArray, minus_sin: IntArray) -> tuple[IntArray, IntArray]:
    """Half of a complex number times minus e^(-i angle): the step of the transform that multiplies (I4)."""
    turned_re = half(re, minus_cos) + half(im, minus_sin)
    turned_im = half(im, minus_cos) - half(re, minus_sin)
    return turned_re, turned_im


def transform(re: IntArray, im: IntArray, cosine: IntArray) -> tuple[IntArray, IntArray]:
    """Discrete Fourier transform of H complex numbers divided by H, radix 2: (T, H), (T, H) -> the same.

    Every stage halves what it adds, so that no number outgrows the largest of the input.
    """
    H = re.shape[1]
    order = reversed_bits(H)
    re, im = re[:, order], im[:, order]
    for size in 2 ** np.arange(H.bit_length() - 1):
        k = np.arange(size) * (H // size)
        pairs = re.reshape(-1, H // (2 * size), 2, size), im.reshape(-1, H // (2 * size), 2, size)
        (a_re, b_re), (a_im, b_im) = ((part[:, :, 0], part[:, :, 1]) for part in pairs)
        t_re, t_im = turned(b_re, b_im, cosine[k], cosine[np.abs(k - H // 2)])
        re = np.stack(((a_re >> 1) - t_re, (a_re >> 1) + t_re), axis=2).reshape(-1, H)  # (I5)
        im = np.stack(((a_im >> 1) - t_im, (a_im >> 1) + t_im), axis=2).reshape(-1, H)
    return re, im


def reversed_bits(H: int) -> IntArray:
    """The order in which a transform in place takes its H inputs: (H,)."""
    order = np.zeros(1, np.int64)
    while len(order) < H:
        order = np.concatenate((2 * order, 2 * order + 1))
    return order


def spectrum(re: IntArray, im: IntArray, cosine: IntArray) -> tuple[IntArray, IntArray]:
    """Half the spectrum of N real numbers, from the transform of H complex ones: (T, H) -> (T, F).

    The complex numbers were the even samples + i times the odd ones.
    """
    H = re.shape[1]
    k = np.arange(H // 2 + 1)
    a_re, a_im, b_re, b_im = re[:, k] >> 1, im[:, k] >> 1, re[:, -k] >> 1, im[:, -k] >> 1
    even_re, even_im = a_re + b_re, a_im - b_im
    odd_re, odd_im = turned(a_im + b_im, b_re - a_re, cosine[k], cosine[np.abs(k - H // 2)])
    lower = (even_re >> 1) - odd_re, (even_im >> 1) - odd_im  # bins 0 ... H/2  (I6)
    upper = (even_re >> 1) + odd_re, (even_im >> 1) + odd_im  # bins H ... H/2, conjugate
    X_re, X_im = (np.concatenate((low, high[:, -2::-1]), axis=1) for low, high in zip(lower, upper))
    return X_re, X_im


def power(re: IntArray, im: IntArray) -> tuple[IntArray, IntArray]:
    """|X|^2 of each bin as mantissa * 2^exponent: (T, F) -> (T, F) below 2^31, (T, F)."""
    re, im = magnitude(re), magnitude(im)
    down = np.maximum(bit_length(re | im) - POWER_BITS, 0)
    return (re >> down) ** 2 + (im >> down) ** 2, 2 * down  # (I7)


def aligned(mantissa: IntArray, exponent: IntArray, largest: IntArray, bits: int) -> IntArray:
    """Powers in units of 2^(31 - bits) * 2^largest, rounded: `bits` bits, or 2^bits itself."""
    down = np.minimum(30 - bits + largest - exponent, 31)
    return ((mantissa >> down) + 1) >> 1  # (I8)


def log_mel(mantissa: IntArray, exponent: IntArray, unit: IntArray, tables: FrontendTables) -> IntArray:
    """log2 of the power in each mel band, Q16, not below the floor: (T, F) -> (T, M).

    `unit` (T,) is the exponent of the frame.
    """
    levels = np.full((len(mantissa), len(tables.mel_start)), tables.floor, np.int64)
    at = 0
    for m, (start, count) in enumerate(zip(tables.mel_start.tolist(), tables.mel_count.tolist())):
        if count:
            bins, weights = slice(start, start + count), tables.mel_weights[at : at + count]
            largest = exponent[:, bins].max(axis=1)  # (T,)
            part = aligned(mantissa[:, bins], exponent[:, bins], largest[:, None], LEVEL_BITS)
            total = (part * weights).sum(axis=1)  # (T,) below 2^32  (I9)
            shift = largest + 31 - LEVEL_BITS + unit
            level = log2(total, tables.log2) + (shift << LEVEL_BITS) + tables.mel_offset[m]
            levels[:, m] = np.where(total > 0, np.maximum(level, tables.floor), tables.floor)
        at += count
    return levels


def log2(v: IntArray, table: IntArray) -> IntArray:
    """log2 in Q16 of integers from 1 to 2^32 - 1, by straight lines between 128 points an octave; of 0 that
    of 1.
    """
    whole = bit_length(np.maximum(v, 1)) - 1
    fraction = ((v << 16) >> whole) & 0xFFFF  # of v / 2^whole, Q16
    k, t = fraction >> 9, fraction & 511
    return (whole << 16) + table[k] + (((table[k + 1] - table[k]) * t + 256) >> 9)  # (I10)


def cepstrum(levels: IntArray, n_mfcc: int, cosine: IntArray) -> IntArray:
    """Sums over the bands of levels times cosines, Q19: (T, M) -> (T, n_mfcc).

    Bands m and M - 1 - m have the same cosine but for the sign (-1)^k.
    """
    M, N = levels.shape[1], 2 * (len(cosine) - 1)
    left, right = levels[:, : M // 2] << CEPSTRUM_BITS, levels[:, : M // 2 - 1 : -1] << CEPSTRUM_BITS
    k, m = np.arange(n_mfcc)[:, None], np.arange(M // 2)
    angle = k * (2 * m + 1) * (N // (4 * M)) % N
    basis = cosine[np.minimum(angle, N - angle)]  # (n_mfcc, M / 2), minus the cosine in Q15
    folded = np.where(k % 2 == 0, (left + right)[:, None], (left - right)[:, None])  # (T, n_mfcc, M / 2)
    return -half(folded, basis).sum(axis=2)  # (I11)


def chroma(mantissa: IntArray, exponent: IntArray, tables: FrontendTables) -> IntArray:
    """Power in each pitch class over that in the strongest one, Q30: (T, F) -> (T, n_chroma)."""
    exponent = exponent - tables.chroma_down
    largest = exponent.max(axis=1, keepdims=True)
    part = aligned(mantissa, exponent, largest, 31 - CHROMA_BITS)
    bank = tables.chroma_bank()  # (F, n_chroma)
    total = np.array(
        [half(row[:, None], bank).sum(axis=0) for row in part]
    )  # (T, n_chroma) below 2^31  (I12)
    top = total.max(axis=1, keepdims=True)
    down = np.maximum(bit_length(top) - RATIO_BITS, 0)
    top, total = top >> down, total >> down
    ratio = ((total << SHARED_BITS) + (top >> 1)) // np.maximum(top, 1)  # 0 in silence
    return ratio << SHARED_BITS


def z_score(features: NDArray[np.int32], statistics: Statistics) -> NDArray[np.int16]:
    """The network's input, z-scored.

    Parameters
    ----------
    features : np.ndarray [shape=(T, D), dtype=int32]
        As `IntegerFrontend` gives them.
    statistics : Statistics
        Of `frontend_tables.statistics(checkpoint, x_bits)`.

    Returns
    -------
    np.ndarray [shape=(T, D), dtype=int16]
        In units of 2^-x_bits; what is out of range saturates.

    Examples
    --------
    >>> from npreslstm.checkpoint import load_checkpoint
    >>> checkpoint = load_checkpoint("mcu")
    >>> silence = features_of_clip(np.zeros(512, np.int16), checkpoint.features)
    >>> z_score(silence, frontend_tables.statistics(checkpoint, x_bits=11)).dtype
    dtype('int16')
    """
    product = half(features.astype(np.int64), statistics.multiplier)
    return fp.saturate((product + statistics.offset) >> statistics.shift, 16).astype(np.int16)  # (I13)


def features_of_frames(frames: Array, tables: FrontendTables) -> NDArray[np.int32]:
    """Raw features, cepstrum and chroma, of frames of samples: (T, N) int16 -> (T, D) int32."""
    cosine = tables.cosine.astype(np.int64)
    z, up = window(frames.astype(np.int64), cosine)
    re, im = spectrum(*transform(z[:, ::2], z[:, 1::2], cosine), cosine)
    mantissa, exponent = power(re, im)
    levels = log_mel(mantissa, exponent, tables.unit - 2 * up, tables)
    rows = cepstrum(levels, tables.n_mfcc, cosine), chroma(mantissa, exponent, tables)
    return np.concatenate(rows, axis=1).astype(np.int32)


def features_of_clip(pcm: ArrayLike, config: FeatureConfig) -> NDArray[np.int32]:
    """Raw features of a whole clip.

    Parameters
    ----------
    pcm : array_like [shape=(n,) or (n, channels)]
        Samples at the rate of the configuration, as `IntegerFrontend.push` takes them.
    config : FeatureConfig

    Returns
    -------
    np.ndarray [shape=(T, D), dtype=int32]

    Raises
    ------
    InputError
        If the integer frontend cannot compute these features.

    Examples
    --------
    >>> import numpy as np
    >>> from npreslstm.audio.config import FeatureConfig
    >>> features_of_clip(np.zeros(1000, np.int16), FeatureConfig.named("mcu")).shape
    (2, 46)
    """
    frontend = IntegerFrontend(config)
    return np.concatenate((frontend.push(pcm), frontend.flush()))


class IntegerFrontend:
    """Features of 16-bit samples in integers, of a whole clip or as the samples arrive.

    Each frame is computed by itself, so the result is the same in every bit however the samples are cut into
    pieces, and the same as that of the C port.

    Parameters
    ----------
    config : FeatureConfig
        One whose features stream, such as ``FeatureConfig.named("mcu")``. Samples are taken to be at its
        rate.

    Raises
    ------
    InputError
        If the integer frontend cannot compute these features.

    Examples
    --------
    >>> import numpy as np
    >>> from npreslstm.audio.config import FeatureConfig
    >>> frontend = IntegerFrontend(FeatureConfig.named("mcu"))
    >>> frontend.push(np.zeros(1000, np.int16)).shape
    (1, 46)
    >>> frontend.flush().dtype
    dtype('int32')
    """

    def __init__(self, config: FeatureConfig) -> None:
        self.config = config
        self.tables = frontend_tables.tables(config)
        self._framer = Framer(config.n_fft, config.hop_length, config.framing, np.int16)

    def push(self, samples: ArrayLike) -> NDArray[np.int32]:
        """Take in samples, give the features of the frames that they complete.

        Parameters
        ----------
        samples : array_like [shape=(n,) or (n, channels)]
            int16; floats in [-1, 1] and int32 are rounded to them, channels averaged.

        Returns
        -------
        np.ndarray [shape=(m, D), dtype=int32]
            Cepstrum in units of Q19 base-2 logarithms, chroma in Q30; m may be 0.

        Examples
        --------
        >>> IntegerFrontend(FeatureConfig.named("mcu")).push(np.zeros(100, np.int16)).shape
        (0, 46)
        """
        given = np.asarray(samples)
        return self._features(self._framer.push(as_pcm(given)) if given.size else ())

    def flush(self) -> NDArray[np.int32]:
        """End the clip: the features of the samples since the last whole hop, zeros after them, if there are
        any. The frontend is then ready for another clip.

        Returns
        -------
        np.ndarray [shape=(0 or 1, D), dtype=int32]

        Examples
        --------
        >>> IntegerFrontend(FeatureConfig.named("mcu")).flush().shape
        (0, 46)
        """
        return self._features(self._framer.flush())

    def reset(self) -> None:
        """Forget all samples and be ready for another clip.

        Examples
        --------
        >>> frontend = IntegerFrontend(FeatureConfig.named("mcu"))
        >>> _ = frontend.push(np.ones(100, np.int16))
        >>> frontend.reset()
        >>> frontend.flush().shape
        (0, 46)
        """
        self._framer.reset()

    def _features(self, frames: Any) -> NDArray[np.int32]:
        blocks = [frames[k : k + FRAMES_AT_ONCE] for k in range(0, len(frames), FRAMES_AT_ONCE)]
        empty = np.empty((0, self.config.n_features), np.int32)
        return np.concatenate([empty, *(features_of_frames(block, self.tables) for block in blocks)])
