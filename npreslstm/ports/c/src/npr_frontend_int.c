/* SPDX-License-Identifier: MIT */
/* The frontend in integers of 32 bits: no float, and no product of 64 bits where a core has none. The
 * specification is npreslstm/integer/frontend.py, whose tags (I2) ... (I12) stand here; (I1) is in
 * npr_internal.h, (I13) in npr_int8.c. Qn: in units of 2^-n. What takes the time is here in C, and in
 * npr_frontend_helium.h in vector instructions. */
#include <string.h>

#include "npr_frontend.h"
#include "npr_internal.h"

#if !NPR_INTEGER
#error "npr_frontend_int.c is for exports with the integer frontend: compile npr_features.c instead"
#endif

#define HALF (NPR_FFT / 2)
#define POWER_BITS 15 /* the constants are those of integer/frontend.py */
#define LEVEL_BITS 16
#define CEPSTRUM_BITS 4
#define CHROMA_BITS 9
#define RATIO_BITS 16
#define SHARED_BITS 15

static int32_t bit_length(uint32_t v) {
#if defined(__GNUC__) && defined(__ARM_FEATURE_CLZ) && !defined(NPR_PORTABLE)
    return v == 0 ? 0 : 32 - __builtin_clz(v);
#else
    int32_t bits = 0;
    for (int32_t step = 16; step > 0; step /= 2) {
        if (v >> step != 0) {
            v >>= step;
            bits += step;
        }
    }
    return bits + (int32_t)v;
#endif
}

/* A power in units of 2^(31 - bits) * 2^largest, where `largest` is the largest exponent: `bits` bits, or
 * 2^bits itself (I8). */
static uint32_t aligned(int32_t mantissa, int32_t exponent, int32_t largest, int32_t bits) {
    const int32_t down = 30 - bits + largest - exponent;
    return (((uint32_t)mantissa >> (down < 31 ? down : 31)) + 1) >> 1;
}

#if NPR_HELIUM

#include "npr_frontend_helium.h"

#else

/* -cos and -sin of 2 pi k / NPR_FFT for 0 <= k <= NPR_FFT / 2, Q15. */
static int32_t minus_cos(size_t k) { return npr_cosine[k]; }
static int32_t minus_sin(size_t k) { return npr_cosine[k < HALF / 2 ? HALF / 2 - k : k - HALF / 2]; }

/* x, or -1 - x of a negative x. */
static uint32_t magnitude(int32_t x) { return (uint32_t)(x ^ (x >> 31)); }

/* Samples times Hann's window, as large as 31 bits and the sign allow. Returns the exponent. */
static int32_t window(int32_t *z, const int16_t *samples) {
    uint32_t bits = 0;
    for (size_t k = 0; k < NPR_FFT; k++) {
        z[k] = samples[k] * (32768 + minus_cos(k <= HALF ? k : NPR_FFT - k)); /* (I2) */
        bits |= magnitude(z[k]);
    }
    const int32_t up = 30 - bit_length(bits);
    for (size_t k = 0; k < NPR_FFT; k++) {
        z[k] = up < 0 ? z[k] >> 1 : (int32_t)((uint32_t)z[k] << up); /* (I3) */
    }
    return up;
}

/* Half of re + i im times minus e^(-i angle): real and imaginary part (I4). */
static int32_t turned_re(int32_t re, int32_t im, int32_t cos, int32_t sin) {
    return npr_half(re, cos) + npr_half(im, sin);
}
static int32_t turned_im(int32_t re, int32_t im, int32_t cos, int32_t sin) {
    return npr_half(im, cos) - npr_half(re, sin);
}

/* Half of a, plus and minus what was turned (I5). */
static void butterfly(int32_t *a, int32_t *b, int32_t re, int32_t im) {
    const int32_t half_re = a[0] >> 1;
    const int32_t half_im = a[1] >> 1;
    a[0] = half_re - re;
    a[1] = half_im - im;
    b[0] = half_re + re;
    b[1] = half_im + im;
}

/* One stage of the transform: of each two parts of `size` complex numbers one of twice as many. */
static void stage(int32_t *z, size_t size) {
    const int32_t *const end = z + NPR_FFT;
    for (int32_t *a = z; a < end; a += 4 * size) {
        int32_t *b = a + 2 * size;
        butterfly(a, b, -b[0] >> 1, -b[1] >> 1); /* angle 0 */
    }
    for (size_t k = 1; k < size; k++) {
        const int32_t cos = minus_cos(k * (HALF / size));
        const int32_t sin = minus_sin(k * (HALF / size));
        for (int32_t *a = z + 2 * k; a < end; a += 4 * size) {
            int32_t *b = a + 2 * size;
            butterfly(a, b, turned_re(b[0], b[1], cos, sin), turned_im(b[0], b[1], cos, sin));
        }
    }
}

