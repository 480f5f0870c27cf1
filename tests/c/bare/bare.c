/* SPDX-License-Identifier: MIT */
/* All that the self-test of an export with the integer frontend needs beside itself on RISC-V: a start,
 * Linux's calls to write and to exit, as qemu-riscv32 knows them, and the few functions of a C library and of
 * a compiler's library. */
#include <stdarg.h>
#include <stdint.h>

#include "stdio.h"
#include "string.h"

#define WRITE 64
#define EXIT 93

int main(void);

static long call(long number, long a, long b, long c) {
    register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}

void _start(void) { call(EXIT, main(), 0, 0); }

void *memcpy(void *to, const void *from, size_t bytes) {
    unsigned char *out = to;
    const unsigned char *in = from;
    for (size_t k = 0; k < bytes; k++) { out[k] = in[k]; }
    return to;
}

void *memmove(void *to, const void *from, size_t bytes) {
    unsigned char *out = to;
    const unsigned char *in = from;
    if (out <= in) { return memcpy(to, from, bytes); }
    for (size_t k = bytes; k > 0; k--) { out[k - 1] = in[k - 1]; }
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    unsigned char *out = to;
    for (size_t k = 0; k < bytes; k++) { out[k] = (unsigned char)value; }
    return to;
}

/* Quotient, and the remainder in *n. */
static uint64_t divide(uint64_t *n, uint64_t divisor) {
    uint64_t quotient = 0, rest = 0;
    for (int bit = 63; bit >= 0; bit--) {
        rest = rest << 1 | (*n >> bit & 1);
        quotient <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1;
        }
    }
    *n = rest;
    return quotient;
}

/* What Clang calls for a division of 64 bits. */
int64_t __divdi3(int64_t a, int64_t b) {
    uint64_t size = a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
    const uint64_t quotient = divide(&size, b < 0 ? 0 - (uint64_t)b : (uint64_t)b);
    return (int64_t)((a < 0) == (b < 0) ? quotient : 0 - quotient);
}

static void put(const char *text) {
    size_t length = 0;
    while (text[length] != '\0') { length++; }
    call(WRITE, 1, (long)text, (long)length);
}

static void put_number(int64_t value) {
    char text[24];
    size_t at = sizeof text - 1;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    text[at] = '\0';
    do {
        uint64_t digit = left;
        left = divide(&digit, 10);
        text[--at] = (char)('0' + digit);
    } while (left > 0);
    if (value < 0) { text[--at] = '-'; }
    put(text + at);
}

/* %s, %d, %lu and %lld. */
int printf(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            const char one[2] = {*format, '\0'};
            put(one);
        } else if (*++format == 's') {
            put(va_arg(arguments, const char *));
        } else if (*format == 'd') {
            put_number(va_arg(arguments, int));
        } else if (*++format == 'u') {
            put_number((int64_t)va_arg(arguments, unsigned long));
        } else {
            put_number(va_arg(arguments, long long));
            format++;
        }
    }
    va_end(arguments);
    return 0;
}
