"""What makes a window of sound tell little."""

import numpy as np

from npreslstm.annotations import FloatArray
from npreslstm.audio.bandwidth import UPPER, lost_above
from npreslstm.audio.config import FeatureConfig

OFFSET = 0.02  # mean of full scale: more than recordings of a healthy sound card have, or training draws
FAINTEST = 1e-4  # root mean square about the mean, of full scale: -80 dB, below the noise of any microphone


def is_silent(signal: FloatArray) -> bool:
    """Whether samples (n,) are all but constant. They are best asked at their own rate: resampled, a constant
    rings where it begins and ends.
    """
    if len(signal) < 2:
        return False
    deviations = signal - np.mean(signal)
    return bool(np.dot(deviations, deviations) < len(signal) * FAINTEST**2)


def oddity(y: FloatArray, config: FeatureConfig, signal: FloatArray) -> str | None:
    """Why the result of a window means little, or None: `y` is what is heard, `signal` what it was before
    resampling.
    """
    if is_silent(signal) or is_silent(y):
        return "silent"
    if len(y) < config.n_fft:
        return f"shorter than a frame ({1000 * config.n_fft / config.sample_rate:.0f} ms)"
    constant, loudness = abs(float(np.mean(signal))), float(np.std(signal))
    if constant > max(OFFSET, loudness / 4):  # clipped voices have a mean, but are far louder
        return (
            f"shifted by a constant of more than {100 * OFFSET:g} % of full scale (ffmpeg -af highpass=f=20"
            " takes it out)"
        )
    if config.upper_hz >= UPPER[0].high and (lost := lost_above(y, config.sample_rate)):
        return (
            f"without sound above {lost / 1000:g} kHz, while these weights listen up to"
            f" {config.upper_hz / 1000:g} kHz (bundled weights for the speech band are robust and mcu)"
        )
    return None
