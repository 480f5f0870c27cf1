"""Whether a recording has lost its upper band: to a lower sample rate, a lossy codec, a telephone."""

import numpy as np
from numpy.typing import NDArray

SPEECH = (300.0, 4000.0)  # Hz: where every voice is
UPPER = (11500.0, 16000.0)  # Hz: above what is left at 22.05 kHz, below what the best recordings have
# every seventh clip of RAVDESS lies at -41 dB or above, and by way of 22.05 kHz at -47 or below
LIMIT_DB = -45.0
BLOCK = 4096  # samples


def lacks_upper_band(y: NDArray[np.floating], rate: int) -> bool:
    """Whether there is next to nothing between 11.5 and 16 kHz, against the speech between 300 Hz and 4 kHz.

    Parameters
    ----------
    y : (n,) array
    rate : int
        Hz.

    Returns
    -------
    bool
        True too where the rate leaves no room for such a band; False of silence and of less than 4096
        samples.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=48000)
    >>> lacks_upper_band(noise, 48000), lacks_upper_band(noise[:16000], 16000)
    (False, True)
    """
    if rate < 2 * UPPER[1]:
        return True
    whole = len(y) // BLOCK * BLOCK
    if not whole:
        return False
    spectra = np.fft.rfft(y[:whole].reshape(-1, BLOCK) * np.hanning(BLOCK), axis=1)
    power = np.square(np.abs(spectra)).mean(axis=0)  # (F,)
    frequencies = np.fft.rfftfreq(BLOCK, 1 / rate)
    speech, upper = (
        power[(frequencies >= low) & (frequencies < high)].mean() for low, high in (SPEECH, UPPER)
    )
    return bool(upper < speech * 10 ** (LIMIT_DB / 10))
