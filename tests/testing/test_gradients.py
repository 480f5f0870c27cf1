"""Other backward passes against this package's: what passes, what fails, what the message says."""

import numpy as np
import pytest
from gradient_cases import DEEP, LENGTHS, SMALL, N, T, make_case, message_of
from naive_backward import Naive

from npreslstm.errors import InputError
from npreslstm.gradient_check import numeric_gradient, relative_error
from npreslstm.testing import (
    assert_lstm_gradients_equal,
    gradients_from_keras,
    trace_lstm_gradients,
)
from npreslstm.testing.recurrent import PARAMETERS, recurrent_backward, recurrent_forward

EXACT = 2e-14  # achieved 1.8e-15, float64


# --- the reference ---


@pytest.mark.parametrize(
    "layers, bidirectional, bias", [(1, False, True), (2, True, True), (3, False, False)]
)
def test_the_reference_by_numeric_differences(layers, bidirectional, bias):
    """Over every weight, the input and the initial states; the loss weighs outputs and final states."""
    case = make_case(2, 3, layers, bidirectional, bias, lengths=[2, 3], frames=3)

    def loss():
        given = case["x"], case["lengths"], case["weights"], case["h0"], case["c0"]
        y, (h_n, c_n), _ = recurrent_forward(*given)
        return (y * case["dy"]).sum() + (h_n * case["dh_n"]).sum() + (c_n * case["dc_n"]).sum()

    grads = trace_lstm_gradients(**case)
    given = case["weights"] | {"dx": case["x"], "dh0": case["h0"], "dc0": case["c0"]}
    assert grads.keys() == given.keys()
    errors = {name: relative_error(grads[name], numeric_gradient(loss, p)) for name, p in given.items()}
    assert max(errors.values()) < 1e-10, errors  # achieved 1.6e-11


@pytest.mark.parametrize("case", [SMALL, DEEP, make_case(4, 5, 3, False, bias=False)])
def test_three_ways_to_the_same_gradients(case):
    """The reference, the fast layers of `recurrent`, and the naive clips of these tests."""
    grads = trace_lstm_gradients(**case)
    naive = Naive().gradients(**case)
    _, _, cache = recurrent_forward(*(case[name] for name in ("x", "lengths", "weights", "h0", "c0")))
    dx, (dh0, dc0), fast = recurrent_backward(case["dy"], cache, case["dh_n"], case["dc_n"])
    fast |= {"dx": dx, "dh0": dh0, "dc0": dc0}
    assert grads.keys() == naive.keys() == fast.keys()
    for name, gradient in grads.items():
        np.testing.assert_allclose(naive[name], gradient, rtol=0, atol=EXACT, err_msg=name)
        np.testing.assert_allclose(fast[name], gradient, rtol=0, atol=EXACT, err_msg=name)


def test_gradients_come_in_the_order_of_the_way_back():
    names = [f"{name}_{suffix}" for suffix in ("l1", "l1_reverse", "l0", "l0_reverse") for name in PARAMETERS]
    assert list(trace_lstm_gradients(**DEEP)) == [*names, "dh0", "dc0", "dx"]


# --- what passes ---


@pytest.mark.parametrize("case", [SMALL, DEEP])
def test_equal_gradients_pass_in_every_form(case):
    grads = trace_lstm_gradients(**case)
    assert_lstm_gradients_equal(grads, **case)
    for name, gradient in grads.items():
        assert_lstm_gradients_equal({name: gradient}, **case)
    assert_lstm_gradients_equal({name: gradient.tolist() for name, gradient in grads.items()}, **case)
    time_major = case | {name: case[name].swapaxes(0, 1) for name in ("x", "dy")}
    turned = grads | {"dx": grads["dx"].swapaxes(0, 1)}
    assert_lstm_gradients_equal(turned, **time_major, batch_first=False)
    traced = trace_lstm_gradients(**time_major, batch_first=False)
    np.testing.assert_array_equal(traced["dx"], turned["dx"])
    for dtype in (np.float32, np.float16):
        rounded = {name: gradient.astype(dtype) for name, gradient in grads.items()}
        assert_lstm_gradients_equal(rounded, **case)


def test_padding_has_no_part():
    grads = trace_lstm_gradients(**SMALL)
    noisy = {name: SMALL[name].copy() for name in ("x", "dy")}
    past = np.arange(T) >= LENGTHS[:, None]
    noisy["x"][past], noisy["dy"][past] = np.nan, 1e9
    grads["dx"][past] = np.nan
    assert_lstm_gradients_equal(grads, **SMALL | noisy)


def test_initial_states_and_lengths_may_be_left_out():
    case = {name: SMALL[name] for name in ("weights", "x", "dy")}
    zeros = np.zeros((1, N, 3))
    explicit = trace_lstm_gradients(**case, lengths=np.full(N, T), h0=zeros, c0=zeros, dh_n=zeros, dc_n=zeros)
    for name, gradient in trace_lstm_gradients(**case).items():
        np.testing.assert_array_equal(gradient, explicit[name])


