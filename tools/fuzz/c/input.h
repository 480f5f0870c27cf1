/* SPDX-License-Identifier: MIT */
/* The bytes of an input, taken one after the other; zeros when they have run out. Each target is one
 * LLVMFuzzerTestOneInput. */
#ifndef INPUT_H
#define INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    const uint8_t *data;
    size_t left;
} input;

static inline void take(input *in, void *to, size_t bytes) {
    const size_t there = bytes < in->left ? bytes : in->left;
    memset(to, 0, bytes);
    memcpy(to, in->data, there);
    in->data += there;
    in->left -= there;
}

static inline uint8_t take_byte(input *in) {
    uint8_t byte;
    take(in, &byte, 1);
    return byte;
}

/* 0 to n - 1 */
static inline size_t take_below(input *in, size_t n) {
    uint16_t number;
    take(in, &number, sizeof number);
    return number % n;
}

/* Memory of its own, as large as is said and not a byte more, so that the sanitizer sees a step beyond its
 * end. */
static inline void *taken(input *in, size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) { abort(); }
    take(in, memory, bytes);
    return memory;
}

static inline void require(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

static inline int is_finite(float value) { return value - value == 0.0f; }

#endif
