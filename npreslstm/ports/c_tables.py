"""Tables of the C frontend for a feature configuration: cosines, mel bands and pitch classes without their
zeros.
"""

import numpy as np

from npreslstm.audio import activity, decimation
from npreslstm.audio.chroma import PITCH_RANGE, chroma_filter_bank, hz_to_octaves
from npreslstm.audio.mfcc import mel_filter_bank
from npreslstm.errors import InputError
from npreslstm.ports import c_text

NEGLIGIBLE = 1e-7  # chroma weights below this share of their bin's largest are left out
DCT_ONE = 2.0**45  # of the sums of npr_mfcc: decibels in Q15, cosines in Q30


def check_supported(config):
    """Raise InputError if the C frontend cannot compute the features of `config`."""
    power_of_two = config.n_fft & (config.n_fft - 1) == 0
    checks = [
        (power_of_two and config.n_fft >= 8, f"n_fft is {config.n_fft}; expected a power of two"),
        (1 < config.n_mels <= 512, f"n_mels is {config.n_mels}; expected 2 to 512"),
        (
            config.n_fft % (4 * config.n_mels) == 0,
            f"n_mels is {config.n_mels}; expected a power of two up to n_fft / 4",
        ),
        (
            is_streaming(config) or is_clip(config),
            "expected causal framing, fixed tuning, no top_db and no trim_db, or as `paper` has them",
        ),
        (
            is_streaming(config) or config.sample_rate > 8000,
            f"sample_rate is {config.sample_rate}; expected above 8000 Hz to estimate the tuning",
        ),
        (config.n_chroma % 12 == 0, f"n_chroma is {config.n_chroma}; expected a multiple of 12"),
    ]
    for good, message in checks:
        if not good:
            raise InputError(f"the C frontend cannot compute these features: {message}")


def is_streaming(config):
    """Whether every frame can be computed by itself, as soon as its samples are there."""
    return (
        config.framing == "causal"
        and config.tuning is not None
        and config.top_db is None
        and config.trim_db is None
    )


def is_clip(config):
    """Whether the features are those of clip mode: centred frames, tuning and top_db of the whole clip."""
    return config.framing == "centered" and config.tuning is None and config.top_db is not None


def has_activity(config):
    """Whether the voice-activity gate goes with the frontend: it streams, from samples at the gate's rate."""
    return is_streaming(config) and config.sample_rate == activity.SAMPLE_RATE


def has_stream(config):
    """Whether ``npr_stream`` goes with the frontend: it has the gate, and a frame for each decision."""
    return config is not None and has_activity(config) and config.hop_length == activity.HOP


