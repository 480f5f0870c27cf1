"""Resampling by a polyphase filter, of a whole signal or of one that comes in blocks."""

import functools
import warnings
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from npreslstm.annotations import FloatArray
from npreslstm.audio.signal import check_sample_rate

ZERO_CROSSINGS = 64  # of the kernel, on each side
KAISER_BETA = 10.0  # side lobes of the kernel at -100 dB
ROLLOFF = 0.945  # cut-off of the kernel, as a share of the lower Nyquist frequency
BLOCK = 1 << 20  # samples filtered at once
OUTPUTS = 64  # of a block, about: of fewer, more samples are used twice; of more, more of the matrix is zero
LARGEST_MATRIX = 1 << 21  # entries: 16 MB
MAX_TERM = 20_000  # of the ratio as a fraction: 128 * 20,000 taps are 20 MB
TAPS_AT_ONCE = 1 << 16  # of a longer kernel, while it is made


class ResamplingWarning(UserWarning):
    """The signal was resampled to the rate of the configuration."""


def resample(signal: FloatArray, from_rate: int, to_rate: int) -> FloatArray:
    """Resample by a Kaiser-windowed sinc of 64 zero crossings a side.

    Flat within 0.01 dB up to 0.9 of the lower Nyquist frequency; what would alias is 99 dB down. The ratio of
    the rates is exact if it is a fraction of terms up to 20,000, as between all rates in use; otherwise
    (47,999 to 48,000 Hz) it is the nearest such fraction, off by less than 5e-5, a tenth of a cent.

    Parameters
    ----------
    signal : np.ndarray [shape=(n,), dtype=float32 or float64]
    from_rate, to_rate : int
        In Hz.

    Returns
    -------
    np.ndarray [shape=(ceil(n * ratio),), dtype of signal]
        Filtered in that type: in float32 within 2e-7 of full scale.

    Examples
    --------
    >>> y = np.sin(2 * np.pi * 100 * np.arange(48000) / 48000)
    >>> resample(y, 48000, 16000).shape
    (16000,)
    """
    if not len(signal):
        return signal
    pieces = (signal[start : start + BLOCK] for start in range(0, len(signal), BLOCK))
    return np.concatenate(list(resample_blocks(pieces, from_rate, to_rate)))


