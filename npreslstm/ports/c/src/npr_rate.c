/* SPDX-License-Identifier: MIT */
/* audio/decimation.py, whose tags (P1) ... (P3) stand here: 48 and 44.1 kHz to 16 kHz, and no constant, in
 * integers. */
#include <string.h>

#include "npr_internal.h"
#include "npr_stream.h"

extern const int16_t npr_filter_44100[80 * NPR_TAPS], npr_filter_48000[NPR_TAPS]; /* generated */

const npr_rate npr_rate_16000 = {1, 1, NULL};
const npr_rate npr_rate_44100 = {160, 441, npr_filter_44100};
const npr_rate npr_rate_48000 = {1, 3, npr_filter_48000};

#define MEAN_BITS 14
#define MEAN_SHIFT 9

NPR_REQUIRE(shifts_round_down, (-1 >> 1) == -1);

static int16_t saturate(int32_t v) { return (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v); }

/* (P1). The window begins with the oldest sample, and a phase of the filter with the newest; the sum fits,
 * since no phase's sizes add up to more than 1.9. */
static int16_t filtered(const npr_rate *rate, size_t phase, const int16_t *window) {
    int32_t sum = 1 << 14;
    if (phase < (rate->up + 1u) / 2) {
        const int16_t *h = rate->filter + (phase + 1) * NPR_TAPS;
        for (size_t k = 0; k < NPR_TAPS; k++) { sum += *--h * window[k]; }
    } else {
        const int16_t *h = rate->filter + (rate->up - 1u - phase) * NPR_TAPS;
        for (size_t k = 0; k < NPR_TAPS; k++) { sum += *h++ * window[k]; }
    }
    return saturate(sum >> 15);
}

static int16_t without_constant(npr_decimator *decimator, int32_t y) {
    const int32_t v = y - ((decimator->mean + (1 << (MEAN_BITS - 1))) >> MEAN_BITS); /* (P2) */
    decimator->mean += (y * (1 << MEAN_BITS) - decimator->mean) >> MEAN_SHIFT;       /* (P3) */
    return saturate(v);
}

npr_status npr_decimator_init(npr_decimator *decimator, const npr_rate *rate) {
    if (decimator == NULL || rate == NULL) { return NPR_ERROR_NULL; }
    memset(decimator, 0, sizeof *decimator);
    decimator->rate = rate;
    return NPR_OK;
}

int npr_decimate(npr_decimator *decimator, int16_t sample, int16_t *out) {
    const npr_rate *rate = decimator->rate;
    if (rate->filter == NULL) {
        *out = without_constant(decimator, sample);
        return 1;
    }
    int16_t *window = decimator->window + decimator->place;
    window[0] = window[NPR_TAPS] = sample;
    decimator->place = (uint16_t)((decimator->place + 1u) % NPR_TAPS);
    const int complete = decimator->position < rate->up;
    if (complete) {
        *out = without_constant(decimator, filtered(rate, decimator->position, window + 1));
        decimator->position = (uint16_t)(decimator->position + rate->down);
    }
    decimator->position = (uint16_t)(decimator->position - rate->up);
    return complete;
}
