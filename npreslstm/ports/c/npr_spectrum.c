/* audio/spectrum.py: the power spectrum of one windowed frame, by a transform of half its length. */
#include "npr_frontend.h"

#define HALF (NPR_FFT / 2)

/* cos and sin of 2 pi k / NPR_FFT for 0 <= k <= NPR_FFT / 2. */
static float cosine(size_t k) { return npr_cosine[k]; }
static float sine(size_t k) { return k < NPR_FFT / 4 ? npr_cosine[NPR_FFT / 4 - k] : npr_cosine[k - NPR_FFT / 4]; }

/* The periodic Hann window, (1 - cos(2 pi k / NPR_FFT)) / 2, symmetric about the middle. */
static void window(float *frame) {
    frame[0] = 0.0f;
    for (size_t k = 1; k <= HALF; k++) {
        const float weight = 0.5f - 0.5f * npr_cosine[k];
        frame[k] *= weight;
        if (k < HALF) frame[NPR_FFT - k] *= weight;
    }
}

static void swap_pair(float *z, size_t a, size_t b) {
    const float re = z[2 * a], im = z[2 * a + 1];
    z[2 * a] = z[2 * b], z[2 * a + 1] = z[2 * b + 1];
    z[2 * b] = re, z[2 * b + 1] = im;
}

/* Order of the inputs of a transform in place: the index with its bits reversed. */
static void reverse_bits(float *z) {
    size_t reversed = 0;
    for (size_t k = 1; k < HALF; k++) {
        size_t bit = HALF >> 1;
        while (reversed & bit) {
            reversed ^= bit;
            bit >>= 1;
        }
        reversed |= bit;
        if (k < reversed) swap_pair(z, k, reversed);
    }
}

/* Transform of HALF complex numbers (re, im, re, im ...) in place, radix 2 (Cooley & Tukey 1965). */
static void complex_fft(float *z) {
    reverse_bits(z);
    for (size_t size = 1; size < HALF; size *= 2) {
        for (size_t k = 0; k < size; k++) {
            const size_t angle = k * (HALF / size);
            const float wr = cosine(angle), wi = -sine(angle);
            for (size_t pair = k; pair < HALF; pair += 2 * size) {
                float *a = z + 2 * pair, *b = a + 2 * size;
                const float re = b[0] * wr - b[1] * wi, im = b[0] * wi + b[1] * wr;
                b[0] = a[0] - re, b[1] = a[1] - im;
                a[0] += re, a[1] += im;
            }
        }
    }
}

/* |X_k|^2 of the real frame from Z, the transform of its even samples + i * its odd ones:
 * X_k = (Z_k + conj Z_{H-k}) / 2 - i/2 e^{-2 pi i k / N} (Z_k - conj Z_{H-k}). */
void npr_power_spectrum(npr_spectrum *spectrum) {
    float *z = spectrum->frame, *power = spectrum->power;
    window(z);
    complex_fft(z);
    power[0] = (z[0] + z[1]) * (z[0] + z[1]);
    power[HALF] = (z[0] - z[1]) * (z[0] - z[1]);
    for (size_t k = 1; k < HALF; k++) {
        const float *a = z + 2 * k, *b = z + 2 * (HALF - k);
        const float even_re = 0.5f * (a[0] + b[0]), even_im = 0.5f * (a[1] - b[1]);
        const float odd_re = 0.5f * (a[1] + b[1]), odd_im = 0.5f * (b[0] - a[0]);
        const float re = even_re + odd_re * cosine(k) + odd_im * sine(k);
        const float im = even_im + odd_im * cosine(k) - odd_re * sine(k);
        power[k] = re * re + im * im;
    }
}
