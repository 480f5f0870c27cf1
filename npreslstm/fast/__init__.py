"""The layers for the stopwatch: `layers` once more, rewritten for speed.

Each file's head says which file of `layers` it equals, to how much, which test holds it to that, and how
many times as fast it is. The times are medians on one thread of a 2-core x86-64, by ``python tools/bench
layers``.
"""
