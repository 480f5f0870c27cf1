/* SPDX-License-Identifier: MIT */
/* npreslstm/listening.py: a ring that an interrupt fills, and the way from there to events. */
#include <string.h>

#include "npr_internal.h"
#include "npr_stream.h"

/* What the writer puts into the ring is there before its count says so, and what the reader has taken is
 * taken. */
#if !defined(NPR_LOAD) || !defined(NPR_STORE)
#ifndef __GNUC__
#error "define NPR_LOAD(pointer), a load that acquires, and NPR_STORE(pointer, value), a store that releases"
#endif
#if defined(__clang__) && __GCC_ATOMIC_INT_LOCK_FREE < 2
/* On cores without atomic instructions (Cortex-M0, RV32IMC) Clang calls a library for these, which nobody has
 * there; an aligned word is loaded and stored in one piece all the same. */
static uint32_t load_acquire(const volatile uint32_t *pointer) {
    const uint32_t value = *pointer;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return value;
}
static void store_release(volatile uint32_t *pointer, uint32_t value) {
    __atomic_thread_fence(__ATOMIC_RELEASE);
    *pointer = value;
}
#define NPR_LOAD(pointer) load_acquire(pointer)
#define NPR_STORE(pointer, value) store_release(pointer, value)
#else
#define NPR_LOAD(pointer) __atomic_load_n(pointer, __ATOMIC_ACQUIRE)
#define NPR_STORE(pointer, value) __atomic_store_n(pointer, value, __ATOMIC_RELEASE)
#endif
#endif

NPR_REQUIRE(a_frame_for_each_decision, NPR_HOP == NPR_ACTIVITY_HOP && NPR_SAMPLE_RATE == 16000);
NPR_REQUIRE(an_overlap_within_a_window, NPR_STREAM_OVERLAP >= 0 && NPR_STREAM_OVERLAP < NPR_STREAM_WINDOW);

npr_status npr_stream_init(npr_stream *stream, const npr_model *model, const npr_rate *rate, int16_t *ring,
                           size_t samples) {
    npr_state state;
    if (stream == NULL || rate == NULL || ring == NULL) { return NPR_ERROR_NULL; }
    if (samples < 2 || (samples & (samples - 1)) != 0 || samples > (size_t)1 << 30) { return NPR_ERROR_SIZE; }
    const npr_status status = npr_init(model, &state);
    if (status != NPR_OK) { return status; }
    memset(stream, 0, sizeof *stream);
    stream->model = model;
    stream->state = state;
    stream->ring = ring;
    stream->mask = (uint32_t)samples - 1;
    npr_frontend_init(&stream->frontend);
    npr_activity_init(&stream->activity);
    return npr_decimator_init(&stream->decimator, rate);
}

size_t npr_stream_room(const npr_stream *stream) {
    if (stream == NULL || stream->ring == NULL) { return 0; }
    return stream->mask + 1u - (stream->written - NPR_LOAD(&stream->read));
}

npr_status npr_stream_write(npr_stream *stream, const int16_t *pcm, size_t samples) {
    if (stream == NULL || (pcm == NULL && samples > 0)) { return NPR_ERROR_NULL; }
    if (stream->ring == NULL || stream->finished) { return NPR_ERROR_STATE; }
    const size_t room = npr_stream_room(stream), taken = samples < room ? samples : room;
    const size_t start = stream->written & stream->mask, end = stream->mask + 1u - start;
    const size_t first = taken < end ? taken : end;
    if (taken > 0) {
        memcpy(stream->ring + start, pcm, first * sizeof *pcm);
        memcpy(stream->ring, pcm + first, (taken - first) * sizeof *pcm);
        NPR_STORE(&stream->written, stream->written + (uint32_t)taken);
    }
    if (taken == samples) { return NPR_OK; }
    const uint32_t before = stream->lost, most = UINT32_MAX / 2;
    NPR_STORE(&stream->lost, before + (samples - taken < most ? (uint32_t)(samples - taken) : most));
    return NPR_ERROR_OVERRUN;
}

/* Samples from the ring into the hop; whether it is full. */
static int collect(npr_stream *stream) {
    const uint32_t written = NPR_LOAD(&stream->written);
    uint32_t read = stream->read;
    while (read != written && stream->filled < NPR_HOP) {
        int16_t sample;
        if (npr_decimate(&stream->decimator, stream->ring[read & stream->mask], &sample)) {
            stream->hop[stream->filled++] = sample;
        }
        read++;
    }
    NPR_STORE(&stream->read, read);
    return stream->filled == NPR_HOP;
}

/* `now` counts n parts, `before` a second's. */
static npr_probability mixed(npr_probability before, npr_probability now, uint32_t n) {
#if NPR_INTEGER
    const uint32_t parts = n + NPR_STREAM_PERIOD;
    return (npr_probability)((NPR_STREAM_PERIOD * before + n * now + parts / 2) / parts);
#else
    return before + (float)n / (float)(n + NPR_STREAM_PERIOD) * (now - before);
#endif
}

/* The result of the frames since the last one, averaged with what was before; the last one of an utterance
 * that the network heard in one piece stands alone. */
