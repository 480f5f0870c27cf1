"""Where a recording begins and ends: silence cut off, or put before and after."""

import numpy as np
from numpy.typing import NDArray

from npreslstm.audio.signal import trim_silence
from npreslstm.conditions.levels import frame_energies


def trim(y: NDArray[np.floating], decibels: float) -> NDArray[np.floating]:
    """Without leading and trailing silence that lies `decibels` or more below the loudest frame: (n,) ->
    (m,).
    """
    return trim_silence(y, decibels)


def pad(
    y: NDArray[np.floating], rate: int, seconds: tuple[float, float], noisy: bool, rng: np.random.Generator
) -> NDArray[np.floating]:
    """Put seconds before and after a signal: digital silence, or noise at the level of its faintest tenth.

    Parameters
    ----------
    y : (n,) array
    rate : int
        Hz.
    seconds : (float, float)
        Before and after.
    noisy : bool
    rng : numpy.random.Generator
        Of the noise.

    Returns
    -------
    (m,) array
    """
    before, after = (round(part * rate) for part in seconds)
    padded = np.pad(y, (before, after))
    if noisy:
        floor = np.sqrt(np.quantile(frame_energies(y, rate), 0.1))
        padded[:before] = floor * rng.standard_normal(before, dtype=np.float32)
        padded[len(padded) - after :] = floor * rng.standard_normal(after, dtype=np.float32)
    return padded
