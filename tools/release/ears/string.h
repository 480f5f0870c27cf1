/* What the exported C takes of the C library, which WebAssembly has not. */
#ifndef EARS_STRING_H
#define EARS_STRING_H
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
#endif
