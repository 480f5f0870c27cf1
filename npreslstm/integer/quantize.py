"""The integer model: int8 weights, int16 activations, in NumPy integers. This file is the specification of
the C port.

For each frame of z-scored features z, with Qn for units of 2^-n and (F1)-(F4) of `fixed_point`:

    x = saturate16(floor(z 2^x_bits + 1/2))                                              (Q1)
    a = round_shift(M (W_x x + b + round_shift(W_h h, r)), 32)   Q15, one rounding a row  (Q2)
    i, f, o = sigmoid(a_i, a_f, a_o)    g = tanh(a_g)        Q15                          (Q3)
    c <- saturate16(round_shift(f c + round_shift(i g, 15 - c_bits), 15))     Qc_bits     (Q4)
    h <- round_shift(o tanh(c), 15)                          Q15                          (Q5)
    y = saturate16(x + round_shift(h, 15 - x_bits))          the residual connection      (Q6)

W_x and W_h are int8 with one scale a row each, chosen so that their units differ by 2^r exactly: the sum over
h is shifted into the unit of the sum over x, both end in one 32-bit accumulator that begins with the bias.

Attention keeps, of the scores e in Q16 of base-2 logarithms with integer parts E and fractions F, the largest
E so far, for the first frame its own:

    e = saturate32(requantize(v . h))       E = floor(e)      F = e - E                   (Q7)
    m' = max(m, E)      total, weighted <- round_shift(total, m' - m), ... weighted       (Q8)
    w = round_shift(2^F, m' - E)            Q24                                           (Q9)
    total <- total + w        weighted <- weighted + w h      Q24, Q39                    (Q10)
    context = floor(weighted / total + 1/2)                   Q15                         (Q11)
    logits = saturate32(requantize(W context) + b)            Q16                         (Q12)

The sums in (Q7) and (Q12) have 64 bits, and W in (Q12) has 16.

Letters: N clips, T frames, D inputs, H hidden, C classes.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.fast.packing import packing
from npreslstm.folding import fold, halve_sigmoids
from npreslstm.integer import fixed_point as fp
from npreslstm.integer.calibration import check_calibration

INPUT_RANGE, CELL_RANGE = 16.0, 16.0  # where a checkpoint carries no calibration
CELL_MARGIN = 1.25  # head-room of the cell states over those of the calibration
GATE_SHIFT = 32  # of (Q2)
BIAS_RANGE = 4096.0  # of a gate: beyond it, it is saturated whatever the sums are
BIAS_LIMIT = 1 << 29  # of a bias in units of the accumulator: only rows of hardly any weights come near it
MAX_FRAMES = 1 << 21  # of one clip; the sums of attention fit 64 bits up to there


class QuantizedLSTM(NamedTuple):
    """One layer."""

    W_x: np.ndarray  # (4H, D) int8
    W_h: np.ndarray  # (4H, H) int8
    bias: np.ndarray  # (4H,) int32, unit of the accumulator
    multiplier: np.ndarray  # (4H,) int32, M of (Q2): accumulator to Q15, times 2^32
    recurrent_shift: np.ndarray  # (4H,) uint8, r of (Q2)
    c_bits: int


class QuantizedHead(NamedTuple):
    """Attention vector and linear layer."""

    attention: np.ndarray  # (H,) int16
    score_multiplier: int
    score_shift: int
    W: np.ndarray  # (C, H) int16
    bias: np.ndarray  # (C,) int32, Q16
    multiplier: np.ndarray  # (C,) int32
    shift: np.ndarray  # (C,) uint8


@dataclasses.dataclass
class QuantizedState:
    """N clips on their way through the network; int64 arrays whose values fit the types named."""

    h: list[np.ndarray]  # (N, H) a layer, int16 Q15
    c: list[np.ndarray]  # (N, H) a layer, int16 Qc_bits
    maximum: np.ndarray  # (N,) int32
    total: np.ndarray  # (N,) Q24
    weighted: np.ndarray  # (N, H) Q39
    frames: int


class QuantizedModel:
    """The integer network, batched over clips.

    Attributes
    ----------
    x_bits : int
        The features are in units of 2^-x_bits.
    lstms : list of QuantizedLSTM
    residual : int
        After how many layers the features are added (Q6); 0 for none.
    head : QuantizedHead
    """

    def __init__(self, folded, calibration):
        self.x_bits = _fraction_bits(calibration["input"])
        bits = [_fraction_bits(CELL_MARGIN * limit) for limit in calibration["cell"]]
        self.residual = folded.residual
        # Layers stacked on another one read its hidden states, Q15; the first of each LSTM reads features or
        # their residual sum.
        inputs = [self.x_bits if k in (0, folded.residual) else 15 for k in range(len(folded.lstms))]
        self.lstms = [
            _quantize_lstm(lstm, x_bits, c_bits) for lstm, x_bits, c_bits in zip(folded.lstms, inputs, bits)
        ]
        self.head = _quantize_head(folded)

    @classmethod
    def from_checkpoint(cls, checkpoint, calibration=None):
        """Quantise the weights of a checkpoint.

        Parameters
        ----------
        checkpoint : Checkpoint
        calibration : dict, optional
            As `calibrate` returns it; by default that of the checkpoint's notes, or wide ranges (16) without
            one.

        Raises
        ------
        InputError
            If the calibration is not of this model, or a row's sums would not fit 32 bits.
        """
        folded = halve_sigmoids(fold(checkpoint.config, checkpoint.state))
        if calibration is None:
            calibration = checkpoint.notes.get(
                "calibration", {"input": INPUT_RANGE, "cell": [CELL_RANGE] * len(folded.lstms)}
            )
        check_calibration(calibration, len(folded.lstms))
        return cls(folded, calibration)

    def quantize(self, z):
        """Z-scored features as int16 (Q1), from float32 arithmetic that is exact but for one addition."""
        unit = np.float32(2.0**self.x_bits)
        # beyond it saturates anyway
        near = np.clip(np.asarray(z, dtype=np.float32), -40000 / unit, 40000 / unit)
        return fp.saturate(np.floor(near * unit + np.float32(0.5)).astype(np.int64), 16).astype(np.int16)

    def start(self, N):
        """State of N clips before their first frame."""
        sizes = [lstm.W_h.shape[1] for lstm in self.lstms]
        zeros = [np.zeros((N, H), dtype=np.int64) for H in sizes]
        return QuantizedState(
            zeros,
            [h.copy() for h in zeros],
            np.zeros(N, np.int64),
            np.zeros(N, np.int64),
            np.zeros((N, sizes[-1]), np.int64),
            0,
        )

    def step(self, x, state, n=None):
        """Advance the first n clips (all by default) of `state` by one frame x (n, D) of quantised features,
        in place.
        """
        if state.frames >= MAX_FRAMES:
            raise InputError(f"a clip has more than {MAX_FRAMES} frames; expected at most that: cut it")
        n = len(x) if n is None else n
        x = np.asarray(x, dtype=np.int64)
        y = x
        for k, lstm in enumerate(self.lstms):
            state.h[k][:n], state.c[k][:n] = _lstm_step(y, state.h[k][:n], state.c[k][:n], lstm)
            y = state.h[k][:n]
            if k + 1 == self.residual:
                y = fp.saturate(x + fp.round_shift(y, 15 - self.x_bits), 16)  # (Q6)
        self._attend(state, n)
        state.frames += 1

    def context(self, state):
        """(N, H) Q15 of the frames so far (Q11)."""
        total = state.total[:, None]
        return (2 * state.weighted + total) // (2 * total)

    def logits(self, context):
        """(N, C) Q16 (Q12)."""
        head = self.head
        return fp.saturate(
            fp.requantize(fp.exact_product(context, head.W.T), head.multiplier, head.shift) + head.bias, 32
        )

    def infer_integer(self, x, lengths):
        """Logits (N, C) in Q16 of quantised features x (N, T, D); see `infer`."""
        layout = packing(lengths, np.shape(x)[:2])
        return self._run(layout.pack(x), layout)

    def infer(self, x, lengths):
        """Logits of a batch, as `ResLSTM.infer` gives them.

        Parameters
        ----------
        x : (N, T, D) array
            Z-scored features.
        lengths : (N,) int array

        Returns
        -------
        (N, C) float32 array
        """
        x = np.asarray(x)
        D = self.lstms[0].W_x.shape[1]
        if x.ndim != 3 or x.shape[2] != D:
            raise InputError(f"features are {x.shape}; expected (clips, frames, {D})")
        layout = packing(lengths, x.shape[:2])
        rows = layout.pack(x)
        if not np.isfinite(rows).all():
            raise InputError(
                "features hold NaN or infinite values; expected finite ones: check the audio and the"
                " statistics"
            )
        return (self._run(self.quantize(rows), layout) / 65536.0).astype(np.float32)

    def _run(self, rows, layout):
        """Logits in Q16, in the caller's clip order, of packed quantised features (M, D)."""
        state = self.start(len(layout.lengths))
        for start, n in zip(layout.offsets.tolist(), layout.batch_sizes.tolist()):
            self.step(rows[start : start + n], state, n)
        return self.logits(self.context(state))[np.argsort(layout.order)]

    def _attend(self, state, n):
        """(Q7)-(Q10) for the first n clips."""
        head, h = self.head, state.h[-1][:n]
        # (n,)  (Q7)
        e = fp.saturate(
            fp.requantize(fp.exact_product(h, head.attention), head.score_multiplier, head.score_shift), 32
        )
        E = e >> 16
        maximum = np.maximum(state.maximum[:n], E) if state.frames else E
        fall = np.minimum(maximum - state.maximum[:n], 62) if state.frames else np.zeros_like(E)
        weight = fp.round_shift(fp.exp2_fraction(e & 0xFFFF) << 9, np.minimum(maximum - E, 62))  # (n,)  (Q9)
        state.total[:n] = fp.round_shift(state.total[:n], fall) + weight  # (Q8), (Q10)
        state.weighted[:n] = fp.round_shift(state.weighted[:n], fall[:, None]) + weight[:, None] * h
        state.maximum[:n] = maximum


