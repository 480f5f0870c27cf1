"""Arguments of backward passes, and what a comparison that fails says."""

import re

import numpy as np
import pytest

from npreslstm.testing import (
    assert_lstm_gradients_equal,
)
from npreslstm.testing.recurrent import PARAMETERS

N, T = 3, 5


LENGTHS = np.array([5, 3, 4])


def make_case(D, H, layers, bidirectional, bias=True, lengths=LENGTHS, seed=0, frames=T, spread=0.6):
    """Arguments of a backward pass: weights, x, dy, lengths, h0, c0, dh_n, dc_n."""
    rng = np.random.default_rng(seed)
    directions = 1 + bidirectional
    weights = {}
    for k in range(layers):
        inputs = D if k == 0 else H * directions
        for suffix in (f"l{k}", f"l{k}_reverse")[:directions]:
            shapes = (4 * H, inputs), (4 * H, H), (4 * H,), (4 * H,)
            for name, shape in list(zip(PARAMETERS, shapes))[: 4 if bias else 2]:
                weights[f"{name}_{suffix}"] = rng.normal(0, spread, shape)
    clips = len(lengths)
    states = rng.normal(size=(4, layers * directions, clips, H))
    x, dy = rng.normal(size=(clips, frames, D)), rng.normal(size=(clips, frames, directions * H))
    return dict(zip(("h0", "c0", "dh_n", "dc_n"), states)) | {
        "weights": weights, "x": x, "dy": dy, "lengths": np.array(lengths),
    }  # fmt: skip


SMALL = make_case(3, 3, 1, False)


BOTH = make_case(3, 2, 1, True)


DEEP = make_case(3, 2, 2, True)


def message_of(grads, case, **options):
    """What a comparison that must fail says."""
    with pytest.raises(AssertionError) as error:
        assert_lstm_gradients_equal(grads, **case, **options)
    return str(error.value)


def mistake_in(message):
    """The mistake that a message names; '' if none."""
    found = re.search(r" The gradients are those of a backward pass (.+)\.$", message)
    return found[1] if found else ""
