"""From 48 and 44.1 kHz to 16 kHz while the sound comes in, and the removal of a constant, in integers: the
specification of ``npr_rate.c``, bit for bit.

With U and D of RATES, U / D being 16 kHz over the rate, and h a low-pass of U TAPS entries in Q15,
and m D = k U + p with 0 <= p < U:

    y[m] = saturate16(floor(sum over j of h[p + U j] x[k - j] / 2^15 + 1/2))  (P1)
    v[m] = saturate16(y[m] - floor(mean / 2^14 + 1/2))                                 (P2)
    mean <- mean + floor((2^14 y[m] - mean) / 2^9)                                     (P3)

h is a sinc through -6 dB at 8 kHz under a Kaiser window: flat to 6.9 kHz, and 50 dB down from 9.1 kHz on,
which 6.9 kHz mirrors. Each phase p sums to one exactly, so a constant keeps its value. (P2) and (P3) are a
high-pass at 5 Hz. Everything is causal; a rate conversion is late by TAPS / 2 samples of the input.
"""

import math

import numpy as np

from npreslstm.audio.signal import check_sample_rate
from npreslstm.errors import InputError

TARGET = 16_000  # Hz
RATES = {16_000: (1, 1), 44_100: (160, 441), 48_000: (1, 3)}
TAPS = 64  # products for one output
ONE = 1 << 15
STOP_BAND = 50.0  # dB
MEAN_BITS, MEAN_SHIFT = 14, 9  # of (P2), (P3)


def low_pass(rate):
    """h of (P1) by phase.

    Parameters
    ----------
    rate : {44100, 48000}
        Hz.

    Returns
    -------
    np.ndarray [shape=(U, TAPS), dtype=np.int64]
        Entry (p, j) is h[p + U j]; each row sums to ONE, and row U - 1 - p is row p backwards.
    """
    up, _ = RATES[rate]
    n = np.arange(up * TAPS) - (up * TAPS - 1) / 2
    beta = 0.5842 * (STOP_BAND - 21) ** 0.4 + 0.07886 * (STOP_BAND - 21)  # Kaiser (1974)
    h = np.sinc(n * TARGET / (up * rate)) * np.kaiser(up * TAPS, beta)
    phases = h.reshape(TAPS, up).T  # (U, TAPS)
    rows = np.rint(ONE * phases / phases.sum(axis=1, keepdims=True)).astype(np.int64)
    for p in range(math.ceil(up / 2)):
        rows[p, rows[p].argmax()] += ONE - rows[p].sum()
        if up > 1:
            rows[up - 1 - p] = rows[p, ::-1]
    return rows


class Decimator:
    """16-bit samples of 16, 44.1 or 48 kHz at 16 kHz, without a constant, in pieces of any size.

    Parameters
    ----------
    rate : {16000, 44100, 48000}
        Of the samples, Hz.

    Raises
    ------
    InputError
        For another rate.

    Examples
    --------
    >>> import numpy as np
    >>> decimator = Decimator(48000)
    >>> len(decimator.push(np.zeros(1000, np.int16))), len(decimator.push(np.zeros(1000, np.int16)))
    (334, 333)
    """

    def __init__(self, rate):
        check_sample_rate(rate)
        if rate not in RATES:
            expected = ", ".join(map(str, RATES))
            raise InputError(f"the rate of a stream is {rate}; expected {expected}: resample first")
        self._up, self._down = RATES[rate]
        self._rows = None if rate == TARGET else low_pass(rate)
        self.reset()

    def reset(self):
        """Forget all samples and be ready for another signal."""
        self._history = np.zeros(TAPS - 1, np.int64)
        self._position = 0  # of the next output behind the next input, in units of 1/U of an input
        self._mean = 0  # Q14

    def push(self, samples):
        """Take in samples (n,) int16, give those (m,) int16 at 16 kHz that they complete; n may be 0."""
        x = np.asarray(samples)
        if x.dtype != np.int16 or x.ndim != 1:
            raise InputError(
                f"samples are {x.dtype} {x.shape}; expected 16-bit ones of one channel: int16 (n,)"
            )
        return self._without_constant(x if self._rows is None else self._converted(x.astype(np.int64)))

    def _converted(self, x):
        """(P1)."""
        padded = np.concatenate((self._history, x))
        at = np.arange(self._position, self._up * len(x), self._down)
        k, p = at // self._up, at % self._up
        newest_first = np.arange(TAPS - 1, -1, -1)
        windows = padded[k[:, None] + newest_first]  # (m, TAPS)
        self._position += self._down * len(at) - self._up * len(x)
        self._history = padded[len(x) :]
        sums = (windows * self._rows[p]).sum(axis=1)
        return np.clip((sums + ONE // 2) >> 15, -32768, 32767)

    def _without_constant(self, y):
        """(P2), (P3)."""
        out, mean = np.empty(len(y), np.int64), self._mean
        for m, value in enumerate(y.tolist()):
            out[m] = value - ((mean + (1 << MEAN_BITS >> 1)) >> MEAN_BITS)
            mean += ((value << MEAN_BITS) - mean) >> MEAN_SHIFT
        self._mean = mean
        return np.clip(out, -32768, 32767).astype(np.int16)
