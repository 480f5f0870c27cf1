"""What other projects' tests import, and the examples of docs/testing.md."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lstm_outputs import LENGTHS, D, H, N, T, weights_of, wrong

from npreslstm.errors import InputError
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig
from npreslstm.testing import (
    GRADIENT_TOLERANCES,
    TOLERANCES,
    assert_lstm_equal,
    assert_lstm_gradients_equal,
    assert_tensors_equal,
    assert_trace_equal,
    from_keras,
    from_onnx,
    gradients_from_keras,
    lstm_cases,
    trace,
    trace_lstm,
    trace_lstm_gradients,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing.md"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def example_blocks():
    """The page's Python examples, each with the output that is printed below it."""
    found = re.findall(
        r"^## (.+?)\n|```python\n(.*?)```(?:\n\n```\n(.*?)```)?",
        PAGE.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    blocks, heading = [], None
    for title, code, output in found:
        heading = title or heading
        if code and not code.startswith("# "):  # those are files, see test_kernel_example.py
            marks = [pytest.mark.oracle] if heading in ("PyTorch", "Keras", "ONNX") else []
            blocks.append(pytest.param(code, output, id=heading, marks=marks))
    return blocks


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
@pytest.mark.parametrize("code, output", example_blocks())
def test_the_pages_examples(code, output, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    for module in ("torch", "keras", "onnx", "onnxruntime"):
        if re.search(rf"^import {module}$", code, re.MULTILINE):
            pytest.importorskip(module)
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == output


@pytest.mark.parametrize(
    "row, table", [("outputs, allowed", TOLERANCES), ("gradients, allowed", GRADIENT_TOLERANCES)]
)
def test_the_page_states_the_tolerances(row, table):
    found = re.search(rf"^\| {row} \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(zip(("float64", "float32", "float16", "bfloat16"), map(float, found[1].split("|")))) == table


# --- failures ---


def test_an_equal_output_passes_in_every_form(rng):
    weights, x = weights_of(rng, True), rng.normal(size=(N, T, D))
    h0, c0 = rng.normal(size=(2, 2, N, H))
    tensors = trace_lstm(weights, x, LENGTHS, h0, c0)
    states = tensors["h_n"], tensors["c_n"]
    assert_lstm_equal(tensors["y"], weights, x, LENGTHS, h0, c0)
    assert_lstm_equal((tensors["y"], states), weights, x, LENGTHS, h0, c0)
    assert_lstm_equal((tensors["y"][:, : LENGTHS.max()], states), weights, x, LENGTHS.tolist(), h0, c0)
    assert_lstm_equal([tensors["y"], list(states)], weights, x, LENGTHS, h0, c0)
    assert_lstm_equal((tensors["y"], None), weights, x, LENGTHS, h0, c0)
    assert_lstm_equal((tensors["y"], np.stack(states)), weights, x, LENGTHS, h0, c0)
    assert_lstm_equal(tensors["y"].tolist(), weights, x, LENGTHS, h0, c0)
    for dtype in (np.float32, np.float16):
        assert_lstm_equal(tensors["y"].astype(dtype), weights, x, LENGTHS, h0, c0)


def half(values):
    return np.asarray(values, dtype=np.float16)


def half_sigmoid(a):
    return half(1 / (1 + np.exp(-a.astype(np.float64))))


def test_a_kernel_that_adds_up_in_half_precision_is_right(rng):
    """Every number is float16, and products are added one after another."""
    D, H = 46, 64
    shapes = {
        "weight_ih_l0": (4 * H, D),
        "weight_hh_l0": (4 * H, H),
        "bias_ih_l0": 4 * H,
        "bias_hh_l0": 4 * H,
    }
    weights = {name: half(rng.uniform(-1, 1, shape) / np.sqrt(H)) for name, shape in shapes.items()}
    W_ih, W_hh, *biases = weights.values()
    x, y = half(rng.normal(size=(1, 20, D))), []
    h = c = half(np.zeros(H))
    for x_t in x[0]:
        a = biases[0] + biases[1]
        for column in (W_ih * x_t).T:
            a = a + column
        for column in (W_hh * h).T:
            a = a + column
        i, f, g, o = np.split(a, 4)
        c = half_sigmoid(f) * c + half_sigmoid(i) * half(np.tanh(g.astype(np.float64)))
        h = half_sigmoid(o) * half(np.tanh(c.astype(np.float64)))
        y.append(h)
    assert y[-1].dtype == np.float16
    assert_lstm_equal(half([y]), weights, x)  # allowed 1e-2
    deviation = np.abs(half([y]) - trace_lstm(weights, x)["y"]).max()
    assert 7e-4 < deviation < 2e-3  # 1.0e-3 here and in docs/testing.md


def test_the_message_names_tensor_frame_and_unit(rng):
    weights, x = weights_of(rng), rng.normal(size=(N, T, D))
    tensors = trace_lstm(weights, x, LENGTHS)
    y = tensors["y"].copy()
    y[1, 3, 2] += 1e-3
    y[0, 3, 4] -= 1e-2
    y[1, 5, 0] = np.nan
    y[2, 2:] = 7  # past its length
    message = wrong(y, weights, x, LENGTHS)
    assert message.startswith(
        f"y deviates first at clip 0, frame 3, unit 4: {y[0, 3, 4]:.9g}, npreslstm has"
        f" {tensors['y'][0, 3, 4]:.9g}; "
    )
    assert "the difference 1.00e-02 exceeds 7.00e-15. 3 of 90 values deviate, the most by inf." in message
    h_n = tensors["h_n"].copy()
    h_n[0, 2, 1] += 1
    assert wrong((tensors["y"], (h_n, tensors["c_n"])), weights, x, LENGTHS).startswith(
        "h_n deviates first at layer 0, clip 2, unit 1: "
    )
    assert_lstm_equal((tensors["y"], (h_n, tensors["c_n"])), weights, x, LENGTHS, tolerance=2.0)


def test_the_first_frame_decides_within_a_layer_and_the_order_between_layers(rng):
    expected = trace_lstm(weights_of(rng, True), rng.normal(size=(N, T, D)))
    found = {name: tensor.copy() for name, tensor in expected.items()}
    found["l0_reverse.i"][0, 1] += 1
    found["l0_reverse.c"][2, 4, 3] += 1  # earlier, since this direction begins at the end
    with pytest.raises(AssertionError, match=r"^l0_reverse\.c deviates first at clip 2, frame 4, unit 3: "):
        assert_tensors_equal(found, expected)
    found["l0.o"][1, 2, 0] += 1
    found["l0.f"][1, 3, 0] += 1
    with pytest.raises(AssertionError, match=r"^l0\.o deviates first at clip 1, frame 2, unit 0: "):
        assert_tensors_equal(found, expected)


def test_a_changed_intermediate_of_the_model(rng):
    model, x = (
        ResLSTM(ModelConfig(input_size=D, hidden_size=H, num_classes=3), rng),
        rng.normal(size=(N, T, D)),
    )
    found = trace(model, x, LENGTHS, dtype=np.float32)
    assert_trace_equal(found, model, x, LENGTHS)
    found["score"][2, 1] += 1e-4
    found["logit"][0, 1] += 1
    with pytest.raises(AssertionError, match="^score deviates first at clip 2, frame 1: "):
        assert_trace_equal(found, model, x, LENGTHS)
    with pytest.raises(AssertionError, match="^logit deviates first at clip 0, class 1: "):
        assert_trace_equal({"logit": found["logit"]}, model, x, LENGTHS)


class Packed(tuple):
    batch_sizes = None


def test_what_cannot_be_compared(rng):
    weights, x = weights_of(rng), rng.normal(size=(N, T, D))
    y = trace_lstm(weights, x)["y"]
    cases = [
        (
            (y.swapaxes(0, 1), weights, x),
            r"y is \(6, 3, 5\); expected \(3, 6, 5\), \(clip, frame, unit\): it looks time-major",
        ),
        ((y[:, :, :2], weights, x), r"y is \(3, 6, 2\); expected \(3, 6, 5\)"),
        ((y[:, :5], weights, x), r"y is \(3, 5, 5\); expected \(3, 6, 5\)"),
        ((y[:, :0], weights, x, [6, 6, 6]), r"y is \(3, 0, 5\); expected \(3, 6, 5\)"),
        ((np.concatenate([y, y], axis=1), weights, x), r"y is \(3, 12, 5\); expected \(3, 6, 5\)"),
        ((y > 0, weights, x), "y is bool; expected float64, float32, float16 or integers"),
        (((y, y, y), weights, x), "the output is a tuple of 3; expected y, or"),
        (((y, (y, y, y)), weights, x), r"the states are 3; expected two, \(h_n, c_n\)"),
        (((y, (y,)), weights, x), "the states are 1; expected two"),
        (((y, ()), weights, x), "the states are 0; expected two"),
        (((y, 3), weights, x), "the states are 3; expected two"),
        ((np.full(y.shape, "a"), weights, x), "y is array"),
        (
            (Packed((1, 2)), weights, x),
            r"PackedSequence; expected a padded batch: pad_packed_sequence\(output, batch_first=True\)\[0\]",
        ),
        ((y, {f"lstm.{name}": w for name, w in weights.items()}, x), "is not a weight of torch.nn.LSTM"),
    ]
    for arguments, message in cases:
        with pytest.raises(InputError, match=message):
            assert_lstm_equal(*arguments)
    with pytest.raises(InputError, match="'z' is not a tensor of the reference; expected some of y"):
        assert_tensors_equal({"z": y}, {"y": y})


NONSENSE = [
    None, True, 3, -1, 3.5, 10**400, float("nan"), "text", b"x", "x" * 5000, [], (), {}, set(), object(),
    lambda: 1, [[1], [1, 2]], [None], [["a"]],
    {"a": None}, {1: 2}, (1, 2, 3), (None, None), (np.zeros((2, 4, 2)), ([1], [1, 2])), [2, 5], [4, 0],
    np.zeros(0),
    np.zeros((2, 4, 0)), np.zeros(3, complex), np.zeros((2, 4, 3), object), np.zeros((2, 4, 3),
    "datetime64[s]"),
]  # fmt: skip


def nonsense_calls():
    """(function, good arguments): everything public, with everything it may be given."""
    rng = np.random.default_rng(0)
    W = {
        "weight_ih_l0": rng.normal(size=(8, 3)),
        "weight_hh_l0": rng.normal(size=(8, 2)),
        "bias_ih_l0": np.zeros(8),
        "bias_hh_l0": np.zeros(8),
    }
    x, z = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 46))
    y, model = trace_lstm(W, x)["y"], ResLSTM(ModelConfig(hidden_size=4), rng)
    traced, grads = trace(model, z), trace_lstm_gradients(W, x, y)
    return [
        (assert_lstm_equal, [y, W, x, None, None, None, None]),
        (trace_lstm, [W, x, None, None, None]),
        (assert_lstm_gradients_equal, [grads, W, x, y, None, None, None, None, None, True, None]),
        (trace_lstm_gradients, [W, x, y, None, None, None, None, None, True]),
        (gradients_from_keras, [[np.zeros((3, 8)), np.zeros((2, 8)), np.zeros(8)]]),
        (assert_tensors_equal, [{"logit": traced["logit"], "input": traced["input"]}, traced, [4, 4], None]),
        (trace, [model, z, None]),
        (assert_trace_equal, [traced, model, z, None, None]),
        (from_keras, [[np.zeros((3, 8)), np.zeros((2, 8)), np.zeros(8)]]),
        (from_onnx, [np.zeros((1, 8, 3)), np.zeros((1, 8, 2)), None, None]),
    ]


@pytest.mark.parametrize(
    "function, arguments", nonsense_calls(), ids=lambda value: getattr(value, "__name__", "")
)
def test_nonsense_is_an_input_error(function, arguments):
    function(*arguments)
    for k, good in enumerate(arguments):
        inside = []
        if isinstance(good, dict):
            inside = [good | {next(iter(good)): bad} for bad in NONSENSE]
        if isinstance(good, list):
            inside = [[bad, *good[1:]] for bad in NONSENSE]
        for bad in [*NONSENSE, *inside]:
            with contextlib.suppress(InputError, AssertionError):
                function(*arguments[:k], bad, *arguments[k + 1 :])


def test_importing_it_loads_numpy_alone():
    code = (
        "import sys, npreslstm.testing; print([m for m in ('scipy', 'soundfile', 'torch', 'keras', 'onnx') if"
        " m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_nothing_is_no_success():
    """A filter that matches no tensor must not pass."""
    rng = np.random.default_rng(0)
    model, x = (
        ResLSTM(ModelConfig(input_size=4, hidden_size=8, num_classes=3), rng),
        rng.normal(size=(2, 5, 4)),
    )
    for compare in (lambda: assert_tensors_equal({}, {"y": x}), lambda: assert_trace_equal({}, model, x)):
        with pytest.raises(InputError, match="there is nothing to compare; expected some of "):
            compare()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"layers": 0}, "layers is 0; expected an integer of at least 1"),
        ({"layers": True}, "layers is True"),
        ({"layers": 1.5}, "layers is 1.5"),
        ({"dtype": "int8"}, "dtype is int8; expected a floating-point type"),
    ],
)
def test_cases_that_would_hold_nothing_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        lstm_cases(**options)


def test_infinity_is_near_nothing_else():
    """Scores that are masked are -inf."""
    masked = {"score": np.array([[1.0, -np.inf]])}
    assert_tensors_equal(masked, masked)
    for other in (123.0, np.inf, np.nan):
        with pytest.raises(AssertionError, match="score deviates first at clip 0, frame 1"):
            assert_tensors_equal({"score": np.array([[1.0, other]])}, masked)
