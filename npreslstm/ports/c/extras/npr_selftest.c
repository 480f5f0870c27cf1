/* SPDX-License-Identifier: MIT */
/* Compares with NumPy: the features of a piece of sound and the probabilities that come of them; then, for
 * other features, every frame's h, c, context and logits; and each decision of the voice-activity gate about
 * noise. Exits with 0 only if all agree. */
#include <stdio.h>

#include "npr_subject.h"
#include "npr_vectors.h"

#if NPR_INTEGER
typedef int64_t number;
#define SHOWN "%lld"
#define LARGEST "%lld"
#define PRINTED (long long)
#ifdef NPR_NETWORK_ONLY
#undef NPR_NETWORK_ONLY /* this frontend fits any core, */
#define WITHOUT_STREAM  /* the stream with its ring does not */
#endif
#else
typedef double number; /* holds all values of either type exactly */
#define SHOWN "%.9g"
#define LARGEST "%.1e"
#define PRINTED
#endif

typedef struct {
    unsigned long compared, differing;
    number largest;
} tally;
static npr_state state;
static const npr_model *model;

/* The tolerance of integers is 0. */
static void compare(tally *found, const char *what, int frame, number got, number expected,
                    number tolerance) {
    const number difference = got > expected ? got - expected : expected - got;
    found->compared++;
    found->largest = difference > found->largest ? difference : found->largest;
    /* a NaN is not */
    if (difference <= tolerance || found->differing++ >= 5) { return; }
    printf("frame %d: %s is " SHOWN ", expected " SHOWN "\n", frame, what, PRINTED got, PRINTED expected);
}

/* Whether all agree. */
static int report(const char *what, const tally *found, npr_status status) {
    const char *text = npr_status_text(status);
    printf("%s: %s, %lu values, %lu differ, at most by " LARGEST "\n", what, text, found->compared,
           found->differing, PRINTED found->largest);
    return status == NPR_OK && found->differing == 0;
}

static int network_agrees(void) {
    tally found = {0, 0, 0};
    npr_status status = npr_init(model, &state);
    for (int t = 0; t < NPR_VECTOR_FRAMES && status == NPR_OK; t++) {
        npr_value x[NPR_INPUTS], context[NPR_HIDDEN];
        npr_logit logits[NPR_CLASSES];
        status = npr_normalise(model, npr_vector_features[t], NPR_INPUTS, x);
        if (status == NPR_OK) { status = npr_push_values(model, &state, npr_vector_x[t], NPR_INPUTS); }
        if (status == NPR_OK) { status = npr_logits(model, &state, logits, context); }
        if (status != NPR_OK) { break; }
        for (int k = 0; k < NPR_INPUTS; k++) {
            compare(&found, "x", t, x[k], npr_vector_x[t][k], 10 * NPR_TOLERANCE);
        }
        for (int k = 0; k < NPR_UNITS; k++) {
            compare(&found, "h", t, state.h[k], npr_vector_h[t][k], NPR_TOLERANCE);
        }
        for (int k = 0; k < NPR_UNITS; k++) {
            compare(&found, "c", t, state.c[k], npr_vector_c[t][k], NPR_TOLERANCE);
        }
        compare(&found, "total", t, (number)state.total, (number)npr_vector_total[t][0], 10 * NPR_TOLERANCE);
        for (int k = 0; k < NPR_HIDDEN; k++) {
            compare(&found, "context", t, context[k], npr_vector_context[t][k], NPR_TOLERANCE);
        }
        for (int k = 0; k < NPR_CLASSES; k++) {
            compare(&found, "logit", t, logits[k], npr_vector_logits[t][k], NPR_TOLERANCE);
        }
    }
    return report("network", &found, status);
}

#if !defined(NPR_SOUND_SAMPLES) || defined(NPR_NETWORK_ONLY)
static int sound_agrees(void) { return 1; }
#else
#ifdef NPR_TUNING_FIXED
#include "npr_frontend.h"
static npr_feature features[NPR_SOUND_FRAMES][NPR_INPUTS];
static npr_status hear(size_t *frames) {
    static npr_frontend frontend;
    npr_status status = npr_frontend_init(&frontend);
    for (size_t t = *frames = 0; t < NPR_SOUND_FRAMES && status == NPR_OK; t = ++*frames) {
        const size_t left = NPR_SOUND_SAMPLES - t * NPR_HOP;
        status = npr_frontend_push(&frontend, npr_vector_pcm + t * NPR_HOP, left < NPR_HOP ? left : NPR_HOP,
                                   features[t], NPR_INPUTS);
    }
    return status;
}
#else
#include "npr_clip.h"
static float features[NPR_CLIP_FRAMES(NPR_SOUND_SAMPLES)][NPR_INPUTS],
    workspace[NPR_CLIP_FLOATS(NPR_SOUND_SAMPLES)];
