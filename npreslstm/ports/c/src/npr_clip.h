/* SPDX-License-Identifier: MIT */
/* The features of a whole clip at once, for configurations that look at all of it: silence trimmed, centred
 * frames, one tuning and one loudest band for the clip, as librosa does by default. Mono samples at
 * NPR_SAMPLE_RATE.
 *
 *     npr_clip_size(samples, &frames, &floats);              // at most
 *     npr_clip_features(pcm, samples, &spectrum, workspace, floats, features, frames, &frames);
 *
 * `features` is (frames, NPR_MFCC + NPR_CHROMA); all memory is the caller's. Every spectrum is computed
 * twice, since the tuning is known only after the last frame and the spectra of a clip would take 1 MB. */
#ifndef NPR_CLIP_H
#define NPR_CLIP_H

#include "npr_frontend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The most frames that a clip of `samples` can have, and the floats of workspace to give: to know when
 * compiling, and otherwise. */
#define NPR_CLIP_FRAMES(samples) (1 + (size_t)(samples) / NPR_HOP)
#define NPR_CLIP_PEAKS(samples) \
    (NPR_CLIP_FRAMES(samples) * ((NPR_PITCH_STOP - NPR_PITCH_START) / 2 + 1)) /* at most */
#define NPR_CLIP_MAX(a, b) ((a) > (b) ? (a) : (b)) /* chroma weights take the place of the peaks */
#define NPR_CLIP_FLOATS(samples) \
    (NPR_CLIP_FRAMES(samples) * NPR_MELS + NPR_CLIP_MAX(2 * NPR_CLIP_PEAKS(samples), NPR_CHROMA * NPR_BINS))
npr_status npr_clip_size(size_t samples, size_t *frames, size_t *floats);

/* Features of a clip; `capacity` frames fit into `features`, `frames` says how many there are. */
npr_status npr_clip_features(const int16_t *pcm, size_t samples, npr_spectrum *spectrum, float *workspace,
                             size_t floats, float *features, size_t capacity, size_t *frames);

/* Generated: pitch of every bin at A440, in classes from A, modulo NPR_CHROMA. */
extern const float npr_pitch[NPR_BINS];

#ifdef __cplusplus
}
#endif

#endif
