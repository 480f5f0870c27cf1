/* SPDX-License-Identifier: MIT */
/* The arithmetic of the network in single precision: layers/lstm.py, attention.py, dense.py. */
#include "npr_internal.h"
#include "npr_math.h"

#if NPR_INT8
#error "npr_float.c is for models of type float32: compile npr_int8.c instead"
#endif

/* a += W v, W (4H, n) column after column, four columns at a time: each sum is read and written once for four
 * products, and neighbouring rows are independent, so that the loop vectorises without reordering any sum. */
static const float *add_product(const float *restrict w, const float *restrict v, size_t n, size_t rows,
                                float *restrict a) {
    size_t k = 0;
    for (; k + 4 <= n; k += 4, w += 4 * rows) {
        const float v0 = v[k], v1 = v[k + 1], v2 = v[k + 2], v3 = v[k + 3];
        const float *w1 = w + rows, *w2 = w1 + rows, *w3 = w2 + rows;
        for (size_t row = 0; row < rows; row++) {
            a[row] += w[row] * v0 + w1[row] * v1 + w2[row] * v2 + w3[row] * v3;
        }
    }
    for (; k < n; k++, w += rows) {
        for (size_t row = 0; row < rows; row++) { a[row] += w[row] * v[k]; }
    }
    return w;
}

void npr_lstm_step(const npr_lstm *lstm, const float *x, float *h, float *c) {
    float a[4 * NPR_WIDEST];
    const size_t H = lstm->hidden;
    for (size_t k = 0; k < 4 * H; k++) { a[k] = lstm->bias[k]; }
    const float *w = add_product(lstm->weights, h, H, 4 * H, a);
    add_product(w, x, lstm->inputs, 4 * H, a); /* (L1) */
    /* (L2), rows i, f, o halved beforehand (S1) */
    for (size_t k = 0; k < 4 * H; k++) { a[k] = npr_tanh(a[k]); }
    const float *i = a, *f = a + H, *g = a + 2 * H, *o = a + 3 * H;
    for (size_t k = 0; k < H; k++) {
        c[k] = (0.5f + 0.5f * f[k]) * c[k] + (0.5f + 0.5f * i[k]) * g[k]; /* (L3) */
        h[k] = (0.5f + 0.5f * o[k]) * npr_tanh(c[k]);                     /* (L4) */
    }
}

void npr_residual(const npr_model *model, const float *x, const float *h, float *y) {
    (void)model;
    for (size_t k = 0; k < NPR_INPUTS; k++) { y[k] = x[k] + h[k]; }
}

void npr_attention_start(npr_state *state) { state->maximum = -3.0e38f; }

void npr_attention_step(const npr_model *model, npr_state *state, const float *h) {
    float score = 0.0f;
    for (size_t k = 0; k < NPR_HIDDEN; k++) { score += model->attention[k] * h[k]; /* (A1) */ }
    const float maximum = score > state->maximum ? score : state->maximum;
    const float shrink = npr_exp(state->maximum - maximum), weight = npr_exp(score - maximum); /* (A2) */
    state->maximum = maximum;
    state->total = state->total * shrink + weight;
    for (size_t k = 0; k < NPR_HIDDEN; k++) {
        state->weighted[k] = state->weighted[k] * shrink + weight * h[k]; /* (A3) */
    }
}

void npr_attention_context(const npr_state *state, float *context) {
    for (size_t k = 0; k < NPR_HIDDEN; k++) { context[k] = state->weighted[k] / state->total; }
}

void npr_head(const npr_model *model, const float *context, float *logits) {
    const float *w = model->head_weights;
    for (size_t row = 0; row < NPR_CLASSES; row++, w += NPR_HIDDEN) {
        float sum = model->head_bias[row];
        for (size_t k = 0; k < NPR_HIDDEN; k++) { sum += w[k] * context[k]; /* (D1) */ }
        logits[row] = sum;
    }
}

uint32_t npr_crc_lstm(uint32_t crc, const npr_lstm *lstm) {
    const size_t rows = 4 * (size_t)lstm->hidden, columns = (size_t)lstm->hidden + lstm->inputs;
    crc = npr_crc(crc, lstm->weights, rows * columns, sizeof *lstm->weights);
    return npr_crc(crc, lstm->bias, rows, sizeof *lstm->bias);
}

uint32_t npr_crc_model(uint32_t crc, const npr_model *model) {
    crc = npr_crc(crc, model->attention, NPR_HIDDEN, sizeof(float));
    crc = npr_crc(crc, model->head_weights, NPR_CLASSES * NPR_HIDDEN, sizeof(float));
    return npr_crc(crc, model->head_bias, NPR_CLASSES, sizeof(float));
}

float npr_quantise(const npr_model *model, float z) {
    (void)model;
    return z;
}

float npr_logit_value(float logit) { return logit; }
