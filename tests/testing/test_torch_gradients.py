"""The tolerances of docs/testing.md: right kernels pass in every type, wrong ones fail.

PYTHONPATH=. python tests/testing/test_torch_gradients.py     prints what PyTorch achieves, for the page
"""

import re
import sys
from pathlib import Path

import pytest

from npreslstm.testing import GRADIENT_TOLERANCES, TOLERANCES, assert_lstm_equal, assert_lstm_gradients_equal
from npreslstm.testing.backward_call import BackwardCall
from npreslstm.testing.compare import largest_excess
from npreslstm.testing.lstm import trace_lstm

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing.md"
STACKS = [  # layers, directions, frames, whether the loss sees the last frame alone
    (1, 1, 1, False), (1, 1, 20, True), (2, 2, 40, False), (3, 2, 124, True), (3, 1, 124, False),
    (1, 2, 500, False), (3, 2, 500, False), (1, 1, 500, True),
]  # fmt: skip
# D, H: of these one frame, where the state that comes in is largest and so is what its rounding costs
SIZES = [(1, 1), (46, 46), (46, 64), (64, 128), (128, 256)]


def run(dtype, layers, directions, frames, last, size=(7, 16), seed=0):
    """(outputs, gradients, the arguments of a comparison) of torch.nn.LSTM in a type."""
    torch.manual_seed(seed)
    (D, H), N = size, 3
    net = torch.nn.LSTM(D, H, layers, batch_first=True, bidirectional=directions == 2).to(dtype)
    x = torch.randn(N, frames, D).to(dtype).requires_grad_()
    h0, c0 = (torch.randn(layers * directions, N, H).to(dtype).requires_grad_() for _ in range(2))
    y, states = net(x, (h0, c0))
    dy = torch.randn(y.shape).to(dtype)
    if last:
        dy[:, :-1] = 0
    y.backward(dy)
    grads = {name: p.grad for name, p in net.named_parameters()}
    grads |= {"dx": x.grad, "dh0": h0.grad, "dc0": c0.grad}
    return (y, states), grads, {"weights": net.state_dict(), "x": x, "dy": dy, "h0": h0, "c0": c0}


def excess_of(grads, given):
    """{name: largest deviation as a multiple of what is allowed}."""
    call = BackwardCall(**given, lengths=None, dh_n=None, dc_n=None, batch_first=True)
    reference = call.reference()
    found = call.under_test(grads, reference, None)
    return {name: tensor.excess(reference[name]) for name, tensor in found.items()}


def deviations(kind):
    """The largest deviations of PyTorch's outputs and gradients in a type, relative to their scales."""
    worst_output = worst_gradient = 0.0
    wide = [(2, 2, 1, False, size, seed) for size in SIZES for seed in range(4)]
    for stack in STACKS + wide:
        (y, (h_n, c_n)), grads, given = run(getattr(torch, kind), *stack)
        expected = trace_lstm(given["weights"], given["x"], h0=given["h0"], c0=given["c0"])
        found = {"y": y, "h_n": h_n, "c_n": c_n}
        outputs = {name: expected[name] for name in found}
        worst_output = max(worst_output, largest_excess(found, outputs))
        worst_gradient = max(worst_gradient, *excess_of(grads, given).values())
    return worst_output * TOLERANCES[kind], worst_gradient * GRADIENT_TOLERANCES[kind]


def row(name):
    """{type: figure} of the page's row."""
    found = re.search(rf"^\| {name} \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(zip(TOLERANCES, map(float, found[1].split("|"))))


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("kind", TOLERANCES)
def test_right_gradients_pass(kind, stack):
    (y, states), grads, given = run(getattr(torch, kind), *stack)
    assert_lstm_equal((y, states), given["weights"], given["x"], h0=given["h0"], c0=given["c0"])
    assert_lstm_gradients_equal(grads, **given)


@pytest.mark.parametrize("kind", GRADIENT_TOLERANCES)
def test_tolerances_are_at_most_ten_times_what_is_achieved(kind):
    achieved = [row(f"{what}, achieved by PyTorch")[kind] for what in ("outputs", "gradients")]
    for found, stated in zip(deviations(kind), achieved):
        assert stated / 3 <= found <= 3 * stated  # other processors and versions round otherwise
    assert row("outputs, allowed") == TOLERANCES and row("gradients, allowed") == GRADIENT_TOLERANCES
    assert TOLERANCES[kind] <= 10 * achieved[0] and GRADIENT_TOLERANCES[kind] <= 10 * achieved[1]


@pytest.mark.parametrize("stack", [(1, 1, 20, True), (2, 2, 124, True), (1, 2, 500, False)])
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_wrong_gradients_fail(kind, stack):
    """One entry off by 1e-3 of its tensor; dx of one frame off by a hundredth; a bias counted once."""
    _, grads, given = run(getattr(torch, kind), *stack)
    for name, gradient in grads.items():
        flat = gradient.clone().view(-1)
        flat[flat.abs().argmax()] *= 1.001
        assert excess_of({name: flat.view(gradient.shape)}, given)[name] > 1
    middle = grads["dx"].clone()
    middle[1, stack[2] // 2] *= 1.01
    assert excess_of({"dx": middle}, given)["dx"] > 1
    zero = {name: 0 * grad for name, grad in grads.items() if name.startswith("bias_hh")}
    with pytest.raises(AssertionError, match="leaves bias_hh's gradient at zero"):
        assert_lstm_gradients_equal(grads | zero, **given)


def test_a_detached_state_is_named():
    """Truncated backpropagation in PyTorch itself: the states are detached after every frame."""
    torch.manual_seed(0)
    net = torch.nn.LSTM(3, 4, batch_first=True, dtype=torch.float64)
    x = torch.randn(2, 9, 3, dtype=torch.float64, requires_grad=True)
    states, outputs = None, []
    for t in range(9):
        y, states = net(x[:, t : t + 1], states)
        states = tuple(state.detach() for state in states)
        outputs.append(y)
    y = torch.cat(outputs, dim=1)
    dy = torch.randn_like(y)
    y.backward(dy)
    grads = {name: p.grad for name, p in net.named_parameters()} | {"dx": x.grad}
    with pytest.raises(AssertionError, match=r"that carries neither dh nor dc from frame to frame\.$"):
        assert_lstm_gradients_equal(grads, net.state_dict(), x, dy)


def test_a_type_that_is_named():
    """A kernel that computes in half precision and hands over float32."""
    _, grads, given = run(torch.float16, 1, 1, 20, False)
    wide = {name: gradient.float() for name, gradient in grads.items()}
    assert_lstm_gradients_equal(wide, **given, tolerance="float16")
    with pytest.raises(AssertionError, match="deviates most"):
        assert_lstm_gradients_equal(wide, **given)


if __name__ == "__main__":
    for kind in TOLERANCES:
        outputs, gradients = deviations(kind)
        sys.stdout.write(f"{kind:9}  outputs {outputs:.1e}  gradients {gradients:.1e}\n")
