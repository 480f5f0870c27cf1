"""The reference's attention, batch normalisation, linear layer, dropout and loss: by numeric gradients and by
hand.
"""

import math

import numpy as np
import pytest

from npreslstm.errors import InputError
from npreslstm.gradient_check import numeric_gradient, relative_error
from npreslstm.layers.activations import sigmoid, softmax
from npreslstm.layers.attention import attention_backward, attention_forward, attention_start, attention_step
from npreslstm.layers.batchnorm import (
    MOMENTUM,
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_frozen,
    running_statistics,
)
from npreslstm.layers.dense import dropout_mask, linear_backward, linear_forward
from npreslstm.layers.loss import cross_entropy, one_hot

GRADIENT = 1e-10  # achieved 4e-11


def assert_gradients(loss, **pairs):
    """Each keyword is (array that `loss` reads, its analytic gradient)."""
    errors = {
        name: relative_error(analytic, numeric_gradient(loss, p)) for name, (p, analytic) in pairs.items()
    }
    assert max(errors.values()) < GRADIENT, errors


def test_sigmoid_equals_the_logistic_function_and_saturates():
    x = np.array([-1e4, -30.0, -1.0, 0.0, 1.0, 30.0, 1e4])
    np.testing.assert_allclose(sigmoid(x)[1:-1], 1 / (1 + np.exp(-x[1:-1])), rtol=0, atol=2e-16)
    assert sigmoid(x)[0] == 0 and sigmoid(x)[-1] == 1
    assert sigmoid(x.astype(np.float32)).dtype == np.float32


def test_softmax_does_not_overflow_and_gives_masked_entries_nothing():
    p = softmax(np.array([[1e4, 1e4, -np.inf], [0.0, -1e4, -np.inf]]))
    np.testing.assert_array_equal(p, [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])


@pytest.fixture(params=[1, 3], ids=["one vector", "three vectors"])
def attention_case(request):
    """h (T, N, H) with zeros past the lengths, V, w, mask (T, N)."""
    K, rng = request.param, np.random.default_rng(0)
    mask = np.arange(4)[:, None] < np.array([3, 1, 4])
    h = rng.normal(size=(4, 3, 5)) * mask[:, :, None]
    return h, rng.normal(size=(5, K)), (rng.normal(size=(1, K)) if K > 1 else None), mask


@pytest.mark.parametrize("masked", [True, False])
def test_attention_is_a_weighted_mean_of_a_clips_frames(attention_case, masked):
    """Written out for each clip; a padded frame that is not masked has the score 0."""
    h, V, w, mask = attention_case
    context, cache = attention_forward(h, V, w, mask if masked else None)
    for n, T in enumerate(mask.sum(axis=0)):
        e = [math.fsum((h[t, n] @ V) * (1 if w is None else w[0])) for t in range(T)] + [0.0] * (
            0 if masked else 4 - T
        )
        weights = np.exp(e) / math.fsum(np.exp(e))
        np.testing.assert_allclose(cache.alpha[: len(e), n], weights, rtol=0, atol=1e-15)  # achieved 1.1e-16
        np.testing.assert_allclose(context[n], weights[:T] @ h[:T, n], rtol=0, atol=2e-15)  # achieved 2.2e-16
        assert not masked or not cache.alpha[T:, n].any()


@pytest.mark.parametrize("masked", [True, False])
def test_attention_gradients(attention_case, masked):
    h, V, w, mask = attention_case
    mask = mask if masked else None
    dcontext = np.random.default_rng(1).normal(size=(3, 5))
    dh, dV, dw = attention_backward(dcontext, attention_forward(h, V, w, mask)[1])
    pairs = {"h": (h, dh), "V": (V, dV)} | ({} if w is None else {"w": (w, dw)})
    assert_gradients(lambda: (attention_forward(h, V, w, mask)[0] * dcontext).sum(), **pairs)


def test_attention_step_by_step_equals_the_sum(attention_case):
    h, V, w, _ = attention_case
    h = 100 * h  # scores far apart: the running maximum has work to do
    state = attention_start(3, 5, np.float64)
    for t in range(4):
        state = attention_step(h[t], state, V, w)
    np.testing.assert_allclose(
        state.weighted / state.total[:, None], attention_forward(h, V, w)[0], rtol=4e-15, atol=0
    )


