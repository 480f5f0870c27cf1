/* SPDX-License-Identifier: MIT */
/* audio/mfcc.py and audio/chroma.py: features of a power spectrum; and the frontend that streams. */
#include <string.h>

#include "npr_frontend.h"
#include "npr_math.h"

/* Decibels in mel bands, not below NPR_FLOOR. */
void npr_log_mel(npr_spectrum *spectrum) {
    const float *weight = npr_mel_weights;
    for (size_t m = 0; m < NPR_MELS; m++) {
        const float *power = spectrum->power + npr_mel_start[m];
        float sum = 0.0f;
        for (size_t k = 0; k < npr_mel_count[m]; k++) { sum += *weight++ * power[k]; }
        spectrum->mel[m] = 3.01029996f * npr_log2(sum > NPR_FLOOR ? sum : NPR_FLOOR); /* 10 log10(2) */
    }
}

/* Decibels in Q15, to the nearest. */
static int32_t fixed(float decibels) {
    const float scaled = decibels * 32768.0f;
    return (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
}

/* Orthonormal DCT-II, the first NPR_MFCC coefficients: cos(pi k (2m + 1) / 2M) is every (NPR_FFT / 4M)-th
 * table entry. Bands m and M - 1 - m have the same cosine but for the sign (-1)^k: their sums serve even k,
 * their differences odd k. */
void npr_mfcc(const float *log_mel, float *mfcc) {
    int32_t folded[2][NPR_MELS / 2];
    for (size_t m = 0; m < NPR_MELS / 2; m++) {
        const int32_t left = fixed(log_mel[m]), right = fixed(log_mel[NPR_MELS - 1 - m]);
        folded[0][m] = left + right, folded[1][m] = left - right;
    }
    for (size_t k = 0; k < NPR_MFCC; k++) {
        const size_t step = k * (NPR_FFT / (4 * NPR_MELS));
        int64_t sum = 0;
        for (size_t m = 0, angle = step; m < NPR_MELS / 2; m++, angle += 2 * step) {
            const size_t a = angle & (NPR_FFT - 1);
            sum += (int64_t)folded[k % 2][m] * npr_cosine[a <= NPR_FFT / 2 ? a : NPR_FFT - a];
        }
        mfcc[k] = (float)sum * (k == 0 ? NPR_DCT_FIRST : NPR_DCT_OTHERS);
    }
}

/* Divide by the largest; silence stays as it is. */
void npr_normalise_chroma(float *chroma) {
    float largest = chroma[0];
    for (size_t p = 1; p < NPR_CHROMA; p++) { largest = chroma[p] > largest ? chroma[p] : largest; }
    if (largest < 1.17549435e-38f) { return; }
    for (size_t p = 0; p < NPR_CHROMA; p++) { chroma[p] /= largest; }
}

#ifdef NPR_TUNING_FIXED

void npr_chroma(const float *power, float *chroma) {
    const float *weight = npr_chroma_weights;
    for (size_t p = 0; p < NPR_CHROMA; p++) { chroma[p] = 0.0f; }
    for (size_t k = 0; k < NPR_BINS; k++) {
        size_t p = npr_chroma_start[k];
        for (size_t left = npr_chroma_count[k]; left > 0; left--) {
            chroma[p] += *weight++ * power[k];
            p = p + 1 == NPR_CHROMA ? 0 : p + 1;
        }
    }
    npr_normalise_chroma(chroma);
}

npr_status npr_frontend_init(npr_frontend *frontend) {
    if (frontend == NULL) { return NPR_ERROR_NULL; }
    memset(frontend, 0, sizeof *frontend);
    return NPR_OK;
}

npr_status npr_frontend_push(npr_frontend *frontend, const int16_t *pcm, size_t samples, float *features,
                             size_t count) {
    if (frontend == NULL || pcm == NULL || features == NULL) { return NPR_ERROR_NULL; }
    if (samples == 0 || samples > NPR_HOP || count != NPR_MFCC + NPR_CHROMA) { return NPR_ERROR_SIZE; }
    if (frontend->ended) { return NPR_ERROR_STATE; }
    frontend->ended = samples < NPR_HOP;
    int16_t *kept = frontend->samples;
    memmove(kept, kept + NPR_HOP, (NPR_FFT - NPR_HOP) * sizeof *kept);
    memset(kept + NPR_FFT - NPR_HOP, 0, NPR_HOP * sizeof *kept);
    memcpy(kept + NPR_FFT - NPR_HOP, pcm, samples * sizeof *kept);
    npr_spectrum *spectrum = &frontend->spectrum;
    for (size_t k = 0; k < NPR_FFT; k++) { spectrum->frame[k] = kept[k]; }
    npr_power_spectrum(spectrum);
    npr_log_mel(spectrum);
    npr_mfcc(spectrum->mel, features);
    npr_chroma(spectrum->power, features + NPR_MFCC);
    return NPR_OK;
}

#endif