static npr_status hear(size_t *frames) {
    static npr_spectrum spectrum;
    return npr_clip_features(npr_vector_pcm, NPR_SOUND_SAMPLES, &spectrum, workspace,
                             NPR_CLIP_FLOATS(NPR_SOUND_SAMPLES), features[0],
                             NPR_CLIP_FRAMES(NPR_SOUND_SAMPLES), frames);
}
#endif

static int sound_agrees(void) {
    tally mfcc = {0, 0, 0}, chroma = mfcc, result = mfcc;
    npr_probability probabilities[NPR_CLASSES];
    size_t frames, label = 0;
    npr_status status = hear(&frames);
    if (status == NPR_OK) { status = frames == NPR_SOUND_FRAMES ? npr_init(model, &state) : NPR_ERROR_SIZE; }
    for (int t = 0; t < NPR_SOUND_FRAMES && status == NPR_OK; t++) {
        const npr_feature *got = features[t], *expected = npr_vector_sound[t];
        for (int k = 0; k < NPR_MFCC; k++) {
            compare(&mfcc, "MFCC", t, got[k], expected[k], NPR_MFCC_TOLERANCE);
        }
        for (int k = NPR_MFCC; k < NPR_INPUTS; k++) {
            compare(&chroma, "chroma", t, got[k], expected[k], NPR_CHROMA_TOLERANCE);
        }
        status = npr_push_frame(model, &state, got, NPR_INPUTS);
    }
    if (status == NPR_OK) { status = npr_result(model, &state, probabilities, NPR_CLASSES, &label); }
    for (int k = 0; k < NPR_CLASSES && status == NPR_OK; k++) {
        compare(&result, "probability", NPR_SOUND_FRAMES, probabilities[k], npr_vector_probabilities[k],
                NPR_PROBABILITY_TOLERANCE);
    }
    printf("sound: %d frames, result %s\n", NPR_SOUND_FRAMES, model->labels[label]);
    int agree = report("MFCC", &mfcc, status);
    agree &= report("chroma", &chroma, status);
    return agree & report("probabilities", &result, status);
}
#endif

#if !defined(NPR_ACTIVITY) || defined(NPR_NETWORK_ONLY)
static int activity_agrees(void) { return 1; }
#else
#include "npr_activity.h"
/* A hop of noise in pieces of 200 samples; its loudness is of 256. */
static npr_status push_noise(npr_activity *activity, uint32_t *noise, int32_t loudness,
                             npr_decision *decision) {
    int16_t pcm[NPR_ACTIVITY_HOP];
    for (int k = 0; k < NPR_ACTIVITY_HOP; k++) {
        *noise = *noise * 1664525u + 1013904223u;
        pcm[k] = (int16_t)(((int32_t)(*noise >> 16) - 32768) * loudness / 256);
    }
    npr_status status = npr_activity_push(activity, pcm, 200, decision);
    if (status == NPR_OK) { status = npr_activity_push(activity, pcm + 200, 200, decision); }
    if (status == NPR_OK) {
        status = npr_activity_push(activity, pcm + 400, NPR_ACTIVITY_HOP - 400, decision);
    }
    return status;
}

static int activity_agrees(void) {
    static npr_activity activity;
    tally found = {0, 0, 0};
    uint32_t noise = NPR_ACTIVITY_SEED;
    npr_decision decision;
    npr_status status = npr_activity_init(&activity);
    for (int t = 0, k = 0; k <= NPR_ACTIVITY_HOPS && status == NPR_OK; t++) {
        if (t < NPR_ACTIVITY_HOPS) {
            status = push_noise(&activity, &noise, npr_vector_loudness[t], &decision);
            compare(&found, "score", t, activity.scores[NPR_ACTIVITY_SMOOTHED - 1], npr_vector_scores[t], 0);
        } else {
            status = npr_activity_flush(&activity, &decision);
        }
        if (t < NPR_ACTIVITY_DELAY) { continue; }
        compare(&found, "speech", k, decision, k < NPR_ACTIVITY_HOPS ? npr_vector_speech[k] : NPR_UNDECIDED,
                0);
        k++;
    }
    return report("activity", &found, status);
}
#endif

