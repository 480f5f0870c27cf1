"""Other backward passes against this package's: what passes, what fails, which mistake is named."""

import re
from itertools import permutations

import numpy as np
import pytest
from naive_backward import Naive

from npreslstm.errors import InputError
from npreslstm.gradient_check import numeric_gradient, relative_error
from npreslstm.testing import (
    GRADIENT_TOLERANCES,
    assert_lstm_gradients_equal,
    gradients_from_keras,
    trace_lstm_gradients,
)
from npreslstm.testing.recurrent import PARAMETERS, recurrent_backward, recurrent_forward

EXACT = 2e-14  # achieved 1.8e-15, float64
N, T = 3, 5
LENGTHS = np.array([5, 3, 4])
ORDERS = ["".join(order) for order in permutations("ifgo")][1:]


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
]


@pytest.mark.parametrize("changed, message", REFUSED)
def test_what_cannot_be_compared(changed, message):
    given = {"grads": {"dx": np.ones((N, T, 3))}, **SMALL} | changed
    with pytest.raises(InputError, match=message):
        assert_lstm_gradients_equal(**given)


# --- mistakes ---

SINGLE = {  # a mistake of `naive_backward`, and the words for it
    "bias_hh zero": "that leaves bias_hh's gradient at zero",
    "bias_ih zero": "that leaves bias_ih's gradient at zero",
    "biases twice": "that counts each bias gradient twice",
    "biases halved": "that gives each of the two biases half of their gradient",
    "dweight_hh transposed": "that transposes dW_hh gate by gate",
    "mean over clips": "whose gradients of weights are means over the clips, not sums",
    "mean over frames": "whose gradients of weights are means over the frames, not sums",
    "mean over clips and frames": "whose gradients of weights are means over clips and frames, not sums",
    "no sigmoid' in i": "without the derivative of sigmoid in da_i",
    "no sigmoid' in f": "without the derivative of sigmoid in da_f",
    "no sigmoid' in o": "without the derivative of sigmoid in da_o",
    "no sigmoid'": "without the derivative of sigmoid in da_i, da_f and da_o",
    "no tanh' in g": "without the derivative of tanh in da_g",
    "no tanh' in c": "without the derivative of tanh in dc",
    "no tanh'": "without the derivative of tanh in da_g and dc",
    "no derivative at all": "without the derivative of any activation in da_i, da_f, da_o, da_g and dc",
    "no dh carried": "that carries dc from frame to frame, but not dh",
    "no dc carried": "that carries dh from frame to frame, but not dc",
    "nothing carried": "that carries neither dh nor dc from frame to frame",
    "nothing through h": "that leaves dh * o * (1 - tanh(c)^2) out of dc",
    "c for c_before": "that takes c for c_before in df",
    "h for h_before": "that takes h for h_before in dW_hh",
    "weight_hh not transposed": "that takes weight_hh for its transpose, gate by gate, in dh_before",
}  # fmt: skip
SQUARE = {  # where there are as many inputs as hidden units
    "dweight_ih transposed": "that transposes dW_ih gate by gate",
    "weight_ih not transposed": "that takes weight_ih for its transpose, gate by gate, in dx",
}
WHOLE = {  # of all layers together
    "dh0 and dc0 exchanged": "that exchanges dh0 and dc0",
    "all divided by clips": "whose gradients are all divided by the number of the clips",
    "all divided by frames": "whose gradients are all divided by the number of the frames",
    "all divided by clips and frames": "whose gradients are all divided by the number of clips and frames",
    "lengths ignored": "that runs the padded frames as well (lengths ignored)",
    "zero states": "of a forward pass from zero h0 and c0",
    "zero h0": "of a forward pass from zero h0",
    "zero c0": "of a forward pass from zero c0",
    "exchanged states": "of a forward pass with h0 and c0 exchanged",
    "no final states": "without dh_n and dc_n",
    "no dh_n": "without dh_n",
    "no dc_n": "without dc_n",
}
TURNS = {
    "runs forwards": "that runs the backward direction forwards",
    "dy not turned": "that does not turn the frames of dy round for a backward direction",
    "dx not turned": "that does not turn the frames of a backward direction's dx back",
}
GATES = {
    "gates read in another order": "for weights with gates in the order {}",
    "rows in another order": "whose gradients of weights have their gates in the order {}",
    "da stacked in another order": "that stacks da's gates in the order {}",
}
SCOPES = {
    ("l0", "l1"): ", in the forward direction",
    ("l0_reverse", "l1_reverse"): ", in the backward direction",
    ("l0", "l0_reverse"): ", in layer 0",
    ("l1", "l1_reverse"): ", in layer 1",
    ("l0",): ", in layer 0, forward direction",
    ("l0_reverse",): ", in layer 0, backward direction",
    ("l1",): ", in layer 1, forward direction",
    ("l1_reverse",): ", in layer 1, backward direction",
}


def named(case, mistake, **options):
    """The mistake that is named where the naive pass makes one."""
    return mistake_in(message_of(Naive(mistake, **options).gradients(**case), case))


@pytest.mark.parametrize("mistake, words", (SINGLE | SQUARE | WHOLE).items())
def test_a_mistake_in_one_layer_is_named(mistake, words):
    assert named(SMALL, mistake) == words


@pytest.mark.parametrize("mistake, words", (SINGLE | TURNS).items())
def test_a_mistake_in_both_directions_is_named(mistake, words):
    assert named(BOTH, mistake) == words


@pytest.mark.parametrize("mistake, words", (WHOLE | TURNS).items())
def test_a_mistake_in_all_of_a_stack_is_named(mistake, words):
    assert named(DEEP, mistake) == words


