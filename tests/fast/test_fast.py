"""The fast layers against the reference, float64."""

import numpy as np
import pytest
from reference import lstm as reference_lstm
from reference import random_params

from npreslstm.errors import InputError
from npreslstm.fast.attention import attention_backward, attention_forward, attention_infer
from npreslstm.fast.batchnorm import batchnorm_backward, batchnorm_forward
from npreslstm.fast.lstm import lstm_backward, lstm_forward, lstm_infer
from npreslstm.fast.packing import packing
from npreslstm.folding import one_vector
from npreslstm.layers import attention, batchnorm, lstm
from npreslstm.layers.lstm import LSTMParams, lstm_step

EXACT = 2e-15  # achieved 2.2e-16 on values below 1
LENGTHS = [(1,), (4,), (3, 1, 5, 3), (2, 2), (1, 1, 1)]
SIZES = [(4, 5), (1, 1), (3, 1), (1, 2)]


def random_batch(rng, lengths, D, dtype=np.float64):
    layout = packing(lengths)
    return rng.normal(size=(layout.rows, D)).astype(dtype), layout


# --- LSTM ---


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("D, H", SIZES)
def test_lstm_forward(lengths, D, H):
    rng = np.random.default_rng(0)
    params = random_params(rng, D, H)
    x, layout = random_batch(rng, lengths, D)
    h0, c0 = rng.normal(size=(2, len(lengths), H))
    y, (h_n, c_n), _ = lstm_forward(x, params, layout, h0, c0)
    padded, outputs = layout.unpack(x), layout.unpack(y)
    for n, T in enumerate(lengths):
        states, h, c = reference_lstm(padded[n, :T], *params, h0[n], c0[n])
        np.testing.assert_allclose(outputs[n, :T], states, rtol=0, atol=EXACT)
        np.testing.assert_allclose(h_n[n], h, rtol=0, atol=EXACT)
        np.testing.assert_allclose(c_n[n], c, rtol=0, atol=EXACT)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("D, H", SIZES)
def test_lstm_backward(lengths, D, H):
    """Clip by clip; the weights' gradients are the sums over clips."""
    rng = np.random.default_rng(1)
    params, N = random_params(rng, D, H), len(lengths)
    x, layout = random_batch(rng, lengths, D)
    h0, c0, dh_n, dc_n = rng.normal(size=(4, N, H))
    dy = rng.normal(size=(layout.rows, H))
    cache = lstm_forward(x, params, layout, h0, c0)[2]
    dx, (dh0, dc0), grads = lstm_backward(dy, cache, dh_n, dc_n)
    padded, padded_dy, padded_dx = (layout.unpack(rows) for rows in (x, dy, dx))
    totals = [np.zeros_like(p) for p in params]
    for n, T in enumerate(lengths):
        one = slice(n, n + 1)
        _, _, of_clip = lstm.lstm_forward(padded[n, :T, None], params, h0[one], c0[one])
        d, (dh, dc), of_weights = lstm.lstm_backward(padded_dy[n, :T, None], of_clip, dh_n[one], dc_n[one])
        totals = [total + of_weight for total, of_weight in zip(totals, of_weights)]
        np.testing.assert_allclose(padded_dx[n, :T], d[:, 0], rtol=0, atol=EXACT)
        np.testing.assert_allclose([dh0[n], dc0[n]], [dh[0], dc[0]], rtol=0, atol=EXACT)
    for found, expected in zip(grads, totals):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)  # achieved 1.8e-15 on values up to 10


def test_lstm_cache_has_the_names_of_the_reference():
    rng = np.random.default_rng(2)
    params = random_params(rng, 4, 5)
    x, layout = random_batch(rng, (6, 6, 6), 4)
    y, _, cache = lstm_forward(x, params, layout)
    _, _, expected = lstm.lstm_forward(x.reshape(6, 3, 4), params)
    for name in ("i", "f", "g", "o", "c", "h"):
        rows = getattr(expected, name).reshape(18, 5)
        np.testing.assert_allclose(getattr(cache, name), rows, rtol=0, atol=EXACT, err_msg=name)
    np.testing.assert_array_equal(cache.h, y)


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
        rows = slice(layout.offsets[t], layout.offsets[t + 1])
        h, c, _ = lstm_step(x[rows], h, c, params)
        np.testing.assert_allclose(h, y[rows], rtol=0, atol=EXACT)
    np.testing.assert_allclose(h, h_n, rtol=0, atol=EXACT)
    np.testing.assert_allclose(c, c_n, rtol=0, atol=EXACT)


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
    [
        ((5, 3), (2, 5), r"packed input is \(5, 3\); expected \(5, 4\)"),
        ((5, 4), (3, 5), r"a state is \(3, 5\); expected \(2, 5\)"),
    ],
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
    layout = packing([3, 2])
    y, _, cache = lstm_forward(np.zeros((5, 4)), random_params(np.random.default_rng(7), 4, 5), layout)
    with pytest.raises(InputError, match=r"dy is \(6, 5\); expected \(5, 5\), as y"):
        lstm_backward(np.zeros((6, 5)), cache)


