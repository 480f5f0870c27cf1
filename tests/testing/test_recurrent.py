"""Stacks of LSTM layers, both directions: against the reference clip by clip, numeric gradients, and what is
refused.
"""

import numpy as np
import pytest
from reference import lstm as reference_lstm

from npreslstm.errors import InputError
from npreslstm.fast.packing import packing
from npreslstm.gradient_check import numeric_gradient, relative_error
from npreslstm.testing.recurrent import PARAMETERS, recurrent_backward, recurrent_forward, reversal

EXACT = 3e-15  # achieved 3.3e-16, float64
LENGTHS = (3, 1, 4)


def random_state(rng, D, H, layers, bidirectional, bias=True, dtype=np.float64):
    """Random weights under torch.nn.LSTM's names."""
    state = {}
    for k in range(layers):
        inputs = D if k == 0 else H * (1 + bidirectional)
        for direction in ("", "_reverse")[: 1 + bidirectional]:
            shapes = (4 * H, inputs), (4 * H, H), (4 * H,), (4 * H,)
            for name, shape in list(zip(PARAMETERS, shapes))[: 4 if bias else 2]:
                state[f"{name}_l{k}{direction}"] = rng.normal(0, 0.5, shape).astype(dtype)
    return state


def reference_stack(x, state, layers, bidirectional, h0, c0):
    """One clip x (T, D): outputs (T, directions * H) and final states (L, H)."""
    h_n, c_n = [], []
    for k in range(layers):
        outputs = []
        for direction in ("", "_reverse")[: 1 + bidirectional]:
            step = -1 if direction else 1
            weights = [state.get(f"{name}_l{k}{direction}") for name in PARAMETERS]
            weights = [np.zeros(len(weights[0])) if w is None else w for w in weights]
            states, h, c = reference_lstm(x[::step], *weights, h0[len(h_n)], c0[len(c_n)])
            outputs.append(states[::step])
            h_n.append(h)
            c_n.append(c)
        x = np.concatenate(outputs, axis=1)
    return x, np.array(h_n), np.array(c_n)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers, bidirectional", [(1, False), (3, False), (1, True), (2, True)])
def test_a_stack_equals_the_reference(layers, bidirectional, bias):
    rng = np.random.default_rng(0)
    state, (D, H) = random_state(rng, 4, 5, layers, bidirectional, bias), (4, 5)
    x = rng.normal(size=(3, 6, D))
    h0, c0 = rng.normal(size=(2, layers * (1 + bidirectional), 3, H))
    y, (h_n, c_n), _ = recurrent_forward(x, np.array(LENGTHS), state, h0, c0)
    assert y.shape == (3, 6, H * (1 + bidirectional))
    for n, T in enumerate(LENGTHS):
        outputs, h, c = reference_stack(x[n, :T], state, layers, bidirectional, h0[:, n], c0[:, n])
        np.testing.assert_allclose(y[n, :T], outputs, rtol=0, atol=EXACT)
        np.testing.assert_allclose(h_n[:, n], h, rtol=0, atol=EXACT)
        np.testing.assert_allclose(c_n[:, n], c, rtol=0, atol=EXACT)
        assert not y[n, T:].any()


@pytest.mark.parametrize("layers, bidirectional, bias", [(1, False, True), (2, True, True), (2, True, False)])
def test_gradients_of_everything(layers, bidirectional, bias):
    """Over every weight, the input and the initial states; the loss weighs all outputs and final states at
    random.
    """
    rng = np.random.default_rng(1)
    N, T, D, H, L = 2, 3, 1, 2, layers * (1 + bidirectional)
    lengths = np.array([2, 3])
    state = random_state(rng, D, H, layers, bidirectional, bias)
    x, h0, c0 = rng.normal(size=(N, T, D)), rng.normal(size=(L, N, H)), rng.normal(size=(L, N, H))
    dy, dh, dc = (
        rng.normal(size=(N, T, H * (1 + bidirectional))),
        rng.normal(size=(L, N, H)),
        rng.normal(size=(L, N, H)),
    )

    def run():
        return recurrent_forward(x, lengths, state, h0, c0)

    def loss():
        y, (h_n, c_n), _ = run()
        return (y * dy).sum() + (h_n * dh).sum() + (c_n * dc).sum()

    dx, (dh0, dc0), grads = recurrent_backward(dy, run()[2], dh, dc)
    assert list(grads) == list(state)
    checked = {"x": (x, dx), "h0": (h0, dh0), "c0": (c0, dc0)} | {
        name: (state[name], grad) for name, grad in grads.items()
    }
    errors = {
        name: relative_error(analytic, numeric_gradient(loss, p)) for name, (p, analytic) in checked.items()
    }
    assert max(errors.values()) < 8e-11, errors  # achieved 9e-12


@pytest.mark.parametrize("change, message", [
    ({"dy": np.ones((5, 3, 2))}, r"dy is \(5, 3, 2\); expected \(2, 3, 2\), as y"),
    ({"dy": np.ones((2, 2, 2))}, r"dy is \(2, 2, 2\)"),
    ({"dh_n": np.ones((5, 2, 2))}, r"dh_n is \(5, 2, 2\); expected \(1, 2, 2\)"),
    ({"dc_n": np.ones((1, 2, 3))}, r"dc_n is \(1, 2, 3\)"),
])  # fmt: skip
def test_gradients_of_another_shape_are_refused(change, message):
    rng = np.random.default_rng(0)
    _, _, cache = recurrent_forward(rng.normal(size=(2, 3, 1)), None, random_state(rng, 1, 2, 1, False, True))
    with pytest.raises(InputError, match=message):
        recurrent_backward(**{"dy": np.ones((2, 3, 2)), "cache": cache} | change)


