"""Small LSTM layers, and the message of a comparison that fails."""

import numpy as np
import pytest

from npreslstm.testing import assert_lstm_equal

N, T, D, H = 3, 6, 4, 5
LENGTHS = np.array([4, 6, 2])


def weights_of(rng, bidirectional=False):
    state = {}
    for direction in ("", "_reverse")[: 1 + bidirectional]:
        for name, shape in (
            ("weight_ih", (4 * H, D)),
            ("weight_hh", (4 * H, H)),
            ("bias_ih", (4 * H,)),
            ("bias_hh", (4 * H,)),
        ):
            state[f"{name}_l0{direction}"] = rng.normal(0, 0.5, shape)
    return state


def wrong(found, *arguments, **options):
    """The message of the AssertionError that a comparison must raise."""
    with pytest.raises(AssertionError) as error:
        assert_lstm_equal(found, *arguments, **options)
    return str(error.value)
