"""Whether a recording has lost its upper band: to a lower sample rate, a lossy codec, a telephone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SPEECH = (300.0, 4000.0)  # Hz: where every voice is
BLOCK = 4096  # samples


class Band(NamedTuple):
    """From `low` to `high` Hz; below `limit` dB against the speech, it was taken away."""

    low: float
    high: float
    limit: float


UPPER = (
    # above what is left at 22.05 kHz; every seventh clip of RAVDESS lies at -41 dB or above, and by way of
    # 22.05 kHz at -47 or below
    Band(11500.0, 16000.0, -45.0),
    # above what is left at 32 kHz, below what is left at 44.1 kHz; 2 of 1,440 clips of RAVDESS lie below
    # the limit, and 96 % by way of 32 kHz
    Band(16500.0, 19500.0, -52.0),
)


def lost_above(y: NDArray[np.floating], rate: int) -> float | None:
    """The frequency, 11,500 or 16,500 Hz, above which there is next to nothing, against the speech between
    300 Hz and 4 kHz.

    Parameters
    ----------
    y : (n,) array
    rate : int
        Hz.

    Returns
    -------
    float or None
        Hz; where the rate leaves no room for a band, that is lost too. None of silence, of less than 4096
        samples, and where nothing is lost.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=48000)
    >>> lost_above(noise, 48000), lost_above(noise, 32000), lost_above(noise[:16000], 16000)
    (None, 16500.0, 11500.0)
    """
    whole = len(y) // BLOCK * BLOCK
    if not whole or not np.any(y):
        return None
    spectra = np.fft.rfft(y[:whole].reshape(-1, BLOCK) * np.hanning(BLOCK), axis=1)
    power = np.square(np.abs(spectra)).mean(axis=0)  # (F,)
    frequencies = np.fft.rfftfreq(BLOCK, 1 / rate)

    def mean(low, high):
        return power[(frequencies >= low) & (frequencies < high)].mean()

    for low, high, limit in UPPER:
        if rate < 2 * high or mean(low, high) < mean(*SPEECH) * 10 ** (limit / 10):
            return low
    return None
