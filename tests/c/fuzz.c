/* SPDX-License-Identifier: MIT */
/* Calls the interface at random with good and bad arguments, to be built with -fsanitize=address,undefined:
 * npr_fuzz STEPS SEED. Exits with 1 if a status contradicts the call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npr.h"
#include "npr_activity.h"
#include "npr_frontend.h"
#include "npr_stream.h"

static uint32_t seed;
static uint32_t draw(uint32_t n) { /* xorshift32 (Marsaglia 2003) */
    seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
    return (seed >> 3) % n;
}

static float any_float(void) {
    uint32_t bits = seed ^ (draw(1u << 29) << 3);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int finite_float(float value) { return value - value == 0.0f; }

static void require(int good, const char *what) {
    if (good) { return; }
    printf("broken: %s\n", what);
    exit(1);
}

static uint32_t pushed;

static void push_features(npr_state *state) {
    float features[NPR_INPUTS];
    const int wild = draw(4) == 0;
    int finite = 1;
    for (int k = 0; k < NPR_INPUTS; k++) {
        features[k] = wild ? any_float() : (float)draw(2000) * 0.05f - 50.0f;
        finite = finite && finite_float((features[k] - npr_weights.mean[k]) * npr_weights.inverse_std[k]);
    }
    const npr_state before = *state;
    const npr_status status = npr_push_frame(&npr_weights, state, features, NPR_INPUTS);
    require(status == (finite ? NPR_OK : NPR_ERROR_VALUE), "push of a frame");
    require(finite || memcmp(&before, state, sizeof before) == 0, "a refused frame changed the state");
    pushed += finite;
}

static void push_values(npr_state *state) {
    npr_value x[3 * NPR_INPUTS];
    unsigned char *byte = (unsigned char *)x;
    for (size_t k = 0; k < sizeof x; k++) { byte[k] = (unsigned char)draw(256); }
    const npr_status status = npr_push_values(&npr_weights, state, x, 3 * NPR_INPUTS);
    require(status == NPR_OK || status == NPR_ERROR_VALUE, "push of values");
    pushed += status == NPR_OK ? 3 : 0;
}

static void ask(const npr_state *state) {
    float probabilities[NPR_CLASSES], total = 0.0f;
    size_t label = 99;
    const npr_status status = npr_result(&npr_weights, state, probabilities, NPR_CLASSES, &label);
    require(status == (pushed ? NPR_OK : NPR_ERROR_EMPTY), "result");
    if (status != NPR_OK) { return; }
    for (int k = 0; k < NPR_CLASSES; k++) { total += probabilities[k]; }
    require(label < NPR_CLASSES && total > 0.999f && total < 1.001f, "probabilities");
}

static void misuse(npr_state *state) {
    float features[NPR_INPUTS] = {0}, probabilities[NPR_CLASSES];
    npr_value x[NPR_INPUTS];
    npr_logit logits[NPR_CLASSES];
    npr_state other;
    npr_model strange = npr_weights;
    size_t label;
    memset(&other, 0x5a, sizeof other);
    strange.format += 1u;
    require(npr_init(NULL, state) == NPR_ERROR_NULL && npr_init(&npr_weights, NULL) == NPR_ERROR_NULL,
            "init NULL");
    require(npr_init(&strange, &other) == NPR_ERROR_FORMAT && npr_verify(&strange) == NPR_ERROR_FORMAT,
            "another format");
    strange.format -= 1u, strange.hidden += 1;
    require(npr_push_frame(&strange, state, features, NPR_INPUTS) == NPR_ERROR_FORMAT, "other sizes");
    strange.hidden -= 1, strange.crc ^= 1u;
    require(npr_push_frame(&strange, state, features, NPR_INPUTS) == NPR_ERROR_STATE,
            "the state of another model");
    require(npr_push_frame(&npr_weights, &other, features, NPR_INPUTS) == NPR_ERROR_STATE, "no init");
    require(npr_reset(&npr_weights, &other) == NPR_ERROR_STATE, "reset without init");
    require(npr_push_frame(&npr_weights, state, NULL, NPR_INPUTS) == NPR_ERROR_NULL, "features NULL");
    require(npr_push_frame(&npr_weights, NULL, features, NPR_INPUTS) == NPR_ERROR_NULL, "state NULL");
    require(npr_push_frame(&npr_weights, state, features, draw(NPR_INPUTS)) == NPR_ERROR_SIZE,
            "too few features");
    require(npr_normalise(&npr_weights, features, NPR_INPUTS + 1, x) == NPR_ERROR_SIZE, "too many features");
    require(npr_push_values(&npr_weights, state, x, 0) == NPR_ERROR_SIZE, "no values");
    require(npr_push_values(&npr_weights, state, x, ((size_t)-1 / NPR_INPUTS) * NPR_INPUTS) == NPR_ERROR_FULL,
            "endless values");
    require(npr_logits(&npr_weights, state, NULL, NULL) == NPR_ERROR_NULL, "logits NULL");
    require(npr_logits(&npr_weights, &other, logits, NULL) == NPR_ERROR_STATE, "logits without init");
    require(npr_result(&npr_weights, state, probabilities, NPR_CLASSES - 1, &label) == NPR_ERROR_SIZE,
            "too few probabilities");
    require(npr_result(&npr_weights, state, NULL, NPR_CLASSES, &label) == NPR_ERROR_NULL,
            "probabilities NULL");
    require(npr_result(&npr_weights, state, probabilities, NPR_CLASSES, NULL) == NPR_ERROR_NULL,
            "label NULL");
    for (int k = -3; k < 20; k++) { require(npr_status_text((npr_status)k) != NULL, "status text"); }
}

static void frontend_step(npr_frontend *frontend) {
    int16_t pcm[NPR_HOP];
    float features[NPR_MFCC + NPR_CHROMA] = {0};
    const uint32_t kind = draw(4), range = kind == 0 ? 1 : kind == 1 ? 3 : 65536;
    for (int k = 0; k < NPR_HOP; k++) { pcm[k] = (int16_t)((int)draw(range) - (int)(range / 2)); }
    const npr_status expected = frontend->ended ? NPR_ERROR_STATE : NPR_OK;
    const size_t samples = draw(2) ? NPR_HOP : 1 + draw(NPR_HOP);
    require(npr_frontend_push(frontend, pcm, samples, features, NPR_MFCC + NPR_CHROMA) == expected,
            "frontend");
    if (frontend->ended && draw(2)) { require(npr_frontend_init(frontend) == NPR_OK, "next clip"); }
    for (int k = 0; k < NPR_MFCC + NPR_CHROMA; k++) { require(finite_float(features[k]), "finite features"); }
    require(npr_frontend_push(frontend, pcm, 0, features, NPR_MFCC + NPR_CHROMA) == NPR_ERROR_SIZE,
            "no samples");
    require(npr_frontend_push(frontend, pcm, NPR_HOP + 1, features, NPR_MFCC + NPR_CHROMA) == NPR_ERROR_SIZE,
            "too many samples");
    require(npr_frontend_push(frontend, NULL, NPR_HOP, features, NPR_MFCC + NPR_CHROMA) == NPR_ERROR_NULL,
            "pcm NULL");
    require(npr_frontend_init(NULL) == NPR_ERROR_NULL, "frontend NULL");
}

static void activity_step(npr_activity *activity) {
    int16_t pcm[NPR_ACTIVITY_HOP];
    npr_decision decision = NPR_UNDECIDED;
    const uint32_t range = draw(4) ? 1 + draw(65536) : 1;
    for (int k = 0; k < NPR_ACTIVITY_HOP; k++) { pcm[k] = (int16_t)((int)draw(range) - (int)(range / 2)); }
    const size_t samples = draw(2) ? NPR_ACTIVITY_HOP : 1 + draw(NPR_ACTIVITY_HOP);
    const npr_status expected = activity->ended ? NPR_ERROR_STATE : NPR_OK;
    require(npr_activity_push(activity, pcm, samples, &decision) == expected, "activity");
    require(decision >= NPR_UNDECIDED && decision <= NPR_SPEECH, "decision");
    require(npr_activity_push(activity, pcm, NPR_ACTIVITY_HOP + 1, &decision) == NPR_ERROR_SIZE,
            "a long push");
    if (draw(50) == 0) { require(npr_activity_flush(activity, &decision) == NPR_OK, "flush"); }
    if (activity->ended && draw(2)) { require(npr_activity_init(activity) == NPR_OK, "next recording"); }
}

static int16_t *ring;

static void begin_stream(npr_stream *stream) {
    const npr_rate *rates[] = {&npr_rate_16000, &npr_rate_44100, &npr_rate_48000};
    require(npr_stream_init(stream, &npr_weights, rates[draw(3)], ring, 256) == NPR_OK, "stream");
}

static void stream_step(npr_stream *stream) {
    int16_t pcm[700];
    npr_event event;
    const size_t samples = draw(701), room = npr_stream_room(stream);
    const uint32_t range = 1 + draw(65536);
    for (size_t k = 0; k < samples; k++) { pcm[k] = (int16_t)((int)draw(range) - (int)(range / 2)); }
    const npr_status written = npr_stream_write(stream, samples > 0 ? pcm : NULL, samples);
    const npr_status expected = stream->finished ? NPR_ERROR_STATE : NPR_OK;
    require(written == (expected == NPR_OK && samples > room ? NPR_ERROR_OVERRUN : expected), "write");
    npr_status status = npr_stream_poll(stream, &event);
    require(status == expected, "poll");
    require(status != NPR_OK || written == NPR_OK || event.kind == NPR_OVERRUN,
            "an overrun that is not told");
    while (status == NPR_OK && event.kind != NPR_NOTHING) {
        require(event.label < NPR_CLASSES && event.kind <= NPR_OVERRUN, "event");
        status = npr_stream_poll(stream, &event);
    }
    if (draw(100) == 0) {
        do {
            require(npr_stream_finish(stream, &event) == NPR_OK, "finish");
        } while (event.kind != NPR_NOTHING);
    }
    if (stream->finished && draw(2)) { begin_stream(stream); }
    require(npr_stream_init(stream, &npr_weights, &npr_rate_16000, ring, 255) == NPR_ERROR_SIZE,
            "a ring of 255");
}

int main(int argc, char **argv) {
    require(argc == 3, "usage: npr_fuzz STEPS SEED");
    const long steps = strtol(argv[1], NULL, 10);
    seed = (uint32_t)strtoul(argv[2], NULL, 10) | 1u;
    /* on the heap, where the sanitizer sees a step beyond its end */
    npr_state *state = (npr_state *)malloc(sizeof *state);
    npr_frontend *frontend = (npr_frontend *)malloc(sizeof *frontend);
    npr_activity *activity = (npr_activity *)malloc(sizeof *activity);
    npr_stream *stream = (npr_stream *)malloc(sizeof *stream);
    ring = (int16_t *)malloc(256 * sizeof *ring);
    begin_stream(stream);
    require(npr_verify(&npr_weights) == NPR_OK && npr_init(&npr_weights, state) == NPR_OK &&
                npr_frontend_init(frontend) == NPR_OK,
            "init");
    require(npr_activity_init(activity) == NPR_OK, "init");
    npr_model damaged = npr_weights;
    damaged.crc ^= 1u;
    require(npr_verify(&damaged) == NPR_ERROR_DAMAGED, "checksum");
    for (long k = 0; k < steps; k++) {
        switch (draw(16)) {
            case 0: misuse(state); break;
            case 1: require(npr_reset(&npr_weights, state) == NPR_OK, "reset"), pushed = 0; break;
            case 2:
            case 3: ask(state); break;
            case 4: frontend_step(frontend); break;
            case 6: activity_step(activity); break;
            case 7: stream_step(stream); break;
            case 5: push_values(state); break;
            default: push_features(state);
        }
    }
    free(state), free(frontend), free(activity), free(stream), free(ring);
    printf("%ld steps\n", steps);
    return 0;
}