def filters():
    """Text of npr_filters.c: the first half of the phases of each rate conversion, one after the other."""
    rows = {rate: decimation.low_pass(rate) for rate in (44_100, 48_000)}
    arrays = {
        f"npr_filter_{rate}": h[: (len(h) + 1) // 2].reshape(-1).astype(np.int16) for rate, h in rows.items()
    }
    return '#include "npr_stream.h"\n\n' + "\n".join(
        f"extern const int16_t {name}[{len(values)}];\n{c_text.array(name, values)}"
        for name, values in arrays.items()
    )


def sizes(config):
    """{macro: value} for npr_sizes.h."""
    values = {
        "NPR_SAMPLE_RATE": config.sample_rate,
        "NPR_FFT": config.n_fft,
        "NPR_HOP": config.hop_length,
        "NPR_MELS": config.n_mels,
        "NPR_MFCC": config.n_mfcc,
        "NPR_CHROMA": config.n_chroma,
        "NPR_FLOOR": 10.0 ** (config.floor_db / 10),
        "NPR_DCT_FIRST": np.sqrt(1 / config.n_mels) / DCT_ONE,
        "NPR_DCT_OTHERS": np.sqrt(2 / config.n_mels) / DCT_ONE,
    }
    if config.tuning is not None:
        values["NPR_TUNING_FIXED"] = 1
    else:
        start, stop = np.searchsorted(np.fft.rfftfreq(config.n_fft, 1 / config.sample_rate), PITCH_RANGE)
        values |= {"NPR_TOP_DB": config.top_db, "NPR_PITCH_START": int(start), "NPR_PITCH_STOP": int(stop)}
    if has_activity(config):
        values["NPR_ACTIVITY"] = 1
    if has_stream(config):
        values["NPR_STREAM"] = 1
    if config.trim_db is not None:
        values["NPR_TRIM_RATIO"] = 10.0 ** (-config.trim_db / 10)
    return {
        name: c_text.literal(value if isinstance(value, int) else np.float32(value))
        for name, value in values.items()
    }


def ledger(config):
    """{what: bytes} of the frontend, for the README."""
    scratch = 4 * (config.n_fft + config.n_fft // 2 + 1 + config.n_mels)
    streaming = {"`npr_frontend`": scratch + 2 * config.n_fft + 4}
    if has_activity(config):
        streaming["`npr_activity`"] = 8 * (2 * activity.BANDS + 4)
    memory = (
        streaming if is_streaming(config) else {"`npr_spectrum`; `npr_clip_size` tells the rest": scratch}
    )
    return {
        "tables of the frontend, const": sum(values.nbytes for values in tables(config).values())
    } | memory


def tables(config):
    """{name: array} of npr_tables.c."""
    # (n_mels, F)
    bank = mel_filter_bank(config.sample_rate, config.n_fft, config.n_mels, config.fmin, config.upper_hz)
    mel_start, mel_count, mel_weights = _runs(bank > 0, bank)
    cosine = np.rint(2**30 * np.cos(2 * np.pi * np.arange(config.n_fft // 2 + 1) / config.n_fft)).astype(
        np.int32
    )
    cosine[-1] += 1  # so that 1 - cos has 31 bits
    arrays = {
        "npr_cosine": cosine,
        "npr_mel_start": mel_start.astype(np.uint16),
        "npr_mel_count": mel_count.astype(np.uint16),
        "npr_mel_weights": mel_weights,
    }
    if is_clip(config):
        pitch = config.n_chroma * hz_to_octaves(
            np.arange(1, config.n_fft // 2 + 1) * config.sample_rate / config.n_fft
        )
        # 0 Hz: far below, as chroma_filter_bank has it
        pitch = np.concatenate(([pitch[0] - 1.5 * config.n_chroma], pitch))
        return arrays | {"npr_pitch": np.mod(pitch, config.n_chroma).astype(np.float32)}
    # (F, n_chroma)
    columns = chroma_filter_bank(config.sample_rate, config.n_fft, config.n_chroma, config.tuning).T
    start, count, weights = _cyclic_runs(columns > NEGLIGIBLE * columns.max(axis=1, keepdims=True), columns)
    return arrays | {
        "npr_chroma_start": start.astype(np.uint8),
        "npr_chroma_count": count.astype(np.uint8),
        "npr_chroma_weights": weights,
    }


def definitions(config):
    """Text of npr_tables.c."""
    header = "npr_clip.h" if is_clip(config) else "npr_frontend.h"
    return f'#include "{header}"\n\n' + "\n".join(
        c_text.array(name, values) for name, values in tables(config).items()
    )


def _runs(wanted, weights):
    """First wanted column of each row, how many from there to the last wanted one, and their weights end to
    end.
    """
    start = np.where(wanted.any(axis=1), wanted.argmax(axis=1), 0)
    stop = np.where(wanted.any(axis=1), wanted.shape[1] - wanted[:, ::-1].argmax(axis=1), 0)
    return start, stop - start, np.concatenate([row[a:b] for row, a, b in zip(weights, start, stop)])


def _cyclic_runs(wanted, weights):
    """The same for rows that close on themselves: each run is the shortest that has all wanted columns."""
    n = wanted.shape[1]
    starts, counts, kept = [], [], []
    for row, values in zip(wanted, weights):
        spans = [(np.flatnonzero(np.roll(row, -first)).max(initial=-1) + 1, first) for first in range(n)]
        count, first = min(spans)
        starts.append(first)
        counts.append(count)
        kept.append(np.roll(values, -first)[:count])
    return np.array(starts), np.array(counts), np.concatenate(kept)
