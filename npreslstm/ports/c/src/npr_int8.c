/* SPDX-License-Identifier: MIT */
/* The arithmetic of the network in integers. The specification is integer/quantize.py, whose tags (Q1) ...
 * (Q12) stand here, with integer/fixed_point.py, (F1) ... (F4). Qn: in units of 2^-n. Shifting a negative
 * number right is taken to round towards minus infinity, which C leaves to the compiler and every compiler
 * does; the self-test would not pass otherwise. */
#include "npr_core.h"

#if !NPR_INT8
#error "npr_int8.c is for models of type int8: compile npr_float.c instead"
#endif

#define LOG2_E 94548             /* Q16 */
#define SOFTMAX_LIMIT (16 << 16) /* below the largest logit: a probability of 0 in Q15 */

extern const int16_t npr_tanh_table[513]; /* generated: tanh(k / 64), Q15 */
extern const uint16_t npr_exp2_table[65]; /* generated: 2^(k / 64) - 1, Q15 */

static int32_t round_shift(int32_t v, unsigned s) { return (v + (int32_t)((1u << s) >> 1)) >> s; } /* (F1) */

static int64_t round_shift64(int64_t v, unsigned s) { return (v + (int64_t)((UINT64_C(1) << s) >> 1)) >> s; }

static int64_t clamp(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }

static int16_t saturate16(int32_t v) { return (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v); }

#if !NPR_HELIUM /* which has its own in npr_helium.c */

/* tanh, Q15 of Q15 (F3). */
static inline int32_t table_tanh(int32_t a) {
    const int32_t size = npr_limit_18(a < 0 ? -a : a); /* below 8 */
    const int32_t k = size >> 9, t = size & 511;
    const int32_t low = npr_tanh_table[k], value = low + round_shift((npr_tanh_table[k + 1] - low) * t, 9);
    return a < 0 ? -value : value;
}

static int32_t sigmoid_of(int32_t tanh_half) { return (tanh_half + 32769) >> 1; } /* (S1) */

/* Rows row ... row + 3 of (Q2) and (Q3): the gates before (S1), Q15. */
static const int8_t *panel_gates(const npr_lstm *lstm, size_t row, const int8_t *w, const int16_t *x,
                                 const int16_t *h, int16_t *gate) {
    int32_t sum[4] = {0, 0, 0, 0};
    w = npr_panel_sum(w, h, lstm->hidden, sum);
    NPR_UNROLL for (size_t k = 0; k < 4; k++) {
        sum[k] = round_shift(sum[k], lstm->recurrent_shift[row + k]) + lstm->bias[row + k];
    }
    w = npr_panel_sum(w, x, lstm->inputs, sum);
    NPR_UNROLL for (size_t k = 0; k < 4; k++) {
        const int32_t a = npr_upper(sum[k], lstm->multiplier[row + k]); /* (Q2): below 2^30 */
        gate[row + k] = (int16_t)table_tanh(a);                         /* (Q3) */
    }
    return w;
}

void npr_lstm_step(const npr_lstm *lstm, const int16_t *x, int16_t *h, int16_t *c) {
    int16_t gates[4 * NPR_WIDEST];
    const size_t H = lstm->hidden;
    const unsigned up = 15u - lstm->c_bits;
    const int8_t *w = lstm->weights;
    for (size_t row = 0; row < 4 * H; row += 4) { w = panel_gates(lstm, row, w, x, h, gates); }
    for (size_t k = 0; k < H; k++) {
        const int32_t i = sigmoid_of(gates[k]), f = sigmoid_of(gates[H + k]), g = gates[2 * H + k],
                      o = sigmoid_of(gates[3 * H + k]);
        c[k] = saturate16(round_shift(f * c[k] + round_shift(i * g, up), 15)); /* (Q4) */
        h[k] = (int16_t)round_shift(o * table_tanh(c[k] * (1 << up)), 15);     /* (Q5) */
    }
}

#endif

void npr_residual(const npr_model *model, const int16_t *x, const int16_t *h, int16_t *y) {
    for (size_t k = 0; k < NPR_INPUTS; k++) {
        y[k] = saturate16(x[k] + round_shift(h[k], 15u - model->x_bits)); /* (Q6) */
    }
}

void npr_attention_start(npr_state *state) { (void)state; /* all zero */ }

/* 2^f in Q15 for f in Q16 (F4). */
static int32_t table_exp2(int32_t f) {
    const int32_t k = f >> 10, t = f & 1023, low = npr_exp2_table[k];
    return 32768 + low + round_shift((npr_exp2_table[k + 1] - low) * t, 10);
}

static unsigned at_most_62(int64_t v) { return v > 62 ? 62u : (unsigned)v; }

