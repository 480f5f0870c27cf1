"""The vectors bite: every small change of the arithmetic or of a number makes the exported self-test fail."""

import dataclasses
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_models import checkpoint, needs

from npreslstm.ports import c_text
from npreslstm.ports.c_export import export_c

INT8 = {
    "rounding of 32-bit shifts": ("(v + (int32_t)((1u << s) >> 1)) >> s", "v >> s"),
    "rounding of 64-bit shifts": ("(v + (int64_t)((UINT64_C(1) << s) >> 1)) >> s", "v >> s"),
    "tanh, index": ("k = size >> 9, t", "k = size >> 10, t"),
    "tanh, interpolation": ("* t, 9)", "* t, 8)"),
    "tanh, sign": ("return a < 0 ? -value : value", "return value"),
    "sigmoid, rounding": ("+ 32769) >> 1", "+ 32768) >> 1"),
    "gate order i, f": (
        "i = sigmoid_of(gates[k]), f = sigmoid_of(gates[H + k])",
        "f = sigmoid_of(gates[k]), i = sigmoid_of(gates[H + k])",
    ),
    "gate order g, o": (
        "g = gates[2 * H + k], o = sigmoid_of(gates[3 * H + k])",
        "g = gates[3 * H + k], o = sigmoid_of(gates[2 * H + k])",
    ),
    "cell, shift of i g": ("round_shift(i * g, up)", "round_shift(i * g, up + 1)"),
    "cell, tanh of the old state": (
        "o * table_tanh(c[k] * (1 << up))",
        "o * table_tanh(c[k] * (1 << up) / 2)",
    ),
    "recurrent sum not shifted": ("round_shift(sum[k], lstm->recurrent_shift[row + k])", "sum[k]"),
    "one column left out": (
        "panel_sum(w, x, lstm->inputs, sum)",
        "panel_sum(w, x, lstm->inputs - 1u, sum)",
    ),
    "residual left out": ("saturate16(x[k] + round_shift(h[k], 15u - model->x_bits))", "x[k]"),
    "residual, shift": ("15u - model->x_bits", "14u - model->x_bits"),
    "saturation of 16 bits": ("v > 32767 ? 32767", "v > 32760 ? 32760"),
    "exp2, index": ("k = f >> 10, t", "k = f >> 11, t"),
    "exp2, interpolation": ("* t, 10)", "* t, 11)"),
    "attention, weight": ("(e & 0xffff) << 9", "(e & 0xffff) << 8 << 0 * 9"),
    "attention, fraction": ("e & 0xffff", "e & 0x7fff"),
    "attention, no rescaling": ("at_most_62((int64_t)maximum - state->maximum)", "0"),
    "attention, maximum": ("|| whole > state->maximum", "|| whole < state->maximum"),
    "context, rounding": ("2 * state->weighted[k] + state->total", "2 * state->weighted[k]"),
    "context, negative quotients": ("v - twice + 1", "v"),
    "head, bias": ("+ model->head_bias[row]", ""),
    "quantisation, rounding": ("+ 0.5f;", ";"),
    "quantisation, negative": ("truncated - 1 : truncated", "truncated : truncated"),
    "quantisation, saturation": ("return -32768;", "return -32767;"),
}
CORE = {
    "first column": ("*s0 += w[0] * v0", "*s0 += w[1] * v0"),
    "second column": ("*s1 += w[3] * v1", "*s1 += w[3] * v0"),
    "lower rows": ("*s2 += w[4] * v0", "*s2 += w[5] * v0"),
    "lower rows, second column": ("*s3 += w[7] * v1", "*s3 += w[7] * v1 / 2"),
    "columns in fours": ("npr_two_columns(w + 8, v + 2", "npr_two_columns(w + 8, v"),
    "remaining pair": ("n % 4 >= 2", "n % 4 > 2"),
    "product, rounding": ("(int64_t)a * b + ((int64_t)1 << 31)", "(int64_t)a * b"),
    "tanh, limit": ("v < 262143 ? v : 262143", "v < 131071 ? v : 131071"),
}
FLOAT = {
    "gate order i, f": ("*i = a, *f = a + H", "*f = a, *i = a + H"),
    "gate order g, o": ("*g = a + 2 * H, *o = a + 3 * H", "*o = a + 2 * H, *g = a + 3 * H"),
    "sigmoid": ("0.5f + 0.5f * o[k]", "0.5f + 0.49f * o[k]"),
    "tanh of the cell": ("* npr_tanh(c[k])", "* c[k]"),
    "residual left out": ("x[k] + h[k]", "x[k]"),
    "columns in fours": ("w3[row] * v3", "w3[row] * v2"),
    "remaining columns": ("a[row] += w[row] * v[k];", "a[row] += 0.0f * w[row] * v[k];"),
    "attention, maximum": ("score > state->maximum ? score : state->maximum", "score"),
    "attention, shrink": ("state->total * shrink + weight", "state->total + weight"),
    "attention, weighted": ("weighted[k] * shrink", "weighted[k]"),
    "head, bias": ("sum = model->head_bias[row]", "sum = 0.0f"),
}
MATH = {
    "tanh, factor": ("2.88539008f) +", "2.8852f) +"),
    "exp2, coefficient": ("1.66666667e-1f", "1.65e-1f"),
    "exp2, nearest": ("x + 126.5f) - 126", "x + 126.0f) - 126"),
}
SPECTRUM = {
    "window": (
        "return ONE - cosine(k <= HALF ? k : NPR_FFT - k)",
        "return ONE + cosine(k <= HALF ? k : NPR_FFT - k)",
    ),
    "window, asymmetric": ("k <= HALF ? k : NPR_FFT - k)", "k <= HALF ? k : NPR_FFT - 1 - k)"),
    "window, shift": ("+ (1 << 16)) >> 17", "+ (1 << 17)) >> 18"),
    "window, faint frames": ("while (up < 31", "while (up < 15"),
    "order of the inputs": ("bit = HALF >> 1", "bit = HALF >> 2"),
    "product, shift": ("+ ONE / 2) >> 30", "+ ONE) >> 31"),
    "butterfly, angle": ("wr = cosine(k * (HALF / size))", "wr = cosine(k * (HALF / size) + 1)"),
    "butterfly, direction": ("wi = -sine(k * (HALF / size))", "wi = sine(k * (HALF / size))"),
    "butterfly, sign": ("b[0] = ar - re", "b[0] = ar + re"),
    "halving, not counted": ("halved += down", "halved += 0 * down"),
    "halving, too late": ("ROOM ((uint32_t)1 << 29)", "ROOM ((uint32_t)1 << 31)"),
    "sine, second quadrant": ("npr_cosine[k - NPR_FFT / 4]", "npr_cosine[k - NPR_FFT / 4 + 1]"),
    "halves apart, sign": ("(int64_t)a[1] - b[1]", "(int64_t)a[1] + b[1]"),
    "halves apart, angle": ("s = sine(k);", "s = sine(k + 1);"),
    "square, shift": ("(re + half) >> 32), b", "(re + half) >> 33), b"),
    "unit": ("up - 14 - 15 + 1", "up - 14 - 15 + 2"),
}
FEATURES = {
    "mel, first bin": ("spectrum->power + npr_mel_start[m]", "spectrum->power + npr_mel_start[m] + 1"),
    "mel, last bin": ("k < npr_mel_count[m]", "k + 1 < npr_mel_count[m]"),
    "decibels": ("3.01029996f", "3.0103f + 1e-4f"),
    "decibels, fixed point": ("decibels * 32768.0f", "decibels * 32767.0f"),
    "cosine transform, parity": (
        "left + right, folded[1][m] = left - right",
        "left - right, folded[1][m] = left + right",
    ),
    "cosine transform, angle": ("angle += 2 * step", "angle += step"),
    "cosine transform, period": ("NPR_FFT - a]", "NPR_FFT - a + 1]"),
    "cosine transform, first": ("k == 0 ? NPR_DCT_FIRST", "k == 1 ? NPR_DCT_FIRST"),
    "chroma, largest": (
        "chroma[p] > largest ? chroma[p] : largest",
        "chroma[p] > largest ? largest : chroma[p]",
    ),
}
STREAM = {
    "mel, floor": ("sum > NPR_FLOOR ? sum : NPR_FLOOR", "sum > 2 * NPR_FLOOR ? sum : 2 * NPR_FLOOR"),
    "chroma, cycle": ("p + 1 == NPR_CHROMA ? 0", "p + 1 == NPR_CHROMA ? 1"),
    "chroma, one class too few": (
        "left = npr_chroma_count[k]; left > 0",
        "left = npr_chroma_count[k]; left > 1",
    ),
    "samples, history": ("kept + NPR_HOP, (NPR_FFT", "kept + NPR_HOP - 1, (NPR_FFT"),
    "samples, end of the clip": ("memset(kept + NPR_FFT - NPR_HOP, 0", "memset(kept + NPR_FFT - NPR_HOP, 1"),
    "samples, place": ("memcpy(kept + NPR_FFT - NPR_HOP, pcm", "memcpy(kept + NPR_FFT - NPR_HOP - 1, pcm"),
}
ACTIVITY = {
    "number of the sample": ("number >>= 1", "number >>= 2"),
    "difference": ("activity->pending[band] - sum;", "activity->pending[band] + sum;"),
    "sum": ("sum += activity->pending[band]", "sum -= activity->pending[band]"),
    "logarithm": ("256 * whole", "255 * whole"),
    "logarithm, mantissa": ("value >= 512", "value >= 1024"),
    "fall": ("-(-above >> fall)", "above >> fall"),
    "fall, first": ("heard < FIRST_HOPS ? FIRST_FALL", "heard > FIRST_HOPS ? FIRST_FALL"),
    "fall, first hops": ("#define FIRST_HOPS 16", "#define FIRST_HOPS 8"),
    "creep": ("above < CREEP ? above : CREEP", "CREEP + 1"),
    "rise": ("return above >> RISE", "return above >> (RISE + 1)"),
    "first floor": ("heard == 0) { *floor = level", "heard == 1) { *floor = level"),
    "cap": ("above < CAP ? above : CAP", "above"),
    "below the floor": ("above < 0 ? 0 : above", "above"),
    "faint": ("#define FAINT 1024u", "#define FAINT 512u"),
    "silent": ("energy < SILENT ? 0", "energy < 0 * SILENT ? 0"),
    "energies of the last hop": (
        "activity->energy, 0, sizeof activity->energy);\n    act",
        "activity->energy, 0, 8);\n    act",
    ),
    "mean": ("k < SMOOTHED; k++) { total", "k < SMOOTHED - 1; k++) { total"),
    "threshold": ("RELEASE : THRESHOLD)", "RELEASE : THRESHOLD / 2)"),
    "release": ("RELEASE : THRESHOLD)", "THRESHOLD : THRESHOLD)"),
    "look-back": ("NPR_ACTIVITY_LOOK_BACK + 1 + HANGOVER", "1 + HANGOVER"),
    "hangover": ("NPR_ACTIVITY_LOOK_BACK + 1 + HANGOVER", "NPR_ACTIVITY_LOOK_BACK + 1"),
    "delay": ("activity->late = NPR_ACTIVITY_DELAY", "activity->late = NPR_ACTIVITY_DELAY - 1"),
    "end": ("if (*decision == NPR_UNDECIDED) { activity->left++; }", ""),
}
RATE = {
    "rounding": ("half = 1 << 14", "half = 0"),
    "order of the filter": ("h[NPR_TAPS - 1 - k] * window[k]", "h[k] * window[k]"),
    "phase, backwards": ("rate->up - 1u - phase", "rate->up - 2u - phase"),
    "half of the phases": ("phase <= mirrored", "phase + 1 <= mirrored"),
    "saturation": ("v > 32767 ? 32767", "v > 32760 ? 32760"),
    "constant, rounding": ("decimator->mean + (1 << (MEAN_BITS - 1))", "decimator->mean"),
    "constant, speed": ("MEAN_SHIFT 9", "MEAN_SHIFT 10"),
    "constant, order": ("return saturate(v)", "return saturate(v + 1)"),
    "window, second half": ("window[0] = window[NPR_TAPS] = sample", "window[0] = sample"),
    "window, newest": ("decimator->position, window + 1)", "decimator->position, window)"),
    "position": ("decimator->position + rate->down", "decimator->position + rate->down + 1"),
    "position, wrap": ("decimator->place + 1u) % NPR_TAPS", "decimator->place + 1u) % (NPR_TAPS - 1)"),
}
STREAM_EVENTS = {
    "ring, place": ("stream->written & stream->mask", "(stream->written + 1) & stream->mask"),
    "ring, wrap": ("memcpy(stream->ring, pcm + first", "memcpy(stream->ring, pcm"),
    "ring, room": ("stream->mask + 1u - (stream->written", "stream->mask - (stream->written"),
    "overrun, count": ("(uint32_t)(samples - taken)", "(uint32_t)samples"),
    "overrun, told": ("event->kind = NPR_OVERRUN", "event->kind = NPR_NOTHING"),
    "hop": ("event->hop = stream->decided++", "event->hop = ++stream->decided"),
    "kept frame": ("stream->kept[stream->heard %", "stream->kept[(stream->heard + 1) %"),
    "end": ("report(stream, NPR_END, event);\n    }\n    if", "NPR_OK;\n    }\n    if"),
    "period": ("stream->since == NPR_STREAM_PERIOD)", "stream->since == NPR_STREAM_PERIOD + 1)"),
    "smoothing": ("alone ? now[k]", "!alone ? now[k]"),
    "smoothing, end": ("kind == NPR_END && !stream->renewed", "0"),
    "smoothing, part": ("NPR_STREAM_PERIOD * before", "before"),
    "start, network": (
        "npr_status status = npr_reset(stream->model, &stream->state);",
        "npr_status status = NPR_OK;",
    ),
    "lead": ("stream->heard = hop - NPR_STREAM_LEAD", "stream->heard = hop - NPR_STREAM_LEAD + 1"),
    "hangover": ("> NPR_STREAM_HANGOVER", ">= NPR_STREAM_HANGOVER"),
    "hangover, speech in it": ("stream->quiet = 0;", ""),
    "end of the recording": ("stream->decided;\n", "stream->decided + 1;\n"),
}
INTEGER_FRONTEND = {
    "window": ("32768 + minus_cos", "32768 - minus_cos"),
    "window, asymmetric": (
        "k <= HALF ? k : NPR_FFT - k)); /* (I2)",
        "k <= HALF ? k : NPR_FFT - 1 - k)); /* (I2)",
    ),
    "window, bits": ("bits |= magnitude(z[k])", "bits ^= magnitude(z[k])"),
    "exponent": ("up = 30 - bit_length(bits)", "up = 29 - bit_length(bits)"),
    "exponent, too large": ("up = 30 - bit_length(bits)", "up = 31 - bit_length(bits)"),
    "exponent, loud frames": ("up < 0 ? z[k] >> 1", "up < 0 ? z[k]"),
    "bits of a number": ("v >> step != 0", "v >> step > 1"),
    "magnitude": ("(x ^ (x >> 31))", "(x < 0 ? -x : x)"),
    "order of the inputs": ("bit = HALF >> 1", "bit = HALF >> 2"),
    "order, swapped twice": ("if (k < reversed)", "if (k <= reversed || 1)"),
    "swap": ("a[1] = b[1];\n    b[0] = re;", "a[1] = im;\n    b[0] = re;"),
    "sine, first quadrant": ("HALF / 2 - k : k - HALF / 2]", "HALF / 2 - k : k - HALF / 2 + 1]"),
    "sine, second quadrant": ("? HALF / 2 - k :", "? HALF / 2 - k + 1 :"),
    "turned, real": ("npr_half(re, cos) + npr_half(im, sin)", "npr_half(re, cos) - npr_half(im, sin)"),
    "turned, imaginary": ("npr_half(im, cos) - npr_half(re, sin)", "npr_half(im, cos) + npr_half(re, sin)"),
    "butterfly, rounding": ("half_re = a[0] >> 1", "half_re = (a[0] + 1) >> 1"),
    "butterfly, rounding of the other part": ("half_im = a[1] >> 1", "half_im = (a[1] + 1) >> 1"),
    "butterfly, sign": ("b[0] = half_re + re", "b[0] = half_re - re"),
    "butterfly, not halved": ("a[0] = half_re - re", "a[0] = 2 * half_re - re"),
    "angle 0, rounding": ("-b[0] >> 1, -b[1] >> 1", "-(b[0] >> 1), -b[1] >> 1"),
    "angle 0, rounding of the other part": ("-b[0] >> 1, -b[1] >> 1", "-b[0] >> 1, -(b[1] >> 1)"),
    "angle of a stage": ("cos = minus_cos(k * (HALF / size))", "cos = minus_cos(k * (HALF / size) + 1)"),
    "angle of a stage, sine": (
        "sin = minus_sin(k * (HALF / size))",
        "sin = minus_sin(k * (HALF / size) - 1)",
    ),
    "stage, distance": (
        "b = a + 2 * size;\n            butterfly",
        "b = a + 2 * size - 2;\n            butterfly",
    ),
    "a stage too few": ("size < HALF; size *= 2", "size < HALF / 2; size *= 2"),
    "halves apart, rounding": ("b_im = b[1] >> 1", "b_im = (b[1] + 1) >> 1"),
    "halves apart, even": ("(a_re + b_re) >> 1", "(a_re - b_re) >> 1"),
    "halves apart, rounding of the even part": (
        "even_im = (a_im - b_im) >> 1",
        "even_im = (a_im - b_im + 1) >> 1",
    ),
    "halves apart, odd": (
        "odd_im = turned_im(a_im + b_im, b_re - a_re",
        "odd_im = turned_im(a_im + b_im, a_re - b_re",
    ),
    "halves apart, angle": (
        "cos = minus_cos(k), sin = minus_sin(k)",
        "cos = minus_cos(k), sin = minus_sin(k) + 1",
    ),
    "halves apart, the first bin": ("k == 0 ? low : high", "high"),
    "halves apart, the middle bin": (
        "store_power(low, even_re - odd_re, even_im - odd_im)",
        "if (k < HALF / 2) store_power(low, even_re - odd_re, even_im - odd_im)",
    ),
    "power, bits": ("#define POWER_BITS 15", "#define POWER_BITS 14"),
    "power, exponent": ("bin[1] = 2 * down", "bin[1] = down"),
    "power, imaginary part": ("+ (y >> down) * (y >> down)", ""),
    "aligned, rounding": (": 31)) + 1) >> 1", ": 31)) + 0) >> 1"),
    "aligned, faint bins": ("down < 31 ? down : 31", "down < 31 ? down : 16"),
    "logarithm, entry": ("k = fraction >> 9", "k = fraction >> 9 | 1"),
    "logarithm, rounding": ("* t + 256) >> 9", "* t) >> 9"),
    "logarithm, fraction": ("fraction & 511", "fraction & 510"),
    "logarithm, shift": ("v << (31 - whole)) >> 15", "v << (31 - whole)) >> 16"),
    "logarithm, whole part": ("return whole * 65536", "return whole * 65535"),
    "mel, first bin": ("frontend->bins + 2 * npr_mel_start[m]", "frontend->bins + 2 * npr_mel_start[m] + 2"),
    "mel, last bin": ("k < count; k++) {\n        total", "k + 1 < count; k++) {\n        total"),
    "mel, largest exponent": (
        "largest = bins[2 * k + 1] > largest ? bins[2 * k + 1] : largest",
        "largest = bins[2 * k + 1]",
    ),
    "mel, bits": ("#define LEVEL_BITS 16", "#define LEVEL_BITS 15"),
    "mel, unit": ("NPR_UNIT - 2 * up", "NPR_UNIT - up"),
    "mel, floor": ("level > NPR_FLOOR ? level : NPR_FLOOR", "level"),
    "mel, offset": ("65536 + npr_mel_offset[m]", "65536"),
    "cosine transform, bits": (
        "right = levels[NPR_MELS - 1 - m] * (1 << CEPSTRUM_BITS)",
        "right = levels[NPR_MELS - 1 - m] * (1 << CEPSTRUM_BITS) + 1",
    ),
    "cosine transform, precision": ("#define CEPSTRUM_BITS 4", "#define CEPSTRUM_BITS 3"),
    "cosine transform, parity": ("levels[m] = left + right", "levels[m] = left - right"),
    "cosine transform, order": ("levels + NPR_MELS - 1;", "levels + NPR_MELS / 2;"),
    "cosine transform, direction": ("k % 2 == 0 ? 1 : -1", "1"),
    "cosine transform, angle": ("angle += 2 * step", "angle += step"),
    "cosine transform, period": (
        "a <= HALF ? a : NPR_FFT - a)); /* (I11)",
        "a < HALF ? a : a - HALF)); /* (I11)",
    ),
    "cosine transform, sign": ("sum -= npr_half(*folded", "sum += npr_half(*folded"),
    "chroma, exponent": ("bins[2 * k + 1] - npr_chroma_down[k]", "bins[2 * k + 1]"),
    "chroma, largest exponent": ("largest = exponent > largest ? exponent : largest", "largest = exponent"),
    "chroma, bits": ("#define CHROMA_BITS 9", "#define CHROMA_BITS 10"),
    "chroma, cycle": ("sums[p] + sums[NPR_CHROMA + p]", "sums[p]"),
    "chroma, one class too few": (
        "left = npr_chroma_count[k]; left > 0",
        "left = npr_chroma_count[k]; left > 1",
    ),
    "chroma, largest": ("top = features[p] > top ? features[p] : top", "top = features[p]"),
    "chroma, bits of the ratio": ("#define RATIO_BITS 16", "#define RATIO_BITS 15"),
    "chroma, rounding": ("+ (divisor >> 1)", ""),
    "chroma, unit": ("(int32_t)(ratio << SHARED_BITS)", "(int32_t)(ratio << (SHARED_BITS - 1))"),
    "samples, history": ("kept + NPR_HOP, (NPR_FFT", "kept + NPR_HOP - 1, (NPR_FFT"),
    "samples, end of the clip": ("memset(newest, 0", "memset(newest, 1"),
    "samples, place": ("memcpy(newest, pcm", "memcpy(newest - 1, pcm"),
}
INTEGER_NETWORK = {
    "z-score, offset": ("(product + model->feature_offset[k])", "(product + 1000)"),
    "z-score, shift": (">> model->feature_shift[k]", ">> (model->feature_shift[k] - 1)"),
    "softmax, below the largest": ("logits[best] - logits[k]", "logits[NPR_CLASSES - 1] - logits[k]"),
    "softmax, base": ("#define LOG2_E 94548", "#define LOG2_E 94500"),
    "softmax, fraction": ("table_exp2(e & 0xffff), (unsigned)", "table_exp2(0), (unsigned)"),
    "softmax, whole part": ("(unsigned)-(e >> 16)", "(unsigned)(-e >> 16)"),
    "softmax, rounding": ("+ total / 2) / total", ") / total"),
}
HALF = {
    "half, shift": ("(int64_t)x * c) >> 16", "(int64_t)x * c) >> 15"),
    "half, rounding": ("(int64_t)x * c) >> 16", "(int64_t)x * c + 32768) >> 16"),
}
SHORT_HALF = {
    "half, upper part": ("return (x >> 16) * c", "return (x / 65536) * c"),
    "half, lower part": ("(x & 0xffff) * c", "(x & 0x7fff) * c"),
    "half, rounding": ("* c) >> 16);\n#else", "* c + 32768) >> 16);\n#else"),
}
CLIP = {
    "trimming, energy": ("run_energy(clip, k) + run_energy(clip, k + 1)", "run_energy(clip, k)"),
    "trimming, threshold": ("loudest * NPR_TRIM_RATIO", "loudest * NPR_TRIM_RATIO * 100"),
    "trimming, stop": (
        "(last + 1) * TRIM_HOP < clip.samples ? (last + 1)",
        "last * TRIM_HOP < clip.samples ? last",
    ),
    "frames, centre": ("t * NPR_HOP + k;", "t * NPR_HOP + k + 1;"),
    "peaks, threshold": ("middle > 0.1f * loudest", "middle > 0.5f * loudest"),
    "peaks, first": ("middle > left && middle >= right", "middle > left && middle <= right"),
    "parabola, side": ("inside ? -slope", "inside ? slope"),
    "median": ("w->peaks / 2)", "w->peaks - 1)"),
    "tuning, bins": ("-0.5f + 0.01f", "-0.49f + 0.01f"),
    "tuning, fullest": ("counts[k] > counts[best]", "counts[k] < counts[best]"),
    "chroma, width": ("narrowness = step > 1.0f ? 2.0f / step", "narrowness = step > 1.0f ? 2.1f / step"),
    "chroma, first class": ("p + 3 * (NPR_CHROMA / 12)", "p + 2 * (NPR_CHROMA / 12)"),
    "chroma, octave": ("0.5f * (octave - 5.0f)", "0.5f * (octave - 4.0f)"),
    "chroma, norm": ("norm += weights[p] * weights[p]", "norm += weights[p]"),
    "loudest band": ("- NPR_TOP_DB", "- NPR_TOP_DB + 1.0f"),
    "chroma of another frame": (
        "transform(clip, t, spectrum);\n        chroma_of",
        "transform(clip, 0, spectrum);\n        chroma_of",
    ),
}
ARRAYS = {
    "int8": (
        [
            "weights_0",
            "weights_1",
            "bias_0",
            "multiplier_1",
            "recurrent_shift_1",
            "attention",
            "head_weights",
            "head_bias",
        ]
        + ["head_multiplier", "head_shift", "npr_tanh_table", "npr_exp2_table", "mean", "inverse_std"]
    ),
    "integer": ["feature_multiplier", "feature_offset", "feature_shift"],
    "float32": [
        "weights_0",
        "weights_1",
        "bias_1",
        "attention",
        "head_weights",
        "head_bias",
        "mean",
        "inverse_std",
    ],
}
TABLES = {
    "int8": [
        "npr_cosine",
        "npr_mel_start",
        "npr_mel_count",
        "npr_mel_weights",
        "npr_chroma_start",
        "npr_chroma_count",
        "npr_chroma_weights",
        "npr_filter_44100",
        "npr_filter_48000",
    ],
    "integer": [
        *("npr_cosine", "npr_mel_start", "npr_mel_count", "npr_mel_weights", "npr_mel_offset"),
        *("npr_chroma_start", "npr_chroma_count", "npr_chroma_weights", "npr_chroma_down", "npr_log2_table"),
    ],
    "paper": ["npr_cosine", "npr_mel_start", "npr_mel_count", "npr_mel_weights", "npr_pitch"],
}
# (exported folder, file): {what: (text, its replacement)}
MUTATIONS = {
    ("int8", "npr_int8.c"): INT8,
    ("int8", "npr_core.h"): CORE,
    ("float32", "npr_float.c"): FLOAT,
    ("float32", "npr_math.h"): MATH,
    ("int8", "npr_spectrum.c"): SPECTRUM,
    ("int8", "npr_features.c"): FEATURES | STREAM,
    ("int8", "npr_activity.c"): ACTIVITY,
    ("int8", "npr_rate.c"): RATE,
    ("integer", "npr_stream.c"): STREAM_EVENTS,
    ("integer", "npr_frontend_int.c"): INTEGER_FRONTEND,
    ("integer", "npr_int8.c"): INTEGER_NETWORK,
    ("integer", "npr_internal.h"): HALF,
    ("short", "npr_internal.h"): SHORT_HALF,
    ("paper", "npr_features.c"): FEATURES,
    ("paper", "npr_clip.c"): CLIP,
}


