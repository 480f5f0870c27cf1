"""Traces of an LSTM and of the model: every intermediate that the equations name."""

import numpy as np
import pytest
from lstm_outputs import LENGTHS, D, H, N, T, weights_of
from reference import lstm as reference_lstm

from npreslstm.layers.activations import softmax
from npreslstm.layers.lstm import GATES
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig
from npreslstm.testing import (
    assert_trace_equal,
    trace,
    trace_lstm,
)
from npreslstm.testing.recurrent import PARAMETERS

EXACT = 1e-14  # achieved 2e-15, float64


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_trace_of_an_lstm_equals_the_reference(rng):
    weights, x = weights_of(rng, bidirectional=True), rng.normal(size=(N, T, D))
    tensors = trace_lstm(weights, x, LENGTHS)
    assert list(tensors) == [
        f"{layer}.{name}" for layer in ("l0", "l0_reverse") for name in (*GATES, "c", "h")
    ] + ["y", "h_n", "c_n"]
    for n, length in enumerate(LENGTHS):
        for k, (layer, step) in enumerate((("l0", 1), ("l0_reverse", -1))):
            suffix = layer.removeprefix("l0")
            states, h, c = reference_lstm(
                x[n, :length][::step], *(weights[f"{name}_l0{suffix}"] for name in PARAMETERS)
            )
            np.testing.assert_allclose(tensors[f"{layer}.h"][n, :length], states[::step], rtol=0, atol=EXACT)
            np.testing.assert_allclose(tensors["h_n"][k, n], h, rtol=0, atol=EXACT)
            np.testing.assert_allclose(tensors["c_n"][k, n], c, rtol=0, atol=EXACT)
        for layer, last in (("l0", length - 1), ("l0_reverse", 0)):
            np.testing.assert_array_equal(
                tensors[f"{layer}.c"][n, last], tensors["c_n"][int(layer != "l0"), n]
            )
    gates = {gate: tensors[f"l0.{gate}"] for gate in GATES}
    c = tensors["l0.c"]
    before = np.concatenate([np.zeros((N, 1, H)), c[:, :-1]], axis=1)
    valid = np.arange(T) < LENGTHS[:, None]
    np.testing.assert_allclose(
        c[valid], (gates["f"] * before + gates["i"] * gates["g"])[valid], rtol=0, atol=EXACT
    )
    assert not any(tensor[~valid].any() for name, tensor in tensors.items() if name not in ("h_n", "c_n"))


@pytest.mark.parametrize(
    "config", [{}, {"kind": "lstm-sa"}, {"num_layers": 2, "attention_vectors": 3, "head_combine": True}]
)
def test_a_trace_of_the_model(rng, config):
    """Its stages lead from one to the next, its logits are those of the reference layers."""
    model = ResLSTM(ModelConfig(input_size=D, hidden_size=H, num_classes=3, **config), rng)
    for name, tensor in model.tensors.items():
        if name.startswith("bn") and tensor.dtype == np.float32:
            tensor += rng.random(tensor.shape).astype(np.float32)
    x = rng.normal(size=(N, T, D)).astype(np.float32)
    tensors = trace(model, x, LENGTHS)
    reference = ResLSTM(model.config, dtype=np.float64, backend="reference")
    reference.load_state_dict(model.state_dict())
    logits, attention = reference.infer(x, LENGTHS)
    np.testing.assert_allclose(tensors["logit"], logits, rtol=0, atol=1e-13)  # achieved 2e-15
    for n, length in enumerate(LENGTHS):
        np.testing.assert_allclose(tensors["weight"][n, :length], attention[n, :length], rtol=0, atol=EXACT)
        np.testing.assert_allclose(
            softmax(tensors["score"][n, :length]), attention[n, :length], rtol=0, atol=EXACT
        )
        assert not any(
            tensors[name][n, length:].any() for name in list(tensors)[: list(tensors).index("context")]
        )
    np.testing.assert_allclose(tensors["probability"], softmax(logits), rtol=0, atol=EXACT)
    last = "lstm" if model.config.kind == "lstm-sa" else "lstm2"
    h = tensors[f"{last}.l{model.config.num_layers - 1}.h"]
    np.testing.assert_allclose(
        tensors["context"], np.einsum("nt,nth->nh", tensors["weight"], h), rtol=0, atol=EXACT
    )
    if last == "lstm2":
        residual = tensors["residual"]
        np.testing.assert_array_equal(
            residual, tensors["input"] + tensors[f"lstm1.l{model.config.num_layers - 1}.h"]
        )
        gamma, beta, mean, var = (
            model.tensors[f"bn_residual.{name}"].astype(float)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        valid = np.arange(T) < LENGTHS[:, None]
        np.testing.assert_allclose(
            tensors["normalised"][valid],
            (gamma * (residual - mean) / np.sqrt(var + 1e-5) + beta)[valid],
            rtol=0,
            atol=EXACT,
        )


def test_without_lengths_all_frames_count(rng):
    model, x = (
        ResLSTM(ModelConfig(input_size=D, hidden_size=H, num_classes=3), rng),
        rng.normal(size=(N, T, D)),
    )
    whole = trace(model, x, np.full(N, T))
    assert all(np.array_equal(tensor, whole[name]) for name, tensor in trace(model, x).items())
    assert_trace_equal(whole, model, x)
