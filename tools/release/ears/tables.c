/* SPDX-License-Identifier: MIT */
/* The exported tables but for the weights of the pitch classes, which would be half of the module: the page
 * computes them (chromaWeights of ears.js) and writes them here before it starts. */
#define npr_chroma_weights left_out
#include "npr_tables.c"
#undef npr_chroma_weights

#define EXPORT(name) __attribute__((export_name(#name)))

float npr_chroma_weights[NPR_BINS * NPR_CHROMA];

EXPORT(chroma_weights) float *at_chroma_weights(void) { return npr_chroma_weights; }
EXPORT(chroma_start) const uint8_t *at_chroma_start(void) { return npr_chroma_start; }
EXPORT(chroma_count) const uint8_t *at_chroma_count(void) { return npr_chroma_count; }