class Folder:
    """An exported folder with every object compiled once; `run` compiles what a changed file concerns and
    runs the self-test.
    """

    def __init__(self, folder, type, features, frontend="float", flags=()):
        self.folder, self.flags = folder, flags
        made = checkpoint("h32", features)
        if features == "paper":
            made = dataclasses.replace(made, features=dataclasses.replace(made.features, trim_db=30.0))
        export_c(made, folder, type, frontend=frontend)
        self.sources = sorted([*folder.glob("src/*.c"), *folder.glob("extras/*.c")])
        for source in self.sources:
            self.compile(source)

    def compile(self, source, *flags):
        subprocess.run(
            [
                "gcc",
                "-std=c99",
                "-O0",
                "-w",
                *self.flags,
                *flags,
                f"-I{self.folder}/src",
                f"-I{self.folder}/extras",
                "-c",
                source,
                "-o",
                source.with_suffix(".o"),
            ],
            check=True,
        )

    def run(self, name, text, tmp_path):
        """The self-test with `text` in place of the file `name`: (exit status, standard output)."""
        (tmp_path / name).write_text(text)
        changed = [
            source for source in self.sources if source.name == name or f'"{name}"' in source.read_text()
        ]
        for source in changed:
            if source.name != name:
                (tmp_path / source.name).write_text(source.read_text())
            self.compile(tmp_path / source.name, f"-I{tmp_path}")
        objects = [
            (tmp_path if source in changed else source.parent) / f"{source.stem}.o" for source in self.sources
        ]
        subprocess.run(["gcc", *objects, "-o", tmp_path / "selftest"], check=True)
        done = subprocess.run([tmp_path / "selftest"], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    needs("gcc")
    exported = {
        "float32": ("float32", "mcu"),
        "int8": ("int8", "mcu"),
        "integer": ("int8", "mcu", "integer"),
        "short": ("int8", "mcu", "integer", ["-DNPR_SHORT_MULTIPLY"]),
        "paper": ("float32", "paper"),
    }
    return {name: Folder(tmp_path_factory.mktemp(name), *what) for name, what in exported.items()}


def mutated(text, old, new):
    """The text with the first `old` replaced, wherever its lines are broken."""
    found = re.search(r"\s+".join(map(re.escape, old.split())), text)
    assert found, "the mutation no longer fits the code"
    return text[: found.start()] + new + text[found.end() :]


def assert_caught(status, output):
    """The exit status is not 0, and it is the vectors that notice, not only the checksum."""
    assert status != 0 and output.endswith("FAIL\n")
    assert (
        any(int(count) > 0 for count in re.findall(r"(\d+) differ", output))
        or "a count is not the model's" in output
    )


@pytest.mark.parametrize("name", ["float32", "int8", "integer", "short", "paper"])
def test_the_unchanged_code_passes(folders, tmp_path, name):
    status, output = folders[name].run(
        "npr_model.c", (folders[name].folder / "src" / "npr_model.c").read_text(), tmp_path
    )
    assert status == 0 and output.endswith("PASS\n")


@pytest.mark.parametrize(
    ("folder", "file", "what"),
    [(*where, what) for where, mutations in MUTATIONS.items() for what in mutations],
)
def test_changed_arithmetic_is_caught(folders, tmp_path, folder, file, what):
    old, new = MUTATIONS[folder, file][what]
    text = (folders[folder].folder / "src" / file).read_text()
    assert_caught(*folders[folder].run(file, mutated(text, old, new), tmp_path))


def run_with_changed_entries(folder, name, array, tmp_path):
    """The self-test with some numbers of an array of the file `name` changed."""
    before, values, after = re.fullmatch(
        rf"(.*\b{array}\[\d+\] = {{)([^}}]*)(}}.*)", (folder.folder / "src" / name).read_text(), re.DOTALL
    ).groups()
    numbers = [number.strip() for number in values.split(",")]
    for k in entries_to_change(array, numbers):
        numbers[k] = changed(numbers[k])
    return folder.run(name, before + ", ".join(numbers) + after, tmp_path)


@pytest.mark.parametrize(
    ("type", "array"), [(type, array) for type, arrays in ARRAYS.items() for array in arrays]
)
def test_a_changed_entry_is_caught(folders, tmp_path, type, array):
    status, output = run_with_changed_entries(folders[type], "npr_weights.c", array, tmp_path)
    assert "checksum: the weights do not match" in output
    assert_caught(status, output)


@pytest.mark.parametrize(
    ("folder", "array"), [(folder, array) for folder, arrays in TABLES.items() for array in arrays]
)
def test_a_changed_entry_of_the_frontend_is_caught(folders, tmp_path, folder, array):
    name = "npr_filters.c" if array.startswith("npr_filter_") else "npr_tables.c"
    assert_caught(*run_with_changed_entries(folders[folder], name, array, tmp_path))


def test_the_page_says_how_many_changes():
    total = sum(map(len, [*MUTATIONS.values(), *ARRAYS.values(), *TABLES.values()]))
    assert f"{total} changes in all" in (Path(__file__).parents[2] / "docs" / "c-port.md").read_text(
        encoding="utf-8"
    )


def entries_to_change(array, numbers):
    """Of weights and indices one in the middle; of the network's tables every second, as 24 frames do not
    come by all; otherwise the largest.
    """
    if array in ("npr_tanh_table", "npr_exp2_table", "npr_log2_table"):
        return range(0, len(numbers), 2)
    if array.startswith("weights_") or array.endswith(("_start", "_count")):
        return [len(numbers) // 2]
    return [max(range(len(numbers)), key=lambda k: abs(float(numbers[k].rstrip("f"))))]


def changed(number):
    """One less in size, or by one part in a hundred: the unit of a bias or multiplier is below that of what
    it makes.
    """
    if number.endswith("f"):
        return c_text.literal(np.float32(float(number[:-1]) * 1.01))
    value = int(number)
    return str(value - (value > 0) * max(1, value // 100) + (value < 0) * max(1, -value // 100))
