/* SPDX-License-Identifier: MIT */
/* ports/c_blob.py, read backwards: every check comes before the first write. */
#include <string.h>

#include "npr_blob.h"
#include "npr_internal.h"

#define BLOB_FORMAT 1u
#define HEAD 5u /* words that the checksum does not cover */
#if NPR_INT8
#define MODEL_WORDS 8u
#define LAYER_WORDS 3u
#else
#define MODEL_WORDS 5u
#define LAYER_WORDS 2u
#endif
#define WORDS (HEAD + 4u + MODEL_WORDS + LAYER_WORDS * NPR_LAYERS)

typedef struct {
    const unsigned char *next;
    size_t left;
    int cut; /* something was asked for that is not there */
} reader;

static const void *take(reader *from, size_t bytes) {
    const unsigned char *taken = from->next;
    const size_t filled = (bytes + 3) / 4 * 4;
    if (filled > from->left) {
        from->cut = 1;
        return taken;
    }
    from->next += filled;
    from->left -= filled;
    return taken;
}

/* Whether it is a file for this code, and whole. */
static npr_status check_head(const uint32_t *word, size_t bytes) {
    if (bytes < HEAD * sizeof *word) { return NPR_ERROR_SIZE; }
    if (memcmp(word, "NPRW", 4) != 0) { return NPR_ERROR_DAMAGED; }
    if (word[1] != 0x01020304u || word[2] != BLOB_FORMAT) { return NPR_ERROR_FORMAT; }
    if (word[3] > bytes || word[3] < HEAD * sizeof *word) { return NPR_ERROR_SIZE; }
    if (npr_crc(0, word + HEAD, word[3] - HEAD * sizeof *word, 1) != word[4]) { return NPR_ERROR_DAMAGED; }
    if (word[3] < WORDS * sizeof *word) { return NPR_ERROR_FORMAT; }
    if (word[5] != NPR_INT8 || word[6] != NPR_FORMAT || word[8] != NPR_FEATURES) { return NPR_ERROR_FORMAT; }
    return NPR_OK;
}

/* Whether it is for the sizes that this code was compiled for: those of npr_model, and of the layers, each of
 * which reads what the one before it gives. */
static npr_status check_sizes(const uint32_t *size, const uint32_t *layer) {
    if (size[0] != NPR_INPUTS || size[1] != NPR_HIDDEN || size[2] != NPR_CLASSES) { return NPR_ERROR_FORMAT; }
    if (size[3] != NPR_LAYERS || size[4] != NPR_RESIDUAL) { return NPR_ERROR_FORMAT; }
    uint32_t units = 0, given = NPR_INPUTS;
    for (size_t k = 0; k < NPR_LAYERS; k++, layer += LAYER_WORDS) {
        if (layer[0] != given || layer[1] == 0 || layer[1] > NPR_WIDEST) { return NPR_ERROR_FORMAT; }
        units += layer[1];
        given = k + 1 == NPR_RESIDUAL ? NPR_INPUTS : layer[1];
        if (k + 1 == NPR_RESIDUAL && layer[1] != NPR_INPUTS) { return NPR_ERROR_FORMAT; }
        if (k + 1 == NPR_LAYERS && layer[1] != NPR_HIDDEN) { return NPR_ERROR_FORMAT; }
    }
    return units == NPR_UNITS ? NPR_OK : NPR_ERROR_FORMAT;
}

static void read_statistics(npr_model *model, reader *from) {
#if NPR_INTEGER
    model->feature_multiplier = (const int16_t *)take(from, NPR_INPUTS * sizeof *model->feature_multiplier);
    model->feature_offset = (const int32_t *)take(from, NPR_INPUTS * sizeof *model->feature_offset);
    model->feature_shift = (const uint8_t *)take(from, NPR_INPUTS);
#else
    model->mean = (const float *)take(from, NPR_INPUTS * sizeof *model->mean);
    model->inverse_std = (const float *)take(from, NPR_INPUTS * sizeof *model->inverse_std);
#endif
}

static void read_layer(npr_lstm *lstm, const uint32_t *word, reader *from) {
    const size_t rows = 4 * (size_t)word[1], columns = (size_t)word[0] + word[1];
    lstm->inputs = (uint16_t)word[0];
    lstm->hidden = (uint16_t)word[1];
#if NPR_INT8
    lstm->c_bits = (uint8_t)word[2];
    lstm->weights = (const int8_t *)take(from, rows * columns);
    lstm->bias = (const int32_t *)take(from, rows * sizeof *lstm->bias);
    lstm->multiplier = (const int32_t *)take(from, rows * sizeof *lstm->multiplier);
    lstm->recurrent_shift = (const uint8_t *)take(from, rows);
#else
    lstm->weights = (const float *)take(from, rows * columns * sizeof *lstm->weights);
    lstm->bias = (const float *)take(from, rows * sizeof *lstm->bias);
#endif
}

