"""The usual mistakes, recognised in the outputs of an LSTM."""

from itertools import permutations

import numpy as np
import pytest
from lstm_outputs import LENGTHS, D, H, N, T, weights_of, wrong

from npreslstm.layers.lstm import GATES
from npreslstm.testing import trace_lstm
from npreslstm.testing.recurrent import PARAMETERS, recurrent_forward


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def by_block(weights, order):
    return {name: np.concatenate([np.split(w, 4)[k] for k in order]) for name, w in weights.items()}


@pytest.mark.parametrize("order", list(permutations(range(4)))[1:])
def test_gates_in_another_order_are_recognised(rng, order):
    """A framework whose gates are in `order`, given weights as they are, computes what ours does for
    rearranged ones.
    """
    weights, x = weights_of(rng), rng.normal(size=(N, T, D))
    rearranged = by_block(weights, np.argsort(order))
    message = wrong(trace_lstm(rearranged, x, LENGTHS)["y"], weights, x, LENGTHS)
    assert message.endswith(
        f"The output is right for weights with gates in the order {', '.join(GATES[k] for k in order)}."
    )


def stack_of(rng, layers):
    """Weights of a bidirectional stack, H = 2."""
    return {
        f"{name}_l{k}{direction}": rng.normal(0, 0.7, (8, *width))
        for k in range(layers)
        for direction in ("", "_reverse")
        for name, width in zip(PARAMETERS, (((4 if k else 3),), (2,), (), ()))
    }


@pytest.mark.parametrize(
    "where, place",
    {
        ("l0", "l1"): ", in the forward direction",
        ("l0_reverse", "l1_reverse"): ", in the backward direction",
        ("l0", "l0_reverse"): ", in layer 0",
        ("l1", "l1_reverse"): ", in layer 1",
        ("l0",): ", in layer 0, forward direction",
        ("l0_reverse",): ", in layer 0, backward direction",
        ("l1_reverse",): ", in layer 1, backward direction",
        ("l0", "l0_reverse", "l1", "l1_reverse"): "",
        ("l0", "l1_reverse"): None,
    }.items(),
)
def test_gates_swapped_in_one_layer_or_direction_are_recognised(rng, where, place):
    weights, x = stack_of(rng, 2), rng.normal(size=(N, T, 3))
    swapped = {
        name: by_block({name: w}, [0, 3, 1, 2])[name] if name.split("_", 2)[2] in where else w
        for name, w in weights.items()
    }
    message = wrong(trace_lstm(swapped, x, LENGTHS)["y"], weights, x, LENGTHS)
    if place is None:  # no layer, no direction
        assert "The output is right" not in message
    else:
        words = ", ".join(np.array(GATES)[np.argsort([0, 3, 1, 2])])
        assert message.endswith(f"The output is right for weights with gates in the order {words}{place}.")


def test_a_mistake_that_would_change_next_to_nothing_explains_nothing(rng):
    """Noise just out of tolerance, where a lost bias would be within it."""
    weights, x = weights_of(rng), rng.normal(size=(N, T, D))
    weights["bias_hh_l0"] *= 1e-3
    y = trace_lstm(weights, x)["y"]
    noisy = (y + rng.uniform(-0.015, 0.015, size=y.shape)).astype(np.float16)
    assert "The output is right" not in wrong(noisy, weights, x)


def test_other_mistakes_are_recognised(rng):
    weights, x = weights_of(rng), rng.normal(size=(N, T, D))
    h0, c0 = rng.normal(size=(2, 1, N, H))
    zero, double = np.zeros(4 * H), dict(weights)
    double["bias_hh_l0"] = weights["bias_ih_l0"]
    transposed = weights | {
        "weight_hh_l0": np.concatenate([block.T for block in np.split(weights["weight_hh_l0"], 4)])
    }
    mistakes = {
        "without the biases": {"weights": weights | {"bias_ih_l0": zero, "bias_hh_l0": zero}},
        "without bias_ih": {"weights": weights | {"bias_ih_l0": zero}},
        "without bias_hh": {"weights": weights | {"bias_hh_l0": zero}},
        "with bias_ih in place of bias_hh": {"weights": double},
        "with bias_ih counted twice": {"weights": weights | {"bias_ih_l0": 2 * weights["bias_ih_l0"]}},
        "with weight_hh transposed gate by gate": {"weights": transposed},
        "from zero h0 and c0": {"h0": None, "c0": None},
        "from zero h0": {"h0": None},
        "from zero c0": {"c0": None},
        "with h0 and c0 exchanged": {"h0": c0, "c0": h0},
        "with every clip backwards, padding included": {"x": x[:, ::-1]},
    }
    right = {"weights": weights, "x": x, "h0": h0, "c0": c0}
    for mistake, changed in mistakes.items():
        assert wrong(trace_lstm(**(right | changed))["y"], **right).endswith(
            f" The output is right {mistake}."
        ), mistake
    turned = np.array([[*clip[:T][::-1], *clip[T:]] for clip, T in zip(x, LENGTHS)])
    assert wrong(trace_lstm(weights, turned, LENGTHS)["y"], weights, x, LENGTHS).endswith(
        " The output is right with every clip backwards."
    )
    y, h_n, c_n = (trace_lstm(weights, x)[name] for name in ("y", "h_n", "c_n"))
    # y alone would be right for lengths of which there are none
    assert "The output is right" not in wrong((y, (c_n, h_n)), weights, x)
    both = weights_of(rng, True)
    message = wrong(trace_lstm(both, x)["y"], both, x, LENGTHS)
    assert message.endswith(" The output is right if padded frames are run as well (lengths ignored).")
    assert "The output is right" not in wrong(trace_lstm(both, x)["y"] + 0.1, both, x)


@pytest.mark.parametrize("frames", [N, N + 2])
def test_clips_taken_for_frames_are_recognised(rng, frames):
    """torch.nn.LSTM without batch_first, given (N, T, D): y has the same shape, the states have not."""
    weights, x = weights_of(rng), rng.normal(size=(N, frames, D))
    swapped = trace_lstm(weights, x.swapaxes(0, 1))
    y = swapped["y"].swapaxes(0, 1)
    words = " The output is right if x is (frames, clips, inputs), which batch_first=True would change."
    assert wrong(y, weights, x).endswith(words)
    assert wrong((y, (swapped["h_n"], swapped["c_n"])), weights, x).endswith(words)


def test_an_output_with_clips_and_frames_exchanged_is_recognised(rng):
    weights, x = weights_of(rng), rng.normal(size=(N, N, D))
    y = trace_lstm(weights, x)["y"].swapaxes(0, 1)
    assert wrong(y, weights, x).endswith(" The output is right with clips and frames of y exchanged.")


@pytest.mark.parametrize("layer", [None, 0, 1])
def test_a_backward_direction_that_runs_forwards_is_recognised(rng, layer):
    weights, x = stack_of(rng, 2), rng.normal(size=(N, T, 3))
    turning = {f"l{k}_reverse" for k in range(2) if layer not in (None, k)}
    y = recurrent_forward(x, LENGTHS, weights, turning=turning)[0]
    place = "" if layer is None else f", in layer {layer}"
    message = wrong(y, weights, x, LENGTHS)
    assert message.endswith(f" The output is right if the backward direction is run forwards{place}.")
