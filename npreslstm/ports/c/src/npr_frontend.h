/* SPDX-License-Identifier: MIT */
/* 16-bit PCM in, raw features (NPR_MFCC cepstral coefficients, NPR_CHROMA pitch classes) out: audio/ of the
 * Python package, or integer/frontend.py where NPR_INTEGER is set.
 *
 *     npr_frontend frontend;                                         // the caller's memory
 *     npr_frontend_init(&frontend);                                  // once for each clip
 *     npr_frontend_push(&frontend, pcm, NPR_HOP, features, NPR_INPUTS);  // a frame: every NPR_HOP samples
 *
 * A frame ends with the newest sample; before the first sample there are zeros. Collect NPR_HOP samples where
 * they come in smaller blocks: a push of fewer ends the clip, with zeros for the rest of its frame, and the
 * next one is refused.
 */
#ifndef NPR_FRONTEND_H
#define NPR_FRONTEND_H

#include "npr.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NPR_BINS (NPR_FFT / 2 + 1)

#if NPR_INTEGER

typedef struct {
    /* the windowed frame, then its transform, then mantissa and exponent of each bin's power */
    int32_t bins[2 * NPR_BINS];
    int32_t levels[NPR_MELS]; /* log2 of the mel bands, Q16 */
    int16_t samples[NPR_FFT];
    int32_t ended; /* by a push of fewer samples than NPR_HOP */
} npr_frontend;

#else

/* Memory of one frame's transforms. */
typedef struct {
    int32_t frame[NPR_FFT];
    float power[NPR_BINS];
    float mel[NPR_MELS];
} npr_spectrum;

typedef struct {
    npr_spectrum spectrum;
    int16_t samples[NPR_FFT];
    int32_t ended; /* by a push of fewer samples than NPR_HOP */
} npr_frontend;

#endif

/* Begin a clip. */
npr_status npr_frontend_init(npr_frontend *frontend);

/* Take in 1 to NPR_HOP samples; write the features of the frame that they complete: count = NPR_MFCC +
 * NPR_CHROMA. */
npr_status npr_frontend_push(npr_frontend *frontend, const int16_t *pcm, size_t samples,
                             npr_feature *features, size_t count);

#if NPR_INTEGER

/* Generated. */
/* -cos(2 pi k / NPR_FFT) in Q15, the last one unit short of 1 */
extern const int16_t npr_cosine[NPR_FFT / 2 + 1];
extern const uint16_t npr_mel_start[NPR_MELS];
extern const uint8_t npr_mel_count[NPR_MELS];
/* of npr_mel_count[m] bins from npr_mel_start[m] on, band after band */
extern const uint16_t npr_mel_weights[];
extern const int32_t npr_mel_offset[NPR_MELS]; /* log2 of what a band's weights were divided by, Q16 */
extern const uint8_t npr_chroma_start[NPR_BINS], npr_chroma_count[NPR_BINS];
/* of npr_chroma_count[k] classes from npr_chroma_start[k] on, cyclic */
extern const int16_t npr_chroma_weights[];
extern const uint8_t npr_chroma_down[NPR_BINS]; /* the weights of bin k are in units of 2^-down */
extern const uint16_t npr_log2_table[129];      /* log2(1 + k / 128) in Q16, the last one unit short of 1 */

#else

/* Not for callers, and nothing in them can fail: `frame`, 16-bit samples, into `power`; `power` into `mel` in
 * decibels; MFCC; chroma. */
void npr_power_spectrum(npr_spectrum *spectrum);
void npr_log_mel(npr_spectrum *spectrum);
void npr_mfcc(const float *log_mel, float *mfcc);
void npr_chroma(const float *power, float *chroma);
void npr_normalise_chroma(float *chroma);

/* Generated. */
extern const int32_t npr_cosine[NPR_FFT / 2 + 1]; /* cos(2 pi k / NPR_FFT) in Q30, the last 1 - 2^30 */
extern const uint16_t npr_mel_start[NPR_MELS], npr_mel_count[NPR_MELS];
extern const float npr_mel_weights[]; /* of npr_mel_count[m] bins from npr_mel_start[m] on, band after band */
#ifdef NPR_TUNING_FIXED
extern const uint8_t npr_chroma_start[NPR_BINS], npr_chroma_count[NPR_BINS];
/* of npr_chroma_count[k] classes from npr_chroma_start[k] on, cyclic */
extern const float npr_chroma_weights[];
#endif

#endif

#ifdef __cplusplus
}
#endif

#endif
