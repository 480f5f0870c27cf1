/* SPDX-License-Identifier: MIT */
#include "npr_subject.h"

#if NPR_BLOB
#include "npr_blob.h"

#ifndef NPR_BLOB_FILE
#define NPR_BLOB_FILE "npr_weights.bin"
#endif

/* The file as it lies in flash, put there by the assembler. */
__asm__(
    ".section .rodata\n"
    ".balign 4\n"
    ".global npr_embedded, npr_embedded_end\n"
    "npr_embedded: .incbin \"" NPR_BLOB_FILE
    "\"\n"
    "npr_embedded_end: .byte 0\n"
    ".text\n");
extern const unsigned char npr_embedded[], npr_embedded_end[];

const npr_model *npr_subject(void) {
    static npr_blob blob;
    const size_t bytes = (size_t)(npr_embedded_end - npr_embedded);
    return npr_blob_open(&blob, npr_embedded, bytes) == NPR_OK ? &blob.model : NULL;
}
#else
const npr_model *npr_subject(void) { return &npr_weights; }
#endif
