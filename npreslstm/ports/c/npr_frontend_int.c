/* The frontend in integers of 32 bits: no float, and no product of more than 32 bits where a core has none. The specification
 * is npreslstm/integer/frontend.py, whose tags (I1) ... (I12) stand here; (I13) is in npr_int8.c. Qn: in units of 2^-n. */
#include <string.h>

#include "npr_frontend.h"
#include "npr_internal.h"

#define HALF (NPR_FFT / 2)
#define POWER_BITS 15
#define LEVEL_BITS 16
#define CEPSTRUM_BITS 4
#define CHROMA_BITS 9
#define RATIO_BITS 16
#define SHARED_BITS 15

/* -cos and -sin of 2 pi k / NPR_FFT for 0 <= k <= NPR_FFT / 2, Q15. */
static int32_t minus_cos(size_t k) { return npr_cosine[k]; }
static int32_t minus_sin(size_t k) { return npr_cosine[k < HALF / 2 ? HALF / 2 - k : k - HALF / 2]; }

/* x, or -1 - x of a negative x. */
static uint32_t magnitude(int32_t x) { return (uint32_t)(x ^ (x >> 31)); }

static int32_t bit_length(uint32_t v) {
    int32_t bits = 0;
    for (int32_t step = 16; step > 0; step /= 2) {
        if (v >> step == 0) continue;
        v >>= step;
        bits += step;
    }
    return bits + (int32_t)v;
}

/* Samples times Hann's window, as large as 31 bits with the sign allow; returns the exponent. */
static int32_t window(int32_t *z, const int16_t *samples) {
    uint32_t bits = 0;
    for (size_t k = 0; k < NPR_FFT; k++) {
        z[k] = samples[k] * (32768 + minus_cos(k <= HALF ? k : NPR_FFT - k)); /* (I2) */
        bits |= magnitude(z[k]);
    }
    const int32_t up = 30 - bit_length(bits);
    for (size_t k = 0; k < NPR_FFT; k++) z[k] = up < 0 ? z[k] >> 1 : (int32_t)((uint32_t)z[k] << up); /* (I3) */
    return up;
}

static void swap_pair(int32_t *a, int32_t *b) {
    const int32_t re = a[0], im = a[1];
    a[0] = b[0];
    a[1] = b[1];
    b[0] = re;
    b[1] = im;
}

/* Order of the inputs of a transform in place: the index with its bits reversed. */
static void reverse_bits(int32_t *z) {
    size_t reversed = 0;
    for (size_t k = 1; k < HALF; k++) {
        size_t bit = HALF >> 1;
        while (reversed & bit) {
            reversed ^= bit;
            bit >>= 1;
        }
        reversed |= bit;
        if (k < reversed) swap_pair(z + 2 * k, z + 2 * reversed);
    }
}

/* Half of re + i im times minus e^(-i angle) (I4). */
static int32_t turned_re(int32_t re, int32_t im, int32_t mc, int32_t ms) { return npr_half(re, mc) + npr_half(im, ms); }
static int32_t turned_im(int32_t re, int32_t im, int32_t mc, int32_t ms) { return npr_half(im, mc) - npr_half(re, ms); }

static void butterfly(int32_t *a, int32_t *b, int32_t re, int32_t im) {
    const int32_t half_re = a[0] >> 1, half_im = a[1] >> 1;
    a[0] = half_re - re; /* (I5) */
    a[1] = half_im - im;
    b[0] = half_re + re;
    b[1] = half_im + im;
}

/* One stage of the transform, from parts of `size` complex numbers to parts of twice as many. */
static void stage(int32_t *z, size_t size) {
    const int32_t *const end = z + NPR_FFT;
    for (int32_t *a = z, *b = z + 2 * size; a < end; a += 4 * size, b += 4 * size) {
        butterfly(a, b, -b[0] >> 1, -b[1] >> 1); /* angle 0: what npr_half gives of -1 */
    }
    for (size_t k = 1; k < size; k++) {
        const int32_t mc = minus_cos(k * (HALF / size)), ms = minus_sin(k * (HALF / size));
        for (int32_t *a = z + 2 * k, *b = a + 2 * size; a < end; a += 4 * size, b += 4 * size) {
            butterfly(a, b, turned_re(b[0], b[1], mc, ms), turned_im(b[0], b[1], mc, ms));
        }
    }
}

