"""The integer model in Python's own integers."""

import math
from fractions import Fraction

import numpy as np

from npreslstm.integer import fixed_point as fp


class PythonIntegers:
    """(Q2)-(Q12) for one clip with Python's integers, one neuron at a time; every 32-bit intermediate is
    checked to be one.
    """

    def __init__(self, model):
        self.model = model
        self.h = [[0] * lstm.W_h.shape[1] for lstm in model.lstms]
        self.c = [[0] * len(h) for h in self.h]
        self.sums = None  # maximum, total, weighted

    def push(self, x):
        y = x = [int(v) for v in x]
        for k, lstm in enumerate(self.model.lstms):
            a = [self.preactivation(lstm, row, y, self.h[k]) for row in range(len(lstm.bias))]
            self.cell(k, [int(fp.tanh(v)) for v in a])
            y = self.h[k]
            if k + 1 == self.model.residual:
                y = [sat16(v + shift(h, 15 - self.model.x_bits)) for v, h in zip(x, y)]
        self.attend(y)

    def preactivation(self, lstm, row, x, h):
        recurrent = int32(sum(int(w) * v for w, v in zip(lstm.W_h[row], h)))
        total = int32(shift(recurrent, int(lstm.recurrent_shift[row])) + int(lstm.bias[row]))
        total = int32(total + sum(int(w) * v for w, v in zip(lstm.W_x[row], x)))
        return shift(int64(total * int(lstm.multiplier[row])), 32)

    def cell(self, k, t):
        H, up = len(self.h[k]), 15 - self.model.lstms[k].c_bits
        for j in range(H):
            i, f, o = ((t[gate * H + j] + 32769) >> 1 for gate in (0, 1, 3))
            self.c[k][j] = sat16(shift(int32(f * self.c[k][j] + shift(i * t[2 * H + j], up)), 15))
            self.h[k][j] = shift(int32(o * int(fp.tanh(self.c[k][j] << up))), 15)

    def attend(self, h):
        head = self.model.head
        e = shift(
            int64(sum(int(v) * u for v, u in zip(head.attention, h)) * head.score_multiplier),
            head.score_shift,
        )
        E, p = e >> 16, int(fp.exp2_fraction(np.int64(e & 0xFFFF))) << 9
        m, total, weighted = self.sums or (E, 0, [0] * len(h))
        top = max(m, E)
        weight = shift(p, top - E)
        self.sums = (
            top,
            int64(shift(total, top - m) + weight),
            [int64(shift(s, top - m) + weight * v) for s, v in zip(weighted, h)],
        )

    def context(self):
        _, total, weighted = self.sums
        return [math.floor(Fraction(s, total) + Fraction(1, 2)) for s in weighted]

    def logits(self):
        head, context = self.model.head, self.context()
        sums = [
            int64(sum(int(w) * v for w, v in zip(row, context)) * int(M))
            for row, M in zip(head.W, head.multiplier)
        ]
        return [shift(v, int(s)) + int(b) for v, s, b in zip(sums, head.shift, head.bias)]


def shift(v, s):
    return math.floor(Fraction(v, 1 << s) + Fraction(1, 2))


def sat16(v):
    return min(max(v, -32768), 32767)


def int32(v):
    assert -(1 << 31) <= v < 1 << 31
    return v


def int64(v):
    assert -(1 << 63) <= v < 1 << 63
    return v
