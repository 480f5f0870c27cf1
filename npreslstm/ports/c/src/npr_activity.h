/* SPDX-License-Identifier: MIT */
/* Voice activity: 16-bit PCM at 16 kHz in, for every 32 ms whether there is speech: audio/activity.py,
 * decision by decision.
 *
 *     npr_activity activity;                                       // the caller's memory, under 200 bytes
 *     npr_activity_init(&activity);                                // once for each recording
 *     npr_activity_push(&activity, pcm, samples, &decision);       // 1 to NPR_ACTIVITY_HOP samples
 *     npr_activity_flush(&activity, &decision);                    // at the end, until it says NPR_UNDECIDED
 *
 * A decision is about the hop NPR_ACTIVITY_DELAY hops before the one that the push completes.
 */
#ifndef NPR_ACTIVITY_H
#define NPR_ACTIVITY_H

#include "npr.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NPR_ACTIVITY_HOP 512     /* samples that one decision is about */
#define NPR_ACTIVITY_BANDS 7     /* octaves from 8 kHz down to 62 Hz */
#define NPR_ACTIVITY_SMOOTHED 5  /* hops whose scores are averaged */
#define NPR_ACTIVITY_LOOK_BACK 1 /* hops before speech that are kept as well */
#define NPR_ACTIVITY_DELAY (NPR_ACTIVITY_SMOOTHED / 2 + NPR_ACTIVITY_LOOK_BACK)

typedef enum { NPR_UNDECIDED = -1, NPR_NO_SPEECH = 0, NPR_SPEECH = 1 } npr_decision;

typedef struct {
    uint64_t energy[NPR_ACTIVITY_BANDS];   /* of the hop under way */
    int32_t pending[NPR_ACTIVITY_BANDS];   /* sums that wait for their right neighbours */
    int32_t floor[NPR_ACTIVITY_BANDS];     /* 1/256 of a doubling of energy */
    int32_t scores[NPR_ACTIVITY_SMOOTHED]; /* the newest last */
    uint16_t samples;                      /* of the hop under way */
    uint8_t late;                          /* decisions still to be held back */
    uint8_t left;                          /* decisions that flush has still to give */
    uint8_t kept;                          /* hops for which the answer is still yes */
    uint8_t heard;                         /* hops that were not silent, as far as they are counted */
    uint8_t speaking, ended;
} npr_activity;

/* Begin a recording. */
npr_status npr_activity_init(npr_activity *activity);

/* Take in 1 to NPR_ACTIVITY_HOP samples; the decision that they bring, or NPR_UNDECIDED where they complete
 * no hop. */
npr_status npr_activity_push(npr_activity *activity, const int16_t *pcm, size_t samples,
                             npr_decision *decision);

/* End the recording: one of the decisions that are still out at each call, then NPR_UNDECIDED. Pushes are
 * refused from then on. */
npr_status npr_activity_flush(npr_activity *activity, npr_decision *decision);

#ifdef __cplusplus
}
#endif

#endif
