/* SPDX-License-Identifier: MIT */
/* Where there is no libFuzzer: TARGET EXECUTIONS SEED runs a target on random bytes; TARGET FILE on one
 * input. */
#include "input.h"

enum { LONGEST = 4096 };

static uint32_t state;
static uint32_t draw(uint32_t n) { /* xorshift32 (Marsaglia 2003) */
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return (state >> 3) % n;
}

/* Bytes in runs: any ones, equal ones, or small ones. */
static size_t fill(uint8_t *data) {
    const size_t size = draw(LONGEST);
    uint32_t kind = 0, same = 0;
    for (size_t k = 0; k < size; k++) {
        if (draw(64) == 0) {
            kind = draw(3);
            same = draw(256);
        }
        data[k] = (uint8_t)(kind == 0 ? draw(256) : kind == 1 ? same : draw(4));
    }
    return size;
}

static int replay(const char *path) {
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    const size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    return LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv) {
    if (argc == 2) { return replay(argv[1]); }
    if (argc != 3) {
        fprintf(stderr, "usage: %s EXECUTIONS SEED, or FILE\n", argv[0]);
        return 2;
    }
    const long executions = strtol(argv[1], NULL, 10);
    state = (uint32_t)strtoul(argv[2], NULL, 10) | 1u;
    for (long k = 0; k < executions; k++) {
        uint8_t data[LONGEST];
        LLVMFuzzerTestOneInput(data, fill(data));
    }
    fprintf(stderr, "Done %ld runs\n", executions);
    return 0;
}
