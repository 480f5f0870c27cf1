"""The reference LSTM: its order of gates, its gradients by numeric differences, and padding that cannot
matter.
"""

import numpy as np
import pytest
from reference import random_params

from npreslstm.gradient_check import numeric_gradient, relative_error
from npreslstm.layers.lstm import (
    GATES,
    LSTMParams,
    gate_slices,
    lstm_backward,
    lstm_forward,
    lstm_step,
    lstm_step_backward,
)


def errors_of(loss, pairs):
    return {
        name: relative_error(analytic, numeric_gradient(loss, p)) for name, (p, analytic) in pairs.items()
    }


def test_gate_order_is_pytorchs():
    assert GATES == ("i", "f", "g", "o")
    assert gate_slices(3) == {"i": slice(0, 3), "f": slice(3, 6), "g": slice(6, 9), "o": slice(9, 12)}


def test_one_unit_is_the_four_equations():
    """H = D = 1, written out with the scalars of each gate."""
    W_ih, W_hh, b_ih, b_hh = (np.arange(1, 5) / k for k in (4, 5, 6, 7))
    params = LSTMParams(W_ih[:, None], W_hh[:, None], b_ih, b_hh)
    h, c, cache = lstm_step(np.array([[0.3]]), np.array([[-0.2]]), np.array([[0.7]]), params)
    a_i, a_f, a_g, a_o = 0.3 * W_ih + b_ih - 0.2 * W_hh + b_hh
    i, f, o = (1 / (1 + np.exp(-a)) for a in (a_i, a_f, a_o))
    expected_c = f * 0.7 + i * np.tanh(a_g)
    found = [cache.i, cache.f, cache.g, cache.o, c, h]
    expected = [i, f, np.tanh(a_g), o, expected_c, o * np.tanh(expected_c)]
    np.testing.assert_allclose(np.ravel(found), expected, rtol=0, atol=5e-16)  # achieved 1.1e-16


def test_gradients_of_one_frame():
    rng = np.random.default_rng(0)
    params = random_params(rng, 4, 5)
    x, (h, c, dh, dc) = rng.normal(size=(2, 4)), rng.normal(size=(4, 2, 5))

    def loss():
        new_h, new_c, _ = lstm_step(x, h, c, params)
        return (new_h * dh).sum() + (new_c * dc).sum()

    dx, dh_before, dc_before, grads = lstm_step_backward(dh, dc, lstm_step(x, h, c, params)[2])
    pairs = {
        "x": (x, dx),
        "h": (h, dh_before),
        "c": (c, dc_before),
        **dict(zip(params._fields, zip(params, grads))),
    }
    errors = errors_of(loss, pairs)
    assert max(errors.values()) < 4e-11, errors  # achieved 4.2e-12


@pytest.mark.parametrize("T, N, D, H", [(3, 2, 4, 5), (4, 3, 5, 2), (1, 1, 1, 1), (3, 1, 1, 2)])
def test_gradients_of_everything(T, N, D, H):
    """Input, initial states and all weights, with gradients coming in through the outputs and the final
    states.
    """
    rng = np.random.default_rng(3)
    params, x = random_params(rng, D, H), rng.normal(size=(T, N, D))
    h0, c0, dh_n, dc_n = rng.normal(size=(4, N, H))
    dy = rng.normal(size=(T, N, H))

    def loss():
        y, (h_n, c_n), _ = lstm_forward(x, params, h0, c0)
        return (y * dy).sum() + (h_n * dh_n).sum() + (c_n * dc_n).sum()

    dx, (dh0, dc0), grads = lstm_backward(dy, lstm_forward(x, params, h0, c0)[2], dh_n, dc_n)
    pairs = {"x": (x, dx), "h0": (h0, dh0), "c0": (c0, dc0), **dict(zip(params._fields, zip(params, grads)))}
    errors = errors_of(loss, pairs)
    assert max(errors.values()) < 1e-10, errors  # achieved 1.5e-11; a wrong gradient shows 1e-3 or more


def test_the_cache_holds_every_frame():
    rng = np.random.default_rng(1)
    params, x = random_params(rng, 4, 5), rng.normal(size=(6, 3, 4))
    y, (h_n, c_n), cache = lstm_forward(x, params)
    h, c = np.zeros((2, 3, 5))
    for t in range(6):
        h, c, of_frame = lstm_step(x[t], h, c, params)
        for name, array in cache._asdict().items():
            if name != "params":
                np.testing.assert_array_equal(array[t], getattr(of_frame, name), err_msg=f"{name}, frame {t}")
    np.testing.assert_array_equal(h, h_n)
    np.testing.assert_array_equal(c, c_n)
    np.testing.assert_array_equal(y, cache.h)


def test_frames_past_a_clips_end_have_no_part_in_any_gradient():
    """Where no gradient comes in after its last frame, a clip's gradients are those of the clip without what
    follows.
    """
    rng = np.random.default_rng(5)
    params, x, dy = random_params(rng, 3, 2), rng.normal(size=(6, 1, 3)), rng.normal(size=(6, 1, 2))
    dy[4:] = 0
    dx, _, grads = lstm_backward(dy, lstm_forward(x, params)[2])
    short_dx, _, short_grads = lstm_backward(dy[:4], lstm_forward(x[:4], params)[2])
    assert not dx[4:].any()
    for a, b in zip((dx[:4], *grads), (short_dx, *short_grads)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated_gates_stay_finite_and_the_type_is_kept(dtype):
    rng = np.random.default_rng(6)
    params = LSTMParams(*(1e4 * p for p in random_params(rng, 4, 5, dtype)))
    y, states, cache = lstm_forward(rng.normal(size=(5, 3, 4)).astype(dtype), params)
    dx, dstates, grads = lstm_backward(np.ones_like(y), cache)
    for array in (y, *states, dx, *dstates, *grads):
        assert np.isfinite(array).all() and array.dtype == dtype