# --- attention ---


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("K", [1, 3])
def test_attention(K, masked):
    """Clips before frames here, frames before clips there."""
    rng, lengths = np.random.default_rng(0), np.array([3, 1, 4])
    mask = np.arange(4) < lengths[:, None]  # (N, T)
    h = rng.normal(size=(3, 4, 5)) * mask[:, :, None]
    V, w, dcontext = (
        rng.normal(size=(5, K)),
        rng.normal(size=(1, K)) if K > 1 else None,
        rng.normal(size=(3, 5)),
    )
    context, cache = attention_forward(h, V, w, mask if masked else None)
    expected, reference = attention.attention_forward(h.swapaxes(0, 1), V, w, mask.T if masked else None)
    np.testing.assert_allclose(context, expected, rtol=0, atol=2e-15)  # achieved 2.2e-16
    np.testing.assert_allclose(cache.alpha, reference.alpha.T, rtol=0, atol=1e-15)  # achieved 0 to 1.1e-16
    assert not masked or not cache.alpha[~mask].any()
    dh, dV, dw = attention_backward(dcontext, cache)
    expected_dh, expected_dV, expected_dw = attention.attention_backward(dcontext, reference)
    # achieved 5.6e-16 to 8.9e-16
    np.testing.assert_allclose(dh, expected_dh.swapaxes(0, 1), rtol=0, atol=8e-15)
    np.testing.assert_allclose(dV, expected_dV, rtol=0, atol=8e-15)
    assert (dw is None) == (w is None) == (expected_dw is None)
    if w is not None:
        np.testing.assert_allclose(dw, expected_dw, rtol=0, atol=8e-15)


@pytest.mark.parametrize(
    "scale", [1, 1e3]
)  # by 1e3 scores lie so far apart that exp of the largest would overflow
@pytest.mark.parametrize("K", [1, 3])
def test_attention_of_one_clip_by_one_vector(K, scale):
    rng = np.random.default_rng(0)
    h, V, w = (
        scale * rng.normal(size=(4, 3, 5)),
        rng.normal(size=(5, K)),
        rng.normal(size=(1, K)) if K > 1 else None,
    )
    contexts, cache = attention.attention_forward(h, V, w)
    for n in range(3):
        context, alpha = attention_infer(h[:, n], one_vector(V, w))
        np.testing.assert_allclose(alpha, cache.alpha[:, n], rtol=0, atol=1e-15)  # achieved 1.1e-16
        # achieved 2.2e-16 * scale
        np.testing.assert_allclose(context, contexts[n], rtol=0, atol=2e-15 * scale)


# --- batch norm ---


@pytest.mark.parametrize("zero_rows", [0, 3])
def test_batchnorm(zero_rows):
    """Rows of zeros that are counted, against rows of zeros that are there."""
    rng = np.random.default_rng(2)
    x, dy = rng.normal(1, 2, (6, 4)), rng.normal(size=(6, 4))
    gamma, beta = rng.normal(size=(2, 4))
    zeros = np.zeros((zero_rows, 4))
    y, statistics, cache = batchnorm_forward(x, gamma, beta, zero_rows)
    expected, expected_statistics, reference = batchnorm.batchnorm_forward(
        np.concatenate([x, zeros]), gamma, beta
    )
    np.testing.assert_allclose(statistics, expected_statistics, rtol=2e-15, atol=0)  # achieved 5.7e-16
    np.testing.assert_allclose(y, expected[:6], rtol=0, atol=4e-15)  # achieved 4.4e-16
    assert cache.n == reference.n == 6 + zero_rows
    found = batchnorm_backward(dy, cache)
    dx, dgamma, dbeta = batchnorm.batchnorm_backward(np.concatenate([dy, zeros]), reference)
    for a, b in zip(found, (dx[:6], dgamma, dbeta)):
        np.testing.assert_allclose(a, b, rtol=0, atol=4e-15)  # achieved 4.4e-16


def test_frozen_batchnorm_backward():
    rng = np.random.default_rng(4)
    x, dy, (gamma, beta, mean) = rng.normal(size=(6, 4)), rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
    cache = batchnorm.batchnorm_frozen(x, gamma, beta, mean, 1 + rng.random(4))[1]
    for a, b in zip(batchnorm_backward(dy, cache), batchnorm.batchnorm_backward(dy, cache)):
        np.testing.assert_allclose(a, b, rtol=0, atol=4e-15)  # achieved 4.4e-16


def test_batchnorm_of_one_row_is_refused():
    with pytest.raises(InputError, match="got 1 row in training; expected at least 2"):
        batchnorm_forward(np.ones((1, 3)), np.ones(3), np.zeros(3))
