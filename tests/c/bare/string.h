/* SPDX-License-Identifier: MIT */
/* What the library needs of a C library, for machines without one. */
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
