/* SPDX-License-Identifier: MIT */
/* Opens damaged files of weights, to be built with -fsanitize=address,undefined: npr_blob FILE TIMES SEED.
 * Memory is exactly as large as told. What is opened although it was damaged and sealed again must be fit to
 * be run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npr_blob.h"
#include "npr_internal.h"

static uint32_t seed;
static uint32_t draw(uint32_t n) { /* xorshift32 (Marsaglia 2003) */
    seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
    return (seed >> 3) % n;
}

static void damage(unsigned char *data, size_t bytes) {
    for (uint32_t times = draw(4); times > 0 && bytes > 0; times--) {
        const size_t at = draw(2) && bytes > 128 ? draw(128) : draw((uint32_t)bytes);
        data[at] = draw(3) ? (unsigned char)(data[at] ^ (1u << draw(8))) : (unsigned char)draw(256);
    }
    if (bytes < 20 || draw(4) == 0) { return; }
    const uint32_t crc = npr_crc(0, data + 20, bytes - 20, 1), all = (uint32_t)bytes;
    memcpy(data + 16, &crc, sizeof crc);
    if (draw(2)) { memcpy(data + 12, &all, sizeof all); }
}

/* 1 if it was opened, 0 if it was refused and nothing written, -1 otherwise. */
static int try_once(const unsigned char *whole, size_t bytes) {
    static npr_state state;
    npr_blob blob, before;
    memset(&blob, 0x5a, sizeof blob);
    memcpy(&before, &blob, sizeof blob);
    const size_t kept = draw(3) ? bytes : draw((uint32_t)bytes + 1);
    unsigned char *data = (unsigned char *)malloc(kept > 0 ? kept : 1);
    memcpy(data, whole, kept);
    damage(data, kept);
    const npr_status status = npr_blob_open(&blob, data, kept);
    int result = status == NPR_OK ? 1 : memcmp(&blob, &before, sizeof blob) == 0 ? 0 : -1;
    if (result == 1) {
        npr_verify(&blob.model);
        for (size_t k = 0; k < NPR_CLASSES; k++) {
            result = strlen(blob.model.labels[k]) > kept ? -1 : result;
        }
        if (npr_init(&blob.model, &state) != NPR_OK) { result = -1; }
    }
    free(data);
    return result;
}

int main(int argc, char **argv) {
    static unsigned char whole[1 << 20];
    if (argc != 4) { return 2; }
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL) { return 2; }
    const size_t bytes = fread(whole, 1, sizeof whole, file);
    fclose(file);
    seed = (uint32_t)strtoul(argv[3], NULL, 10) | 1u;
    long opened = 0;
    for (long k = strtol(argv[2], NULL, 10); k > 0; k--) {
        const int result = try_once(whole, bytes);
        if (result < 0) {
            printf("broken: %ld\n", k);
            return 1;
        }
        opened += result;
    }
    printf("%ld opened\n", opened);
    return opened > 0 ? 0 : 1;
}