/* |X|^2 as mantissa * 2^exponent (I7). */
static void store_power(int32_t *bin, int32_t re, int32_t im) {
    const uint32_t x = magnitude(re);
    const uint32_t y = magnitude(im);
    const int32_t bits = bit_length(x | y);
    const int32_t down = bits > POWER_BITS ? bits - POWER_BITS : 0;
    bin[0] = (int32_t)((x >> down) * (x >> down) + (y >> down) * (y >> down));
    bin[1] = 2 * down;
}

/* In place: the transform of even samples + i * odd ones becomes the power of the bins k and HALF - k. */
static void spectrum(int32_t *bins) {
    for (size_t k = 0; k <= HALF / 2; k++) {
        int32_t *low = bins + 2 * k;
        int32_t *high = bins + 2 * (HALF - k);
        const int32_t *b = k == 0 ? low : high; /* Z_H = Z_0 */
        const int32_t a_re = low[0] >> 1, a_im = low[1] >> 1, b_re = b[0] >> 1, b_im = b[1] >> 1;
        const int32_t cos = minus_cos(k), sin = minus_sin(k);
        const int32_t even_re = (a_re + b_re) >> 1;
        const int32_t even_im = (a_im - b_im) >> 1;
        const int32_t odd_re = turned_re(a_im + b_im, b_re - a_re, cos, sin);
        const int32_t odd_im = turned_im(a_im + b_im, b_re - a_re, cos, sin);
        store_power(high, even_re + odd_re, even_im + odd_im); /* (I6) */
        store_power(low, even_re - odd_re, even_im - odd_im);
    }
}

/* The largest exponent of bins. */
static int32_t largest_exponent(const int32_t *bins, size_t count) {
    int32_t largest = 0;
    for (size_t k = 0; k < count; k++) { largest = bins[2 * k + 1] > largest ? bins[2 * k + 1] : largest; }
    return largest;
}

/* Powers times weights, in the unit of `largest` (I9). */
static uint32_t band_power(const int32_t *bins, size_t count, int32_t largest, const uint16_t *weight) {
    uint32_t total = 0;
    for (size_t k = 0; k < count; k++) {
        total += weight[k] * aligned(bins[2 * k], bins[2 * k + 1], largest, LEVEL_BITS);
    }
    return total;
}

/* Folded levels times the cosines of coefficient k, which fold() left in this order or in the opposite one.
 */
static int32_t cosine_sum(const int32_t *levels, size_t k) {
    const size_t step = k * (NPR_FFT / (4 * NPR_MELS));
    const int32_t *folded = k % 2 == 0 ? levels : levels + NPR_MELS - 1;
    const ptrdiff_t next = k % 2 == 0 ? 1 : -1;
    size_t angle = step;
    int32_t sum = 0;
    for (size_t m = 0; m < NPR_MELS / 2; m++) {
        const size_t a = angle & (NPR_FFT - 1);
        sum -= npr_half(*folded, minus_cos(a <= HALF ? a : NPR_FFT - a)); /* (I11) */
        folded += next;
        angle += 2 * step;
    }
    return sum;
}

#endif

static void swap_pair(int32_t *a, int32_t *b) {
    const int32_t re = a[0];
    const int32_t im = a[1];
    a[0] = b[0];
    a[1] = b[1];
    b[0] = re;
    b[1] = im;
}

/* The order in which a transform in place takes its inputs: that of indices with their bits reversed. */
static void reverse_bits(int32_t *z) {
    size_t reversed = 0;
    for (size_t k = 1; k < HALF; k++) {
        size_t bit = HALF >> 1;
        while (reversed & bit) {
            reversed ^= bit;
            bit >>= 1;
        }
        reversed |= bit;
        if (k < reversed) { swap_pair(z + 2 * k, z + 2 * reversed); }
    }
}

/* log2 of v > 0, Q16, by straight lines between 128 points an octave (I10). */
static int32_t fixed_log2(uint32_t v) {
    const int32_t whole = bit_length(v) - 1;
    const uint32_t fraction = ((v << (31 - whole)) >> 15) & 0xffff; /* of v / 2^whole, Q16 */
    const uint32_t k = fraction >> 9;
    const int32_t t = (int32_t)(fraction & 511);
    const int32_t low = npr_log2_table[k];
    return whole * 65536 + low + (((npr_log2_table[k + 1] - low) * t + 256) >> 9);
}

/* log2 of the power in each mel band, Q16, not below NPR_FLOOR. */
static void log_mel(npr_frontend *frontend, int32_t unit) {
    const uint16_t *weight = npr_mel_weights;
    for (size_t m = 0; m < NPR_MELS; m++) {
        const int32_t *bins = frontend->bins + 2 * npr_mel_start[m];
        const size_t count = npr_mel_count[m];
        const int32_t largest = largest_exponent(bins, count);
        const uint32_t total = band_power(bins, count, largest, weight);
        int32_t level = NPR_FLOOR;
        if (total > 0) {
            level = fixed_log2(total) + (largest + 31 - LEVEL_BITS + unit) * 65536 + npr_mel_offset[m];
        }
        frontend->levels[m] = level > NPR_FLOOR ? level : NPR_FLOOR;
        weight += count;
    }
}

