"""The LSTM against its slow twin and against numeric gradients."""

import numpy as np
import pytest
from naive import lstm as naive_lstm

from npreslstm.errors import InputError
from npreslstm.gradient_check import numeric_gradient, relative_error
from npreslstm.layers.lstm import GATES, LSTMParams, gate_slices, lstm_backward, lstm_forward, lstm_infer, lstm_step
from npreslstm.layers.packing import packing

EXACT = 1e-14  # achieved 9e-16 on values below 1, float64


def random_params(rng, D, H, dtype=np.float64):
    """Random weights with b_ih and b_hh distinct, so that losing one shows."""
    shapes = (4 * H, D), (4 * H, H), (4 * H,), (4 * H,)
    return LSTMParams(*(rng.normal(0, 0.5, shape).astype(dtype) for shape in shapes))


def random_batch(rng, lengths, D, dtype=np.float64):
    layout = packing(lengths)
    return rng.normal(size=(layout.rows, D)).astype(dtype), layout


def test_gate_order_is_pytorchs():
    assert GATES == ("i", "f", "g", "o")
    assert gate_slices(3) == {"i": slice(0, 3), "f": slice(3, 6), "g": slice(6, 9), "o": slice(9, 12)}


@pytest.mark.parametrize("lengths", [(1,), (4,), (3, 1, 5, 3), (2, 2), (1, 1, 1)])
@pytest.mark.parametrize("D, H", [(4, 5), (1, 1), (3, 1), (1, 2)])
def test_forward_equals_the_naive_twin(lengths, D, H):
    rng = np.random.default_rng(0)
    params = random_params(rng, D, H)
    x, layout = random_batch(rng, lengths, D)
    h0, c0 = rng.normal(size=(2, len(lengths), H))
    y, (h_n, c_n), _ = lstm_forward(x, params, layout, h0, c0)
    padded, outputs = layout.unpack(x), layout.unpack(y)
    for n, T in enumerate(lengths):
        states, h, c = naive_lstm(padded[n, :T], *params, h0[n], c0[n])
        np.testing.assert_allclose(outputs[n, :T], states, rtol=0, atol=EXACT)
        np.testing.assert_allclose(h_n[n], h, rtol=0, atol=EXACT)
        np.testing.assert_allclose(c_n[n], c, rtol=0, atol=4 * EXACT)  # achieved 4e-15 on values up to 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("states", [True, False])
def test_inference_gives_the_same_numbers_as_forward(dtype, states):
    rng = np.random.default_rng(1)
    params = random_params(rng, 4, 5, dtype)
    x, layout = random_batch(rng, (3, 6, 1, 6), 4, dtype)
    start = rng.normal(size=(2, 4, 5)).astype(dtype) if states else (None, None)
    y, (h_n, c_n), _ = lstm_forward(x, params, layout, *start)
    inferred, (h_i, c_i) = lstm_infer(x, params, layout, *start)
    tolerance = 8 * np.finfo(dtype).eps  # achieved 0 to 1 eps: the products may be summed in another order
    for a, b in ((y, inferred), (h_n, h_i), (c_n, c_i)):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_step_by_step_equals_the_sequence():
    rng = np.random.default_rng(2)
    params = random_params(rng, 4, 5)
    x, layout = random_batch(rng, (6, 6, 6), 4)
    y, (h_n, c_n), _ = lstm_forward(x, params, layout)
    h, c = np.zeros((2, 3, 5))
    for t in range(6):
        h, c = lstm_step(x[layout.offsets[t] : layout.offsets[t + 1]], h, c, params)
        np.testing.assert_allclose(h, y[layout.offsets[t] : layout.offsets[t + 1]], rtol=0, atol=EXACT)
    np.testing.assert_allclose(h, h_n, rtol=0, atol=EXACT)
    np.testing.assert_allclose(c, c_n, rtol=0, atol=4 * EXACT)


