"""Tables of the integer frontend for a feature configuration, and the statistics of a model folded into
integers.
"""

import functools
from typing import NamedTuple

import numpy as np

from npreslstm.audio.chroma import chroma_filter_bank
from npreslstm.audio.mfcc import mel_filter_bank
from npreslstm.errors import InputError

LARGEST_FFT, MOST_MELS, LOWEST_FLOOR = 1024, 64, -120.0  # beyond them sums could outgrow 32 bits
MOST_DOWN = 15  # of the exponents of chroma weights
MOST_SHIFT = 24  # of (I13): statistics that need more are beyond any sound
DECIBELS = 10 * np.log10(2)  # of a doubling of power


class FrontendTables(NamedTuple):
    """What the frontend needs of a `FeatureConfig`; the arrays are those of ``npr_tables.c``."""

    cosine: np.ndarray  # (H + 1,) int16, -cos(2 pi k / N) in Q15, the last one unit short of 1
    mel_start: np.ndarray  # (M,) uint16, first bin of a band
    mel_count: np.ndarray  # (M,) uint8, bins of a band
    mel_weights: np.ndarray  # uint16, band after band; those of a band add up to 65535 at most
    mel_offset: np.ndarray  # (M,) int32, log2 of what the weights of a band were divided by, Q16
    chroma_start: np.ndarray  # (F,) uint8, first class of a bin
    chroma_count: np.ndarray  # (F,) uint8, classes of a bin, cyclic
    chroma_weights: np.ndarray  # int16, bin after bin
    chroma_down: np.ndarray  # (F,) uint8: the weights of a bin are in units of 2^-down
    log2: np.ndarray  # (129,) uint16, log2(1 + k / 128) in Q16, the last one unit short of 1
    floor: int  # of the mel bands, log2 in Q16
    unit: int  # exponent of the power of a frame with up = 0
    n_mfcc: int
    n_chroma: int

    def chroma_bank(self):
        """The chroma weights with their zeros: (F, n_chroma) int64."""
        bank, at = np.zeros((len(self.chroma_start), self.n_chroma), np.int64), 0
        for row, start, count in zip(bank, self.chroma_start.tolist(), self.chroma_count.tolist()):
            row[np.arange(start, start + count) % self.n_chroma] = self.chroma_weights[at : at + count]
            at += count
        return bank


class Statistics(NamedTuple):
    """mean and 1 / std of the features, and the unit of the network's input, in (I13)."""

    multiplier: np.ndarray  # (D,) int16
    offset: np.ndarray  # (D,) int32, with half of what the shift takes away
    shift: np.ndarray  # (D,) uint8


