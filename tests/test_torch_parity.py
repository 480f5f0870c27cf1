"""Live beside PyTorch: LSTM stacks of any size forward and backward, and a hundred steps of training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parity_page import allowed

from npreslstm.layers.loss import cross_entropy, one_hot
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig
from npreslstm.testing.recurrent import recurrent_backward, recurrent_forward
from npreslstm.training.optimizer import Adam, learning_rate

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")

DTYPES = ("float64", "float32")


@st.composite
def stacks(draw):
    """Sizes, lengths and a seed; PyTorch's biases may be off and the initial states absent."""
    D, H = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    layers, bidirectional, bias = draw(st.integers(1, 3)), draw(st.booleans()), draw(st.booleans())
    lengths = draw(st.lists(st.integers(1, 15), min_size=1, max_size=6))
    return (
        D,
        H,
        layers,
        bidirectional,
        bias,
        np.array(lengths),
        draw(st.booleans()),
        draw(st.integers(0, 2**31)),
    )


def run_torch(stack, dtype):
    """What torch computes, forward and backward: dictionaries of NumPy arrays (arguments, outputs,
    gradients).
    """
    D, H, layers, bidirectional, bias, lengths, with_states, seed = stack
    torch.manual_seed(seed)
    net = torch.nn.LSTM(D, H, layers, bias=bias, batch_first=True, bidirectional=bidirectional, dtype=dtype)
    N, L = len(lengths), layers * (1 + bidirectional)
    x = torch.randn(N, int(lengths.max()), D, dtype=dtype, requires_grad=True)
    h0, c0 = (torch.randn(L, N, H, dtype=dtype, requires_grad=True) for _ in range(2))
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    y, (h_n, c_n) = net(packed, (h0, c0) if with_states else None)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    weights = {f"d{name}": torch.randn_like(value) for name, value in (("y", y), ("h_n", h_n), ("c_n", c_n))}
    (weights["dy"] * y).sum().add((weights["dh_n"] * h_n).sum()).add((weights["dc_n"] * c_n).sum()).backward()
    given = {"x": x, "h0": h0 if with_states else None, "c0": c0 if with_states else None}
    gradients = {"x": x.grad} | ({"h0": h0.grad, "c0": c0.grad} if with_states else {})
    gradients |= {name: p.grad for name, p in net.named_parameters()}
    groups = given, dict(net.named_parameters()), weights, {"y": y, "h_n": h_n, "c_n": c_n}, gradients
    return [
        {name: value if value is None else value.detach().numpy() for name, value in group.items()}
        for group in groups
    ]


def deviations(stack, dtype):
    """Largest deviation forward and backward."""
    given, state, weights, outputs, gradients = run_torch(stack, dtype)
    y, (h_n, c_n), cache = recurrent_forward(given["x"], stack[5], state, given["h0"], given["c0"])
    dx, (dh0, dc0), grads = recurrent_backward(weights["dy"], cache, weights["dh_n"], weights["dc_n"])
    assert grads.keys() == state.keys()
    ours = {"y": y, "h_n": h_n, "c_n": c_n}
    our_gradients = {"x": dx, "h0": dh0, "c0": dc0} | grads
    forward = max(
        (np.abs(ours[name] - value) / np.maximum(1, np.abs(value))).max() for name, value in outputs.items()
    )
    backward = max(
        np.abs(our_gradients[name] - value).max() / max(1, np.abs(value).max())
        for name, value in gradients.items()
    )
    return {"forward": float(forward), "backward": float(backward)}


@pytest.mark.parametrize("dtype", DTYPES)
@given(stack=stacks())
@settings(max_examples=25)
def test_any_stack_forward_and_backward(dtype, stack):
    for way, found in deviations(stack, getattr(torch, dtype)).items():
        assert found <= allowed(f"PyTorch LSTM, {way}, {dtype}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_stack(dtype):
    """Two bidirectional layers, D = 46, H = 128, 124 frames."""
    stack = 46, 128, 2, True, True, np.array([124, 1, 87]), True, 0
    for way, found in deviations(stack, getattr(torch, dtype)).items():
        assert found <= allowed(f"PyTorch LSTM, {way}, {dtype}")


def training_pair(dtype):
    """The same small ResLSTM-SA here and in torch, and their optimisers: AdamW with warm restarts."""
    from tools.bench.torch_reslstm import Packed, load

    ours = ResLSTM(
        ModelConfig(input_size=6, hidden_size=7, num_classes=4, dropout=0.0),
        np.random.default_rng(0),
        np.dtype(dtype),
    )
    theirs = load(Packed, ours).to(getattr(torch, dtype)).train()
    # in full precision
    theirs.load_state_dict({name: torch.as_tensor(value) for name, value in ours.state_dict().items()})
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=3e-3, weight_decay=1e-2)
    return (
        ours,
        theirs,
        optimizer,
        torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=30, eta_min=3e-5),
    )


def train_both(dtype, steps=100):
    """Yield (our loss, torch's) step by step, on a new batch each; then the two models."""
    ours, theirs, torch_optimizer, schedule = training_pair(dtype)
    adamw, rng = Adam(len(ours.vector), 1e-2, True, np.dtype(dtype)), np.random.default_rng(1)
    losses = []
    for step in range(steps):
        lengths, labels = rng.integers(1, 12, size=8), rng.integers(4, size=8)
        x = rng.normal(size=(8, lengths.max(), 6)).astype(dtype)
        logits, cache = ours.forward(x, lengths, training=True)
        loss, dlogits = cross_entropy(logits, one_hot(labels, 4, np.dtype(dtype)))
        gradient = np.empty_like(ours.vector)
        ours.backward(dlogits, cache, out=gradient)
        adamw.update(
            ours.vector, gradient, learning_rate("warm-restarts", 3e-3, step, steps, period=30, floor=0.01)
        )
        torch_optimizer.zero_grad()
        torch_loss = torch.nn.functional.cross_entropy(
            theirs(torch.tensor(x), torch.tensor(lengths)), torch.tensor(labels)
        )
        torch_loss.backward()
        torch_optimizer.step()
        schedule.step()
        losses.append((loss, torch_loss.item()))
    return np.array(losses), ours, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_hundred_steps_of_training(dtype):
    """AdamW, CosineAnnealingWarmRestarts, and batch norms' running statistics (biased batch variance,
    unbiased running).
    """
    losses, ours, theirs = train_both(dtype)
    assert losses[-1, 1] != losses[0, 1]
    np.testing.assert_allclose(
        losses[:, 0], losses[:, 1], rtol=0, atol=allowed(f"AdamW, 100 steps, losses, {dtype}")
    )
    assert ours.tensors.keys() == theirs.keys()
    tolerance = allowed(f"AdamW, 100 steps, tensors, {dtype}")
    for name, tensor in theirs.items():
        np.testing.assert_allclose(
            ours.tensors[name], tensor, rtol=0, atol=tolerance * np.abs(tensor).max(), err_msg=name
        )
    assert ours.tensors["bn.num_batches_tracked"] == 100