def resample_blocks(blocks: Iterable[FloatArray], from_rate: int, to_rate: int) -> Iterator[FloatArray]:
    """As `resample`, for a signal in pieces: yields the resampled signal in other pieces, in
    constant memory.
    """
    check_sample_rate(from_rate)
    check_sample_rate(to_rate)
    if from_rate == to_rate:
        yield from blocks
        return
    plan = _plan(*_ratio(int(from_rate), int(to_rate)))
    held, taken, given = None, 0, 0
    for block in blocks:
        taken += len(block)
        held = np.concatenate((np.zeros(plan.context, block.dtype) if held is None else held, block))
        count = len(held) // plan.step - plan.pieces + 1
        if count > 0:
            yield _filter(held, plan, count)
            given += count * plan.outputs
            held = held[count * plan.step :]
    if held is None:
        return
    rest = -(-taken * plan.up // plan.down) - given
    count = -(-rest // plan.outputs)
    missing = max(0, (count + plan.pieces - 1) * plan.step - len(held))
    held = np.concatenate((held, np.zeros(missing, held.dtype)))
    yield _filter(held, plan, count)[:rest]


class _Plan(NamedTuple):
    """How a signal is cut into blocks of whole periods, each of `up` outputs and `down` samples.

    `step` samples and `outputs` make a block, and the outputs of one depend on `pieces` blocks of samples, of
    which the first starts `context` samples earlier.
    """

    up: int
    down: int
    context: int
    step: int
    outputs: int
    pieces: int
    by_phase: bool  # since the matrix would be too large


def _plan(up: int, down: int) -> _Plan:
    # samples that the kernel reaches, in whole periods
    context = -(-ZERO_CROSSINGS * max(up, down) // (up * down)) * down
    periods = max(1, OUTPUTS // up)
    step, outputs = periods * down, periods * up
    pieces = -(-(step + 2 * context) // step)
    return _Plan(up, down, context, step, outputs, pieces, pieces * step * outputs > LARGEST_MATRIX)


def _filter(samples: FloatArray, plan: _Plan, count: int) -> FloatArray:
    """The first `count` blocks of output, of the `count + pieces - 1` blocks that `samples` start with.

    Output m of a block lies at sample m down / up of it, and is the sum over samples of the kernel about
    there. The kernels of a block's outputs are the columns of a matrix. Its rows are cut into pieces as long
    as a block, so that the samples, a row a block, need not be copied: the output of a block is its own
    product with the first piece, plus that of the next block with the second, and so on. Where the matrix
    would be too large (44,101 to 48,000 Hz), outputs of the same phase are summed together. Always by sums
    over samples: by way of a fast Fourier transform silence would come out as rounding noise, and the chroma
    of noise, however small, is not that of silence.
    """
    if plan.by_phase:
        return _filter_by_phase(samples, plan, count)
    rows = samples[: (count + plan.pieces - 1) * plan.step].reshape(-1, plan.step)
    first, *others = _matrix_pieces(plan, samples.dtype)
    heard = rows[:count] @ first
    product = np.empty_like(heard)
    for k, piece in enumerate(others, start=1):
        np.matmul(rows[k : k + count], piece, out=product)
        heard += product
    return heard.reshape(-1)


@functools.lru_cache(maxsize=8)
def _matrix_pieces(plan: _Plan, dtype: "np.dtype[Any]") -> FloatArray:
    """Kernels of the outputs of a block, in pieces as long as a block: (pieces, step, outputs)."""
    up, down, context, step = plan[:4]
    kernel = _kernel(up, down)
    half = len(kernel) // 2
    outputs, samples = np.arange(plan.outputs), np.arange(plan.pieces * step)
    place = outputs * down - (samples[:, None] - context) * up + half  # (samples, outputs)
    inside = (place >= 0) & (place < len(kernel))
    matrix = np.where(inside, up * kernel[np.clip(place, 0, len(kernel) - 1)], 0.0).astype(dtype)
    return matrix.reshape(plan.pieces, step, -1)


def _filter_by_phase(samples: FloatArray, plan: _Plan, count: int) -> FloatArray:
    """As `_filter`, of blocks of one period, with the kernel cut into its `up` phases.

    Every `up`-th output takes the same phase, `down` samples further on: (count, taps) windows of the signal,
    of which no copy is made, times one row of the table.
    """
    up, down = plan.up, plan.down
    table = _phases(up, down)  # (up, taps)
    half, taps = ZERO_CROSSINGS * max(up, down), table.shape[1]
    # the first window may begin one sample early, under a zero of the kernel
    x = np.concatenate((np.zeros(1), samples))  # float64, as the table
    heard = np.empty((count, up))
    for k in range(up):
        newest, phase = divmod(half + plan.context * up + k * down, up)
        heard[:, k] = _windows(x, newest - taps + 2, count, taps, down) @ table[phase]
    return heard.reshape(-1).astype(samples.dtype)


def _windows(x: FloatArray, first: int, count: int, taps: int, step: int) -> FloatArray:
    """The windows (count, taps) of a signal that begin at `first` and every `step` samples on; no copy.

    NumPy's sliding_window_view would be of all windows, more than an array may hold on a 32-bit machine.
    """
    strides = (step * x.itemsize, x.itemsize)
    # NumPy checks that they are inside
    return np.ndarray((count, taps), x.dtype, x, first * x.itemsize, strides)


@functools.lru_cache(maxsize=1)
def _phases(up: int, down: int) -> FloatArray:
    """`up` times the kernel of `_kernel`, made a piece at a time: row p has its taps p, p + up, ..., the last
    one first.
    """
    longest = max(up, down)
    half = ZERO_CROSSINGS * longest
    taps = -(-(2 * half + 1) // up)
    kernel = np.zeros(taps * up)
    for start in range(0, 2 * half + 1, TAPS_AT_ONCE):
        t = np.arange(start, min(start + TAPS_AT_ONCE, 2 * half + 1)) - half
        window = np.i0(KAISER_BETA * np.sqrt(1 - (t / half) ** 2))
        kernel[start : start + len(t)] = np.sinc(t * (ROLLOFF / longest)) * window
    kernel *= up / kernel.sum()
    return np.ascontiguousarray(kernel.reshape(taps, up)[::-1].T)


def _ratio(from_rate: int, to_rate: int) -> tuple[int, int]:
    """Up and down factors: the ratio of the rates, or the nearest with terms up to MAX_TERM."""
    ratio = Fraction(to_rate, from_rate)
    if ratio > 1:
        down, up = _ratio(to_rate, from_rate)
        return up, down
    largest = max(1, int(MAX_TERM * ratio))  # numerator, for which the denominator stays within MAX_TERM
    inverse = (1 / ratio).limit_denominator(largest)
    return inverse.denominator, inverse.numerator


@functools.lru_cache(maxsize=8)
def _kernel(up: int, down: int) -> FloatArray:
    """Kaiser-windowed sinc at `up` times the input rate; outputs are `up` times its sums."""
    longest = max(up, down)
    half = ZERO_CROSSINGS * longest
    t = np.arange(-half, half + 1) * (ROLLOFF / longest)
    kernel = np.sinc(t) * np.kaiser(2 * half + 1, KAISER_BETA)
    return kernel / kernel.sum()


def warn_resampling(from_rate: int, to_rate: int, empty_bands: int, n_mels: int, stacklevel: int) -> None:
    """One line that says what resampling does: `empty_bands` of the `n_mels` mel bands are left without
    signal.
    """
    text = f"audio at {from_rate} Hz is resampled to {to_rate} Hz"
    if empty_bands:
        bands = f"{empty_bands} of {n_mels} mel bands {'is' if empty_bands == 1 else 'are'} empty"
        text += f": nothing is above {from_rate / 2:g} Hz, so the upper {bands}"
    warnings.warn(text, ResamplingWarning, stacklevel=stacklevel + 1)
