/* SPDX-License-Identifier: MIT */
/* Prints what the network, the frontend and the voice-activity gate cost on this core, one "name value" a
 * line: instructions, bytes. To be run with QEMU's -icount shift=0, where virtual time is the count
 * of instructions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npr_internal.h"
#include "npr_subject.h"
#include "npr_vectors.h"
#if defined(NPR_TUNING_FIXED) && (NPR_INTEGER || !defined(NPR_NETWORK_ONLY))
#define FRONTEND /* one that streams */
#include "npr_frontend.h"
#endif
#ifdef NPR_ACTIVITY
#include "npr_activity.h"
#endif
#ifdef NPR_STREAM
#include "npr_stream.h"
#endif

#define FRAMES 87 /* of a clip of RAVDESS, on average */
#define PAINTED 4096u

static npr_state state;
static const npr_model *model;
static unsigned long loop_ticks;

#ifdef __riscv /* counts instructions itself */

#define STACK_POINTER(top) __asm__ volatile("mv %0, sp" : "=r"(top))
#define MILLION_LOOPS(n) __asm__ volatile("1: addi %0, %0, -1\n bnez %0, 1b" : "+r"(n))
static unsigned long begun;

static unsigned long executed(void) {
    unsigned long count;
    __asm__ volatile(".option push\n.option arch, +zicsr\n csrr %0, minstret\n.option pop" : "=r"(count));
    return count;
}

static void start(void) { begun = executed(); }

/* Since start(). */
static unsigned long ticks(void) { return executed() - begun; }

#else

#define STACK_POINTER(top) __asm__ volatile("mov %0, sp" : "=r"(top))
#define MILLION_LOOPS(n) __asm__ volatile(".syntax unified\n1: subs %0, %0, #1\n bne 1b" : "+l"(n) : : "cc")
#define OVERFLOWED 0x10000u /* of systick[0], since it was last read */

/* control, reload, current value */
static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010;

static void start(void) {
    systick[0] = 0;
    systick[1] = 0xffffff;
    systick[2] = 0;
    systick[0] = 5; /* the core's clock, no interrupt */
}

/* Since start(); a timer of 24 bits has no more. */
static unsigned long ticks(void) {
    const unsigned long elapsed = 0xffffff - (systick[2] & 0xffffff);
    if (systick[0] & OVERFLOWED) {
        puts("error: more instructions than the timer counts");
        exit(1);
    }
    return elapsed;
}

#endif

/* Two million instructions, by which ticks are converted. */
static void calibrate(void) {
    uint32_t n = 1000000;
    start();
    MILLION_LOOPS(n);
    loop_ticks = ticks();
}

static void report(const char *name, unsigned long elapsed, unsigned long repeats) {
    printf("%s %lu\n", name, (unsigned long)((unsigned long long)elapsed * 2000000u / loop_ticks / repeats));
}

/* A third of a clip: a timer of 24 bits does not count all of a slow core's. */
static void run_third(void) {
    static int frame;
    for (int k = 0; k < FRAMES / 3; k++, frame++) {
        npr_push_frame(model, &state, npr_vector_features[frame % FRAMES % NPR_VECTOR_FRAMES], NPR_INPUTS);
    }
}

static unsigned long ticks_of_clip(void) {
    unsigned long sum = 0;
    npr_init(model, &state);
    for (int third = 0; third < 3; third++) {
        start();
        run_third();
        sum += ticks();
    }
    return sum;
}

static void run_result(void) {
    npr_probability probabilities[NPR_CLASSES];
    size_t label;
    npr_result(model, &state, probabilities, NPR_CLASSES, &label);
}

