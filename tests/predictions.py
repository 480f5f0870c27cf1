"""Comparing predictions."""

import numpy as np

ALONE_OR_BATCHED = 2e-6  # largest difference of a probability or weight found: 3.0e-7


def values(prediction):
    return np.array(list(prediction.probabilities.values()))


def same(a, b, tolerance=0.0):
    """Whether two predictions agree in everything but the file."""
    return (
        (a.start, a.end, a.label, len(a.windows)) == (b.start, b.end, b.label, len(b.windows))
        and np.abs(values(a) - values(b)).max() <= tolerance
        and np.abs(a.attention - b.attention).max() <= tolerance
        and np.array_equal(a.times, b.times)
    )
