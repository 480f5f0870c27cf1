/* SPDX-License-Identifier: MIT */
/* Between the files of the network; not for callers. */
#ifndef NPR_INTERNAL_H
#define NPR_INTERNAL_H

#include "npr.h"

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

/* Half of x times c, c in Q15, rounded down (I1): the upper 32 of 48 bits, by products of 64 bits or of
 * 32. */
static inline int32_t npr_half(int32_t x, int32_t c) {
#if defined(NPR_SHORT_MULTIPLY) || defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
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
