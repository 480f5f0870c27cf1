/* SPDX-License-Identifier: MIT */
/* The emotion in a voice, with the digital microphone that the board's devicetree calls dmic_dev, Zephyr 3.5
 * or newer. One thread reads the microphone, the main thread does the work. */
#include <zephyr/audio/dmic.h>
#include <zephyr/device.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include "npr_stream.h"

#define RATE 16000
#define BLOCK_BYTES (RATE / 50 * sizeof(int16_t)) /* 20 ms */

K_MEM_SLAB_DEFINE_STATIC(blocks, BLOCK_BYTES, 4, 4);

static npr_stream stream;
static int16_t ring[4096];
static const struct device *const microphone = DEVICE_DT_GET(DT_NODELABEL(dmic_dev));

static void read_microphone(void *p1, void *p2, void *p3) {
    ARG_UNUSED(p1);
    ARG_UNUSED(p2);
    ARG_UNUSED(p3);
    for (;;) {
        void *block = NULL;
        size_t bytes = 0;
        if (dmic_read(microphone, 0, &block, &bytes, 1000) < 0) { continue; }
        (void)npr_stream_write(&stream, block,
                               bytes / sizeof(int16_t)); /* what is lost, the main thread is told */
        k_mem_slab_free(&blocks, block);
    }
}

K_THREAD_STACK_DEFINE(reader_stack, 1024);
static struct k_thread reader;

static int start_microphone(void) {
    struct pcm_stream_cfg of_stream = {
        .pcm_rate = RATE, .pcm_width = 16, .block_size = BLOCK_BYTES, .mem_slab = &blocks};
    struct dmic_cfg config = {
        .io = {.min_pdm_clk_freq = 1000000,
               .max_pdm_clk_freq = 3500000,
               .min_pdm_clk_dc = 40,
               .max_pdm_clk_dc = 60},
        .streams = &of_stream,
        .channel = {.req_num_streams = 1,
                    .req_num_chan = 1,
                    .req_chan_map_lo = dmic_build_channel_map(0, 0, PDM_CHAN_LEFT)},
    };
    if (!device_is_ready(microphone)) { return -1; }
    const int configured = dmic_configure(microphone, &config);
    return configured < 0 ? configured : dmic_trigger(microphone, DMIC_TRIGGER_START);
}

int main(void) {
    const npr_status begun = npr_stream_init(&stream, &npr_weights, &npr_rate_16000, ring, ARRAY_SIZE(ring));
    const int started = start_microphone();
    if (begun != NPR_OK || started < 0) {
        printk("%s; microphone: %d\n", npr_status_text(begun), started);
        return 0;
    }
    k_thread_create(&reader, reader_stack, K_THREAD_STACK_SIZEOF(reader_stack), read_microphone, NULL, NULL,
                    NULL, K_PRIO_PREEMPT(1), 0, K_NO_WAIT);
    k_thread_priority_set(k_current_get(), K_PRIO_PREEMPT(2)); /* the reader goes first */
    for (;;) {
        npr_event event;
        if (npr_stream_poll(&stream, &event) != NPR_OK) { break; }
        if (event.kind == NPR_OVERRUN) { printk("%u samples lost\n", event.lost); }
        if (event.kind == NPR_START) { printk("speech\n"); }
        if (event.kind == NPR_RESULT || event.kind == NPR_END) {
            printk("%s %d %%\n", npr_weights.labels[event.label],
                   (int)(100.0f * event.probabilities[event.label] + 0.5f));
        }
        if (event.kind == NPR_NOTHING) { k_msleep(10); }
    }
    return 0;
}