static void time_layers(void) {
    npr_value *h = state.h, *c = state.c;
    for (int k = 0; k < NPR_LAYERS; k++) {
        const npr_lstm *lstm = &model->lstms[k];
        char name[24];
        start();
        for (int t = 0; t < NPR_VECTOR_FRAMES; t++) { npr_lstm_step(lstm, npr_vector_x[t], h, c); }
        snprintf(name, sizeof name, "lstm%d", k + 1);
        report(name, ticks(), NPR_VECTOR_FRAMES);
        h += lstm->hidden, c += lstm->hidden;
    }
    start();
    for (int t = 0; t < NPR_VECTOR_FRAMES; t++) { npr_attention_step(model, &state, npr_vector_context[t]); }
    report("attention", ticks(), NPR_VECTOR_FRAMES);
}

/* Bytes below this frame that a call wrote to. */
static unsigned long __attribute__((noinline)) stack_of(void (*function)(void)) {
    volatile unsigned char *top, *low;
    STACK_POINTER(top);
    low = top - PAINTED;
    for (volatile unsigned char *p = low; p < top; p++) { *p = 0xa5; }
    function();
    while (low < top && *low == 0xa5) { low++; }
    return (unsigned long)(top - low);
}

#ifdef FRONTEND
static npr_frontend frontend;
static int16_t pcm[NPR_HOP];
static void run_frontend(void) {
    npr_feature features[NPR_INPUTS];
    npr_frontend_push(&frontend, pcm, NPR_HOP, features, NPR_INPUTS);
}
static void time_frontend(void) {
    uint32_t noise = 1;
    for (int k = 0; k < NPR_HOP; k++) {
        noise = noise * 1664525u + 1013904223u, pcm[k] = (int16_t)(noise >> 18);
    }
    npr_frontend_init(&frontend);
    run_frontend();
    run_frontend();
    start();
    run_frontend();
    report("frontend", ticks(), 1);
    printf("frontend_ram %lu\nfrontend_stack %lu\n", (unsigned long)sizeof frontend, stack_of(run_frontend));
}
#endif

#ifdef NPR_ACTIVITY
static npr_activity activity;
static void run_activity(void) {
    int16_t hop[NPR_ACTIVITY_HOP];
    npr_decision decision;
    uint32_t noise = 1;
    for (int k = 0; k < NPR_ACTIVITY_HOP; k++) {
        noise = noise * 1664525u + 1013904223u;
        hop[k] = (int16_t)(noise >> 18);
    }
    start();
    npr_activity_push(&activity, hop, NPR_ACTIVITY_HOP, &decision);
}
static void time_activity(void) {
    npr_activity_init(&activity);
    run_activity();
    report("activity", ticks(), 1);
}
#endif

#ifdef NPR_STREAM
/* A hop of sound at another rate, to 16 kHz. */
static void time_rate(const char *name, const npr_rate *rate, int samples) {
    static npr_decimator decimator;
    int16_t out;
    uint32_t noise = 1;
    npr_decimator_init(&decimator, rate);
    start();
    for (int k = 0; k < samples; k++) {
        noise = noise * 1664525u + 1013904223u;
        npr_decimate(&decimator, (int16_t)(noise >> 18), &out);
    }
    report(name, ticks(), 1);
}
static void time_rates(void) {
    time_rate("from_16000", &npr_rate_16000, 512);
    time_rate("from_44100", &npr_rate_44100, 1411);
    time_rate("from_48000", &npr_rate_48000, 1536);
    printf("stream_ram %lu\n", (unsigned long)sizeof(npr_stream));
}
#endif

int main(void) {
    model = npr_subject();
    calibrate();
    report("clip", ticks_of_clip(), 1);
    start();
    run_result();
    report("result", ticks(), 1);
    printf("state %lu\nstack %lu\nresult_stack %lu\n", (unsigned long)sizeof state, stack_of(run_third),
           stack_of(run_result));
    time_layers();
#ifdef FRONTEND
    time_frontend();
#endif
#ifdef NPR_ACTIVITY
    time_activity();
#endif
#ifdef NPR_STREAM
    time_rates();
#endif
    return 0;
}
