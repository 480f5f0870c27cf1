/* SPDX-License-Identifier: MIT */
/* A thread writes, the main one reads: to be built with -fsanitize=thread. The first ring is fed with
 * patience and loses nothing; the second with none, and every sample that was not heard is told. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "npr_stream.h"

#define SAMPLES 80000u

static npr_stream stream;
static int16_t ring[1024];
static int patient, done;
static uint32_t refused;

static void *write_all(void *unused) {
    static int16_t block[700];
    uint32_t noise = 7, at = 0;
    for (size_t size = 1; at < SAMPLES; size = size * 3 % 701) {
        for (size_t k = 0; k < size; k++) {
            noise = noise * 1664525u + 1013904223u;
            block[k] = (int16_t)(noise >> 18);
        }
        while (patient && npr_stream_room(&stream) < size) { sched_yield(); }
        refused += npr_stream_write(&stream, block, size) == NPR_ERROR_OVERRUN;
        at += (uint32_t)size;
    }
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    return unused;
}

/* Samples told as lost, or -1. */
static long listen_to(int with_patience) {
    pthread_t writer;
    npr_event event;
    long lost = 0;
    patient = with_patience, done = 0, refused = 0;
    if (npr_stream_init(&stream, &npr_weights, &npr_rate_16000, ring, 1024) != NPR_OK) { return -1; }
    pthread_create(&writer, NULL, write_all, NULL);
    for (int last = 0;;) {
        if (npr_stream_poll(&stream, &event) != NPR_OK) { return -1; }
        if (event.kind == NPR_OVERRUN) { lost += (long)event.lost; }
        if (event.kind != NPR_NOTHING) { continue; }
        if (last) { break; }
        last = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
    }
    pthread_join(writer, NULL);
    return lost;
}

int main(void) {
    const long patiently = listen_to(1);
    const uint32_t hops = stream.hops, heard = stream.read;
    if (patiently != 0 || refused != 0 || heard < SAMPLES || hops != heard / NPR_HOP) { return 1; }
    const long hastily = listen_to(0);
    printf("%ld lost and told, %u heard\n", hastily, (unsigned)stream.read);
    return hastily > 0 && (uint32_t)hastily + stream.read == heard ? 0 : 1;
}
