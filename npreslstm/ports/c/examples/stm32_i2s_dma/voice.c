/* SPDX-License-Identifier: MIT */
/* The emotion in a voice, with an I2S microphone on an STM32: 48 kHz, 16 bits, two channels by circular DMA,
 * of which the left one is heard. For a CubeMX project: name the handle of its I2S `hi2s2`, call voice_begin
 * after MX_I2S2_Init and voice_poll in the main loop. The two callbacks run in the DMA's interrupt. */
#include "main.h"
#include "npr_stream.h"
#include "voice.h"

#define FRAMES 240 /* left and right, half of the DMA's buffer: 5 ms */

extern I2S_HandleTypeDef hi2s2;

static npr_stream stream;
static int16_t ring[8192]; /* 170 ms at 48 kHz */
static int16_t dma[2 * 2 * FRAMES];

static void take_left(const int16_t *frames) {
    int16_t pcm[FRAMES];
    for (size_t k = 0; k < FRAMES; k++) { pcm[k] = frames[2 * k]; }
    npr_stream_write(&stream, pcm, FRAMES); /* what is lost, voice_poll is told */
}

void HAL_I2S_RxHalfCpltCallback(I2S_HandleTypeDef *i2s) {
    if (i2s == &hi2s2) { take_left(dma); }
}

void HAL_I2S_RxCpltCallback(I2S_HandleTypeDef *i2s) {
    if (i2s == &hi2s2) { take_left(dma + 2 * FRAMES); }
}

npr_status voice_begin(void) {
    const npr_status status =
        npr_stream_init(&stream, &npr_weights, &npr_rate_48000, ring, sizeof ring / sizeof ring[0]);
    if (status != NPR_OK) { return status; }
    const HAL_StatusTypeDef started =
        HAL_I2S_Receive_DMA(&hi2s2, (uint16_t *)dma, sizeof dma / sizeof dma[0]);
    return started == HAL_OK ? NPR_OK : NPR_ERROR_STATE;
}

const char *voice_poll(npr_event *event) {
    const npr_status status = npr_stream_poll(&stream, event);
    if (status != NPR_OK) { return npr_status_text(status); }
    if (event->kind == NPR_RESULT || event->kind == NPR_END) { return npr_weights.labels[event->label]; }
    if (event->kind == NPR_OVERRUN) { return npr_status_text(NPR_ERROR_OVERRUN); }
    return event->kind == NPR_START ? "speech" : NULL;
}
