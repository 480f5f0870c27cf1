"""The reference layers beside PyTorch's own, forward and backward, float64."""

import numpy as np
import pytest

from npreslstm.layers.attention import attention_backward, attention_forward
from npreslstm.layers.batchnorm import (
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_frozen,
    running_statistics,
)
from npreslstm.layers.dense import linear_backward, linear_forward
from npreslstm.layers.loss import cross_entropy, one_hot
from npreslstm.layers.lstm import LSTMParams, lstm_backward, lstm_forward

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def leaf(array):
    return torch.tensor(array, requires_grad=True)


def assert_near(found, expected, tolerance):
    """Of each tensor's largest entry, or of 1."""
    for a, b in zip(found, expected, strict=True):
        b = b.detach().numpy()
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max()))


@pytest.mark.parametrize("T, N, D, H", [(7, 3, 4, 5), (1, 1, 1, 1), (30, 2, 46, 64)])
def test_lstm(rng, T, N, D, H):
    x, h0, c0 = rng.normal(size=(T, N, D)), *rng.normal(size=(2, N, H))
    dy, dh_n, dc_n = rng.normal(size=(T, N, H)), *rng.normal(size=(2, N, H))
    net = torch.nn.LSTM(D, H, dtype=torch.float64)
    params = LSTMParams(*(p.detach().numpy() for p in net.parameters()))
    inputs = leaf(x), leaf(h0[None]), leaf(c0[None])
    y, (h_n, c_n) = net(inputs[0], inputs[1:])
    loss = (y * torch.tensor(dy)).sum() + (h_n * torch.tensor(dh_n)).sum() + (c_n * torch.tensor(dc_n)).sum()
    loss.backward()
    found, states, cache = lstm_forward(x, params, h0, c0)
    assert_near((found, *states), (y, h_n[0], c_n[0]), 2e-15)  # achieved 2.2e-16
    dx, (dh0, dc0), grads = lstm_backward(dy, cache, dh_n, dc_n)
    gradients = [tensor.grad for tensor in (*inputs, *net.parameters())]
    assert_near((dx, dh0[None], dc0[None], *grads), gradients, 8e-15)  # achieved 8e-16


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("K", [1, 3])
def test_attention(rng, K, masked):
    T, N, H = 6, 3, 5
    mask = np.arange(T)[:, None] < np.array([6, 2, 4])
    h = rng.normal(size=(T, N, H)) * mask[:, :, None]
    V, w, dcontext = rng.normal(size=(H, K)), rng.normal(size=(1, K)), rng.normal(size=(N, H))
    leaves = leaf(h), leaf(V), leaf(w)
    scores = (leaves[0] @ leaves[1] @ leaves[2].T)[..., 0]
    if masked:
        scores = scores.masked_fill(~torch.tensor(mask), -torch.inf)
    context = (torch.softmax(scores, dim=0)[..., None] * leaves[0]).sum(dim=0)
    (context * torch.tensor(dcontext)).sum().backward()
    found, cache = attention_forward(h, V, w, mask if masked else None)
    assert_near([found], [context], 2e-15)  # achieved 3e-16
    gradients = [tensor.grad for tensor in leaves]
    assert_near(attention_backward(dcontext, cache), gradients, 2e-15)  # achieved 2e-16


@pytest.mark.parametrize("training", [True, False])
def test_batchnorm(rng, training):
    x, dy, (gamma, beta, mean) = rng.normal(1, 2, (6, 4)), rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
    var = 1 + rng.random(4)
    net = torch.nn.BatchNorm1d(4, dtype=torch.float64).train(training)
    with torch.no_grad():
        for parameter, value in ((net.weight, gamma), (net.bias, beta)):
            parameter.copy_(torch.tensor(value))
        net.running_mean.copy_(torch.tensor(mean))
        net.running_var.copy_(torch.tensor(var))
    inputs = leaf(x)
    y = net(inputs)
    (y * torch.tensor(dy)).sum().backward()
    if training:
        found, statistics, cache = batchnorm_forward(x, gamma, beta)
        mean, var = running_statistics(mean, var, statistics, cache.n)
    else:
        found, cache = batchnorm_frozen(x, gamma, beta, mean, var)
    assert_near((found, mean, var), (y, net.running_mean, net.running_var), 2e-15)  # achieved 1.4e-16
    gradients = inputs.grad, net.weight.grad, net.bias.grad
    assert_near(batchnorm_backward(dy, cache), gradients, 4e-15)  # achieved 4e-16


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_linear_layer_and_loss(rng, smoothing):
    x, W, b, labels = (
        rng.normal(size=(5, 3)),
        rng.normal(size=(4, 3)),
        rng.normal(size=4),
        np.array([0, 3, 1, 1, 2]),
    )
    leaves = leaf(x), leaf(W), leaf(b)
    logits = torch.nn.functional.linear(*leaves)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels), label_smoothing=smoothing)
    loss.backward()
    found = linear_forward(x, W, b)
    our_loss, dlogits = cross_entropy(found, one_hot(labels, 4, np.float64, smoothing))
    assert_near((found, np.array(our_loss)), (logits, loss), 2e-15)  # achieved 1.6e-16
    assert_near(linear_backward(dlogits, x, W), [tensor.grad for tensor in leaves], 2e-15)  # achieved 1.2e-16
