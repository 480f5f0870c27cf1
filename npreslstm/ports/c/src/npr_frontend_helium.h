/* SPDX-License-Identifier: MIT */
/* What takes the time in npr_frontend_int.c, whose tags stand here, in the vector instructions of Cortex-M55
 * and M85 (Helium): the same bits. Included there alone. */
#ifndef NPR_FRONTEND_HELIUM_H
#define NPR_FRONTEND_HELIUM_H

#include <arm_mve.h>

/* k and the three numbers behind it. */
static inline int32x4_t four_from(size_t k) { return vreinterpretq_s32_u32(vidupq_n_u32((uint32_t)k, 1)); }

/* Numbers behind `first`. */
static inline int32x4_t gathered(const int32_t *first, int32x4_t index) {
    return vldrwq_gather_shifted_offset_s32(first, vreinterpretq_u32_s32(index));
}
static inline void scatter(int32_t *first, int32x4_t index, int32x4_t v) {
    vstrwq_scatter_shifted_offset_s32(first, vreinterpretq_u32_s32(index), v);
}

/* (I1), c in Q31: Q15 times 2^16. */
static inline int32x4_t half(int32x4_t x, int32x4_t c) { return vmulhq_s32(x, c); }

/* -cos and -sin, Q31. */
static inline int32x4_t minus_cosines(int32x4_t k) {
    return vshlq_n_s32(vldrhq_gather_shifted_offset_s32(npr_cosine, vreinterpretq_u32_s32(k)), 16);
}
static inline int32x4_t minus_sines(int32x4_t k) {
    return minus_cosines(vabsq_s32(vsubq_s32(k, vdupq_n_s32(HALF / 2))));
}

static inline uint32x4_t magnitudes(int32x4_t x) {
    return vreinterpretq_u32_s32(veorq_s32(x, vshrq_n_s32(x, 31)));
}

/* Samples times Hann's window, as large as 31 bits and the sign allow. Returns the exponent. */
static int32_t window(int32_t *z, const int16_t *samples) {
    uint32x4_t largest = vdupq_n_u32(0);
    for (size_t k = 0; k < NPR_FFT; k += 4) {
        const int32x4_t n = four_from(k);
        const int32x4_t angle = vminq_s32(n, vsubq_s32(vdupq_n_s32(NPR_FFT), n));
        const int32x4_t cos = vldrhq_gather_shifted_offset_s32(npr_cosine, vreinterpretq_u32_s32(angle));
        const int32x4_t y = vmulq_s32(vldrhq_s32(samples + k), vaddq_n_s32(cos, 32768)); /* (I2) */
        vstrwq_s32(z + k, y);
        largest = vmaxq_u32(largest, magnitudes(y));
    }
    const int32_t up = 30 - bit_length(vmaxvq_u32(0, largest));
    for (size_t k = 0; k < NPR_FFT; k += 4) {
        vstrwq_s32(z + k, vshlq_r_s32(vldrwq_s32(z + k), up)); /* (I3) */
    }
    return up;
}

/* Of two pairs of complex numbers, re im re im: half of a, plus and minus b times minus e^(-i angle). */
static inline void butterflies(int32x4_t *a, int32x4_t *b, int32x4_t cos, int32x4_t sin) {
    const int32x4_t turned = vcaddq_rot270_s32(half(*b, cos), half(*b, sin)); /* (I4): the latter times -i */
    const int32x4_t half_a = vshrq_n_s32(*a, 1);
    *a = vsubq_s32(half_a, turned); /* (I5) */
    *b = vaddq_s32(half_a, turned);
}

/* The stage of size 1, whose angle is 0. */
static void first_stage(int32_t *z) {
    const int32x4_t j = four_from(0), pair = vaddq_s32(j, vandq_s32(j, vdupq_n_s32(2))); /* 0 1 4 5 */
    for (int32_t *a = z; a < z + NPR_FFT; a += 8) {
        int32x4_t upper = gathered(a, pair), lower = gathered(a + 2, pair);
        butterflies(&upper, &lower, vdupq_n_s32(INT32_MIN), vdupq_n_s32(0));
        scatter(a, pair, upper);
        scatter(a + 2, pair, lower);
    }
}

/* One stage of the transform: of each two parts of `size` complex numbers one of twice as many. */
static void stage(int32_t *z, size_t size) {
    if (size == 1) {
        first_stage(z);
        return;
    }
    for (size_t k = 0; k < size; k += 2) {
        const int32x4_t number = vshrq_n_s32(four_from(2 * k), 1); /* k k k+1 k+1 */
        const int32x4_t angle = vmulq_n_s32(number, HALF / (int32_t)size);
        const int32x4_t cos = minus_cosines(angle), sin = minus_sines(angle);
        for (int32_t *at = z + 2 * k; at < z + NPR_FFT; at += 4 * size) {
            int32x4_t a = vldrwq_s32(at), b = vldrwq_s32(at + 2 * size);
            butterflies(&a, &b, cos, sin);
            vstrwq_s32(at, a);
            vstrwq_s32(at + 2 * size, b);
        }
    }
}

