#include <string.h>

void *memmove(void *to, const void *from, size_t n) {
    char *t = to;
    const char *f = from;
    if (t < f) {
        for (size_t k = 0; k < n; k++) { t[k] = f[k]; }
    } else {
        for (size_t k = n; k > 0; k--) { t[k - 1] = f[k - 1]; }
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t n) { return memmove(to, from, n); }

void *memset(void *to, int byte, size_t n) {
    char *t = to;
    for (size_t k = 0; k < n; k++) { t[k] = (char)byte; }
    return to;
}
