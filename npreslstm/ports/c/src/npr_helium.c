/* SPDX-License-Identifier: MIT */
/* One layer of the LSTM in the vector instructions of Cortex-M55 and M85 (Helium), with the bits of
 * npr_int8.c, whose tags stand here. Of npr_core.h it takes the layout of the weights. */
#include "npr_core.h"

#if NPR_INT8 && NPR_HELIUM

#include <arm_mve.h>

extern const int16_t npr_tanh_table[513]; /* generated: tanh(k / 64), Q15 */

/* Eight columns of a pair of rows, p0 q0 p1 q1 ... p7 q7: their products with v, added to p and q. */
static inline void eight_columns(int8x16_t pair, int16x8_t v, int32_t *p, int32_t *q) {
    *p = vmladavaq_s16(*p, vmovlbq_s8(pair), v);
    *q = vmladavaq_s16(*q, vmovltq_s8(pair), v);
}

/* A panel times v (n); returns where the next panel begins. */
static inline const int8_t *panel_product(const int8_t *w, const int16_t *v, size_t n, int32_t sum[4]) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (size_t k = n / 8; k > 0; k--, w += 32, v += 8) {
        const int16x8_t values = vldrhq_s16(v);
        const int32x4x2_t pairs = vld2q_s32((const int32_t *)(const void *)w); /* every second word */
        eight_columns(vreinterpretq_s8_s32(pairs.val[0]), values, &s0, &s1);
        eight_columns(vreinterpretq_s8_s32(pairs.val[1]), values, &s2, &s3);
    }
    if (n % 8 > 1) { /* what is beyond the last pair of columns is not read, and zero */
        const uint32_t left = n % 8 / 2;
        const mve_pred16_t there = vctp32q(left);
        const uint32x4_t second = vidupq_n_u32(0, 2);
        const int32_t *word = (const int32_t *)(const void *)w;
        const int16x8_t values = vldrhq_z_s16(v, vctp16q(2 * left));
        const int32x4_t upper = vldrwq_gather_shifted_offset_z_s32(word, second, there);
        const int32x4_t lower = vldrwq_gather_shifted_offset_z_s32(word + 1, second, there);
        eight_columns(vreinterpretq_s8_s32(upper), values, &s0, &s1);
        eight_columns(vreinterpretq_s8_s32(lower), values, &s2, &s3);
        w += 8 * left;
        v += 2 * left;
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

/* tanh, Q15 of Q15 (F3). */
static inline int32x4_t table_tanh(int32x4_t a) {
    const int32x4_t size = vminq_s32(vabsq_s32(a), vdupq_n_s32((8 << 15) - 1));
    const uint32x4_t k = vreinterpretq_u32_s32(vshrq_n_s32(size, 9));
    const int32x4_t t = vandq_s32(size, vdupq_n_s32(511));
    const int32x4_t low = vldrhq_gather_shifted_offset_s32(npr_tanh_table, k);
    const int32x4_t high = vldrhq_gather_shifted_offset_s32(npr_tanh_table + 1, k);
    const int32x4_t value = vaddq_s32(low, vrshrq_n_s32(vmulq_s32(vsubq_s32(high, low), t), 9));
    return vnegq_m_s32(value, value, vcmpltq_n_s32(a, 0));
}

static inline int32x4_t sigmoid_of(int32x4_t tanh_half) { /* (S1) */
    return vshrq_n_s32(vaddq_n_s32(tanh_half, 32769), 1);
}

/* Rows row ... row + 3 of (Q2) and (Q3): the gates before (S1), Q15. */
static const int8_t *panel_gates(const npr_lstm *lstm, size_t row, const int8_t *w, const int16_t *x,
                                 const int16_t *h, int16_t *gate) {
    int32_t of_h[4], of_x[4];
    w = panel_product(w, h, lstm->hidden, of_h);
    w = panel_product(w, x, lstm->inputs, of_x);
    const int32x4_t shift = vreinterpretq_s32_u32(vldrbq_u32(lstm->recurrent_shift + row));
    const int32x4_t recurrent = vrshlq_s32(vldrwq_s32(of_h), vnegq_s32(shift));
    const int32x4_t sum = vaddq_s32(vaddq_s32(recurrent, vldrwq_s32(lstm->bias + row)), vldrwq_s32(of_x));
    const int32x4_t a = vrmulhq_s32(sum, vldrwq_s32(lstm->multiplier + row)); /* (Q2) */
    vstrhq_s32(gate + row, table_tanh(a));                                    /* (Q3) */
    return w;
}

void npr_lstm_step(const npr_lstm *lstm, const int16_t *x, int16_t *h, int16_t *c) {
    int16_t gates[4 * NPR_WIDEST];
    const size_t H = lstm->hidden;
    const int32_t up = 15 - lstm->c_bits;
    const int8_t *w = lstm->weights;
    for (size_t row = 0; row < 4 * H; row += 4) { w = panel_gates(lstm, row, w, x, h, gates); }
    for (size_t k = 0; k < H; k += 4) {
        const mve_pred16_t units = vctp32q((uint32_t)(H - k));
        const int32x4_t i = sigmoid_of(vldrhq_z_s32(gates + k, units));
        const int32x4_t f = sigmoid_of(vldrhq_z_s32(gates + H + k, units));
        const int32x4_t g = vldrhq_z_s32(gates + 2 * H + k, units);
        const int32x4_t o = sigmoid_of(vldrhq_z_s32(gates + 3 * H + k, units));
        const int32x4_t kept = vmulq_s32(f, vldrhq_z_s32(c + k, units));
        const int32x4_t added = vrshlq_n_s32(vmulq_s32(i, g), -up);
        const int32x4_t sum = vrshrq_n_s32(vaddq_s32(kept, added), 15);
        const int32x4_t cell = vmaxq_s32(vminq_s32(sum, vdupq_n_s32(32767)), vdupq_n_s32(-32768)); /* (Q4) */
        const int32x4_t tanh_c = table_tanh(vshlq_r_s32(cell, up));
        vstrhq_p_s32(c + k, cell, units);
        vstrhq_p_s32(h + k, vrshrq_n_s32(vmulq_s32(o, tanh_c), 15), units); /* (Q5) */
    }
}

#endif