/* |X|^2 as mantissa * 2^exponent (I7). */
static void store_power(int32_t *bin, int32_t re, int32_t im) {
    const uint32_t x = magnitude(re), y = magnitude(im);
    const int32_t bits = bit_length(x | y), down = bits > POWER_BITS ? bits - POWER_BITS : 0;
    const uint32_t a = x >> down, b = y >> down;
    bin[0] = (int32_t)(a * a + b * b);
    bin[1] = 2 * down;
}

/* In place: the transform of even samples + i * odd ones becomes the power of the bins, k and HALF - k at a time. */
static void spectrum(int32_t *bins) {
    for (size_t k = 0; k <= HALF / 2; k++) {
        int32_t *low = bins + 2 * k, *high = bins + 2 * (HALF - k);
        const int32_t *b = k == 0 ? low : high; /* Z_H = Z_0 */
        const int32_t a_re = low[0] >> 1, a_im = low[1] >> 1, b_re = b[0] >> 1, b_im = b[1] >> 1;
        const int32_t mc = minus_cos(k), ms = minus_sin(k);
        const int32_t even_re = (a_re + b_re) >> 1, even_im = (a_im - b_im) >> 1;
        const int32_t odd_re = turned_re(a_im + b_im, b_re - a_re, mc, ms);
        const int32_t odd_im = turned_im(a_im + b_im, b_re - a_re, mc, ms);
        store_power(high, even_re + odd_re, even_im + odd_im); /* (I6) */
        store_power(low, even_re - odd_re, even_im - odd_im);
    }
}

/* The power of a bin in units of 2^(31 - bits) * 2^largest, of `exponent` <= largest: below 2^bits, or 2^bits (I8). */
static uint32_t aligned(int32_t mantissa, int32_t exponent, int32_t largest, int32_t bits) {
    const int32_t down = 30 - bits + largest - exponent;
    return (((uint32_t)mantissa >> (down > 31 ? 31 : down)) + 1) >> 1;
}

/* log2 of v > 0, Q16 (I10). */
static int32_t fixed_log2(uint32_t v) {
    const int32_t whole = bit_length(v) - 1;
    const uint32_t fraction = (whole < 16 ? v << (16 - whole) : v >> (whole - 16)) & 0xffff;
    const uint32_t k = fraction >> 9, t = fraction & 511;
    const int32_t low = npr_log2_table[k], step = npr_log2_table[k + 1] - low;
    return whole * 65536 + low + ((step * (int32_t)t + 256) >> 9);
}

static void log_mel(npr_frontend *frontend, int32_t unit) {
    const uint16_t *weight = npr_mel_weights;
    for (size_t m = 0; m < NPR_MELS; m++) {
        const int32_t *bin = frontend->bins + 2 * npr_mel_start[m];
        const size_t count = npr_mel_count[m];
        int32_t largest = 0;
        uint32_t total = 0;
        for (size_t k = 0; k < count; k++) largest = bin[2 * k + 1] > largest ? bin[2 * k + 1] : largest;
        for (size_t k = 0; k < count; k++) total += *weight++ * aligned(bin[2 * k], bin[2 * k + 1], largest, LEVEL_BITS); /* (I9) */
        int32_t level = NPR_FLOOR;
        if (total > 0) level = fixed_log2(total) + (largest + 31 - LEVEL_BITS + unit) * (1 << LEVEL_BITS) + npr_mel_offset[m];
        frontend->levels[m] = level > NPR_FLOOR ? level : NPR_FLOOR;
    }
}

