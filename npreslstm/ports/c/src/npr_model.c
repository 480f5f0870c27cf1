/* SPDX-License-Identifier: MIT */
/* model.py and streaming.py: checks, and the order of work of one frame. The arithmetic is in the files of
 * the type. */
#include <string.h>

#include "npr_internal.h"
#if !NPR_INTEGER
#include "npr_math.h"
#endif

NPR_REQUIRE(ints_of_32_bits, sizeof(int) >= 4);
NPR_REQUIRE(floats_of_32_bits, sizeof(float) == 4);
NPR_REQUIRE(shifts_round_down, (-1 >> 1) == -1);
NPR_REQUIRE(size_of_the_state, sizeof(npr_state) <= NPR_STATE_BYTES);

static npr_status check_model(const npr_model *model) {
    if (model == NULL) { return NPR_ERROR_NULL; }
    if (model->format != NPR_FORMAT) { return NPR_ERROR_FORMAT; }
    if (model->inputs != NPR_INPUTS || model->hidden != NPR_HIDDEN || model->classes != NPR_CLASSES) {
        return NPR_ERROR_FORMAT;
    }
    if (model->layers != NPR_LAYERS || model->residual != NPR_RESIDUAL) { return NPR_ERROR_FORMAT; }
    return NPR_OK;
}

static npr_status check_state(const npr_model *model, const npr_state *state) {
    const npr_status status = check_model(model);
    if (status != NPR_OK) { return status; }
    if (state == NULL) { return NPR_ERROR_NULL; }
    return state->model == (model->crc ^ NPR_FORMAT) ? NPR_OK : NPR_ERROR_STATE;
}

npr_status npr_init(const npr_model *model, npr_state *state) {
    const npr_status status = check_model(model);
    if (status != NPR_OK) { return status; }
    if (state == NULL) { return NPR_ERROR_NULL; }
    memset(state, 0, sizeof *state); /* h = c = 0; zero bytes are 0.0f in IEEE 754 */
    state->model = model->crc ^ NPR_FORMAT;
    npr_attention_start(state);
    return NPR_OK;
}

npr_status npr_reset(const npr_model *model, npr_state *state) {
    const npr_status status = check_state(model, state);
    return status == NPR_OK ? npr_init(model, state) : status;
}

npr_status npr_normalise(const npr_model *model, const npr_feature *features, size_t count, npr_value *x) {
    const npr_status status = check_model(model);
    if (status != NPR_OK) { return status; }
    if (features == NULL || x == NULL) { return NPR_ERROR_NULL; }
    if (count != NPR_INPUTS) { return NPR_ERROR_SIZE; }
#if NPR_INTEGER
    for (size_t k = 0; k < count; k++) { x[k] = npr_z_score(model, k, features[k]); }
#else
    for (size_t k = 0; k < count; k++) {
        if (!npr_is_finite((features[k] - model->mean[k]) * model->inverse_std[k])) {
            return NPR_ERROR_VALUE;
        }
    }
    for (size_t k = 0; k < count; k++) {
        x[k] = npr_quantise(model, (features[k] - model->mean[k]) * model->inverse_std[k]);
    }
#endif
    return NPR_OK;
}

npr_status npr_push_frame(const npr_model *model, npr_state *state, const npr_feature *features,
                          size_t count) {
    npr_value x[NPR_INPUTS];
    npr_status status = check_state(model, state);
    if (status != NPR_OK) { return status; }
    status = npr_normalise(model, features, count, x);
    return status == NPR_OK ? npr_push_values(model, state, x, count) : status;
}

/* One frame through all layers (R1)-(R3). */
static void push(const npr_model *model, npr_state *state, const npr_value *x) {
    npr_value y[NPR_INPUTS];
    const npr_value *input = x;
    npr_value *h = state->h, *c = state->c;
    for (size_t k = 0; k < NPR_LAYERS; k++) {
        const npr_lstm *lstm = &model->lstms[k];
        npr_lstm_step(lstm, input, h, c); /* (R2) */
        input = h;
        if (k + 1 == NPR_RESIDUAL) {
            npr_residual(model, x, h, y); /* (R1); the batch norm after it is folded into the next layer */
            input = y;
        }
        if (k + 1 == NPR_LAYERS) { npr_attention_step(model, state, h); /* (R3) */ }
        h += lstm->hidden;
        c += lstm->hidden;
    }
    state->frames++;
}