/* Bands m and NPR_MELS - 1 - m have the same cosine but for the sign (-1)^k. In place, their sums come first,
 * for even k, then their differences, in the opposite order, for odd k. */
static void fold(int32_t *levels) {
    for (size_t m = 0; m < NPR_MELS / 2; m++) {
        const int32_t left = levels[m] * (1 << CEPSTRUM_BITS);
        const int32_t right = levels[NPR_MELS - 1 - m] * (1 << CEPSTRUM_BITS);
        levels[m] = left + right;
        levels[NPR_MELS - 1 - m] = left - right;
    }
}

static void cepstrum(int32_t *levels, int32_t *features) {
    fold(levels);
    for (size_t k = 0; k < NPR_MFCC; k++) { features[k] = cosine_sum(levels, k); }
}

/* The exponent of a bin's power times a weight in its largest unit. */
static int32_t heard_exponent(const int32_t *bins, size_t k) { return bins[2 * k + 1] - npr_chroma_down[k]; }

/* Power of all bins by pitch class. A run of classes that begins anew goes on in the second half of `sums`.
 */
static void sum_classes(const int32_t *bins, int32_t *sums) {
    const int16_t *weight = npr_chroma_weights;
    int32_t largest = heard_exponent(bins, 0);
    for (size_t k = 1; k < NPR_BINS; k++) {
        const int32_t exponent = heard_exponent(bins, k);
        largest = exponent > largest ? exponent : largest;
    }
    for (size_t k = 0; k < NPR_BINS; k++) {
        const uint32_t part = aligned(bins[2 * k], heard_exponent(bins, k), largest, 31 - CHROMA_BITS);
        int32_t *sum = sums + npr_chroma_start[k];
        for (size_t left = npr_chroma_count[k]; left > 0; left--) {
            *sum++ += npr_half((int32_t)part, *weight++); /* (I12) */
        }
    }
}

/* Power in each pitch class over that in the strongest one, Q30. */
static void chroma(const int32_t *bins, int32_t *features) {
    int32_t sums[2 * NPR_CHROMA] = {0}, top = 0;
    sum_classes(bins, sums);
    for (size_t p = 0; p < NPR_CHROMA; p++) {
        features[p] = sums[p] + sums[NPR_CHROMA + p];
        top = features[p] > top ? features[p] : top;
    }
    const int32_t bits = bit_length((uint32_t)top);
    const int32_t down = bits > RATIO_BITS ? bits - RATIO_BITS : 0;
    const uint32_t divisor = top > 0 ? (uint32_t)top >> down : 1; /* in silence all are 0 */
    for (size_t p = 0; p < NPR_CHROMA; p++) {
        const uint32_t total = (uint32_t)features[p] >> down;
        const uint32_t ratio = ((total << SHARED_BITS) + (divisor >> 1)) / divisor;
        features[p] = (int32_t)(ratio << SHARED_BITS);
    }
}

npr_status npr_frontend_init(npr_frontend *frontend) {
    if (frontend == NULL) { return NPR_ERROR_NULL; }
    memset(frontend, 0, sizeof *frontend);
    return NPR_OK;
}

/* The newest samples, and zeros for what is missing to a hop. */
static void keep(int16_t *kept, const int16_t *pcm, size_t samples) {
    int16_t *const newest = kept + NPR_FFT - NPR_HOP;
    memmove(kept, kept + NPR_HOP, (NPR_FFT - NPR_HOP) * sizeof *kept);
    memset(newest, 0, NPR_HOP * sizeof *kept);
    memcpy(newest, pcm, samples * sizeof *kept);
}

npr_status npr_frontend_push(npr_frontend *frontend, const int16_t *pcm, size_t samples, int32_t *features,
                             size_t count) {
    if (frontend == NULL || pcm == NULL || features == NULL) { return NPR_ERROR_NULL; }
    if (samples == 0 || samples > NPR_HOP || count != NPR_MFCC + NPR_CHROMA) { return NPR_ERROR_SIZE; }
    if (frontend->ended) { return NPR_ERROR_STATE; }
    frontend->ended = samples < NPR_HOP;
    keep(frontend->samples, pcm, samples);
    const int32_t up = window(frontend->bins, frontend->samples);
    reverse_bits(frontend->bins);
    for (size_t size = 1; size < HALF; size *= 2) { stage(frontend->bins, size); }
    spectrum(frontend->bins);
    log_mel(frontend, NPR_UNIT - 2 * up);
    cepstrum(frontend->levels, features);
    chroma(frontend->bins, features + NPR_MFCC);
    return NPR_OK;
}