def _lstm_step(x, h, c, lstm):
    """(Q2)-(Q5) for N clips: the new h, c."""
    recurrent = fp.round_shift(fp.exact_product(h, lstm.W_h.T), lstm.recurrent_shift)  # (N, 4H)
    sums = fp.exact_product(x, lstm.W_x.T) + lstm.bias + recurrent
    i, f, g, o = np.split(fp.tanh(fp.requantize(sums, lstm.multiplier, GATE_SHIFT)), 4, axis=1)  # (Q2), (Q3)
    i, f, o = fp.sigmoid_from_tanh(i), fp.sigmoid_from_tanh(f), fp.sigmoid_from_tanh(o)
    c = fp.saturate(fp.round_shift(f * c + fp.round_shift(i * g, 15 - lstm.c_bits), 15), 16)  # (Q4)
    return fp.round_shift(o * fp.tanh(c << (15 - lstm.c_bits)), 15), c  # (Q5)


def _quantize_lstm(lstm, x_bits, c_bits):
    unit_x, unit_h, r = _units(lstm, x_bits)
    W_x = np.rint(lstm.W_x / (unit_x * 2.0**x_bits)[:, None]).astype(np.int8)
    W_h = np.rint(lstm.W_h / (unit_h * 2.0**15)[:, None]).astype(np.int8)
    bias = np.rint(np.clip(lstm.b, -BIAS_RANGE, BIAS_RANGE) / unit_x)
    reach = (
        32768 * (np.abs(W_h.astype(np.int64)).sum(axis=1) + np.abs(W_x.astype(np.int64)).sum(axis=1))
        + np.abs(bias)
        + ((1 << r) >> 1)
    )
    if reach.max() >= 1 << 31:
        raise InputError(
            f"row {reach.argmax()} of an LSTM can sum to {reach.max():.0f}; expected less than 2^31 for int8:"
            " export it as float32"
        )
    return QuantizedLSTM(
        W_x, W_h, bias.astype(np.int32), _gate_multiplier(unit_x), r.astype(np.uint8), c_bits
    )


