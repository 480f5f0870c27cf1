"""Levels: how loud a voice is, and what gain, clipping and a direct-current offset make of it.

Letters: n samples of a signal y (n,), full scale [-1, 1].
"""

import numpy as np
from numpy.typing import NDArray

FRAME = 0.032  # seconds over which a level is taken
ACTIVE_DB = 30.0  # frames this far below the loudest, or more, are no speech
QUIETEST = 1e-7  # root mean square of digital silence, as far as ratios go


def rms(y: NDArray[np.floating]) -> float:
    """Root mean square of a signal (n,), at least -140 dB."""
    return max(float(np.sqrt(np.mean(np.square(y)))), QUIETEST)


def frame_energies(y: NDArray[np.floating], rate: int) -> NDArray[np.floating]:
    """Mean square of each whole frame of 32 ms: (n,) -> (T,), T >= 1; a shorter signal is one frame."""
    size = min(round(FRAME * rate), len(y))
    whole = len(y) // size * size
    return np.square(y[:whole]).reshape(-1, size).mean(axis=1)


def active_level(y: NDArray[np.floating], rate: int) -> float:
    """Root mean square of the frames of a signal (n,) that lie within 30 dB of the loudest: that of its
    speech.

    A simple form of the active speech level of ITU-T P.56.
    """
    energies = frame_energies(y, rate)
    active = energies >= energies.max() * 10 ** (-ACTIVE_DB / 10)
    return max(float(np.sqrt(energies[active].mean())), QUIETEST)


def amplify(y: NDArray[np.floating], decibels: float) -> NDArray[np.floating]:
    """Louder by so many decibels."""
    return y * 10 ** (decibels / 20)


def converted(y: NDArray[np.floating]) -> NDArray[np.floating]:
    """What a converter of 16 bits makes of samples: steps of 1 / 32768, and saturation at full scale.

    It also makes digital silence of what filters leave of it, which is rounding errors with a pitch of their
    own.
    """
    return np.clip(np.round(y * 32768), -32768, 32767) / 32768


def to_peak(y: NDArray[np.floating], peak: float) -> NDArray[np.floating]:
    """Scaled so that the largest sample is `peak`; silence stays silence."""
    largest = np.abs(y).max()
    return y * (peak / largest) if largest > 0 else y
