"""What makes a window of sound tell little."""

import numpy as np

from npreslstm.annotations import FloatArray
from npreslstm.audio.bandwidth import UPPER, lost_above
from npreslstm.audio.config import FeatureConfig

FAINTEST = 1e-4  # root mean square about the mean, of full scale: -80 dB, below the noise of any microphone


def oddity(y: FloatArray, config: FeatureConfig) -> str | None:
    """Why the result of a window means little, or None."""
    if np.std(y, dtype=np.float64) < FAINTEST and len(y) > 1:
        return "silent"
    if len(y) < config.n_fft:
        return f"shorter than a frame ({1000 * config.n_fft / config.sample_rate:.0f} ms)"
    if config.upper_hz >= UPPER[0].high and (lost := lost_above(y, config.sample_rate)):
        return (
            f"without sound above {lost / 1000:g} kHz, while these weights listen up to"
            f" {config.upper_hz / 1000:g} kHz (bundled weights for the speech band are robust and mcu)"
        )
    return None
