/* SPDX-License-Identifier: MIT */
/* npr_clip.h: clips of any samples and lengths, with memory of just the size that is asked for, or less. */
#include "input.h"
#include "npr_clip.h"

enum { LONGEST = 6000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    const uint8_t shrunk = take_byte(&in), tiled = take_byte(&in);
    size_t samples = in.left / 2 * (1 + tiled % 32), frames = 0, floats = 0, found = 0;
    samples = samples > LONGEST ? LONGEST : samples;
    int16_t *pcm = (int16_t *)malloc((samples ? samples : 1) * sizeof *pcm);
    const size_t period = in.left / 2;
    for (size_t k = 0; k < samples; k++) { memcpy(&pcm[k], data + 2 + 2 * (k % period), sizeof *pcm); }
    const npr_status sized = npr_clip_size(samples, &frames, &floats);
    require((sized == NPR_OK) == (samples > 0), "size of a clip");
    if (sized == NPR_OK) {
        const size_t capacity = shrunk % 8 == 1 ? frames - 1 : frames,
                     room = shrunk % 8 == 2 ? floats - 1 : floats;
        const size_t width = NPR_MFCC + NPR_CHROMA;
        npr_spectrum *spectrum = (npr_spectrum *)malloc(sizeof *spectrum);
        float *workspace = (float *)malloc((room ? room : 1) * sizeof *workspace);
        float *features = (float *)malloc((capacity ? capacity * width : 1) * sizeof *features);
        if (npr_clip_features(pcm, samples, spectrum, workspace, room, features, capacity, &found) ==
            NPR_OK) {
            require(found <= capacity, "frames");
            for (size_t k = 0; k < found * width; k++) { require(is_finite(features[k]), "features"); }
        }
        free(spectrum);
        free(workspace);
        free(features);
    }
    free(pcm);
    return 0;
}
