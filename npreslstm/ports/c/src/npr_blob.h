/* SPDX-License-Identifier: MIT */
/* The weights as a file: in a partition of flash that the core can read, or in memory.
 * npreslstm/ports/c_blob.py has its format.
 *
 *     static npr_blob blob;
 *     if (npr_blob_open(&blob, partition, bytes) == NPR_OK) npr_init(&blob.model, &state);
 *
 * Nothing is copied: the weights must stay where they are. To replace them over the air, write the new file
 * into another partition, open it from there, and only then switch; a state of the old weights is refused by
 * the new ones.
 */
#ifndef NPR_BLOB_H
#define NPR_BLOB_H

#include "npr.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    npr_model model; /* points into the rest, and into the file: neither may be moved */
    npr_lstm lstms[NPR_LAYERS];
    const char *labels[NPR_CLASSES];
} npr_blob;

/* Check all of a file of weights, and make a model of it. `bytes` may be more than the file has, as in a
 * partition. NPR_ERROR_ALIGNED: it must lie at a multiple of 4 bytes. NPR_ERROR_SIZE: it ends too early.
 * NPR_ERROR_DAMAGED: it is none, or its CRC-32 is another. NPR_ERROR_FORMAT: it is of another format, byte
 * order, type or network, or for other features, than this code. */
npr_status npr_blob_open(npr_blob *blob, const void *data, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
