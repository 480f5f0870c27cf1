"""What a clip's features are made of, frame by frame: as it is, louder, or without its ends.

The log-mel bands are kept without the floors of the features, so that the features can be had again of the
same sound at another level, exactly: a gain adds the same to each band, before the floors.

Letters: n samples, T frames, D features.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from npreslstm.audio import chroma, mfcc, spectrum
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import frames_at_once
from npreslstm.audio.signal import trim_bounds, trim_energies
from npreslstm.checkpoint import Checkpoint

LOWEST_DB = -200.0  # of a band: below what any gain can lift above a floor
CUT = 0.25  # seconds that are cut off an end
QUIET_DB = 30.0  # below the loudest: such ends are trimmed
ROUNDING = 1e-4  # dB: a product of matrices rounds a row by where it stands; more is another frame


class Frames(NamedTuple):
    """What the features of each frame are made of."""

    log_mel: np.ndarray  # (T, n_mels) float32, dB, without floors
    chroma: np.ndarray  # (T, n_chroma) float32


@dataclasses.dataclass(frozen=True)
class Cut:
    """The clip without some of its ends: frames `first` to `last` of it, but for those that differ, since
    the silence that a frame reaches into now begins elsewhere.
    """

    name: str
    samples: tuple[int, int]  # from where to where, of those that are heard
    first: int
    last: int
    changed: tuple[np.ndarray, np.ndarray]  # frames of the cut clip whose bands, and whose chroma, differ
    frames: Frames  # of those alone


def frames_of(y: np.ndarray, config: FeatureConfig) -> Frames:
    """What the features of a signal (n,) float32 at the configuration's rate are made of."""
    blocks = spectrum.frame_blocks(y, config.n_fft, config.hop_length, config.framing, frames_at_once(config))
    power = np.concatenate([spectrum.power_spectrum(frames) for frames in blocks])  # (T, F)
    rate = config.sample_rate
    tuning = config.tuning
    if tuning is None:
        tuning = chroma.estimate_tuning(power, rate, config.n_chroma)
    mel = mfcc.mel_spectrogram(power, rate, config.n_mels, config.fmin, config.upper_hz)
    return Frames(mfcc.power_to_db(mel, LOWEST_DB), chroma.chroma(power, rate, config.n_chroma, tuning))


def floor_of(config: FeatureConfig) -> float:
    """The lowest value of a band of the features, in dB, as float32 has it."""
    return float(mfcc.power_to_db(np.zeros(1, np.float32), config.floor_db)[0])


def features_of(frames: Frames, checkpoint: Checkpoint, gain_db: float = 0.0) -> np.ndarray:
    """Z-scored features (T, D) float64 of a clip's frames, as if it were `gain_db` louder.

    `Recognizer` rounds the same numbers to float32.
    """
    config = checkpoint.features
    log_mel = np.maximum(frames.log_mel.astype(np.float64) + gain_db, floor_of(config))  # (T, n_mels)
    if config.top_db is not None:
        log_mel = np.maximum(log_mel, log_mel.max() - config.top_db)
    cepstrum = log_mel @ mfcc.dct_basis(config.n_mels, config.n_mfcc)  # (T, n_mfcc)
    features = np.concatenate([cepstrum, frames.chroma], axis=1)  # (T, D)
    return (features - checkpoint.mean) / checkpoint.std


def cuts_of(y, frames, config):
    """The clip without a quarter of a second at either end, and without quiet ends; those that leave sound
    and change something. They begin and end where a hop does.
    """
    hop, n = config.hop_length, len(y)
    cut = -(-round(CUT * config.sample_rate) // hop) * hop
    begin, end = trim_bounds(*trim_energies([y]), QUIET_DB)
    spans = {
        f"first {1000 * cut / config.sample_rate:.0f} ms cut off": (cut, n),
        f"last {1000 * cut / config.sample_rate:.0f} ms cut off": (0, (n - cut) // hop * hop),
        f"ends trimmed, {QUIET_DB:g} dB below the loudest": (
            begin // hop * hop,
            min(n, -(-end // hop) * hop),
        ),
    }
    for name, (first, last) in spans.items():
        if last - first >= config.n_fft and (first, last) != (0, n):
            yield _cut(name, y, (first, last), frames, config)


def _cut(name, y, span, frames, config):
    """The clip without the samples outside `span`, which begins with a hop; its frames that the whole clip
    has not.
    """
    new = frames_of(y[slice(*span)], config)
    first = span[0] // config.hop_length
    T = len(new.log_mel)
    changed = tuple(_differing(old[first : first + T], now) for old, now in zip(frames, new))
    kept = Frames(*(now[which] for now, which in zip(new, changed)))
    return Cut(name, span, first, first + T, changed, kept)


def _differing(old, new):
    """Rows of `new` that `old`, which may be shorter, has not: (k,) int."""
    same = np.zeros(len(new), bool)
    same[: len(old)] = (abs(old - new[: len(old)]) < ROUNDING).all(axis=1)
    return np.flatnonzero(~same)
