/* SPDX-License-Identifier: MIT */
/* Any bytes as samples through the integer frontend and network, in pieces whose sizes the bytes tell. With
 * clang's -fsanitize=fuzzer,address,undefined it runs on inputs of the fuzzer's; compiled with -DALONE on
 * random ones of its own: npr_fuzz INPUTS SEED. Aborts if a status contradicts the call, or a result is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npr.h"
#include "npr_frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

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

static void push(npr_frontend *frontend, npr_state *state, const int16_t *pcm, size_t samples,
                 uint32_t *frames) {
    npr_feature features[NPR_INPUTS];
    const int ended = frontend->ended;
    const npr_status status = npr_frontend_push(frontend, pcm, samples, features, NPR_INPUTS);
    if (samples == 0 || samples > NPR_HOP) {
        require(status == NPR_ERROR_SIZE, "size");
        return;
    }
    require(status == (ended ? NPR_ERROR_STATE : NPR_OK), "frontend");
    if (status == NPR_OK) {
        require(npr_push_frame(&npr_weights, state, features, NPR_INPUTS) == NPR_OK, "frame");
        ++*frames;
    }
}

/* Raw features of any size. */
static void push_features(npr_state *state, const uint8_t *data, uint32_t *frames) {
    npr_feature features[NPR_INPUTS];
    memcpy(features, data, sizeof features);
    require(npr_push_frame(&npr_weights, state, features, NPR_INPUTS) == NPR_OK, "features");
    ++*frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static npr_frontend frontend;
    static npr_state state;
    int16_t pcm[NPR_HOP + 1];
    uint32_t frames = 0;
    require(npr_frontend_init(&frontend) == NPR_OK && npr_init(&npr_weights, &state) == NPR_OK, "init");
    while (size >= 2) {
        const unsigned kind = data[0];
        size_t samples = kind < 200 ? NPR_HOP : (size_t)data[1] * 2 + (kind & 3); /* up to NPR_HOP + 1 */
        data += 2, size -= 2;
        samples = samples <= NPR_HOP + 1 ? samples : NPR_HOP + 1;
        memset(pcm, kind & 4 ? data[-1] : 0, sizeof pcm);
        memcpy(pcm, data, size < 2 * samples ? size : 2 * samples);
        if (kind == 7 && size >= sizeof(npr_feature) * NPR_INPUTS) { push_features(&state, data, &frames); }
        push(&frontend, &state, pcm, samples, &frames);
        if (frontend.ended && (kind & 8)) { require(npr_frontend_init(&frontend) == NPR_OK, "next clip"); }
        data += size < 2 * samples ? size : 2 * samples;
        size -= size < 2 * samples ? size : 2 * samples;
    }
    check_result(&state, frames);
    return 0;
}

#ifdef ALONE
int main(int argc, char **argv) {
    static uint8_t data[8192];
    if (argc != 3) { return 2; }
    uint32_t seed = (uint32_t)strtoul(argv[2], NULL, 10) | 1u;
    for (long k = strtol(argv[1], NULL, 10); k > 0; k--) {
        for (size_t i = 0; i < sizeof data; i++) {
            seed = seed * 1664525u + 1013904223u;
            data[i] = (uint8_t)(seed >> 24);
        }
        LLVMFuzzerTestOneInput(data, seed % sizeof data);
    }
    return 0;
}
#endif