def _gate_multiplier(unit_x):
    """M of (Q2), (4H,) int32: only the upper word of a product is needed, since every row has one shift."""
    M, s = fp.multiplier(unit_x * 2.0**15)
    if s.min() < 25:
        raise InputError(
            f"row {s.argmin()} of an LSTM has a unit of {unit_x.max():.2g}, for its weights are large;"
            f" expected less than {2.0**-16:.2g} for int8: export it as float32"
        )
    return fp.round_shift(M << 7, s - 25).astype(np.int32)  # exact up to s = GATE_SHIFT


def _units(lstm, x_bits):
    """Units of the sums over x and over h, (4H,) each, with unit_x = 2^r unit_h and r >= 0: as fine as int8
    and the bias allow.
    """
    finest_x = _row_limit(lstm.W_x) / 127 * 2.0**-x_bits
    finest_h = _row_limit(lstm.W_h) / 127 * 2.0**-15
    r = np.clip(np.rint(np.log2(finest_x / finest_h)), 0, 24)
    unit_x = np.maximum(
        np.maximum(finest_x, finest_h * 2.0**r), np.minimum(np.abs(lstm.b), BIAS_RANGE) / BIAS_LIMIT
    )
    return unit_x, unit_x * 2.0**-r, r.astype(np.int64)


