"""Backward passes with a mistake: which one is named, and that none is named wrongly."""

from itertools import permutations

import numpy as np
import pytest
from gradient_cases import BOTH, DEEP, SMALL, T, make_case, message_of, mistake_in
from naive_backward import Naive

from npreslstm.testing import (
    GRADIENT_TOLERANCES,
    assert_lstm_gradients_equal,
    trace_lstm_gradients,
)

ORDERS = ["".join(order) for order in permutations("ifgo")][1:]


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
