/* SPDX-License-Identifier: MIT */
/* npr.h: any calls in any order, good and bad; and models whose sizes, format or weights were changed. */
#include "input.h"
#include "npr.h"

enum {
    INIT,
    RESET,
    FRAME,
    FRAME_OF_BYTES,
    VALUES,
    NORMALISE,
    RESULT,
    LOGITS,
    STRANGE_MODEL,
    STRANGE_STATE,
    CALLS
};

static void push_frame(input *in, npr_state *state, int plain) {
    const size_t count = plain ? NPR_INPUTS : take_below(in, NPR_INPUTS + 2);
    float *features = (float *)malloc((count ? count : 1) * sizeof *features);
    for (size_t k = 0; k < count; k++) {
        if (plain) {
            features[k] = (float)take_byte(in) - 128.0f;
        } else {
            take(in, &features[k], sizeof features[k]);
        }
    }
    const npr_state before = *state;
    const npr_status status = npr_push_frame(&npr_weights, state, features, count);
    require(count == NPR_INPUTS || status != NPR_OK, "a frame of another size");
    require(status == NPR_OK || memcmp(&before, state, sizeof before) == 0,
            "a refused frame changed the state");
    free(features);
}

static void push_values(input *in, npr_state *state) {
    const size_t count = take_below(in, 4 * NPR_INPUTS + 2);
    npr_value *x = (npr_value *)taken(in, count * sizeof *x);
    const npr_status status = npr_push_values(&npr_weights, state, x, count);
    require((count && count % NPR_INPUTS == 0) || status != NPR_OK, "values of no frame");
    free(x);
}

static void normalise(input *in) {
    const size_t count = take_below(in, NPR_INPUTS + 2);
    float *features = (float *)taken(in, count * sizeof *features);
    npr_value *x = (npr_value *)malloc((count ? count : 1) * sizeof *x);
    const npr_status status = npr_normalise(&npr_weights, features, count, x);
    require(count == NPR_INPUTS || status != NPR_OK, "features of another size");
    free(features);
    free(x);
}

static void result(input *in, const npr_state *state) {
    const size_t count = take_below(in, NPR_CLASSES + 2);
    float *probabilities = (float *)malloc((count ? count : 1) * sizeof *probabilities);
    size_t label = NPR_CLASSES;
    if (npr_result(&npr_weights, state, probabilities, count, &label) == NPR_OK) {
        float total = 0.0f;
        for (size_t k = 0; k < count; k++) { total += probabilities[k]; }
        require(count == NPR_CLASSES && label < NPR_CLASSES && total > 0.999f && total < 1.001f,
                "probabilities");
    }
    free(probabilities);
}

static void logits(input *in, const npr_state *state) {
    npr_logit found[NPR_CLASSES];
    npr_value context[NPR_HIDDEN];
    npr_logits(&npr_weights, state, found, take_byte(in) & 1 ? context : NULL);
}

/* A model whose header was changed is refused, or found damaged; never used beyond its arrays. */
static void strange_model(input *in, npr_state *state) {
    npr_model model = npr_weights;
    const size_t field = take_below(in, 7);
    uint16_t number;
    take(in, &number, sizeof number);
    float features[NPR_INPUTS] = {0};
    const npr_state before = *state;
    switch (field) {
        case 0: model.format ^= number | 1u; break;
        case 1: model.crc ^= number | 1u; break;
        case 2: model.inputs ^= number | 1u; break;
        case 3: model.hidden ^= number | 1u; break;
        case 4: model.classes ^= number | 1u; break;
        case 5: model.layers ^= number | 1u; break;
        default: model.residual ^= number | 1u;
    }
    require(npr_verify(&model) != NPR_OK, "a changed model is verified");
    require(npr_push_frame(&model, state, features, NPR_INPUTS) != NPR_OK, "a frame for another model");
    require(memcmp(&before, state, sizeof before) == 0, "another model changed the state");
}

/* A state that npr_init did not make is refused by what would change it. */
static void strange_state(input *in) {
    npr_state *state = (npr_state *)taken(in, sizeof *state);
    float features[NPR_INPUTS] = {0};
    if (state->model != (npr_weights.crc ^ NPR_FORMAT)) {
        require(npr_push_frame(&npr_weights, state, features, NPR_INPUTS) == NPR_ERROR_STATE,
                "any bytes as a state");
        require(npr_reset(&npr_weights, state) == NPR_ERROR_STATE, "any bytes as a state");
    }
    free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    npr_state *state = (npr_state *)malloc(sizeof *state);
    require(state && npr_init(&npr_weights, state) == NPR_OK, "init");
    while (in.left) {
        switch (take_byte(&in) % CALLS) {
            case INIT: require(npr_init(&npr_weights, state) == NPR_OK, "init"); break;
            case RESET: require(npr_reset(&npr_weights, state) == NPR_OK, "reset"); break;
            case FRAME: push_frame(&in, state, 1); break;
            case FRAME_OF_BYTES: push_frame(&in, state, 0); break;
            case VALUES: push_values(&in, state); break;
            case NORMALISE: normalise(&in); break;
            case RESULT: result(&in, state); break;
            case LOGITS: logits(&in, state); break;
            case STRANGE_MODEL: strange_model(&in, state); break;
            default: strange_state(&in);
        }
    }
    require(npr_status_text((npr_status)(size % 16)) != NULL, "text of a status");
    free(state);
    return 0;
}
