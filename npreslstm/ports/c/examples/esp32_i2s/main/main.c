/* SPDX-License-Identifier: MIT */
/* The emotion in a voice, with an I2S microphone (INMP441 and its like) on an ESP32, ESP-IDF 5. One task
 * reads the microphone, the main task does the work. With weights as a file, they lie in a partition named
 * "npr": npr_weights.bin, written by parttool.py. */
#include <stdio.h>

#include "driver/i2s_std.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "npr_stream.h"

#define RATE 16000
#define BLOCK 256

static npr_stream stream;
static int16_t ring[4096];

#if NPR_BLOB
#include "esp_partition.h"
#include "npr_blob.h"

static const npr_model *weights(void) {
    static npr_blob blob;
    const void *data = NULL;
    esp_partition_mmap_handle_t handle;
    const esp_partition_t *part =
        esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, "npr");
    if (part == NULL ||
        esp_partition_mmap(part, 0, part->size, ESP_PARTITION_MMAP_DATA, &data, &handle) != ESP_OK) {
        return NULL;
    }
    const npr_status status = npr_blob_open(&blob, data, part->size);
    if (status != NPR_OK) { printf("weights: %s\n", npr_status_text(status)); }
    return status == NPR_OK ? &blob.model : NULL;
}
#else
static const npr_model *weights(void) { return &npr_weights; }
#endif

/* 24 bits at the top of 32. A voice at arm's length needs few of the upper ones: 12 dB louder, saturated. */
static int16_t sample_of(int32_t word) {
    const int32_t v = word >> 14;
    return (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

static void read_microphone(void *argument) {
    static int32_t words[BLOCK];
    static int16_t pcm[BLOCK];
    const i2s_chan_handle_t channel = (i2s_chan_handle_t)argument;
    for (;;) {
        size_t bytes = 0;
        if (i2s_channel_read(channel, words, sizeof words, &bytes, portMAX_DELAY) != ESP_OK) { continue; }
        const size_t samples = bytes / sizeof words[0];
        for (size_t k = 0; k < samples; k++) { pcm[k] = sample_of(words[k]); }
        npr_stream_write(&stream, pcm, samples); /* what is lost, the main task is told */
    }
}

static i2s_chan_handle_t open_microphone(void) {
    i2s_chan_handle_t channel = NULL;
    i2s_chan_config_t of_channel = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_AUTO, I2S_ROLE_MASTER);
    i2s_std_config_t of_pins = {
        .clk_cfg = I2S_STD_CLK_DEFAULT_CONFIG(RATE),
        .slot_cfg = I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_MONO),
        .gpio_cfg = {.mclk = I2S_GPIO_UNUSED,
                     .bclk = GPIO_NUM_4,
                     .ws = GPIO_NUM_5,
                     .dout = I2S_GPIO_UNUSED,
                     .din = GPIO_NUM_6},
    };
    ESP_ERROR_CHECK(i2s_new_channel(&of_channel, NULL, &channel));
    ESP_ERROR_CHECK(i2s_channel_init_std_mode(channel, &of_pins));
    ESP_ERROR_CHECK(i2s_channel_enable(channel));
    return channel;
}

static void show(const npr_model *model, const npr_event *event) {
    if (event->kind == NPR_OVERRUN) { printf("%lu samples lost\n", (unsigned long)event->lost); }
    if (event->kind == NPR_START) { printf("speech\n"); }
    if (event->kind != NPR_RESULT && event->kind != NPR_END) { return; }
    printf("%s %.2f\n", model->labels[event->label], (double)event->probabilities[event->label]);
}

void app_main(void) {
    const npr_model *model = weights();
    const npr_status begun =
        npr_stream_init(&stream, model, &npr_rate_16000, ring, sizeof ring / sizeof ring[0]);
    if (begun != NPR_OK) {
        printf("%s\n", npr_status_text(begun));
        return;
    }
    xTaskCreate(read_microphone, "microphone", 4096, open_microphone(), 10, NULL);
    for (;;) {
        npr_event event;
        if (npr_stream_poll(&stream, &event) != NPR_OK) { break; }
        show(model, &event);
        if (event.kind == NPR_NOTHING) { vTaskDelay(1); }
    }
}
