/* SPDX-License-Identifier: MIT */
/* audio/decimation.py, whose tags (P1) ... (P3) stand here: 48 and 44.1 kHz to 16 kHz, and no constant, in
 * integers. */
#include <string.h>

#include "npr_internal.h"
#include "npr_stream.h"
#if NPR_HELIUM
#include <arm_mve.h>
#endif

extern const int16_t npr_filter_44100[80 * NPR_TAPS], npr_filter_48000[NPR_TAPS]; /* generated */

const npr_rate npr_rate_16000 = {1, 1, NULL};
const npr_rate npr_rate_44100 = {160, 441, npr_filter_44100};
const npr_rate npr_rate_48000 = {1, 3, npr_filter_48000};

#define MEAN_BITS 14
#define MEAN_SHIFT 9

NPR_REQUIRE(shifts_round_down, (-1 >> 1) == -1);

static int16_t saturate(int32_t v) { return (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v); }

#if NPR_HELIUM

static int32_t add_products(int32_t sum, const int16_t *h, const int16_t *window) {
    for (size_t k = 0; k < NPR_TAPS; k += 8) {
        sum = vmladavaq_s16(sum, vldrhq_s16(h + k), vldrhq_s16(window + k));
    }
    return sum;
}
static int32_t add_reversed_products(int32_t sum, const int16_t *h, const int16_t *window) {
    const uint16x8_t downwards = vddupq_n_u16(7, 1);
    for (size_t k = 0; k < NPR_TAPS; k += 8) {
        const int16x8_t eight = vldrhq_gather_shifted_offset_s16(h + NPR_TAPS - 8 - k, downwards);
        sum = vmladavaq_s16(sum, eight, vldrhq_s16(window + k));
    }
    return sum;
}

#elif NPR_DSP

/* Two products at a time, of words that have two numbers each. */
static int32_t add_products(int32_t sum, const int16_t *h, const int16_t *window) {
    NPR_UNROLL for (size_t k = 0; k < NPR_TAPS; k += 2) {
        sum = __smlad(npr_word(h + k), npr_word(window + k), sum);
    }
    return sum;
}
static int32_t add_reversed_products(int32_t sum, const int16_t *h, const int16_t *window) {
    NPR_UNROLL for (size_t k = 0; k < NPR_TAPS; k += 2) {
        sum = __smladx(npr_word(h + NPR_TAPS - 2 - k), npr_word(window + k), sum);
    }
    return sum;
}

#else

static int32_t add_products(int32_t sum, const int16_t *h, const int16_t *window) {
    NPR_UNROLL for (size_t k = 0; k < NPR_TAPS; k++) { sum += h[k] * window[k]; }
    return sum;
}
static int32_t add_reversed_products(int32_t sum, const int16_t *h, const int16_t *window) {
    NPR_UNROLL for (size_t k = 0; k < NPR_TAPS; k++) { sum += h[NPR_TAPS - 1 - k] * window[k]; }
    return sum;
}

#endif

/* (P1). The window begins with the oldest sample, and a phase of the filter with the newest; of phases that
 * mirror each other one is stored. The sum fits, since no phase's sizes add up to more than 1.9. */
static int16_t filtered(const npr_rate *rate, size_t phase, const int16_t *window) {
    const int32_t half = 1 << 14;
    const size_t mirrored = rate->up - 1u - phase;
    const int32_t sum = phase <= mirrored
                            ? add_reversed_products(half, rate->filter + phase * NPR_TAPS, window)
                            : add_products(half, rate->filter + mirrored * NPR_TAPS, window);
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
