"""Packed batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npreslstm.errors import InputError
from npreslstm.fast.packing import packing
from npreslstm.layers.padding import valid_frames


def test_the_example_of_the_docstring():
    layout = packing([3, 1, 2])
    assert layout.batch_sizes.tolist() == [3, 2, 1]
    assert layout.clip.tolist() == [0, 2, 1, 0, 2, 0]
    assert layout.time.tolist() == [0, 0, 0, 1, 1, 2]
    assert layout.offsets.tolist() == [0, 3, 5, 6]
    assert layout.mask().tolist() == [[True, True, True], [True, False, False], [True, True, False]]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_pack_and_unpack_are_inverse(lengths):
    layout = packing(lengths)
    assert layout.rows == sum(lengths)
    padded = np.arange(1, len(lengths) * max(lengths) * 2 + 1, dtype=np.float64).reshape(
        len(lengths), max(lengths), 2
    )
    back = layout.unpack(layout.pack(padded), fill=-1)
    mask = layout.mask()
    np.testing.assert_array_equal(back[mask], padded[mask])
    assert (back[~mask] == -1).all()
    assert mask.sum(axis=1).tolist() == lengths
    np.testing.assert_array_equal(mask.T, valid_frames(np.array(lengths)))


@pytest.mark.parametrize("lengths", [[], [0], [2, -1], [1.5], [[1]], 3])
def test_impossible_lengths_are_refused(lengths):
    with pytest.raises(InputError, match="expected a non-empty vector of integers"):
        packing(lengths)
