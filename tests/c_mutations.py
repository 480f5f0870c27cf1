"""Small changes of the C port, each of which its self-test must notice. A change that no longer fits the code
fails.
"""

from c_mutations_of_sound import (
    ACTIVITY,
    CLIP,
    FEATURES,
    INTEGER_FRONTEND,
    RATE,
    SPECTRUM,
    STREAM,
    STREAM_EVENTS,
)

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
