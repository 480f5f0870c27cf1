/* SPDX-License-Identifier: MIT */
/* The ears of the listening page: samples of a microphone in; for every 32 ms of them 512 samples at 16 kHz,
 * log-mel bands, chroma, and whether there was speech out. All of it is the exported C; here are the buffers
 * and the calls. */
#include "npr_activity.h"
#include "npr_frontend.h"
#include "npr_math.h"
#include "npr_stream.h"

#define EXPORT(name) __attribute__((export_name(#name)))
#define ROOM 4096                 /* samples of one push */
#define HOPS (ROOM / NPR_HOP + 1) /* that it may complete */
#define LOWEST 1e-20f             /* of a band: -200 dB, which no gain of the page lifts above a floor */

static npr_decimator decimator;
static npr_frontend frontend;
static npr_activity activity;
static int16_t input[ROOM];
static int16_t pcm[HOPS + 1][NPR_HOP]; /* the last one is under way */
static float mel[HOPS][NPR_MELS];
static float chroma[HOPS][NPR_CHROMA];
static int32_t decisions[HOPS]; /* about the hop NPR_ACTIVITY_DELAY before; -1: none yet */
static size_t waiting;          /* samples at 16 kHz of the hop under way, in pcm[0] */

EXPORT(input) int16_t *at_input(void) { return input; }
EXPORT(pcm) int16_t *at_pcm(void) { return pcm[0]; }
EXPORT(mel) float *at_mel(void) { return mel[0]; }
EXPORT(chroma) float *at_chroma(void) { return chroma[0]; }
EXPORT(decisions) int32_t *at_decisions(void) { return decisions; }
EXPORT(room) int room(void) { return ROOM; }

/* Begin a recording at 16000, 44100 or 48000 Hz; 0 for another rate. */
EXPORT(start) int start(int rate) {
    const npr_rate *kind = rate == 16000 ? &npr_rate_16000 : &npr_rate_48000;
    if (rate == 44100) { kind = &npr_rate_44100; }
    if (rate != 16000 && rate != 44100 && rate != 48000) { return 0; }
    waiting = 0;
    return npr_decimator_init(&decimator, kind) == NPR_OK && npr_frontend_init(&frontend) == NPR_OK &&
           npr_activity_init(&activity) == NPR_OK;
}

/* As npr_log_mel, without the floor of the features. */
static void log_mel(const float *power, float *bands) {
    const float *weight = npr_mel_weights;
    for (size_t m = 0; m < NPR_MELS; m++) {
        float sum = 0.0f;
        for (size_t k = 0; k < npr_mel_count[m]; k++) { sum += *weight++ * power[npr_mel_start[m] + k]; }
        bands[m] = 3.01029996f * npr_log2(sum > LOWEST ? sum : LOWEST);
    }
}

static void hear(size_t hop) {
    float features[NPR_INPUTS];
    npr_decision decision = NPR_UNDECIDED;
    npr_frontend_push(&frontend, pcm[hop], NPR_HOP, features, NPR_INPUTS);
    npr_activity_push(&activity, pcm[hop], NPR_HOP, &decision);
    log_mel(frontend.spectrum.power, mel[hop]);
    for (size_t p = 0; p < NPR_CHROMA; p++) { chroma[hop][p] = features[NPR_MFCC + p]; }
    decisions[hop] = decision;
}

/* Take in the first `samples` of `input`, at most ROOM; how many hops they complete. */
EXPORT(push) int push(int samples) {
    size_t hops = 0;
    for (int k = 0; k < samples; k++) {
        waiting += (size_t)npr_decimate(&decimator, input[k], &pcm[hops][waiting]);
        if (waiting == NPR_HOP) {
            hear(hops++);
            waiting = 0;
        }
    }
    return (int)hops;
}

/* After a push, when its hops were fetched: the samples of the hop under way come first. */
EXPORT(fetched) void fetched(int hops) {
    for (size_t k = 0; k < waiting; k++) { pcm[0][k] = pcm[hops][k]; }
}

/* At the end of the recording: the decisions about the last hops, one a call; then -1. */
EXPORT(finish) int finish(void) {
    npr_decision decision = NPR_UNDECIDED;
    npr_activity_flush(&activity, &decision);
    return decision;
}
