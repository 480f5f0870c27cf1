"""Integer arithmetic of the port, on NumPy arrays: rounding shifts, multipliers, tanh and powers of two from
tables.

Every function here has a twin in ``c/npr_int8.c`` that gives the same bits. Arrays are int64, in which no
value that occurs can overflow; where C uses 32 bits, the values fit. ``Qn`` means a value in units of 2^-n.

    round_shift(v, s) = floor(v / 2^s + 1/2)                                (F1)  half goes up, for both signs
    requantize(v, M, s) = round_shift(v M, s)                               (F2)  one rounding only
    tanh(a), a in Q15: 513 entries over [0, 8], linear between them, odd    (F3)  saturates beyond 8
    2^f, f in Q16 over [0, 1): 65 entries, linear between them              (F4)
    softmax(l), l in Q16: 2^e over their sum, e = (l - max l) log2(e), Q15  (F5)  from (F4); 0 beyond 16
"""

import numpy as np

MULTIPLIER_BITS = 24
TANH_STEP_BITS = 9  # of the fraction between two entries: steps of 1/64 in Q15
TANH_LIMIT = (8 << 15) - 1
EXP2_STEP_BITS = 10  # steps of 1/64 in Q16
LOG2_E = 94548  # Q16
SOFTMAX_LIMIT = 16 << 16  # below the largest logit: a probability of 0 in Q15

TANH_TABLE = np.minimum(np.rint(np.tanh(np.arange(513) / 64) * 32768), 32767).astype(np.int16)
EXP2_TABLE = np.rint((2.0 ** (np.arange(65) / 64) - 1) * 32768).astype(np.uint16)


def round_shift(v, s):
    """Divide by 2^s and round to the nearest, half up (F1); s may be 0 and an array."""
    v, s = np.asarray(v, dtype=np.int64), np.asarray(s, dtype=np.int64)
    return (v + ((np.int64(1) << s) >> 1)) >> s


def saturate(v, bits):
    """Clip to the range of a signed integer of `bits` bits."""
    return np.clip(v, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def multiplier(factor):
    """M, s with M / 2^s nearest to `factor` > 0 (array) and 2^23 <= M < 2^24, for `requantize`.

    Returns
    -------
    M, s : int64 arrays
    """
    mantissa, exponent = np.frexp(np.asarray(factor, dtype=np.float64))
    M = np.rint(mantissa * (1 << MULTIPLIER_BITS)).astype(np.int64)
    carried = M == 1 << MULTIPLIER_BITS
    return np.where(carried, M >> 1, M), (MULTIPLIER_BITS - exponent - carried).astype(np.int64)


def requantize(v, M, s):
    """v times M / 2^s, rounded once (F2)."""
    return round_shift(np.asarray(v, dtype=np.int64) * M, s)


def tanh(a):
    """Q15 of Q15 (F3); the result lies in [-32767, 32767]."""
    size = np.minimum(np.abs(a), TANH_LIMIT)
    table = TANH_TABLE.astype(np.int64)
    k, t = size >> TANH_STEP_BITS, size & ((1 << TANH_STEP_BITS) - 1)
    value = table[k] + round_shift((table[k + 1] - table[k]) * t, TANH_STEP_BITS)
    return np.where(a < 0, -value, value)


def sigmoid_from_tanh(t):
    """(1 + t) / 2 in Q15, in [1, 32768] (S1)."""
    return (t + 32769) >> 1


def exp2_fraction(f):
    """2^f in Q15 for f in Q16, 0 <= f < 1 (F4): in [32768, 65536)."""
    table = EXP2_TABLE.astype(np.int64)
    k, t = f >> EXP2_STEP_BITS, f & ((1 << EXP2_STEP_BITS) - 1)
    return 32768 + table[k] + round_shift((table[k + 1] - table[k]) * t, EXP2_STEP_BITS)


def softmax(logits):
    """Probabilities (N, C) uint16 in Q15 of logits (N, C) in Q16 (F5)."""
    logits = np.asarray(logits, dtype=np.int64)
    below = np.minimum(logits.max(axis=1, keepdims=True) - logits, SOFTMAX_LIMIT)
    e = -requantize(below, LOG2_E, 16)
    weights = round_shift(exp2_fraction(e & 0xFFFF), -(e >> 16))  # (N, C) up to 2^15
    total = weights.sum(axis=1, keepdims=True)
    return (((weights << 15) + total // 2) // total).astype(np.uint16)


def exact_product(v, W):
    """Matrix product of integers through float64, which is exact: every partial sum is below 2^53."""
    return (v.astype(np.float64) @ W.astype(np.float64)).astype(np.int64)
