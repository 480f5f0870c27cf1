/* SPDX-License-Identifier: MIT */
/* npr_frontend.h and npr.h in integers: any samples in pushes of any size, and any features, to
 * probabilities. */
#include "input.h"
#include "npr.h"
#include "npr_frontend.h"

static void check_result(const npr_state *state, uint32_t frames) {
    npr_probability probabilities[NPR_CLASSES];
    uint32_t total = 0;
    size_t label = NPR_CLASSES;
    const npr_status status = npr_result(&npr_weights, state, probabilities, NPR_CLASSES, &label);
    require(status == (frames ? NPR_OK : NPR_ERROR_EMPTY), "result");
    if (status != NPR_OK) { return; }
    for (size_t k = 0; k < NPR_CLASSES; k++) {
        total += probabilities[k];
        require(probabilities[k] <= probabilities[label], "the largest probability is the label's");
    }
    require(total + NPR_CLASSES >= 32768 && total <= 32768 + NPR_CLASSES, "sum of the probabilities");
}

/* Whether a frame came of it. */
static int push_samples(input *in, npr_frontend *frontend, npr_state *state) {
    const size_t samples = take_byte(in) % 4 ? NPR_HOP : take_below(in, NPR_HOP + 2);
    int16_t *pcm = (int16_t *)taken(in, samples * sizeof *pcm);
    npr_feature features[NPR_INPUTS];
    const int ended = frontend->ended, possible = samples >= 1 && samples <= NPR_HOP;
    const npr_status status = npr_frontend_push(frontend, pcm, samples, features, NPR_INPUTS);
    free(pcm);
    require(status == (!possible ? NPR_ERROR_SIZE : ended ? NPR_ERROR_STATE : NPR_OK), "samples");
    if (status != NPR_OK) { return 0; }
    require(npr_push_frame(&npr_weights, state, features, NPR_INPUTS) == NPR_OK, "a frame");
    return 1;
}

/* Any integer is a feature. */
static int push_features(input *in, npr_state *state) {
    npr_feature features[NPR_INPUTS];
    take(in, features, sizeof features);
    require(npr_push_frame(&npr_weights, state, features, NPR_INPUTS) == NPR_OK, "features");
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    npr_frontend *frontend = (npr_frontend *)malloc(sizeof *frontend);
    npr_state *state = (npr_state *)malloc(sizeof *state);
    uint32_t frames = 0;
    require(frontend && npr_frontend_init(frontend) == NPR_OK, "init of the frontend");
    require(state && npr_init(&npr_weights, state) == NPR_OK, "init");
    while (in.left) {
        const uint8_t call = take_byte(&in);
        if (call % 8 == 0) {
            require(npr_frontend_init(frontend) == NPR_OK, "next clip");
        } else if (call % 8 == 1) {
            frames += (uint32_t)push_features(&in, state);
        } else {
            frames += (uint32_t)push_samples(&in, frontend, state);
        }
        check_result(state, frames);
    }
    free(frontend);
    free(state);
    return 0;
}
