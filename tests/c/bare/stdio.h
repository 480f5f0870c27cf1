/* SPDX-License-Identifier: MIT */
/* What the self-test needs of a C library, for machines without one. */
int printf(const char *format, ...);