/* |X|^2 as mantissa * 2^exponent (I7), of bins whose numbers are `bin` / 2. */
static inline void store_power(int32_t *bins, int32x4_t bin, int32x4_t re, int32x4_t im, mve_pred16_t there) {
    const uint32x4_t x = magnitudes(re), y = magnitudes(im);
    const int32x4_t zeros = vreinterpretq_s32_u32(vclzq_u32(vorrq_u32(x, y)));
    const int32x4_t down = vmaxq_s32(vsubq_s32(vdupq_n_s32(32 - POWER_BITS), zeros), vdupq_n_s32(0));
    const uint32x4_t fine_x = vshlq_u32(x, vnegq_s32(down)), fine_y = vshlq_u32(y, vnegq_s32(down));
    const uint32x4_t mantissa = vaddq_u32(vmulq_u32(fine_x, fine_x), vmulq_u32(fine_y, fine_y));
    const uint32x4_t at = vreinterpretq_u32_s32(bin);
    vstrwq_scatter_shifted_offset_p_s32(bins, at, vreinterpretq_s32_u32(mantissa), there);
    vstrwq_scatter_shifted_offset_p_s32(bins + 1, at, vshlq_n_s32(down, 1), there);
}

/* In place: the transform of even samples + i * odd ones becomes the power of the bins k and HALF - k. */
static void spectrum(int32_t *bins) {
    for (size_t k = 0; k <= HALF / 2; k += 4) {
        const mve_pred16_t there = vctp32q((uint32_t)(HALF / 2 + 1 - k));
        const int32x4_t n = four_from(k), opposite = vsubq_s32(vdupq_n_s32(HALF), n);
        const int32x4_t low = vshlq_n_s32(n, 1), high = vshlq_n_s32(opposite, 1);
        const int32x4_t b = vandq_s32(high, vdupq_n_s32(NPR_FFT - 1)); /* Z_H = Z_0 */
        const int32x4_t a_re = vshrq_n_s32(gathered(bins, low), 1);
        const int32x4_t a_im = vshrq_n_s32(gathered(bins + 1, low), 1);
        const int32x4_t b_re = vshrq_n_s32(gathered(bins, b), 1);
        const int32x4_t b_im = vshrq_n_s32(gathered(bins + 1, b), 1);
        const int32x4_t cos = minus_cosines(n), sin = minus_sines(n);
        const int32x4_t even_re = vshrq_n_s32(vaddq_s32(a_re, b_re), 1);
        const int32x4_t even_im = vshrq_n_s32(vsubq_s32(a_im, b_im), 1);
        const int32x4_t re = vaddq_s32(a_im, b_im), im = vsubq_s32(b_re, a_re);
        const int32x4_t odd_re = vaddq_s32(half(re, cos), half(im, sin));
        const int32x4_t odd_im = vsubq_s32(half(im, cos), half(re, sin));
        /* (I6), of the middle bin the latter */
        store_power(bins, high, vaddq_s32(even_re, odd_re), vaddq_s32(even_im, odd_im), there);
        store_power(bins, low, vsubq_s32(even_re, odd_re), vsubq_s32(even_im, odd_im), there);
    }
}

/* Powers in units of 2^(31 - bits) * 2^largest (I8). */
static inline uint32x4_t all_aligned(int32x4_t mantissa, int32x4_t exponent, int32_t largest, int32_t bits) {
    const int32x4_t up = vsubq_s32(exponent, vdupq_n_s32(30 - bits + largest)); /* -32 or less gives 0 */
    return vshrq_n_u32(vaddq_n_u32(vshlq_u32(vreinterpretq_u32_s32(mantissa), up), 1), 1);
}

/* Every second number from `first` on, where there is one: mantissas or exponents of bins. */
static inline int32x4_t every_second(const int32_t *first, mve_pred16_t there) {
    return vldrwq_gather_shifted_offset_z_s32(first, vidupq_n_u32(0, 2), there);
}

/* The largest exponent of bins. */
static int32_t largest_exponent(const int32_t *bins, size_t count) {
    int32_t largest = 0;
    for (size_t k = 0; k < count; k += 4) {
        const mve_pred16_t there = vctp32q((uint32_t)(count - k));
        largest = vmaxvq_s32(largest, every_second(bins + 2 * k + 1, there));
    }
    return largest;
}

/* Powers times weights, in the unit of `largest` (I9). */
static uint32_t band_power(const int32_t *bins, size_t count, int32_t largest, const uint16_t *weight) {
    uint32_t total = 0;
    for (size_t k = 0; k < count; k += 4) {
        const mve_pred16_t there = vctp32q((uint32_t)(count - k));
        const int32x4_t mantissa = every_second(bins + 2 * k, there);
        const int32x4_t exponent = every_second(bins + 2 * k + 1, there);
        const uint32x4_t part = all_aligned(mantissa, exponent, largest, LEVEL_BITS);
        total = vmladavaq_u32(total, part, vldrhq_z_u32(weight + k, there));
    }
    return total;
}

/* Folded levels times the cosines of coefficient k, which fold() left in this order or in the opposite one.
 */
static int32_t cosine_sum(const int32_t *levels, size_t k) {
    const int32_t step = (int32_t)k * (NPR_FFT / (4 * NPR_MELS));
    int32_t sum = 0;
    for (size_t m = 0; m < NPR_MELS / 2; m += 4) {
        const mve_pred16_t there = vctp32q((uint32_t)(NPR_MELS / 2 - m));
        const int32x4_t n = four_from(m), odd = vaddq_n_s32(vshlq_n_s32(n, 1), 1);
        const int32x4_t place = k % 2 == 0 ? n : vsubq_s32(vdupq_n_s32(NPR_MELS - 1), n);
        const int32x4_t folded =
            vldrwq_gather_shifted_offset_z_s32(levels, vreinterpretq_u32_s32(place), there);
        const int32x4_t a = vandq_s32(vmulq_n_s32(odd, step), vdupq_n_s32(NPR_FFT - 1));
        const int32x4_t cos = minus_cosines(vminq_s32(a, vsubq_s32(vdupq_n_s32(NPR_FFT), a)));
        sum = vaddvaq_s32(sum, half(folded, cos)); /* (I11) */
    }
    return -sum;
}

#endif