npr_status npr_push_values(const npr_model *model, npr_state *state, const npr_value *x, size_t count) {
    const npr_status status = check_state(model, state);
    if (status != NPR_OK) { return status; }
    if (x == NULL) { return NPR_ERROR_NULL; }
    if (count == 0 || count % NPR_INPUTS != 0) { return NPR_ERROR_SIZE; }
    if (count / NPR_INPUTS > NPR_MAX_FRAMES - state->frames) { return NPR_ERROR_FULL; }
#if !NPR_INT8
    for (size_t k = 0; k < count; k++) {
        if (!npr_is_finite(x[k])) { return NPR_ERROR_VALUE; }
    }
#endif
    for (size_t k = 0; k < count; k += NPR_INPUTS) { push(model, state, x + k); }
    return NPR_OK;
}

npr_status npr_logits(const npr_model *model, const npr_state *state, npr_logit *logits, npr_value *context) {
    npr_value mean_h[NPR_HIDDEN];
    const npr_status status = check_state(model, state);
    if (status != NPR_OK) { return status; }
    if (logits == NULL) { return NPR_ERROR_NULL; }
    if (state->frames == 0) { return NPR_ERROR_EMPTY; }
    npr_attention_context(state, mean_h);
    npr_head(model, mean_h, logits); /* (R4) */
    if (context != NULL) { memcpy(context, mean_h, sizeof mean_h); }
    return NPR_OK;
}

npr_status npr_result(const npr_model *model, const npr_state *state, npr_probability *probabilities,
                      size_t count, size_t *label) {
    npr_logit logits[NPR_CLASSES];
    if (probabilities == NULL || label == NULL) { return NPR_ERROR_NULL; }
    if (count != NPR_CLASSES) { return NPR_ERROR_SIZE; }
    const npr_status status = npr_logits(model, state, logits, NULL);
    if (status != NPR_OK) { return status; }
    size_t best = 0;
    for (size_t k = 1; k < count; k++) { best = logits[k] > logits[best] ? k : best; }
#if NPR_INTEGER
    npr_softmax(logits, best, probabilities);
#else
    float total = 0.0f;
    for (size_t k = 0; k < count; k++) {
        probabilities[k] = npr_exp(npr_logit_value(logits[k]) - npr_logit_value(logits[best])); /* (S2) */
        total += probabilities[k];
    }
    for (size_t k = 0; k < count; k++) { probabilities[k] /= total; }
#endif
    *label = best;
    return NPR_OK;
}

/* CRC-32 of IEEE 802.3, bit by bit: it runs once. */
uint32_t npr_crc(uint32_t crc, const void *data, size_t count, size_t size) {
    const unsigned char *byte = (const unsigned char *)data;
    const uint16_t one = 1;
    const size_t turned = *(const unsigned char *)&one ? 0 : size - 1; /* big-endian: from the last on */
    crc = ~crc;
    for (size_t k = 0; k < count * size; k++) {
        crc ^= byte[k ^ turned];
        for (int bit = 0; bit < 8; bit++) { crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u))); }
    }
    return ~crc;
}

npr_status npr_verify(const npr_model *model) {
    const npr_status status = check_model(model);
    if (status != NPR_OK) { return status; }
#if NPR_INTEGER
    uint32_t crc = npr_crc(0, model->feature_multiplier, NPR_INPUTS, sizeof *model->feature_multiplier);
    crc = npr_crc(crc, model->feature_offset, NPR_INPUTS, sizeof *model->feature_offset);
    crc = npr_crc(crc, model->feature_shift, NPR_INPUTS, 1);
#else
    uint32_t crc = npr_crc(0, model->mean, NPR_INPUTS, sizeof(float));
    crc = npr_crc(crc, model->inverse_std, NPR_INPUTS, sizeof(float));
#endif
    for (size_t k = 0; k < NPR_LAYERS; k++) { crc = npr_crc_lstm(crc, &model->lstms[k]); }
    return npr_crc_model(crc, model) == model->crc ? NPR_OK : NPR_ERROR_DAMAGED;
}

const char *npr_status_text(npr_status status) {
    static const char *const texts[] = {
        "ok",
        "a pointer is NULL",
        "a count is not the model's",
        "the model is of another format or size",
        "the state was not initialised with this model, or its clip has ended",
        "a feature is NaN or infinite",
        "no frame was pushed yet",
        "the clip is too long",
        "the weights do not match their checksum",
        "the weights do not lie at a multiple of 4 bytes",
        "samples came faster than they were taken: some are lost"};
    return (unsigned)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}