def test_batchnorm_centres_and_scales_each_feature():
    rng = np.random.default_rng(2)
    x, gamma, beta = rng.normal(1, 2, (6, 4)), rng.normal(size=4), rng.normal(size=4)
    y, (mean, var), cache = batchnorm_forward(x, gamma, beta)
    for k in range(4):
        centre = math.fsum(x[:, k]) / 6
        spread = math.fsum((x[:, k] - centre) ** 2) / 6
        # achieved 2.5e-16
        np.testing.assert_allclose([mean[k], var[k]], [centre, spread], rtol=2e-15, atol=0)
        expected = gamma[k] * (x[:, k] - centre) / math.sqrt(spread + 1e-5) + beta[k]
        np.testing.assert_allclose(y[:, k], expected, rtol=0, atol=4e-15)  # achieved 4.4e-16
    np.testing.assert_allclose(batchnorm_frozen(x, gamma, beta, mean, var)[0], y, rtol=0, atol=8e-15)
    assert cache.n == 6


def test_batchnorm_gradients():
    rng = np.random.default_rng(3)
    x, gamma, beta, dy = (
        rng.normal(1, 2, (6, 4)),
        rng.normal(size=4),
        rng.normal(size=4),
        rng.normal(size=(6, 4)),
    )
    dx, dgamma, dbeta = batchnorm_backward(dy, batchnorm_forward(x, gamma, beta)[2])
    loss = lambda: (batchnorm_forward(x, gamma, beta)[0] * dy).sum()  # noqa: E731
    assert_gradients(loss, x=(x, dx), gamma=(gamma, dgamma), beta=(beta, dbeta))


def test_frozen_batchnorm_gradients():
    rng = np.random.default_rng(4)
    x, gamma, beta, dy = (
        rng.normal(1, 2, (6, 4)),
        rng.normal(size=4),
        rng.normal(size=4),
        rng.normal(size=(6, 4)),
    )
    mean, var = rng.normal(size=4), 1 + rng.random(4)
    dx, dgamma, dbeta = batchnorm_backward(dy, batchnorm_frozen(x, gamma, beta, mean, var)[1])
    loss = lambda: (batchnorm_frozen(x, gamma, beta, mean, var)[0] * dy).sum()  # noqa: E731
    assert_gradients(loss, x=(x, dx), gamma=(gamma, dgamma), beta=(beta, dbeta))


def test_running_variance_is_unbiased():
    """As torch: the batch is normalised by the biased variance, the running one takes in the unbiased."""
    x = np.random.default_rng(5).normal(size=(7, 3))
    _, batch, cache = batchnorm_forward(x, np.ones(3), np.zeros(3))
    mean, var = running_statistics(np.zeros(3), np.ones(3), batch, cache.n)
    np.testing.assert_allclose(mean, MOMENTUM * x.mean(axis=0), rtol=0, atol=1e-16)
    np.testing.assert_allclose(var, (1 - MOMENTUM) + MOMENTUM * x.var(axis=0, ddof=1), rtol=1e-15)


def test_batchnorm_of_one_row_is_refused():
    with pytest.raises(InputError, match="got 1 row in training; expected at least 2"):
        batchnorm_forward(np.ones((1, 3)), np.ones(3), np.zeros(3))


def test_linear_gradients():
    rng = np.random.default_rng(6)
    x, W, b, dy = (
        rng.normal(size=(2, 3)),
        rng.normal(size=(4, 3)),
        rng.normal(size=4),
        rng.normal(size=(2, 4)),
    )
    dx, dW, db = linear_backward(dy, x, W)
    assert_gradients(lambda: (linear_forward(x, W, b) * dy).sum(), x=(x, dx), W=(W, dW), b=(b, db))


def test_dropout_keeps_the_mean_and_follows_its_generator():
    mask = dropout_mask((200, 500), 0.3, np.random.default_rng(7))
    assert mask.dtype == np.float32
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1) / np.float32(0.7)}
    assert abs(mask.mean() - 1) < 4 * np.sqrt(0.3 / 0.7 / mask.size)  # four standard errors
    np.testing.assert_array_equal(mask, dropout_mask((200, 500), 0.3, np.random.default_rng(7)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_and_its_gradient(smoothing):
    logits = np.random.default_rng(8).normal(size=(3, 4))
    targets = one_hot([1, 3, 0], 4, np.float64, smoothing)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=0, atol=2e-16)
    loss, dlogits = cross_entropy(logits, targets)
    assert loss == pytest.approx(-(targets * np.log(softmax(logits))).sum() / 3, abs=1e-15)
    assert_gradients(lambda: cross_entropy(logits, targets)[0], logits=(logits, dlogits))


def test_cross_entropy_of_huge_logits_is_finite():
    loss, dlogits = cross_entropy(np.array([[1e4, -1e4]], np.float32), one_hot([1], 2))
    assert loss == 2e4 and np.isfinite(dlogits).all() and dlogits.dtype == np.float32


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(InputError, match=r"labels run from 0 to 4; expected class numbers in \[0, 4\)"):
        one_hot([0, 4], 4)