def test_reversal_turns_each_clip_round_and_is_its_own_inverse():
    layout = packing([2, 4, 1, 4])
    rows = layout.pack(np.arange(16).reshape(4, 4))
    backwards = layout.unpack(rows[reversal(layout)])
    assert backwards.tolist() == [[1, 0, 0, 0], [7, 6, 5, 4], [8, 0, 0, 0], [15, 14, 13, 12]]
    np.testing.assert_array_equal(rows[reversal(layout)][reversal(layout)], rows)


def test_padding_has_no_part_in_either_direction():
    rng = np.random.default_rng(2)
    state, x = random_state(rng, 2, 3, 2, True), rng.normal(size=(3, 4, 2))
    y = recurrent_forward(x, np.array(LENGTHS), state)[0]
    x[0, 3:], x[1, 1:] = np.nan, 1e9
    np.testing.assert_array_equal(recurrent_forward(x, np.array(LENGTHS), state)[0], y)


def test_without_lengths_all_frames_count():
    rng = np.random.default_rng(3)
    state, x = random_state(rng, 2, 3, 1, True), rng.normal(size=(2, 4, 2))
    np.testing.assert_array_equal(
        recurrent_forward(x, None, state)[0], recurrent_forward(x, np.array([4, 4]), state)[0]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_input_decides_the_type(dtype):
    state = random_state(np.random.default_rng(4), 2, 3, 2, True, dtype=np.float32)
    y, (h_n, c_n), cache = recurrent_forward(np.ones((2, 3, 2), dtype), None, state)
    dx, (dh0, dc0), grads = recurrent_backward(np.ones_like(y), cache)
    assert {a.dtype for a in (y, h_n, c_n, dx, dh0, dc0, *grads.values())} == {np.dtype(dtype)}


GOOD = random_state(np.random.default_rng(5), 2, 3, 2, True)
SMALL = random_state(np.random.default_rng(5), 2, 3, 1, False)


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


REFUSED = {
    "nothing": ({}, "the matrix weight_ih_l0 is missing.*found nothing"),
    "no recurrent weights": ({"weight_ih_l0": np.ones((12, 2))}, "the matrix weight_hh_l0 is missing"),
    "a missing tensor": (without("bias_hh_l1_reverse"), r"bias_hh_l1_reverse is missing; expected \(12,\)"),
    "a missing direction": (
        {k: v for k, v in GOOD.items() if not k.endswith("_l1_reverse")},
        r"weight_ih_l1_reverse is missing",
    ),
    "a gap in the layers": (
        {k.replace("_l1", "_l2"): v for k, v in GOOD.items()},
        r"weight_ih_l1 is missing; expected \(12, 6\)",
    ),
    "a bias too many": (
        {**random_state(np.random.default_rng(0), 2, 3, 1, False, bias=False), "bias_ih_l1": np.ones(12)},
        "expected the same four",
    ),
    "a shape": ({**SMALL, "bias_ih_l0": np.ones(3)}, r"bias_ih_l0 is \(3,\); expected \(12,\)"),
    "another module's names": (
        {f"lstm.{name}": w for name, w in SMALL.items()},
        r"'lstm\.weight_ih_l0' is not a weight of torch\.nn\.LSTM",
    ),
    "projections": (
        {**SMALL, "weight_hh_l0": np.ones((12, 2)), "weight_hr_l0": np.ones((2, 3))},  # as torch orders them
        r"weight_hr_l0 is a projection \(proj_size=2\)",
    ),
    "a GRU": (
        {"weight_ih_l0": np.ones((9, 2)), "weight_hh_l0": np.ones((9, 3))},
        r"weight_hh_l0 is \(9, 3\), the shape of a GRU",
    ),
    "a plain RNN": (
        {"weight_ih_l0": np.ones((3, 2)), "weight_hh_l0": np.ones((3, 3))},
        "the shape of a plain RNN",
    ),
    "peepholes": ({**SMALL, "weight_peephole_l0": np.ones(9)}, "weight_peephole_l0 is a peephole connection"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_are_refused(case):
    state, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        recurrent_forward(np.ones((1, 2, 2)), None, state)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x": np.ones((1, 2, 3))}, r"input is \(1, 2, 3\); expected \(clips, frames, 2\)"),
        ({"x": np.ones((2, 2))}, r"input is \(2, 2\)"),
        ({"x": np.ones((1, 0, 2))}, "at least 1"),
        ({"x": np.ones((1, 2, 2), np.int64)}, "the input is int64; expected float32 or float64"),
        ({"lengths": np.array([3])}, "lengths are 1 up to 3; expected 1 up to 2"),
        ({"lengths": np.array([1, 1])}, "lengths are 2 up to 1; expected 1 up to 2"),
        ({"h0": np.ones((1, 3))}, r"h0 is \(1, 3\); expected \(1, 1, 3\)"),
    ],
)
def test_batches_that_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        recurrent_forward(**{"x": np.ones((1, 2, 2)), "lengths": None, "state": SMALL} | change)