@pytest.mark.parametrize("lengths, D, H", [((3, 1), 4, 5), ((2, 4, 3), 4, 5), ((1,), 1, 1), ((3,), 1, 2)])
def test_gradients_of_everything(lengths, D, H):
    """Input, initial states and all weights, with gradients coming in through the outputs and the final states."""
    rng = np.random.default_rng(3)
    params = random_params(rng, D, H)
    x, layout = random_batch(rng, lengths, D)
    h0, c0, dh_n, dc_n = rng.normal(size=(4, len(lengths), H))
    dy = rng.normal(size=(layout.rows, H))

    def loss():
        y, (h_n, c_n), _ = lstm_forward(x, params, layout, h0, c0)
        return (y * dy).sum() + (h_n * dh_n).sum() + (c_n * dc_n).sum()

    cache = lstm_forward(x, params, layout, h0, c0)[2]
    dx, (dh0, dc0), grads = lstm_backward(dy, cache, dh_n, dc_n)
    pairs = {"x": (x, dx), "h0": (h0, dh0), "c0": (c0, dc0), **{name: pair for name, pair in zip(params._fields, zip(params, grads))}}
    errors = {name: relative_error(analytic, numeric_gradient(loss, p)) for name, (p, analytic) in pairs.items()}
    assert max(errors.values()) < 1e-10, errors  # achieved 2e-11; a wrong gradient shows 1e-3 or more


def test_input_gradient_can_be_left_out():
    rng = np.random.default_rng(4)
    params = random_params(rng, 4, 5)
    x, layout = random_batch(rng, (3, 2), 4)
    cache = lstm_forward(x, params, layout)[2]
    dy = rng.normal(size=(layout.rows, 5))
    with_dx, without = lstm_backward(dy, cache), lstm_backward(dy, cache, need_dx=False)
    assert without[0] is None
    for a, b in zip(with_dx[2], without[2]):
        np.testing.assert_array_equal(a, b)


def test_padding_is_never_read():
    """Packing takes the valid frames only, so NaN past a clip's end cannot matter."""
    rng = np.random.default_rng(5)
    padded = rng.normal(size=(2, 4, 3))
    padded[1, 2:] = np.nan
    layout = packing([4, 2])
    y, _, _ = lstm_forward(layout.pack(padded), random_params(rng, 3, 2), layout)
    assert np.isfinite(y).all()


def test_saturated_gates_stay_finite():
    rng = np.random.default_rng(6)
    x, layout = random_batch(rng, (5, 3), 4, np.float32)
    params = LSTMParams(*(1e4 * p for p in random_params(rng, 4, 5, np.float32)))
    y, _, cache = lstm_forward(x, params, layout)
    dx, _, grads = lstm_backward(np.ones_like(y), cache)
    assert all(np.isfinite(a).all() for a in (y, dx, *grads))


@pytest.mark.parametrize(
    "shape, state, message",
    [((5, 3), (2, 5), r"packed input is \(5, 3\); expected \(5, 4\)"), ((5, 4), (3, 5), r"a state is \(3, 5\); expected \(2, 5\)")],
)
def test_wrong_shapes_are_refused(shape, state, message):
    params = random_params(np.random.default_rng(7), 4, 5)
    with pytest.raises(InputError, match=message):
        lstm_forward(np.zeros(shape), params, packing([3, 2]), np.zeros(state))


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"W_hh": np.zeros((20, 6))}, r"W_ih is \(20, 4\); expected \(24, 4\): four gates of 6 hidden units"),
        ({"b_ih": np.zeros(1)}, r"b_ih is \(1,\); expected \(20,\)"),
        ({"W_ih": np.zeros((15, 4))}, r"W_ih is \(15, 4\); expected \(20, 4\)"),
    ],
)
def test_weights_that_do_not_fit_together_are_refused(changed, message):
    params = random_params(np.random.default_rng(7), 4, 5)._replace(**changed)
    with pytest.raises(InputError, match=message):
        lstm_forward(np.zeros((5, 4)), params, packing([3, 2]))


def test_a_gradient_of_another_batch_is_refused():
    y, _, cache = lstm_forward(np.zeros((5, 4)), random_params(np.random.default_rng(7), 4, 5), packing([3, 2]))
    with pytest.raises(InputError, match=r"dy is \(6, 5\); expected \(5, 5\), as y"):
        lstm_backward(np.zeros((6, 5)), cache)