def check_supported(config):
    """Raise InputError if the integer frontend cannot compute the features of `config`."""
    powers_of_two = config.n_fft & (config.n_fft - 1) == 0 and config.n_mels & (config.n_mels - 1) == 0
    checks = [
        (
            not config.noncausal_steps,
            f"{'; '.join(config.noncausal_steps)} need samples still to come; expected a configuration that"
            " streams, such as mcu",
        ),
        (
            powers_of_two and 8 <= config.n_fft <= LARGEST_FFT,
            f"n_fft is {config.n_fft} with n_mels = {config.n_mels}; expected powers of two, n_fft 8 to"
            f" {LARGEST_FFT}",
        ),
        (
            1 < config.n_mels <= min(MOST_MELS, config.n_fft // 4),
            f"n_mels is {config.n_mels}; expected 2 to {min(MOST_MELS, config.n_fft // 4)}",
        ),
        (
            config.floor_db >= LOWEST_FLOOR,
            f"floor_db is {config.floor_db:g}; expected {LOWEST_FLOOR:g} or more",
        ),
        (config.n_chroma % 12 == 0, f"n_chroma is {config.n_chroma}; expected a multiple of 12"),
    ]
    for good, message in checks:
        if not good:
            raise InputError(f"the integer frontend cannot compute these features: {message}")


@functools.lru_cache(maxsize=16)
def tables(config):
    """The tables of a `FeatureConfig`."""
    check_supported(config)
    N = config.n_fft
    mel = mel_filter_bank(config.sample_rate, N, config.n_mels, config.fmin, config.upper_hz)
    pitch = chroma_filter_bank(config.sample_rate, N, config.n_chroma, config.tuning)
    octave = np.arange(129) / 128
    return FrontendTables(
        cosine=cosine_table(N),
        **_mel_tables(mel.astype(np.float64)),
        **_chroma_tables(pitch.astype(np.float64)),
        log2=np.minimum(np.rint(65536 * np.log2(1 + octave)), 65535).astype(np.uint16),
        floor=int(np.rint(65536 * config.floor_db / DECIBELS)),
        # Samples are in units of 2^-15, the window in those of 2^-16; the transform divides by H, its
        # second step by 2.
        unit=2 * (int(np.log2(N)) - 31),
        n_mfcc=config.n_mfcc,
        n_chroma=config.n_chroma,
    )


def cosine_table(N):
    """-cos(2 pi k / N) in Q15 for k = 0 ... N / 2, the last one unit short of 1."""
    exact = -32768 * np.cos(2 * np.pi * np.arange(N // 2 + 1) / N)
    return np.minimum(np.rint(exact), 32767).astype(np.int16)


def _mel_tables(bank):
    """Bands without their zeros, (M, F) -> integers whose sum is as large as 16 bits allow."""
    start, count, weights, offset = [], [], [], []
    for row in bank:
        heard = np.flatnonzero(row)
        factor = (
            (65535 - len(heard) / 2) / row.sum() if len(heard) else 1.0
        )  # rounding adds half each, at most
        start.append(heard[0] if len(heard) else 0)
        count.append(len(heard))
        weights.extend(np.rint(factor * row[heard]))
        offset.append(-65536 * np.log2(factor))
    return {
        "mel_start": np.array(start, np.uint16),
        "mel_count": _bytes("bins of a mel band", count),
        "mel_weights": np.array(weights, np.uint16),
        "mel_offset": np.rint(offset).astype(np.int32),
    }


def _chroma_tables(bank):
    """Weights of each bin without zeros, (n_chroma, F) -> integers; each run is the shortest, cyclic.

    A bin far from the middle octaves has small weights, but may have most of the power: it has an exponent.
    """
    largest = bank.max(axis=0) / bank.max()  # (F,)
    down = np.clip(np.floor(-np.log2(largest)), 0, MOST_DOWN)
    columns = np.rint(32767 / bank.max() * bank * 2.0**down).astype(np.int64).T  # (F, n_chroma)
    n = columns.shape[1]
    start, count, weights = [], [], []
    for column in columns:
        spans = [(np.flatnonzero(np.roll(column, -first)).max(initial=-1) + 1, first) for first in range(n)]
        length, first = min(spans)
        start.append(first)
        count.append(length)
        weights.extend(np.roll(column, -first)[:length])
    return {
        "chroma_start": np.array(start, np.uint8),
        "chroma_count": np.array(count, np.uint8),
        "chroma_weights": np.array(weights, np.int16),
        "chroma_down": down.astype(np.uint8),
    }


def _bytes(what, values):
    if max(values) > 255:
        raise InputError(
            f"the integer frontend cannot compute these features: {max(values)} {what}; expected up to 255"
        )
    return np.array(values, np.uint8)


def units(config):
    """What a unit of each integer feature is in that of the float frontend's: (D,) float64."""
    scale = np.full(config.n_mfcc, np.sqrt(2 / config.n_mels))
    scale[0] = np.sqrt(1 / config.n_mels)
    return np.concatenate((DECIBELS * 2.0**-19 * scale, np.full(config.n_chroma, 2.0**-30)))


def statistics(checkpoint, x_bits):
    """The z-scoring of a checkpoint's features, for a network whose input is in units of 2^-x_bits.

    Raises
    ------
    InputError
        If the checkpoint has no statistics, or they are beyond what any features have.
    """
    if checkpoint.mean is None or checkpoint.std is None:
        raise InputError(
            "the weights have no statistics; expected mean and std to z-score the features with: npreslstm"
            " convert --mean-std adds them"
        )
    factor = units(checkpoint.features) / checkpoint.std * 2.0**x_bits  # x = factor feature - middle
    middle = checkpoint.mean / checkpoint.std * 2.0**x_bits
    # As many bits as an int16 multiplier and an offset below 2^30 leave.
    room = np.minimum(np.log2(32767.49 / (65536 * factor)), np.log2((2.0**30 - 1) / (np.abs(middle) + 1)))
    shift = np.minimum(np.floor(room), MOST_SHIFT)
    if not shift.min() >= 1:
        k = int(np.argmin(shift))
        raise InputError(
            f"feature {k} has mean {checkpoint.mean[k]:g} and std {checkpoint.std[k]:g}: out of range for the"
            " integer frontend; export with --frontend float"
        )
    return Statistics(
        multiplier=np.rint(65536 * factor * 2.0**shift).astype(np.int16),
        offset=np.rint(2.0 ** (shift - 1) - middle * 2.0**shift).astype(np.int32),
        shift=shift.astype(np.uint8),
    )