def test_gradients_in_keras_layout():
    grads = trace_lstm_gradients(**make_case(3, 2, 1, True))
    suffixes = ("l0", "l0_reverse")
    keras = [
        part
        for suffix in suffixes
        for part in (
            grads[f"weight_ih_{suffix}"].T,
            grads[f"weight_hh_{suffix}"].T,
            grads[f"bias_ih_{suffix}"],
        )
    ]
    found = gradients_from_keras(keras)
    assert list(found) == [f"{name}_{suffix}" for suffix in suffixes for name in PARAMETERS[:3]]
    assert_lstm_gradients_equal(found, **make_case(3, 2, 1, True))
    assert list(gradients_from_keras(keras[:2])) == ["weight_ih_l0", "weight_hh_l0"]
    with pytest.raises(InputError, match="expected the list of arrays"):
        gradients_from_keras({"kernel": keras[0]})


# --- what a message says ---


def test_the_message_names_tensor_layer_direction_and_place():
    grads = trace_lstm_gradients(**DEEP)
    right = grads["weight_hh_l0_reverse"][3, 1]
    grads["weight_hh_l0_reverse"][3, 1] += 0.5
    grads["weight_hh_l0_reverse"][7, 0] -= 0.25
    grads["dx"][1, 2, 0] += 1.0
    message = message_of(grads, DEEP)
    assert message.startswith(
        "the gradient of weight_hh_l0_reverse (layer 0, backward direction) deviates most at gate f, unit 1,"
        f" column 1 (row 3): {right + 0.5:.9g}, npreslstm has {right:.9g}; the difference 5.00e-01 exceeds "
    )
    assert " 2 of 16 values deviate. Wrong as well: dx. Right: weight_ih_l1, " in message
    assert message.endswith(" and 11 more.")  # no mistake is named
    only = {"dx": grads["dx"], "dc0": grads["dc0"]}
    only["dc0"][2, 1, 0] += 1e-3
    assert message_of(only, DEEP).startswith("dc0 deviates most at state 2, clip 1, unit 0: ")
    assert "dx deviates most at clip 1, frame 2, input 0: " in message_of({"dx": grads["dx"]}, DEEP)
    del only["dc0"]
    swapped = {name: array.swapaxes(0, 1) for name, array in only.items()}
    time_major = DEEP | {name: DEEP[name].swapaxes(0, 1) for name in ("x", "dy")}
    assert "clip 1, frame 2, input 0" in message_of(swapped, time_major, batch_first=False)


def test_a_value_that_is_no_number_is_wrong():
    grads = trace_lstm_gradients(**SMALL)
    grads["bias_ih_l0"][4] = np.nan
    assert "gate f, unit 1 (row 4): nan, npreslstm has" in message_of(grads, SMALL)


REFUSED = [
    (
        {"grads": {"x": np.ones((3, 5, 3))}},
        r"'x' is no gradient of this LSTM; expected some of weight_ih_l0, ",
    ),
    (
        {"grads": {"dx": None}},
        "dx is None; expected a gradient: torch keeps none where requires_grad is False",
    ),
    ({"grads": [1, 2]}, r"the gradients are \[1, 2\]; expected a mapping of names to arrays"),
    ({"grads": {"dx": np.ones((5, 3, 3))}}, r"dx is \(5, 3, 3\); expected \(3, 5, 3\): it looks time-major"),
    ({"grads": {"weight_hh_l0": np.ones((3, 12))}}, r"expected \(12, 3\), .*: it looks transposed"),
    ({"grads": {"dh0": np.ones((3, 3))}}, r"dh0 is \(3, 3\); expected \(1, 3, 3\)"),
    (
        {"grads": {"dx": np.ones((3, 5, 3), np.int64)}},
        "is int64; expected float64, float32, float16, bfloat16, or a",
    ),
    ({"dy": np.ones((3, 5, 4))}, r"dy is \(3, 5, 4\); expected \(clips, frames, 3\)"),
    ({"dy": np.ones((3, 4, 3))}, r"dy is \(3, 4, 3\); expected \(3, 5, 3\), as x and weight_hh_l0 have it"),
    ({"x": np.ones((3, 5))}, r"x is \(3, 5\); expected \(clips, frames, 3\)"),
    ({"x": np.ones((5, 3, 2)), "batch_first": False}, r"expected \(frames, clips, 3\)"),
    ({"h0": np.ones((3, 3))}, r"h0 is \(3, 3\); expected \(1, 3, 3\): layers times directions"),
    ({"lengths": [5, 6, 2]}, "lengths"),
    ({"lengths": [5, 5]}, "lengths"),
    ({"tolerance": "float8"}, "tolerance is 'float8'; expected a number, or float64, float32"),
    ({"tolerance": -1}, "tolerance is -1; expected a number of 0 or more"),
    ({"tolerance": True}, "tolerance is True; expected a number of 0 or more"),
    ({"grads": {}}, "there is nothing to compare; expected some of weight_ih_l0, "),
]


@pytest.mark.parametrize("changed, message", REFUSED)
def test_what_cannot_be_compared(changed, message):
    given = {"grads": {"dx": np.ones((N, T, 3))}, **SMALL} | changed
    with pytest.raises(InputError, match=message):
        assert_lstm_gradients_equal(**given)
