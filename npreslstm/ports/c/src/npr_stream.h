/* SPDX-License-Identifier: MIT */
/* From a microphone to utterances: samples in blocks of any size, at 16, 44.1 or 48 kHz, from an interrupt or
 * another thread; events out, in the main loop. npreslstm/listening.py, event by event.
 *
 *     static npr_stream stream;  // the caller's memory
 *     static int16_t ring[2048]; // samples that wait; a power of two
 *     npr_stream_init(&stream, &npr_weights, &npr_rate_48000, ring, 2048);
 *
 *     npr_stream_write(&stream, pcm, samples); // the writer: interrupt, DMA callback, thread
 *
 *     // the reader, in the main loop
 *     while (npr_stream_poll(&stream, &event) == NPR_OK && event.kind != NPR_NOTHING) ...
 *
 * One writer and one reader need no lock: each changes counts that the other only reads. A constant is
 * removed, the gate of npr_activity.h tells where an utterance starts and ends, and the network hears what is
 * between, a quarter of a second before it and half a second after it. A sound of 3 hops passes before the
 * gate decides, so events come about 100 ms late, and the end of an utterance half a second later.
 */
#ifndef NPR_STREAM_H
#define NPR_STREAM_H

#include "npr_activity.h"
#include "npr_frontend.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NPR_STREAM_LEAD 8                          /* hops before speech that are heard as well */
#define NPR_STREAM_HANGOVER 16                     /* hops after speech; more of it within them goes on */
#define NPR_STREAM_PERIOD 31                       /* hops between two results: a second */
#define NPR_STREAM_WINDOW (10 * NPR_STREAM_PERIOD) /* hops after which the network begins anew: 10 s */

/* -DNPR_STREAM_OVERLAP=155, for the whole program: so many hops at the end of a window are heard once more in
 * the next one. They are kept, so npr_stream is larger, and has another name for the linker. */
#ifdef NPR_STREAM_OVERLAP
#define npr_stream_init npr_stream_init_overlap
#else
#define NPR_STREAM_OVERLAP 0
#endif
#define NPR_STREAM_BEFORE (NPR_STREAM_OVERLAP > NPR_STREAM_LEAD ? NPR_STREAM_OVERLAP : NPR_STREAM_LEAD)
#define NPR_STREAM_KEPT (NPR_ACTIVITY_DELAY + 1 + NPR_STREAM_BEFORE) /* frames that wait, or are kept */

#define NPR_TAPS 64 /* products for one sample at 16 kHz */

/* How samples come to 16 kHz: audio/decimation.py. Only the tables of rates that a program names are linked
 * into it. */
typedef struct {
    uint16_t up, down;     /* 16 kHz are up / down of the rate */
    const int16_t *filter; /* (phases, NPR_TAPS) in Q15; half of the phases, the others are these backwards */
} npr_rate;
extern const npr_rate npr_rate_16000, npr_rate_44100, npr_rate_48000;

typedef struct {
    const npr_rate *rate;
    int16_t window[2 * NPR_TAPS]; /* the newest samples, twice, so that they always lie in one piece */
    uint16_t place;               /* of the next sample in it */
    uint16_t position;            /* of the next output behind the next input, in units of 1/up */
    int32_t mean;                 /* Q14 */
} npr_decimator;

npr_status npr_decimator_init(npr_decimator *decimator, const npr_rate *rate);

/* Take in one sample; 1 if it completes one at 16 kHz, which goes to *out, else 0. Nothing in it can fail. */
int npr_decimate(npr_decimator *decimator, int16_t sample, int16_t *out);

typedef enum {
    NPR_NOTHING = 0, /* for now: poll again when samples have come */
    NPR_START,       /* an utterance begins */
    NPR_RESULT,      /* of the utterance so far: about one a second */
    NPR_END,         /* it ended; the result of all of it */
    NPR_OVERRUN      /* the writer found no room */
} npr_event_kind;

typedef struct {
    npr_event_kind kind;
    uint32_t hop;  /* 32 ms each: the first one of speech, the newest heard, the first one not heard */
    uint32_t lost; /* samples since the last overrun that was told */
    size_t label;  /* of RESULT and END: the largest of */
    /* averaged, the newest counting half; at the end none but it */
    npr_probability probabilities[NPR_CLASSES];
} npr_event;

typedef struct {
    int16_t *ring;
    uint32_t mask;
    uint32_t written, lost; /* samples; only the writer changes these */
    uint32_t read, told;    /* and only the reader these, and all that follows */
    const npr_model *model;
    npr_decimator decimator;
    npr_activity activity;
    npr_frontend frontend;
    npr_state state;
    int16_t hop[NPR_HOP];
    uint16_t filled;
    uint16_t since; /* hops heard since the last result */
    uint8_t quiet;  /* hops since the last one of speech, in an utterance */
    uint8_t speaking, finished, smoothing, renewed;
    /* whose features are there, that the gate has decided about, that were heard */
    uint32_t hops, decided, heard;
    npr_value kept[NPR_STREAM_KEPT][NPR_INPUTS];
    npr_probability probabilities[NPR_CLASSES];
} npr_stream;

/* Begin a recording. `samples` int16 fit into `ring`, a power of two, which takes what comes while the reader
 * works on a hop. */
npr_status npr_stream_init(npr_stream *stream, const npr_model *model, const npr_rate *rate, int16_t *ring,
                           size_t samples);

/* The writer: take in any number of samples. What the ring has no room for is lost: NPR_ERROR_OVERRUN, and an
 * event tells the reader. Of a recording that has ended nothing is taken: NPR_ERROR_STATE. */
npr_status npr_stream_write(npr_stream *stream, const int16_t *pcm, size_t samples);

/* How many samples a write would take: for writers that can wait. */
size_t npr_stream_room(const npr_stream *stream);

/* The reader: work through what was written, up to the next event. */
npr_status npr_stream_poll(npr_stream *stream, npr_event *event);

/* End the recording: its last events, one at each call, then NPR_NOTHING. Call it when nothing is written any
 * more. */
npr_status npr_stream_finish(npr_stream *stream, npr_event *event);

#ifdef __cplusplus
}
#endif

#endif
