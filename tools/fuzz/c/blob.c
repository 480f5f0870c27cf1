/* SPDX-License-Identifier: MIT */
/* npr_blob.h: a file of weights with any bytes changed, cut anywhere, its checksum mended or not. What is
 * opened must be fit to be run. */
#include "input.h"
#include "npr_blob.h"
#include "npr_internal.h"

extern const unsigned char npr_embedded[], npr_embedded_end[]; /* npr_subject.c */
enum { HEAD = 20, SIZE_AT = 12, CRC_AT = 16 };

/* Bytes changed: half of them among the first 160, which say what the rest is. */
static void damage(input *in, unsigned char *data, size_t bytes) {
    for (uint8_t left = take_byte(in) % 16; left > 0 && bytes > 0; left--) {
        uint32_t at;
        take(in, &at, sizeof at);
        at = at & 1 ? (at >> 1) % 160 : at >> 1;
        data[at % bytes] = take_byte(in);
    }
}

static void seal(unsigned char *data, size_t bytes) {
    const uint32_t all = (uint32_t)bytes;
    memcpy(data + SIZE_AT, &all, sizeof all);
    const uint32_t crc = npr_crc(0, data + HEAD, bytes - HEAD, 1);
    memcpy(data + CRC_AT, &crc, sizeof crc);
}

static void run(input *in, const npr_model *model, size_t bytes) {
    npr_state *state = (npr_state *)malloc(sizeof *state);
    npr_feature features[NPR_INPUTS];
    npr_probability probabilities[NPR_CLASSES];
    size_t label = NPR_CLASSES;
    require(state && npr_init(model, state) == NPR_OK, "init");
    for (size_t k = 0; k < NPR_CLASSES; k++) { require(strlen(model->labels[k]) < bytes, "labels"); }
    npr_verify(model);
    for (int t = 0; t < 3; t++) {
        take(in, features, sizeof features);
        npr_push_frame(model, state, features, NPR_INPUTS);
    }
    if (npr_result(model, state, probabilities, NPR_CLASSES, &label) == NPR_OK) {
        require(label < NPR_CLASSES, "label");
    }
    free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    const size_t whole = (size_t)(npr_embedded_end - npr_embedded);
    const uint8_t how = take_byte(&in);
    uint32_t cut;
    take(&in, &cut, sizeof cut);
    const size_t bytes = how & 1 ? cut % (whole + 1) : whole;
    unsigned char *file = (unsigned char *)malloc(bytes ? bytes : 1);
    require(file != NULL, "memory");
    memcpy(file, npr_embedded, bytes);
    damage(&in, file, bytes);
    if (how & 2 && bytes >= HEAD) { seal(file, bytes); }
    npr_blob *blob = (npr_blob *)malloc(sizeof *blob), before;
    require(blob != NULL, "memory");
    memset(blob, 0x5a, sizeof *blob);
    memcpy(&before, blob, sizeof before);
    if (npr_blob_open(blob, file, bytes) == NPR_OK) {
        run(&in, &blob->model, bytes);
    } else {
        require(memcmp(&before, blob, sizeof before) == 0, "a file that was refused was written from");
    }
    free(blob);
    free(file);
    return 0;
}