def _row_limit(W):
    """Largest size in each row, never 0."""
    return np.maximum(np.abs(W).max(axis=1), 1e-6)


def _quantize_head(folded):
    scale = max(np.abs(folded.attention).max(), 1e-6) / 32767
    score_multiplier, score_shift = fp.multiplier(scale * 2.0 * np.log2(np.e))  # Q15 to Q16, base e to base 2
    scales = _row_limit(folded.head_W) / 32767  # (C,)
    M, s = fp.multiplier(scales * 2.0)  # Q15 to Q16
    attention, W = (
        np.rint(folded.attention / scale).astype(np.int16),
        np.rint(folded.head_W / scales[:, None]).astype(np.int16),
    )
    bias = np.rint(folded.head_b * 65536)
    if np.abs(bias).max() >= 1 << 31:
        raise InputError(
            f"a bias of the head is {np.abs(folded.head_b).max():g}; expected less than 32768 for int8:"
            " export it as float32"
        )
    shifts, score_shift = _shifts(s, "the head"), int(_shifts(score_shift, "attention"))
    _check_sums("attention", attention[None], [int(score_multiplier)], [score_shift])
    _check_sums("the head", W, M.tolist(), shifts.tolist())
    return QuantizedHead(
        attention, int(score_multiplier), score_shift, W, bias.astype(np.int32), M.astype(np.int32), shifts
    )


def _shifts(s, what):
    """As uint8, for `requantize`."""
    if s.min() < 0 or s.max() > 62:
        raise InputError(
            f"the weights of {what} need a shift of {s.min()} to {s.max()} bits; expected 0 to 62 for int8:"
            " export it as float32"
        )
    return s.astype(np.uint8)


def _check_sums(what, W, multipliers, shifts):
    """Raise InputError if what `requantize` rounds could exceed 64 bits, for hidden states of full size; in
    Python's integers, which have no end.
    """
    for row, M, s in zip(np.abs(W.astype(np.int64)).sum(axis=1).tolist(), multipliers, shifts):
        if (reach := 32768 * row * M + (1 << s >> 1)) >= 1 << 63:
            raise InputError(
                f"a product of {what} can reach {float(reach):.2g}; expected less than 2^63 for int8: export"
                " it as float32"
            )


def _fraction_bits(limit):
    """Bits after the point of an int16 that holds values up to `limit`: 15 for limits up to 1."""
    return int(15 - np.clip(np.ceil(np.log2(limit)), 0, 15))
