/* SPDX-License-Identifier: MIT */
/* exp, tanh and log2 in single precision, without the C library and without branches, so that loops over them
 * vectorise. Errors, relative: npr_exp2 2.5e-7, npr_exp 2.5e-7 + 8e-8 |x|; absolute: npr_tanh 2.5e-7,
 * npr_log2 1.2e-7 + 6.2e-8 |log2 x|. */
#ifndef NPR_MATH_H
#define NPR_MATH_H

#include <stdint.h>
#include <string.h>

static inline float npr_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t npr_to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Neither NaN nor infinite. In integers, since -ffast-math takes comparisons of floats for always true. */
static inline int npr_is_finite(float x) { return (npr_to_bits(x) & 0x7f800000u) != 0x7f800000u; }

/* x, or the nearer of +-limit beyond them and for NaN. In integers, whose order is that of positive floats:
 * no branch. */
static inline float npr_limit(float x, float limit) {
    const uint32_t bits = npr_to_bits(x), size = bits & 0x7fffffffu, most = npr_to_bits(limit);
    return npr_from_bits((bits & 0x80000000u) | (size < most ? size : most));
}

/* 2^x for |x| <= 126: the series of exp(f ln 2) with f = x - whole, |f| <= 1/2, times 2^whole put together as
 * bits. */
static inline float npr_exp2_within(float x) {
    const int32_t whole = (int32_t)(x + 126.5f) - 126; /* x + 126.5 > 0: truncation rounds to the nearest */
    const float f = (x - (float)whole) * 0.693147181f;
    const float series =
        1.0f +
        f * (1.0f + f * (0.5f + f * (1.66666667e-1f +
                                     f * (4.16666667e-2f + f * (8.33333333e-3f + f * 1.38888889e-3f)))));
    return series * npr_from_bits((uint32_t)(whole + 127) << 23);
}

static inline float npr_exp2(float x) { return npr_exp2_within(npr_limit(x, 126.0f)); }

static inline float npr_exp(float x) { return npr_exp2(x * 1.44269504f); }

/* tanh x = 1 - 2 / (exp(2x) + 1); beyond +-9 it is +-1 in single precision. */
static inline float npr_tanh(float x) {
    return 1.0f - 2.0f / (npr_exp2_within(npr_limit(x, 9.0f) * 2.88539008f) + 1.0f);
}

/* log2 of a positive normal number: exponent, and for the mantissa m in [3/4, 3/2) the series in s = (m - 1)
 * / (m + 1). */
static inline float npr_log2(float x) {
    const uint32_t bits = npr_to_bits(x) - 0x3f400000u; /* relative to 3/4 */
    const float m = npr_from_bits((bits & 0x007fffffu) + 0x3f400000u);
    const float s = (m - 1.0f) / (m + 1.0f), q = s * s;
    const float series =
        s * (2.88539008f +
             q * (9.61796694e-1f + q * (5.77078016e-1f + q * (4.12198583e-1f + q * 3.20598898e-1f))));
    return series + (float)((int32_t)bits >> 23);
}

#endif
