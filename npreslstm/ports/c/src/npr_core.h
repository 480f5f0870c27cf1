/* SPDX-License-Identifier: MIT */
/* Four rows of a matrix times a vector: nine tenths of the network's work, in the instructions that the core
 * has. The sums are integers that fit 32 bits, so their order changes nothing, and every core has the same
 * bits.
 *
 * A panel is four rows p, q, r, s, their weights in the order that serves all: two columns after two columns,
 * p0 q0 p1 q1 r0 s0 r1 s1, p2 q2 p3 q3 r2 s2 r3 s3, ...; of an odd number of columns, p q r s of the last. */
#ifndef NPR_CORE_H
#define NPR_CORE_H

#include "npr_internal.h"

#if defined(__GNUC__) && defined(__thumb__) && !defined(__thumb2__)
/* Two columns at once would not fit the registers of a Cortex-M0. */
#define NPR_ONE_BY_ONE() __asm__ volatile("" : : : "memory")
#else
#define NPR_ONE_BY_ONE() ((void)0)
#endif

#if NPR_DSP && !defined(__OPTIMIZE_SIZE__)
#define NPR_TWO_PASSES _Pragma("GCC unroll 2") /* of a loop, which saves a fiftieth of the network there */
#else
#define NPR_TWO_PASSES
#endif

#if NPR_HELIUM /* npr_helium.c has the whole layer */
#elif NPR_DSP

/* Two columns of a pair of rows, p0 q0 p1 q1: p0 v0 + p1 v1 added to *p, q0 v0 + q1 v1 to *q. */
NPR_INLINE void npr_pair(int32_t w, int16x2_t v, int32_t *p, int32_t *q) {
    int16x2_t q0q1; /* 16 bits each */
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(q0q1) : "r"(w));
    *p = __smlad(__sxtb16(w), v, *p);
    *q = __smlad(q0q1, v, *q);
}

NPR_INLINE void npr_two_columns(const int8_t *w, const int16_t *v, int32_t *s0, int32_t *s1, int32_t *s2,
                                int32_t *s3) {
    const int16x2_t both = npr_word(v);
    npr_pair(npr_word(w), both, s0, s1);
    npr_pair(npr_word(w + 4), both, s2, s3);
}

/* (a b + 2^31) / 2^32, rounded down. */
static inline int32_t npr_upper(int32_t a, int32_t b) {
    int32_t upper;
    __asm__("smmulr %0, %1, %2" : "=r"(upper) : "r"(a), "r"(b));
    return upper;
}

/* At most 2^18 - 1, of v >= 0. */
static inline int32_t npr_limit_18(int32_t v) { return (int32_t)__usat(v, 18); }

#else

NPR_INLINE void npr_two_columns(const int8_t *w, const int16_t *v, int32_t *s0, int32_t *s1, int32_t *s2,
                                int32_t *s3) {
    const int32_t v0 = v[0];
    *s0 += w[0] * v0;
    *s1 += w[1] * v0;
    *s2 += w[4] * v0;
    *s3 += w[5] * v0;
    NPR_ONE_BY_ONE();
    const int32_t v1 = v[1];
    *s0 += w[2] * v1;
    *s1 += w[3] * v1;
    *s2 += w[6] * v1;
    *s3 += w[7] * v1;
}

/* (a b + 2^31) / 2^32, rounded down. */
static inline int32_t npr_upper(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
}

/* At most 2^18 - 1, of v >= 0. */
static inline int32_t npr_limit_18(int32_t v) { return v < 262143 ? v : 262143; }

#endif

#if !NPR_HELIUM

/* A panel times v (n), added to sum; returns where the next panel begins. */
NPR_INLINE const int8_t *npr_panel_sum(const int8_t *w, const int16_t *v, size_t n, int32_t sum[4]) {
    int32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3];
    NPR_TWO_PASSES for (const int16_t *end = v + n / 4 * 4; v != end; v += 4, w += 16) {
        npr_two_columns(w, v, &s0, &s1, &s2, &s3);
        NPR_ONE_BY_ONE();
        npr_two_columns(w + 8, v + 2, &s0, &s1, &s2, &s3);
    }
    if (n % 4 >= 2) {
        npr_two_columns(w, v, &s0, &s1, &s2, &s3);
        v += 2, w += 8;
    }
    if (n % 2 != 0) {
        s0 += w[0] * v[0];
        s1 += w[1] * v[0];
        s2 += w[2] * v[0];
        s3 += w[3] * v[0];
        w += 4;
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
    return w;
}

#endif

#endif