/* Bands m and NPR_MELS - 1 - m have the same cosine but for the sign (-1)^k: their sums serve even k, their differences odd k. */
static void cepstrum(int32_t *levels, int32_t *features) {
    int32_t *const last = levels + NPR_MELS - 1;
    for (size_t m = 0; m < NPR_MELS / 2; m++) {
        const int32_t left = levels[m] * (1 << CEPSTRUM_BITS), right = last[-(ptrdiff_t)m] * (1 << CEPSTRUM_BITS);
        levels[m] = left + right;
        last[-(ptrdiff_t)m] = left - right;
    }
    for (size_t k = 0; k < NPR_MFCC; k++) {
        const size_t step = k * (NPR_FFT / (4 * NPR_MELS));
        const int32_t *folded = k % 2 == 0 ? levels : last;
        const ptrdiff_t next = k % 2 == 0 ? 1 : -1;
        int32_t sum = 0;
        for (size_t m = 0, angle = step; m < NPR_MELS / 2; m++, angle += 2 * step, folded += next) {
            const size_t a = angle & (NPR_FFT - 1);
            sum -= npr_half(*folded, npr_cosine[a <= HALF ? a : NPR_FFT - a]); /* (I11) */
        }
        features[k] = sum;
    }
}

static void chroma(const int32_t *bins, int32_t *total) {
    const int16_t *weight = npr_chroma_weights;
    int32_t largest = INT32_MIN, top = 0;
    for (size_t k = 0; k < NPR_BINS; k++) {
        const int32_t exponent = bins[2 * k + 1] - npr_chroma_down[k];
        largest = exponent > largest ? exponent : largest;
    }
    for (size_t p = 0; p < NPR_CHROMA; p++) total[p] = 0;
    for (size_t k = 0; k < NPR_BINS; k++) {
        const int32_t part = (int32_t)aligned(bins[2 * k], bins[2 * k + 1] - npr_chroma_down[k], largest, 31 - CHROMA_BITS);
        size_t p = npr_chroma_start[k];
        for (size_t left = npr_chroma_count[k]; left > 0; left--) {
            total[p] += npr_half(part, *weight++); /* (I12) */
            p = p + 1 == NPR_CHROMA ? 0 : p + 1;
        }
    }
    for (size_t p = 0; p < NPR_CHROMA; p++) top = total[p] > top ? total[p] : top;
    const int32_t bits = bit_length((uint32_t)top), down = bits > RATIO_BITS ? bits - RATIO_BITS : 0;
    const uint32_t divisor = top > 0 ? (uint32_t)top >> down : 1; /* of silence all are 0 */
    for (size_t p = 0; p < NPR_CHROMA; p++) {
        const uint32_t ratio = (((uint32_t)(total[p] >> down) << SHARED_BITS) + (divisor >> 1)) / divisor;
        total[p] = (int32_t)(ratio << SHARED_BITS);
    }
}

npr_status npr_frontend_init(npr_frontend *frontend) {
    if (frontend == NULL) return NPR_ERROR_NULL;
    memset(frontend, 0, sizeof *frontend);
    return NPR_OK;
}

npr_status npr_frontend_push(npr_frontend *frontend, const int16_t *pcm, size_t samples, int32_t *features, size_t count) {
    if (frontend == NULL || pcm == NULL || features == NULL) return NPR_ERROR_NULL;
    if (samples == 0 || samples > NPR_HOP || count != NPR_MFCC + NPR_CHROMA) return NPR_ERROR_SIZE;
    if (frontend->ended) return NPR_ERROR_STATE;
    frontend->ended = samples < NPR_HOP;
    int16_t *kept = frontend->samples;
    memmove(kept, kept + NPR_HOP, (NPR_FFT - NPR_HOP) * sizeof *kept);
    memset(kept + NPR_FFT - NPR_HOP, 0, NPR_HOP * sizeof *kept);
    memcpy(kept + NPR_FFT - NPR_HOP, pcm, samples * sizeof *kept);
    int32_t *bins = frontend->bins;
    const int32_t up = window(bins, kept);
    reverse_bits(bins);
    for (size_t size = 1; size < HALF; size *= 2) stage(bins, size);
    spectrum(bins);
    log_mel(frontend, NPR_UNIT - 2 * up);
    cepstrum(frontend->levels, features);
    chroma(bins, features + NPR_MFCC);
    return NPR_OK;
}
