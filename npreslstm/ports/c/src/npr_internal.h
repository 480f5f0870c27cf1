/* SPDX-License-Identifier: MIT */
/* Between the files of the network; not for callers. */
#ifndef NPR_INTERNAL_H
#define NPR_INTERNAL_H

#include <string.h>

#include "npr.h"

/* Which instructions the core has: the compiler's macros choose, -DNPR_PORTABLE takes plain C everywhere. All
 * give the same bits. */
#if defined(NPR_PORTABLE) || !defined(__GNUC__) || defined(__ARM_BIG_ENDIAN)
#define NPR_DSP 0
#define NPR_HELIUM 0
#else
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32) /* Cortex-M4, M7, M33, M35P, M55, M85 */
#define NPR_DSP 1
#else
#define NPR_DSP 0
#endif
#ifdef __ARM_FEATURE_MVE /* Cortex-M55, M85 */
#define NPR_HELIUM 1
#else
#define NPR_HELIUM 0
#endif
#endif

/* What makes a compiler put small functions and loops in place, for it sees no reason to on its own. */
#ifdef __GNUC__
#define NPR_INLINE static inline __attribute__((always_inline))
#else
#define NPR_INLINE static inline
#endif
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
#define NPR_UNROLL _Pragma("GCC unroll 4")
#else
#define NPR_UNROLL
#endif

#if NPR_DSP

#include <arm_acle.h>

/* Four bytes, which may lie anywhere: one load. */
static inline int32_t npr_word(const void *at) {
    int32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

#endif

/* Stops the compiler where the machine is not as the code takes it to be: an array of -1 entries. */
#define NPR_REQUIRE(what, condition) typedef char npr_require_##what[(condition) ? 1 : -1]

/* layers/lstm.py: advance one layer by one frame (L1)-(L4). x (D), h and c (H) in place. */
void npr_lstm_step(const npr_lstm *lstm, const npr_value *x, npr_value *h, npr_value *c);

/* layers/attention.py: before the first frame; take in one frame; the weighted mean so far (A1)-(A3). */
void npr_attention_start(npr_state *state);
void npr_attention_step(const npr_model *model, npr_state *state, const npr_value *h);
void npr_attention_context(const npr_state *state, npr_value *context);

/* layers/dense.py: logits of a context (D1). */
void npr_head(const npr_model *model, const npr_value *context, npr_logit *logits);

/* y = x + h (R1), the features and the first LSTM's output. */
void npr_residual(const npr_model *model, const npr_value *x, const npr_value *h, npr_value *y);

/* The checksum over numbers of 1, 2, 4 ... bytes, as little-endian machines have them; over the weights of a
 * layer, and over those that are not of a layer. */
uint32_t npr_crc(uint32_t crc, const void *data, size_t count, size_t size);
uint32_t npr_crc_lstm(uint32_t crc, const npr_lstm *lstm);
uint32_t npr_crc_model(uint32_t crc, const npr_model *model);

#if NPR_INTEGER

/* Feature k, z-scored (I13); probabilities of logits, of which number `best` is the largest (F5). */
npr_value npr_z_score(const npr_model *model, size_t k, npr_feature feature);
void npr_softmax(const npr_logit *logits, size_t best, npr_probability *probabilities);

/* Half of x times c, c in Q15, rounded down (I1): the upper 32 of 48 bits, by products of 64 bits, of 32, or
 * by the instruction that is just this. */
static inline int32_t npr_half(int32_t x, int32_t c) {
#if NPR_DSP
    int32_t half;
    __asm__("smulwb %0, %1, %2" : "=r"(half) : "r"(x), "r"(c));
    return half;
#elif defined(NPR_SHORT_MULTIPLY) || defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
    return (x >> 16) * c + (((x & 0xffff) * c) >> 16);
#else
    return (int32_t)(((int64_t)x * c) >> 16);
#endif
}

#else

/* One z-scored feature as npr_value. */
npr_value npr_quantise(const npr_model *model, float z);
float npr_logit_value(npr_logit logit);

#endif

#endif
