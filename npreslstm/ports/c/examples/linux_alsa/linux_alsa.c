/* SPDX-License-Identifier: MIT */
/* The emotion in a voice, with any sound card of Linux. After `make libnpr.a` in the library's folder, two
 * folders up:
 *
 *     cc -O2 -I../../src linux_alsa.c ../../libnpr.a -lasound -o linux_alsa
 *     ./linux_alsa [DEVICE [RATE [SECONDS]]]        default 48000 for ever; RATE: 16000, 44100 or 48000
 *
 * With weights as a file, it reads npr_weights.bin where it is started. */
#include <alsa/asoundlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "npr_stream.h"

#define BLOCK 480

static npr_stream stream;
static int16_t ring[4096];

#if NPR_BLOB
#include "npr_blob.h"

static const npr_model *weights(void) {
    static npr_blob blob;
    static uint32_t data[1 << 18]; /* aligned as words are */
    FILE *file = fopen("npr_weights.bin", "rb");
    if (file == NULL) {
        perror("npr_weights.bin");
        return NULL;
    }
    const size_t bytes = fread(data, 1, sizeof data, file);
    fclose(file);
    const npr_status status = npr_blob_open(&blob, data, bytes);
    if (status != NPR_OK) { fprintf(stderr, "npr_weights.bin: %s\n", npr_status_text(status)); }
    return status == NPR_OK ? &blob.model : NULL;
}
#else
static const npr_model *weights(void) { return &npr_weights; }
#endif

static const npr_rate *rate_of(unsigned rate) {
    switch (rate) {
        case 16000: return &npr_rate_16000;
        case 44100: return &npr_rate_44100;
        case 48000: return &npr_rate_48000;
        default: return NULL;
    }
}

static void show(const npr_model *model, const npr_event *event) {
    const double seconds = event->hop * 0.032;
    if (event->kind == NPR_OVERRUN) {
        printf("%8.2f s  %lu samples lost\n", seconds, (unsigned long)event->lost);
    }
    if (event->kind == NPR_START) { printf("%8.2f s  speech\n", seconds); }
    if (event->kind == NPR_END) { printf("%8.2f s  end of speech: ", seconds); }
    if (event->kind == NPR_RESULT) { printf("%8.2f s  ", seconds); }
    if (event->kind == NPR_RESULT || event->kind == NPR_END) {
        printf("%s %.2f\n", model->labels[event->label], (double)event->probabilities[event->label]);
    }
    fflush(stdout);
}

/* All that is there to be told, at the end also what waits for its end. */
static npr_status tell(const npr_model *model, npr_status (*next)(npr_stream *, npr_event *)) {
    npr_event event;
    npr_status status = next(&stream, &event);
    for (; status == NPR_OK && event.kind != NPR_NOTHING; status = next(&stream, &event)) {
        show(model, &event);
    }
    return status;
}

static int failed(const char *what, int error) {
    fprintf(stderr, "%s: %s\n", what, snd_strerror(error));
    return 1;
}

int main(int argc, char **argv) {
    const char *device = argc > 1 ? argv[1] : "default";
    const unsigned rate = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 48000;
    const double most = argc > 3 ? strtod(argv[3], NULL) * rate : 0.0;
    const npr_model *model = weights();
    npr_status status = npr_stream_init(&stream, model, rate_of(rate), ring, sizeof ring / sizeof ring[0]);
    snd_pcm_t *card;
    if (status != NPR_OK) {
        fprintf(stderr, "%u Hz: %s; expected 16000, 44100 or 48000\n", rate, npr_status_text(status));
        return 2;
    }
    int error = snd_pcm_open(&card, device, SND_PCM_STREAM_CAPTURE, 0);
    if (error < 0) { return failed(device, error); }
    error = snd_pcm_set_params(card, SND_PCM_FORMAT_S16, SND_PCM_ACCESS_RW_INTERLEAVED, 1, rate, 0, 500000);
    if (error < 0) { return failed(device, error); }
    for (double heard = 0.0; status == NPR_OK && (argc < 4 || heard < most);) {
        int16_t pcm[BLOCK];
        snd_pcm_sframes_t got = snd_pcm_readi(card, pcm, BLOCK);
        if (got == -EPIPE) { fprintf(stderr, "the card lost samples\n"); }
        if (got < 0) { got = snd_pcm_recover(card, (int)got, 1); }
        if (got < 0) { return failed(device, (int)got); }
        heard += (double)got;
        status = npr_stream_write(&stream, pcm, (size_t)got); /* there is room: all was told */
        if (status == NPR_OK) { status = tell(model, npr_stream_poll); }
    }
    if (status == NPR_OK) { status = tell(model, npr_stream_finish); }
    if (status != NPR_OK) { fprintf(stderr, "%s\n", npr_status_text(status)); }
    snd_pcm_close(card);
    return status == NPR_OK ? 0 : 1;
}