static npr_status report(npr_stream *stream, npr_event_kind kind, npr_event *event) {
    npr_probability now[NPR_CLASSES];
    size_t label;
    const npr_status status = npr_result(stream->model, &stream->state, now, NPR_CLASSES, &label);
    if (status != NPR_OK) { return status; }
    const int alone = !stream->smoothing || (kind == NPR_END && !stream->renewed);
    for (size_t k = 0; k < NPR_CLASSES; k++) {
        const npr_probability before = alone ? now[k] : stream->probabilities[k];
        stream->probabilities[k] = mixed(before, now[k], stream->since);
        event->probabilities[k] = stream->probabilities[k];
        if (event->probabilities[k] > event->probabilities[event->label]) { event->label = k; }
    }
    stream->smoothing = 1;
    stream->since = 0;
    event->kind = kind;
    return NPR_OK;
}

/* The next hop that was not heard, through the network. */
static npr_status hear(npr_stream *stream) {
    const npr_value *x = stream->kept[stream->heard % NPR_STREAM_KEPT];
    if (stream->state.frames == NPR_STREAM_WINDOW) {
        npr_reset(stream->model, &stream->state);
        stream->renewed = 1;
        for (uint32_t k = NPR_STREAM_OVERLAP; k > 0; k--) { /* what fails here fails below as well */
            const npr_value *again = stream->kept[(stream->heard - k) % NPR_STREAM_KEPT];
            (void)npr_push_values(stream->model, &stream->state, again, NPR_INPUTS);
        }
    }
    stream->heard++;
    stream->since++;
    return npr_push_values(stream->model, &stream->state, x, NPR_INPUTS);
}

/* An utterance begins, with what was before it, as far as it was not heard. */
static npr_status start(npr_stream *stream, uint32_t hop) {
    npr_status status = npr_reset(stream->model, &stream->state);
    stream->speaking = 1;
    stream->smoothing = 0;
    stream->renewed = 0;
    stream->since = 0;
    if (hop - stream->heard > NPR_STREAM_LEAD) { stream->heard = hop - NPR_STREAM_LEAD; }
    while (status == NPR_OK && stream->heard < hop) { status = hear(stream); }
    return status;
}

/* What the gate's decision about the next hop brings. */
static npr_status decide(npr_stream *stream, npr_decision decision, npr_event *event) {
    npr_status status = NPR_OK;
    event->hop = stream->decided++;
    if (decision == NPR_SPEECH) {
        stream->quiet = 0;
        if (!stream->speaking) {
            status = start(stream, event->hop);
            event->kind = NPR_START;
        }
    } else if (!stream->speaking) {
        return NPR_OK;
    } else if (++stream->quiet > NPR_STREAM_HANGOVER) {
        stream->speaking = 0;
        return report(stream, NPR_END, event);
    }
    if (status == NPR_OK) { status = hear(stream); }
    if (status == NPR_OK && stream->since == NPR_STREAM_PERIOD) {
        status = report(stream, NPR_RESULT, event);
    }
    return status;
}

/* A full hop: its features, and the decision that it brings. */
static npr_status listen(npr_stream *stream, npr_event *event) {
    npr_feature features[NPR_INPUTS];
    npr_decision decision;
    npr_value *x = stream->kept[stream->hops++ % NPR_STREAM_KEPT];
    stream->filled = 0;
    npr_status status = npr_frontend_push(&stream->frontend, stream->hop, NPR_HOP, features, NPR_INPUTS);
    if (status == NPR_OK) { status = npr_normalise(stream->model, features, NPR_INPUTS, x); }
    if (status == NPR_OK) { status = npr_activity_push(&stream->activity, stream->hop, NPR_HOP, &decision); }
    if (status != NPR_OK || decision == NPR_UNDECIDED) { return status; }
    return decide(stream, decision, event);
}

npr_status npr_stream_poll(npr_stream *stream, npr_event *event) {
    if (stream == NULL || event == NULL) { return NPR_ERROR_NULL; }
    if (stream->ring == NULL || stream->finished) { return NPR_ERROR_STATE; }
    memset(event, 0, sizeof *event);
    const uint32_t lost = NPR_LOAD(&stream->lost);
    if (lost != stream->told) {
        event->kind = NPR_OVERRUN;
        event->hop = stream->hops;
        event->lost = lost - stream->told;
        stream->told = lost;
        return NPR_OK;
    }
    npr_status status = NPR_OK;
    while (status == NPR_OK && event->kind == NPR_NOTHING && collect(stream)) {
        status = listen(stream, event);
    }
    return status;
}

npr_status npr_stream_finish(npr_stream *stream, npr_event *event) {
    npr_decision decision = NPR_UNDECIDED;
    npr_status status = NPR_OK;
    if (stream == NULL || event == NULL) { return NPR_ERROR_NULL; }
    if (!stream->finished) {
        status = npr_stream_poll(stream, event);
        if (status != NPR_OK || event->kind != NPR_NOTHING) { return status; }
        stream->finished = 1;
    }
    memset(event, 0, sizeof *event);
    do {
        status = npr_activity_flush(&stream->activity, &decision);
        if (status != NPR_OK || decision == NPR_UNDECIDED) { break; }
        status = decide(stream, decision, event);
    } while (status == NPR_OK && event->kind == NPR_NOTHING);
    if (status == NPR_OK && decision == NPR_UNDECIDED && stream->speaking) {
        event->hop = stream->decided;
        stream->speaking = 0;
        status = report(stream, NPR_END, event);
    }
    return status;
}
