/* SPDX-License-Identifier: MIT */
/* audio/activity.py: an energy gate over a noise floor, in integers. Nothing that is shifted right is
 * negative. */
#include <string.h>

#include "npr_activity.h"

#define BANDS NPR_ACTIVITY_BANDS
#define SMOOTHED NPR_ACTIVITY_SMOOTHED
#define FAINT 1024u /* the constants are those of audio/activity.py */
#define SILENT 1536u
#define RISE 5
#define FALL 4
#define FIRST_HOPS 16
#define FIRST_FALL 2
#define CREEP 6
#define CAP 500
#define THRESHOLD 1200
#define RELEASE 600
#define HANGOVER 1

/* Haar's wavelets: each difference of neighbours goes into its band's energy, each sum to the next band. A
 * sum is ready when the bits of the sample's number up to the band's are ones. */
static void take(npr_activity *activity, int32_t sum) {
    unsigned number = activity->samples++;
    for (int band = 0; band < BANDS; band++, number >>= 1) {
        if ((number & 1u) == 0) {
            activity->pending[band] = sum;
            return;
        }
        const int64_t difference = activity->pending[band] - sum;
        activity->energy[band] += (uint64_t)(difference * difference);
        sum += activity->pending[band];
    }
}

/* 256 log2 of an integer from 256 on, straight lines between the powers of two. */
static int32_t log2_of(uint64_t value) {
    int32_t whole = 7;
    for (; value >= 512; value >>= 1) { whole++; }
    return 256 * whole + (int32_t)value;
}

/* How far a floor moves where the level is so far above it. */
static int32_t step(int32_t above, int speaking, int fall) {
    if (above < 0) { return -(-above >> fall); }
    if (speaking) { return above < CREEP ? above : CREEP; }
    return above >> RISE;
}

/* Move the floors, and add up what is above them. */
static int32_t score(npr_activity *activity) {
    const int fall = activity->heard < FIRST_HOPS ? FIRST_FALL : FALL;
    int32_t sum = 0;
    for (int band = 0; band < BANDS; band++) {
        const int32_t level = log2_of(activity->energy[band] + FAINT);
        int32_t *floor = &activity->floor[band];
        if (activity->heard == 0) { *floor = level; }
        *floor += step(level - *floor, activity->speaking, fall);
        const int32_t above = level - *floor;
        sum += above < 0 ? 0 : above < CAP ? above : CAP;
    }
    if (activity->heard < FIRST_HOPS) { activity->heard++; }
    return sum;
}

/* Take in the energies of a hop, and make room for the next one. */
static npr_decision decide(npr_activity *activity) {
    int32_t *scores = activity->scores, total = 0;
    uint64_t energy = 0;
    for (int band = 0; band < BANDS; band++) { energy += activity->energy[band]; }
    memmove(scores, scores + 1, (SMOOTHED - 1) * sizeof *scores);
    scores[SMOOTHED - 1] = energy < SILENT ? 0 : score(activity);
    memset(activity->energy, 0, sizeof activity->energy);
    activity->samples = 0;
    for (int k = 0; k < SMOOTHED; k++) { total += scores[k]; }
    activity->speaking = total > SMOOTHED * (activity->speaking ? RELEASE : THRESHOLD);
    if (activity->speaking) {
        activity->kept = NPR_ACTIVITY_LOOK_BACK + 1 + HANGOVER;
    } else if (activity->kept > 0) {
        activity->kept--;
    }
    if (activity->late > 0) {
        activity->late--;
        return NPR_UNDECIDED;
    }
    return activity->kept > 0 ? NPR_SPEECH : NPR_NO_SPEECH;
}

npr_status npr_activity_init(npr_activity *activity) {
    if (activity == NULL) { return NPR_ERROR_NULL; }
    memset(activity, 0, sizeof *activity);
    activity->late = NPR_ACTIVITY_DELAY;
    return NPR_OK;
}

npr_status npr_activity_push(npr_activity *activity, const int16_t *pcm, size_t samples,
                             npr_decision *decision) {
    if (activity == NULL || pcm == NULL || decision == NULL) { return NPR_ERROR_NULL; }
    if (samples == 0 || samples > NPR_ACTIVITY_HOP) { return NPR_ERROR_SIZE; }
    if (activity->ended) { return NPR_ERROR_STATE; }
    *decision = NPR_UNDECIDED;
    for (size_t k = 0; k < samples; k++) {
        take(activity, pcm[k]);
        if (activity->samples < NPR_ACTIVITY_HOP) { continue; }
        *decision = decide(activity);
        if (*decision == NPR_UNDECIDED) { activity->left++; }
    }
    return NPR_OK;
}

npr_status npr_activity_flush(npr_activity *activity, npr_decision *decision) {
    if (activity == NULL || decision == NULL) { return NPR_ERROR_NULL; }
    *decision = NPR_UNDECIDED;
    activity->ended = 1;
    if (activity->left == 0) { return NPR_OK; }
    activity->left--;
    /* of samples that complete no hop; digital silence follows */
    memset(activity->energy, 0, sizeof activity->energy);
    while (*decision == NPR_UNDECIDED) { *decision = decide(activity); }
    return NPR_OK;
}