@pytest.mark.parametrize("where, place", SCOPES.items())
@pytest.mark.parametrize("mistake", ["bias_hh zero", "no dc carried"])
def test_a_mistake_in_some_layers_or_directions_is_named(mistake, where, place):
    assert named(DEEP, mistake, where=where) == SINGLE[mistake] + place


@pytest.mark.parametrize("mistake", SINGLE)
def test_every_mistake_is_named_in_one_direction_of_one_layer(mistake):
    assert named(DEEP, mistake, where=["l0_reverse"]) == SINGLE[mistake] + SCOPES[("l0_reverse",)]


@pytest.mark.parametrize("mistake", TURNS)
def test_a_direction_that_is_not_turned_in_one_layer(mistake):
    assert named(DEEP, mistake, where=["l1_reverse"]) == TURNS[mistake] + ", in layer 1"


@pytest.mark.parametrize("mistake", ["no dh carried", "no dc carried", "nothing carried"])
def test_initial_states_may_still_get_their_gradient(mistake):
    assert named(DEEP, mistake, starts_kept=True) == SINGLE[mistake]


@pytest.mark.parametrize(
    "mistake, lost",
    [("no dh carried", ["dh_n"]), ("no dc carried", ["dc_n"]), ("nothing carried", ["dh_n", "dc_n"])],
)
def test_final_states_may_be_lost_with_what_is_not_carried(mistake, lost):
    grads = Naive(mistake).gradients(**SMALL | {name: 0 * SMALL[name] for name in lost})
    words = f"{SINGLE[mistake]}, nor takes {' or '.join(lost)}"
    assert mistake_in(message_of(grads, SMALL)) == words


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mistake", GATES)
def test_gates_in_another_order_are_named(mistake, order):
    assert named(SMALL, mistake, order=order) == GATES[mistake].format(", ".join(order))


@pytest.mark.parametrize("where, place", SCOPES.items())
@pytest.mark.parametrize("mistake", GATES)
def test_gates_in_another_order_in_some_layers_or_directions(mistake, where, place):
    words = GATES[mistake].format("i, o, f, g") + place
    assert named(DEEP, mistake, order="iofg", where=where) == words


@pytest.mark.parametrize("case", [SMALL, DEEP])
@pytest.mark.parametrize("k", [1, 2])
def test_lost_frames_are_named(case, k):
    frames = {1: "frame", 2: "2 frames"}[k]
    words = f"that misses the first {frames} (goes back through {T - k} of {T})"
    assert named(case, "first frames missed", k=k) == words
    for kept in (True, False):
        words = f"that misses each clip's last {frames}"
        assert named(case, "last frames missed", k=k, starts_kept=kept) == words
        words = f"that misses the batch's last {frames}"
        assert named(case, "batch's last frames missed", k=k, starts_kept=kept) == words


def test_a_window_over_a_long_clip():
    """The first of 120 frames are lost to a way back of 20."""
    case = make_case(3, 3, 1, False, lengths=[120, 120], frames=120)
    words = "that misses the first 100 frames (goes back through 20 of 120)"
    assert named(case, "first frames missed", k=100) == words


@pytest.mark.parametrize("mistake, words", (SINGLE | TURNS).items())
@pytest.mark.parametrize("tensor", ["dx", "weight_hh_l0"])
def test_one_tensor_is_never_explained_wrongly(mistake, words, tensor):
    """Where only some gradients are compared, several mistakes can give the same; none but those is named."""
    gradient = Naive(mistake).gradients(**BOTH)[tensor]
    try:
        assert_lstm_gradients_equal({tensor: gradient}, **BOTH)
    except AssertionError as error:
        assert mistake_in(str(error)).startswith((words, *ALIKE.get(mistake, ())))


ALIKE = {}


@pytest.mark.parametrize("case", [SMALL, BOTH])
def test_no_mistake_is_named_where_there_is_another(case):
    """A lost factor that is not among the usual ones; noise; and two mistakes at once."""
    right = trace_lstm_gradients(**case)
    noise = np.random.default_rng(1)
    noisy = {
        name: gradient * (1 + 0.01 * noise.normal(size=gradient.shape)) for name, gradient in right.items()
    }
    assert mistake_in(message_of(noisy, case)) == ""
    both = Naive("no dc carried").gradients(**case)
    both["bias_hh_l0"] *= 0
    assert mistake_in(message_of(both, case)) == ""
    squared = right | {"weight_ih_l0": right["weight_ih_l0"] * 1.5}
    assert mistake_in(message_of(squared, case)) == ""


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("mistake", ["bias_hh zero", "no sigmoid' in f", "no dc carried", "mean over clips"])
def test_mistakes_are_named_in_rougher_types(mistake, dtype):
    grads = Naive(mistake).gradients(**SMALL)
    rounded = {name: gradient.astype(dtype) for name, gradient in grads.items()}
    assert mistake_in(message_of(rounded, SMALL)) == SINGLE[mistake]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_gradient_just_out_of_tolerance_is_no_mistake(dtype):
    """A mistake that would change next to nothing does not explain noise of its size."""
    tiny = SMALL | {"dh_n": 1e-3 * GRADIENT_TOLERANCES[np.dtype(dtype).name] * SMALL["dh_n"]}
    grads = trace_lstm_gradients(**tiny)
    grads = {name: gradient.astype(dtype) for name, gradient in grads.items()}
    assert_lstm_gradients_equal(grads, **tiny)
    rng = np.random.default_rng(2)
    for name, gradient in grads.items():
        noise = rng.uniform(-20, 20, size=gradient.shape) * GRADIENT_TOLERANCES[np.dtype(dtype).name]
        grads[name] = (gradient + noise * np.abs(gradient).max()).astype(dtype)
    assert mistake_in(message_of(grads, tiny)) == ""