static void read_head(npr_model *model, const uint32_t *word, reader *from) {
#if NPR_INT8
    model->x_bits = (uint8_t)word[5];
    model->score_shift = (uint8_t)word[6];
    model->score_multiplier = (int32_t)word[7];
    model->attention = (const int16_t *)take(from, NPR_HIDDEN * sizeof *model->attention);
    model->head_weights = (const int16_t *)take(from, NPR_CLASSES * NPR_HIDDEN * sizeof *model->head_weights);
    model->head_bias = (const int32_t *)take(from, NPR_CLASSES * sizeof *model->head_bias);
    model->head_multiplier = (const int32_t *)take(from, NPR_CLASSES * sizeof *model->head_multiplier);
    model->head_shift = (const uint8_t *)take(from, NPR_CLASSES);
#else
    (void)word;
    model->attention = (const float *)take(from, NPR_HIDDEN * sizeof *model->attention);
    model->head_weights = (const float *)take(from, NPR_CLASSES * NPR_HIDDEN * sizeof *model->head_weights);
    model->head_bias = (const float *)take(from, NPR_CLASSES * sizeof *model->head_bias);
#endif
}

/* Shifts and bits that the arithmetic is made for. */
static int in_range(const npr_blob *blob) {
#if NPR_INT8
    if (blob->model.x_bits > 15 || blob->model.score_shift > 62) { return 0; }
    for (size_t k = 0; k < NPR_CLASSES; k++) {
        if (blob->model.head_shift[k] > 62) { return 0; }
    }
#if NPR_INTEGER
    for (size_t k = 0; k < NPR_INPUTS; k++) {
        if (blob->model.feature_shift[k] > 31) { return 0; }
    }
#endif
    for (size_t k = 0; k < NPR_LAYERS; k++) {
        const npr_lstm *lstm = &blob->lstms[k];
        if (lstm->c_bits > 15) { return 0; }
        for (size_t row = 0; row < 4 * (size_t)lstm->hidden; row++) {
            if (lstm->recurrent_shift[row] > 24) { return 0; }
        }
    }
#else
    (void)blob;
#endif
    return 1;
}

/* The labels; whether each is closed. */
static int read_labels(npr_blob *blob, reader *from) {
    for (size_t k = 0; k < NPR_CLASSES; k++) {
        const void *end = memchr(from->next, 0, from->left);
        if (end == NULL) { return 0; }
        blob->labels[k] = (const char *)from->next;
        const size_t bytes = (size_t)((const unsigned char *)end - from->next) + 1;
        from->next += bytes;
        from->left -= bytes;
    }
    return from->left < 4; /* what fills the last word */
}

npr_status npr_blob_open(npr_blob *blob, const void *data, size_t bytes) {
    if (blob == NULL || data == NULL) { return NPR_ERROR_NULL; }
    if ((uintptr_t)data % 4 != 0) { return NPR_ERROR_ALIGNED; }
    const uint32_t *word = (const uint32_t *)data, *size = word + HEAD + 4, *layer = size + MODEL_WORDS;
    npr_status status = check_head(word, bytes);
    if (status == NPR_OK) { status = check_sizes(size, layer); }
    if (status != NPR_OK) { return status; }
    npr_blob read;
    reader from = {(const unsigned char *)(word + WORDS), word[3] - WORDS * sizeof *word, 0};
    memset(&read, 0, sizeof read);
    read.model.format = NPR_FORMAT;
    read.model.crc = word[7];
    read.model.inputs = NPR_INPUTS;
    read.model.hidden = NPR_HIDDEN;
    read.model.classes = NPR_CLASSES;
    read.model.layers = NPR_LAYERS;
    read.model.residual = NPR_RESIDUAL;
    read_statistics(&read.model, &from);
    for (size_t k = 0; k < NPR_LAYERS; k++) { read_layer(&read.lstms[k], layer + k * LAYER_WORDS, &from); }
    read_head(&read.model, size, &from);
    if (from.cut || !in_range(&read) || !read_labels(&read, &from)) { return NPR_ERROR_FORMAT; }
    *blob = read;
    blob->model.lstms = blob->lstms;
    blob->model.labels = blob->labels;
    return NPR_OK;
}
