"""FrameStatistics: equals NumPy's mean and std, however the frames are cut and merged."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npreslstm.audio.statistics import FrameStatistics
from npreslstm.errors import InputError

FRAMES = np.random.default_rng(0).normal([-600, 0, 5], [80, 1e-3, 2], (500, 3))


def of(*parts):
    total = FrameStatistics()
    for part in parts:
        total.merge(FrameStatistics().update(part))
    return total


@given(st.lists(st.integers(0, 500), max_size=10).map(sorted))
def test_any_cut_gives_mean_and_std(cuts):
    total = of(*np.split(FRAMES, cuts))
    assert total.count == 500
    np.testing.assert_allclose(total.mean, FRAMES.mean(axis=0), rtol=0, atol=5e-12)  # achieved: 6e-13 of -600
    np.testing.assert_allclose(total.std, FRAMES.std(axis=0), rtol=5e-14)  # achieved: 7e-15


def test_far_from_zero():
    """Where the mean square less the squared mean would leave nothing."""
    frames = 1e9 + np.random.default_rng(1).standard_normal((1000, 1))
    np.testing.assert_allclose(of(*np.split(frames, 10)).std, frames.std(axis=0), rtol=1e-7)


def test_float32_frames_are_summed_in_float64():
    total = FrameStatistics().update(FRAMES.astype(np.float32))
    assert total.mean.dtype == total.std.dtype == np.float64
    np.testing.assert_allclose(
        total.mean, FRAMES.astype(np.float32).mean(axis=0, dtype=np.float64), rtol=1e-13
    )


def test_update_is_merge():
    a, b = FrameStatistics().update(FRAMES[:100]).update(FRAMES[100:]), of(FRAMES[:100], FRAMES[100:])
    np.testing.assert_array_equal(a.mean, b.mean)
    np.testing.assert_array_equal(a.std, b.std)


def test_order_changes_rounding_only():
    parts = np.split(FRAMES, [10, 200])
    for order in itertools.permutations(parts):
        np.testing.assert_allclose(of(*order).std, FRAMES.std(axis=0), rtol=1e-13)


def test_merging_does_not_change_the_other():
    other = of(FRAMES[:10])
    before = other.mean
    of(FRAMES[10:]).merge(other).update(FRAMES)
    FrameStatistics().merge(other).update(FRAMES)
    np.testing.assert_array_equal(other.mean, before)


def test_nothing_taken_in():
    empty = FrameStatistics().update(np.zeros((0, 3)))
    with pytest.raises(InputError, match="no frames"):
        empty.mean  # noqa: B018
    with pytest.raises(InputError, match="no frames"):
        empty.merge(FrameStatistics()).std  # noqa: B018


def test_wrong_shapes():
    with pytest.raises(InputError, match="expected \\(T, D\\)"):
        FrameStatistics().update(np.zeros(3))
    with pytest.raises(InputError, match="frames of 4 columns; expected 3"):
        FrameStatistics().update(FRAMES).update(np.zeros((2, 4)))
