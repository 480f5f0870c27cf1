/* SPDX-License-Identifier: MIT */
/* npr_stream.h: blocks of any size at any rate into rings of any size, polls whenever, the end at any moment.
 */
#include "input.h"
#include "npr_stream.h"

enum { LONGEST = 3000 }; /* samples of a block */

typedef struct {
    npr_stream *stream;
    int16_t *ring;
    size_t room;
    uint32_t lost, hop; /* not told so far; of the newest event */
    int speaking, finished;
} subject;

static void begin(input *in, subject *s) {
    static const npr_rate *const rates[] = {&npr_rate_16000, &npr_rate_44100, &npr_rate_48000};
    const npr_rate *rate = rates[take_byte(in) % 3];
    const uint8_t choice = take_byte(in);
    const size_t samples = choice % 16 == 0 ? take_below(in, 5000) : (size_t)2 << choice % 12;
    free(s->ring);
    s->ring = (int16_t *)malloc((samples ? samples : 1) * sizeof *s->ring);
    require(s->ring != NULL, "memory");
    const int possible = samples >= 2 && (samples & (samples - 1)) == 0;
    const npr_status status = npr_stream_init(s->stream, &npr_weights, rate, s->ring, samples);
    require(status == (possible ? NPR_OK : NPR_ERROR_SIZE), "size of the ring");
    if (!possible) {
        s->ring = (int16_t *)realloc(s->ring, 64 * sizeof *s->ring);
        require(npr_stream_init(s->stream, &npr_weights, rate, s->ring, 64) == NPR_OK, "init");
    }
    s->room = possible ? samples : 64;
    s->lost = s->hop = 0;
    s->speaking = s->finished = 0;
}

/* Noise of any loudness, in memory of just its size. */
static void write_block(input *in, subject *s) {
    const size_t samples = take_below(in, LONGEST), room = npr_stream_room(s->stream);
    const int32_t loudness = take_byte(in);
    uint32_t noise = take_byte(in);
    int16_t *pcm = (int16_t *)malloc((samples ? samples : 1) * sizeof *pcm);
    require(pcm != NULL, "memory");
    for (size_t k = 0; k < samples; k++) {
        noise = noise * 1664525u + 1013904223u;
        pcm[k] = (int16_t)(((int32_t)(noise >> 16) - 32768) * loudness / 255);
    }
    const npr_status status = npr_stream_write(s->stream, pcm, samples);
    free(pcm);
    require(room <= s->room, "more room than the ring has");
    require(status == (samples <= room ? NPR_OK : NPR_ERROR_OVERRUN), "a block");
    require(npr_stream_room(s->stream) == (samples <= room ? room - samples : 0), "room after a block");
    s->lost += samples <= room ? 0 : (uint32_t)(samples - room);
}

static void check_event(const npr_event *event, subject *s) {
    uint32_t total = 0;
    if (event->kind == NPR_OVERRUN) {
        require(event->lost == s->lost && s->lost > 0, "samples lost");
        s->lost = 0;
        return;
    }
    require(event->hop >= s->hop, "events in their order");
    s->hop = event->hop;
    require(s->speaking == (event->kind != NPR_START), "a start, results, an end");
    s->speaking = event->kind != NPR_END;
    if (event->kind == NPR_START) { return; }
    require(event->label < NPR_CLASSES, "label");
    for (size_t k = 0; k < NPR_CLASSES; k++) {
        total += event->probabilities[k];
        require(event->probabilities[k] <= event->probabilities[event->label], "the largest is the label's");
    }
    require(total + 4 * NPR_CLASSES >= 32768 && total <= 32768 + 4 * NPR_CLASSES, "sum of the probabilities");
}

static void read_events(subject *s, npr_status (*call)(npr_stream *, npr_event *)) {
    for (;;) {
        npr_event event;
        memset(&event, 0xa5, sizeof event);
        const npr_status status = call(s->stream, &event);
        if (s->finished && call == npr_stream_poll) {
            require(status == NPR_ERROR_STATE && event.lost == 0xa5a5a5a5u, "a poll after the end");
            return;
        }
        require(status == NPR_OK, "events");
        if (event.kind == NPR_NOTHING) { return; }
        check_event(&event, s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size > 400 ? 400 : size}; /* a byte can bring a hundred frames */
    subject s = {(npr_stream *)malloc(sizeof(npr_stream)), NULL, 0, 0, 0, 0, 0};
    require(s.stream != NULL, "memory");
    begin(&in, &s);
    while (in.left) {
        const uint8_t call = take_byte(&in) % 16;
        if (call == 0) {
            begin(&in, &s);
        } else if (call == 1) {
            read_events(&s, npr_stream_finish);
            require(!s.speaking, "the last event is an end");
            s.finished = 1;
        } else if (call < 8) {
            read_events(&s, npr_stream_poll);
        } else {
            write_block(&in, &s);
        }
    }
    free(s.ring);
    free(s.stream);
    return 0;
}
