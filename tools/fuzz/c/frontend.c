/* SPDX-License-Identifier: MIT */
/* npr_frontend.h: any samples in pushes of any size. */
#include "input.h"
#include "npr_frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    npr_frontend *frontend = (npr_frontend *)malloc(sizeof *frontend);
    require(frontend && npr_frontend_init(frontend) == NPR_OK, "init");
    while (in.left) {
        const size_t samples = take_byte(&in) % 4 ? NPR_HOP : take_below(&in, NPR_HOP + 2);
        const size_t count =
            take_byte(&in) % 16 ? NPR_MFCC + NPR_CHROMA : take_below(&in, NPR_MFCC + NPR_CHROMA + 2);
        int16_t *pcm = (int16_t *)taken(&in, samples * sizeof *pcm);
        float *features = (float *)malloc((count ? count : 1) * sizeof *features);
        const int ended = frontend->ended;
        if (npr_frontend_push(frontend, pcm, samples, features, count) == NPR_OK) {
            require(!ended && samples >= 1 && samples <= NPR_HOP && count == NPR_MFCC + NPR_CHROMA,
                    "a bad push is taken");
            for (size_t k = 0; k < count; k++) { require(is_finite(features[k]), "features"); }
        }
        free(pcm);
        free(features);
        if (frontend->ended && take_byte(&in) & 1) {
            require(npr_frontend_init(frontend) == NPR_OK, "next clip");
        }
    }
    free(frontend);
    return 0;
}