#if !defined(NPR_STREAM) || defined(NPR_NETWORK_ONLY)
static int rates_agree(void) { return 1; }
#define WITHOUT_STREAM
#else
#include "npr_stream.h"
static npr_status compare_rate(tally *found, const npr_rate *rate, const int16_t *expected, size_t samples) {
    static npr_decimator decimator;
    npr_status status = npr_decimator_init(&decimator, rate);
    size_t n = 0;
    for (int k = 0; k < NPR_RATE_SAMPLES && status == NPR_OK; k++) {
        int16_t sample;
        if (!npr_decimate(&decimator, npr_vector_noise[k], &sample)) { continue; }
        if (n == samples) { return NPR_ERROR_SIZE; }
        compare(found, "sample", (int)n, sample, expected[n], 0);
        n++;
    }
    return n == samples ? status : NPR_ERROR_SIZE;
}

static int rates_agree(void) {
    tally found = {0, 0, 0};
    npr_status status = compare_rate(&found, &npr_rate_44100, npr_vector_from_44100,
                                     sizeof npr_vector_from_44100 / sizeof(int16_t));
    if (status == NPR_OK) {
        status = compare_rate(&found, &npr_rate_48000, npr_vector_from_48000,
                              sizeof npr_vector_from_48000 / sizeof(int16_t));
    }
    return report("rates", &found, status);
}

#endif

#ifdef WITHOUT_STREAM
static int stream_agrees(void) { return 1; }
#else
static void compare_event(tally *found, int nth, const npr_event *event) {
    const int inside = nth < NPR_EVENTS;
    const int32_t nothing[3] = {NPR_NOTHING, 0, 0}, *expected = inside ? npr_vector_events[nth] : nothing;
    compare(found, "kind of event", nth, event->kind, expected[0], 0);
    if (!inside) { return; }
    compare(found, "hop of event", nth, event->hop, expected[1], 0);
    compare(found, "label of event", nth, (number)event->label, expected[2], 0);
    for (int k = 0; k < NPR_CLASSES; k++) {
        compare(found, "probability", nth, event->probabilities[k], npr_vector_chances[nth][k],
                NPR_PROBABILITY_TOLERANCE);
    }
}

/* Noise in two utterances, in blocks of 1 to 700 samples; at the end a block that is too large by 5 for the
 * ring. */
static int stream_agrees(void) {
    static npr_stream stream;
    static int16_t ring[1024], block[1024 + 5];
    tally found = {0, 0, 0};
    int events = 0;
    uint32_t noise = NPR_ACTIVITY_SEED;
    npr_event event = {NPR_NOTHING, 0, 0, 0, {0}};
    npr_status status = npr_stream_init(&stream, model, &npr_rate_16000, ring, 1024);
    for (size_t k = 0, size = 1; k < NPR_SPOKEN_HOPS * NPR_HOP && status == NPR_OK; size = size * 3 % 701) {
        size_t n = 0;
        for (; n < size && k < NPR_SPOKEN_HOPS * NPR_HOP; n++, k++) {
            noise = noise * 1664525u + 1013904223u;
            block[n] = (int16_t)(((int32_t)(noise >> 16) - 32768) * npr_vector_spoken[k / NPR_HOP] / 256);
        }
        status = npr_stream_write(&stream, block, n);
        if (status == NPR_OK) { status = npr_stream_poll(&stream, &event); }
        if (event.kind != NPR_NOTHING) { compare_event(&found, events++, &event); }
    }
    if (status == NPR_OK) { status = npr_stream_finish(&stream, &event); }
    for (; status == NPR_OK && events < NPR_EVENTS; status = npr_stream_finish(&stream, &event)) {
        compare_event(&found, events++, &event);
    }
    if (status == NPR_OK) { compare_event(&found, events, &event); }
    if (status == NPR_OK) { status = npr_stream_init(&stream, model, &npr_rate_16000, ring, 1024); }
    compare(&found, "overrun", 0, npr_stream_write(&stream, block, 1024 + 5), NPR_ERROR_OVERRUN, 0);
    if (status == NPR_OK) { status = npr_stream_poll(&stream, &event); }
    compare(&found, "samples lost", 0, event.kind == NPR_OVERRUN ? event.lost : 0, 5, 0);
    return report("stream", &found, status);
}
#endif

int main(void) {
    model = npr_subject();
    const npr_status intact = npr_verify(model);
    printf("npreslstm " NPR_TYPE ", weights " NPR_SHA256 "\nchecksum: %s\n", npr_status_text(intact));
    int passed = intact == NPR_OK;
    if (model == NULL) { return 1; }
    passed &= sound_agrees();
    passed &= network_agrees();
    passed &= activity_agrees();
    passed &= rates_agree();
    passed &= stream_agrees();
    printf("%s\n", passed ? "PASS" : "FAIL");
    return passed ? 0 : 1;
}
