"""Memory that the next clip or training step can use again."""

import contextlib

import numpy as np

LARGEST = 31 << 20  # bytes; glibc heeds blocks up to 32 MiB


def keep_freed_memory():
    """Have the C library keep what a step frees, ready for the next step.

    A training step allocates and frees 5 MB at batch 8 and 36 MB at batch 64, always the same; a clip that is
    recognised allocates a few. By default glibc hands large blocks back to the system, which must fetch and
    clear every page of them again the next time: a fifth to a third of a step's time, a sixth of a clip's.
    Once a block of some size has been freed, though, glibc keeps blocks up to that size, and up to twice as
    much altogether (mallopt(3), M_MMAP_THRESHOLD). So free one: its pages are never touched and cost nothing.
    Other C libraries are not affected.
    """
    with contextlib.suppress(MemoryError):  # a machine without so much keeps nothing
        np.empty(LARGEST, dtype=np.uint8)
