"""Rooms: responses whose echoes die away exponentially (Polack 1988)."""

import numpy as np
from numpy.typing import NDArray


def room_response(
    rate: int, seconds: float, direct_db: float, rng: np.random.Generator
) -> NDArray[np.floating]:
    """A response of a direct sound and of noise that dies away.

    Parameters
    ----------
    rate : int
        Hz.
    seconds : float
        Reverberation time, in which echoes fall by 60 dB.
    direct_db : float
        Energy of the direct sound against that of all echoes, in dB.
    rng : numpy.random.Generator

    Returns
    -------
    (seconds * rate,) array
        Begins with the direct sound, of height 1.
    """
    n = max(round(seconds * rate), 2)
    t = np.arange(n) / rate
    echoes = rng.standard_normal(n, dtype=np.float32) * 10 ** (-3 * t / seconds)
    echoes[0] = 0
    response = echoes * (10 ** (-direct_db / 20) / np.sqrt(np.square(echoes).sum()))
    response[0] = 1
    return response
