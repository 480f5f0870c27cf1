/* In the place of the self-test: the features of noise that swells, one line a frame. */
#include <stdio.h>

#include "npr_frontend.h"

int main(void) {
    static npr_frontend frontend;
    static int16_t pcm[NPR_HOP];
    float features[NPR_INPUTS];
    uint32_t noise = 1;
    npr_frontend_init(&frontend);
    for (int t = 0; t < 16; t++) {
        for (int k = 0; k < NPR_HOP; k++) {
            noise = noise * 1664525u + 1013904223u;
            pcm[k] = (int16_t)((int32_t)(noise >> 16) - 32768);
            pcm[k] = (int16_t)(pcm[k] / (1 << (16 - t))); /* the first frames are silent, in the next a few samples are not */
        }
        if (npr_frontend_push(&frontend, pcm, NPR_HOP, features, NPR_INPUTS) != NPR_OK) return 1;
        for (int k = 0; k < NPR_INPUTS; k++) printf("%.9g ", (double)features[k]);
        printf("\n");
    }
    return 0;
}
