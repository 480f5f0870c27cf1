/* SPDX-License-Identifier: MIT */
/* audio/spectrum.py: the power spectrum of one windowed frame, by a transform of half its length.
 *
 * In integers of 32 bits with one exponent for the whole frame: nearer to NumPy's float64 than floats of 24
 * bits, fast without a floating point unit, the same bits everywhere. Factors are in Q30, products in 64
 * bits. */
#include "npr_frontend.h"
#include "npr_math.h"

#define HALF (NPR_FFT / 2)
#define ONE ((int32_t)1 << 30)
#define ROOM ((uint32_t)1 << 29) /* no number of a stage's input is as large */

/* cos and sin of 2 pi k / NPR_FFT for 0 <= k <= NPR_FFT / 2. */
static int32_t cosine(size_t k) { return npr_cosine[k]; }
static int32_t sine(size_t k) {
    return k < NPR_FFT / 4 ? npr_cosine[NPR_FFT / 4 - k] : npr_cosine[k - NPR_FFT / 4];
}

/* Twice the periodic Hann window, 1 - cos(2 pi k / NPR_FFT): the table's last entry is one unit short of -1,
 * so it fits. */
static int32_t weight(size_t k) { return ONE - cosine(k <= HALF ? k : NPR_FFT - k); }

/* Window the frame, times 2^up so that its largest number fills 29 bits: a click at its edge has as many bits
 * as loud speech. */
static int32_t window(int32_t *frame) {
    int64_t bits = 0;
    int32_t up = 0;
    for (size_t k = 0; k < NPR_FFT; k++) {
        const int64_t product = (int64_t)frame[k] * weight(k); /* 46 bits */
        bits |= product ^ (product >> 63);
    }
    while (up < 31 && bits < (int64_t)1 << 45) { bits *= 2, up++; }
    for (size_t k = 0; k < NPR_FFT; k++) {
        frame[k] = (int32_t)(((int64_t)frame[k] * weight(k) * ((int64_t)1 << up) + (1 << 16)) >> 17);
    }
    return up;
}

static void swap_pair(int32_t *z, size_t a, size_t b) {
    const int32_t re = z[2 * a], im = z[2 * a + 1];
    z[2 * a] = z[2 * b], z[2 * a + 1] = z[2 * b + 1];
    z[2 * b] = re, z[2 * b + 1] = im;
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
        if (k < reversed) { swap_pair(z, k, reversed); }
    }
}

/* |x|, or |x| - 1 of a negative x: as many bits. */
static uint32_t magnitude(int32_t x) { return (uint32_t)(x ^ (x >> 31)); }

/* x * cos + y * sin. */
static int32_t turned(int32_t x, int32_t cos, int32_t y, int32_t sin) {
    return (int32_t)(((int64_t)x * cos + (int64_t)y * sin + ONE / 2) >> 30);
}

/* One stage of the transform, on its input times 2^-down. Returns the bits that its output needs. */
static uint32_t butterflies(int32_t *z, size_t size, int32_t down) {
    uint32_t bits = 0;
    for (size_t k = 0; k < size; k++) {
        const int32_t wr = cosine(k * (HALF / size)), wi = -sine(k * (HALF / size));
        for (size_t pair = k; pair < HALF; pair += 2 * size) {
            int32_t *a = z + 2 * pair, *b = a + 2 * size;
            const int32_t ar = (a[0] + down) >> down, ai = (a[1] + down) >> down;
            const int32_t br = (b[0] + down) >> down, bi = (b[1] + down) >> down;
            const int32_t re = turned(br, wr, bi, -wi), im = turned(br, wi, bi, wr);
            a[0] = ar + re, a[1] = ai + im, b[0] = ar - re, b[1] = ai - im;
            bits |= magnitude(ar + re) | magnitude(ai + im) | magnitude(ar - re) | magnitude(ai - im);
        }
    }
    return bits;
}

/* Transform of HALF complex numbers (re, im, re, im ...) in place, radix 2 (Cooley & Tukey 1965). A stage at
 * most doubles |z|: halving its input when a part of it has outgrown ROOM keeps |z| below 2^30.5. Returns how
 * often that was. */
static int32_t complex_fft(int32_t *z) {
    uint32_t bits = 0;
    int32_t halved = 0;
    reverse_bits(z);
    for (size_t size = 1; size < HALF; size *= 2) {
        const int32_t down = bits >= ROOM;
        bits = butterflies(z, size, down);
        halved += down;
    }
    return halved;
}

/* re^2 + im^2 in units of 2^32. */
static float squared(int64_t re, int64_t im) {
    const int64_t half = (int64_t)1 << 31;
    const float a = (float)(int32_t)((re + half) >> 32), b = (float)(int32_t)((im + half) >> 32);
    return a * a + b * b;
}

/* |X_k|^2 of the real frame from Z, the transform of its even samples + i * its odd ones:
 * X_k, conj X_{H-k} = (Z_k + conj Z_{H-k}) / 2 -+ i/2 e^{-2 pi i k / N} (Z_k - conj Z_{H-k}), where Z_H =
 * Z_0. */
void npr_power_spectrum(npr_spectrum *spectrum) {
    int32_t *z = spectrum->frame;
    const int32_t up = window(z), exponent = complex_fft(z) - up - 14 - 15 + 1; /* PCM is in units of 2^-15 */
    const float unit = npr_from_bits((uint32_t)(127 + 2 * exponent) << 23);
    for (size_t k = 0; k <= HALF / 2; k++) {
        const int32_t *a = z + 2 * k, *b = z + 2 * ((HALF - k) % HALF), c = cosine(k), s = sine(k);
        const int64_t even_re = ((int64_t)a[0] + b[0]) * ONE, even_im = ((int64_t)a[1] - b[1]) * ONE;
        const int64_t odd_re = (int64_t)a[1] * c + (int64_t)b[1] * c + (int64_t)b[0] * s - (int64_t)a[0] * s;
        const int64_t odd_im = (int64_t)b[0] * c - (int64_t)a[0] * c - (int64_t)a[1] * s - (int64_t)b[1] * s;
        spectrum->power[k] = squared(even_re + odd_re, even_im + odd_im) * unit;
        spectrum->power[HALF - k] = squared(even_re - odd_re, even_im - odd_im) * unit;
    }
}
