"""LSTM layers against committed results of PyTorch, Keras and ONNX Runtime; live where these are
installed.
"""

from pathlib import Path

import numpy as np
import pytest
from parity_page import achieved, allowed

from npreslstm.errors import InputError
from npreslstm.formats.lstm_layouts import from_keras, from_onnx, to_onnx
from npreslstm.testing.recurrent import PARAMETERS, recurrent_backward, recurrent_forward

GOLDENS = Path(__file__).parents[1] / "goldens"
KINDS = ("forward", "bidirectional")


def golden(framework, kind):
    """Arrays of one layer, and the lengths."""
    with np.load(GOLDENS / f"lstm_{framework}.npz", allow_pickle=False) as file:
        return {
            name.removeprefix(kind + "/"): file[name] for name in file.files if name.startswith(kind)
        }, file["lengths"]


def part(arrays, prefix):
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def deviation(ours, theirs):
    """Largest deviation over max(1, |value|)."""
    return float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max())


def keras_deviation(kind):
    """Over valid frames: Keras repeats the last output where a clip is padded."""
    arrays, lengths = golden("keras", kind)
    weights = part(arrays, "weights/")
    state = from_keras([weights[str(k)] for k in range(len(weights))])
    y, _, _ = recurrent_forward(arrays["x"], lengths, state)
    valid = np.arange(y.shape[1]) < lengths[:, None]
    return deviation(y[valid], arrays["y"][valid])


def onnx_deviation(kind):
    """Over everything: the operator gives zeros past a clip's length, as we do."""
    arrays, lengths = golden("onnx", kind)
    state = from_onnx(arrays["W"], arrays["R"], arrays["B"])
    y, (h_n, c_n), _ = recurrent_forward(
        arrays["X"].swapaxes(0, 1), lengths, state, arrays["initial_h"], arrays["initial_c"]
    )
    theirs = np.concatenate([arrays["Y"][:, k] for k in range(arrays["Y"].shape[1])], axis=2).swapaxes(0, 1)
    return max(deviation(y, theirs), deviation(h_n, arrays["Y_h"]), deviation(c_n, arrays["Y_c"]))


def torch_deviations(kind):
    """Forward and backward."""
    arrays, lengths = golden("torch", kind)
    y, (h_n, c_n), cache = recurrent_forward(
        arrays["x"], lengths, part(arrays, "state/"), arrays["h0"], arrays["c0"]
    )
    dx, _, grads = recurrent_backward(arrays["dy"], cache)
    forward = max(deviation(y, arrays["y"]), deviation(h_n, arrays["h_n"]), deviation(c_n, arrays["c_n"]))
    theirs = part(arrays, "grad/") | {"x": arrays["dx"]}
    assert theirs.keys() == grads.keys() | {"x"}
    return forward, max(
        np.abs((grads | {"x": dx})[name] - g).max() / max(1, np.abs(g).max()) for name, g in theirs.items()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_golden_layers_of_pytorch(kind):
    forward, backward = torch_deviations(kind)
    assert forward <= allowed("PyTorch LSTM, forward, float32")
    assert backward <= allowed("PyTorch LSTM, backward, float32")


@pytest.mark.parametrize("kind", KINDS)
def test_the_golden_layers_of_keras(kind):
    assert keras_deviation(kind) <= allowed("Keras LSTM, forward, float32")


@pytest.mark.parametrize("kind", KINDS)
def test_the_golden_layers_of_onnx_runtime(kind):
    assert onnx_deviation(kind) <= allowed("ONNX operator LSTM, forward, float32")


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
@pytest.mark.parametrize(
    "framework, modules",
    [("torch", ["torch"]), ("keras", ["torch", "keras"]), ("onnx", ["onnx", "onnxruntime"])],
)
def test_the_goldens_are_what_the_frameworks_give(framework, modules, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    for module in modules:
        pytest.importorskip(module)
    from tools.goldens.make_goldens import differences, make

    with np.load(GOLDENS / f"lstm_{framework}.npz", allow_pickle=False) as file:
        assert differences(make(framework), {name: file[name] for name in file.files}) == []


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_page_repeats_what_other_tests_hold(dtype):
    from test_golden import ACHIEVED

    held = ACHIEVED[getattr(np, dtype)]
    assert achieved(f"original code, logits, {dtype}") == held["logits"]
    assert achieved(f"original code, gradients, {dtype}") == held["grad"]
    figures = [achieved(f"Adam, 5 steps of the original, {what}, {dtype}") for what in ("losses", "tensors")]
    source = (Path(__file__).parents[1] / "training" / "test_optimizer.py").read_text(encoding="utf-8")
    assert all(f"{figure:.1e}".replace("e-0", "e-") in source for figure in figures)


# --- layouts ---


@pytest.mark.parametrize("directions", [1, 2])
def test_to_onnx_is_the_inverse_of_from_onnx(directions):
    rng = np.random.default_rng(0)
    W, R, B = (
        rng.normal(size=(directions, 12, 2)),
        rng.normal(size=(directions, 12, 3)),
        rng.normal(size=(directions, 24)),
    )
    state = from_onnx(W, R, B, P=np.zeros((directions, 9)))
    for k, direction in enumerate(("", "_reverse")[:directions]):
        parts = to_onnx(*(state[f"{name}_l0{direction}"] for name in PARAMETERS))
        for ours, theirs in zip(parts, (W, R, B)):
            np.testing.assert_array_equal(ours[0], theirs[k])


def test_onnx_without_biases_has_zero_ones():
    state = from_onnx(np.ones((1, 8, 3)), np.ones((1, 8, 2)))
    assert not state["bias_ih_l0"].any() and state["bias_hh_l0"].shape == (8,)


def test_keras_without_biases_has_none():
    assert list(from_keras([np.ones((3, 8)), np.ones((2, 8))])) == ["weight_ih_l0", "weight_hh_l0"]
    assert len(from_keras([np.ones((3, 8)), np.ones((2, 8))] * 2)) == 4


@pytest.mark.parametrize(
    "weights, message",
    [
        ([np.ones((3, 8))], r"Keras weights are \[\(3, 8\)\]; expected layer.get_weights\(\)"),
        ([np.ones((3, 6)), np.ones((2, 6)), np.ones((2, 6))], "Keras weights are"),
        (
            [np.ones((3, 6)), np.ones((2, 6)), np.ones(6)],
            r"Keras kernels are \(3, 6\) and \(2, 6\); expected \(D, 4H\)",
        ),
        ([np.ones((3, 8)), np.ones((2, 8)), np.ones(4)], "Keras kernels are"),
    ],
)
def test_other_layers_of_keras_are_refused(weights, message):
    with pytest.raises(InputError, match=message):
        from_keras(weights)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.ones((1, 6, 3)), np.ones((1, 6, 2))), r"W and R are \(1, 6, 3\) and \(1, 6, 2\)"),
        ((np.ones((8, 3)), np.ones((8, 2))), "W and R are"),
        ((np.ones((1, 8, 3)), np.ones((1, 8, 2)), np.ones((1, 8))), r"B is \(1, 8\); expected \(1, 16\)"),
        ((np.ones((1, 8, 3)), np.ones((1, 8, 2)), None, np.ones((1, 6))), "P holds peephole connections"),
    ],
)
def test_other_operators_of_onnx_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        from_onnx(*arguments)