void npr_attention_step(const npr_model *model, npr_state *state, const int16_t *h) {
    int64_t sum = 0;
    for (size_t k = 0; k < NPR_HIDDEN; k++) { sum += (int32_t)model->attention[k] * h[k]; }
    sum = round_shift64(sum * model->score_multiplier, model->score_shift);
    const int32_t e = (int32_t)clamp(sum, INT32_MIN, INT32_MAX), whole = e >> 16; /* (Q7) */
    const int32_t maximum = state->frames == 0 || whole > state->maximum ? whole : state->maximum;
    const unsigned fall = state->frames == 0 ? 0 : at_most_62((int64_t)maximum - state->maximum);
    const int64_t weight =
        round_shift64((int64_t)table_exp2(e & 0xffff) << 9, at_most_62((int64_t)maximum - whole)); /* (Q9) */
    state->maximum = maximum;
    state->total = round_shift64(state->total, fall) + weight; /* (Q8), (Q10) */
    for (size_t k = 0; k < NPR_HIDDEN; k++) {
        state->weighted[k] = round_shift64(state->weighted[k], fall) + weight * h[k];
    }
}

void npr_attention_context(const npr_state *state, int16_t *context) {
    const int64_t twice = 2 * state->total;
    for (size_t k = 0; k < NPR_HIDDEN; k++) {
        const int64_t v = 2 * state->weighted[k] + state->total;
        context[k] = (int16_t)((v >= 0 ? v : v - twice + 1) / twice); /* (Q11): towards minus infinity */
    }
}

void npr_head(const npr_model *model, const int16_t *context, int32_t *logits) {
    const int16_t *w = model->head_weights;
    for (size_t row = 0; row < NPR_CLASSES; row++, w += NPR_HIDDEN) {
        int64_t sum = 0;
        for (size_t k = 0; k < NPR_HIDDEN; k++) { sum += (int32_t)w[k] * context[k]; }
        sum = round_shift64(sum * model->head_multiplier[row], model->head_shift[row]) +
              model->head_bias[row]; /* (Q12) */
        logits[row] = (int32_t)clamp(sum, INT32_MIN, INT32_MAX);
    }
}

uint32_t npr_crc_lstm(uint32_t crc, const npr_lstm *lstm) {
    const size_t rows = 4 * (size_t)lstm->hidden, columns = (size_t)lstm->hidden + lstm->inputs;
    crc = npr_crc(crc, lstm->weights, rows * columns, 1);
    crc = npr_crc(crc, lstm->bias, rows, sizeof *lstm->bias);
    crc = npr_crc(crc, lstm->multiplier, rows, sizeof *lstm->multiplier);
    return npr_crc(crc, lstm->recurrent_shift, rows, 1);
}

uint32_t npr_crc_model(uint32_t crc, const npr_model *model) {
    crc = npr_crc(crc, model->attention, NPR_HIDDEN, sizeof *model->attention);
    crc = npr_crc(crc, model->head_weights, NPR_CLASSES * NPR_HIDDEN, sizeof *model->head_weights);
    crc = npr_crc(crc, model->head_bias, NPR_CLASSES, sizeof *model->head_bias);
    crc = npr_crc(crc, model->head_multiplier, NPR_CLASSES, sizeof *model->head_multiplier);
    crc = npr_crc(crc, model->head_shift, NPR_CLASSES, 1);
    crc = npr_crc(crc, npr_tanh_table, 513, sizeof *npr_tanh_table);
    return npr_crc(crc, npr_exp2_table, 65, sizeof *npr_exp2_table);
}

#if NPR_INTEGER

int16_t npr_z_score(const npr_model *model, size_t k, int32_t feature) {
    const int32_t product = npr_half(feature, model->feature_multiplier[k]);
    return saturate16((product + model->feature_offset[k]) >> model->feature_shift[k]); /* (I13) */
}

/* Probabilities, Q15, of logits in Q16 (F5). */
void npr_softmax(const int32_t *logits, size_t best, uint16_t *probabilities) {
    uint32_t total = 0;
    for (size_t k = 0; k < NPR_CLASSES; k++) {
        const int64_t below = clamp((int64_t)logits[best] - logits[k], 0, SOFTMAX_LIMIT);
        const int32_t e = -(int32_t)round_shift64(below * LOG2_E, 16);
        probabilities[k] = (uint16_t)round_shift(table_exp2(e & 0xffff), (unsigned)-(e >> 16));
        total += probabilities[k];
    }
    for (size_t k = 0; k < NPR_CLASSES; k++) {
        probabilities[k] = (uint16_t)((((uint32_t)probabilities[k] << 15) + total / 2) / total);
    }
}

#else

int16_t npr_quantise(const npr_model *model, float z) {
    /* the product is exact, so a fused multiply-add changes nothing */
    const float v = z * (float)(1 << model->x_bits) + 0.5f;
    if (v <= -32768.0f) { return -32768; }
    if (v >= 32767.0f) { return 32767; }
    const int32_t truncated = (int32_t)v;
    return (int16_t)((float)truncated > v ? truncated - 1 : truncated); /* (Q1) */
}

float npr_logit_value(int32_t logit) { return (float)logit * (1.0f / 65536.0f); }

#endif
