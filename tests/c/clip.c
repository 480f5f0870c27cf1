/* SPDX-License-Identifier: MIT */
/* Features of random clips, to be built with -fsanitize=address,undefined: npr_clip CLIPS SEED. Memory is
 * exactly as large as asked for. */
#include <stdio.h>
#include <stdlib.h>

#include "npr_clip.h"

static uint32_t seed;
static uint32_t draw(uint32_t n) { /* xorshift32 (Marsaglia 2003) */
    seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
    return (seed >> 3) % n;
}

static int run(size_t samples, uint32_t range) {
    size_t frames, floats, given;
    if (npr_clip_size(samples, &frames, &floats) != NPR_OK) { return 1; }
    int16_t *pcm = (int16_t *)malloc(samples * sizeof *pcm);
    float *workspace = (float *)malloc(floats * sizeof *workspace);
    float *features = (float *)malloc(frames * NPR_INPUTS * sizeof *features);
    npr_spectrum *spectrum = (npr_spectrum *)malloc(sizeof *spectrum);
    for (size_t k = 0; k < samples; k++) { pcm[k] = (int16_t)((int)draw(range) - (int)(range / 2)); }
    int bad =
        npr_clip_features(pcm, samples, spectrum, workspace, floats, features, frames, &given) != NPR_OK ||
        given > frames;
    for (size_t k = 0; !bad && k < given * NPR_INPUTS; k++) { bad = !(features[k] - features[k] == 0.0f); }
    free(pcm), free(workspace), free(features), free(spectrum);
    return bad;
}

int main(int argc, char **argv) {
    if (argc != 3) { return 2; }
    seed = (uint32_t)strtoul(argv[2], NULL, 10) | 1u;
    for (long k = strtol(argv[1], NULL, 10); k > 0; k--) {
        const uint32_t kind = draw(4);
        if (run(1 + draw(k % 2 ? 20000 : 3000), kind == 0 ? 1 : kind == 1 ? 3 : 65536)) {
            printf("broken: clip %ld\n", k);
            return 1;
        }
    }
    return 0;
}
