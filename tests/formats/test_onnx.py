"""The exported ONNX file in ONNX Runtime; dynamic batch and time, masking by lengths."""

import json
import sys

import numpy as np
import pytest
from parity_page import allowed
from samples import checkpoint, write_weights

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.formats.onnx import export_onnx

TOLERANCE = allowed("ONNX export, logits, float32")  # logits up to 2, against float64

KINDS = {
    "reslstm-sa": {},
    "lstm-sa": {"kind": "lstm-sa"},
    "two layers": {"num_layers": 2},
    "three vectors": {"attention_vectors": 3, "head_combine": True},
}


def session(path):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def exported(tmp_path, weights):
    pytest.importorskip("onnx")
    export_onnx(weights, tmp_path / "model.onnx")
    return session(tmp_path / "model.onnx")


def random_statistics(weights, seed=0):
    """The checkpoint with batch norms that do something."""
    rng = np.random.default_rng(seed)
    for name, tensor in weights.state.items():
        if name.startswith("bn") and tensor.dtype == np.float32:
            tensor += rng.uniform(0, 0.5, tensor.shape).astype(np.float32)
    return weights


def deviations(net, weights, lengths, T, seed=0):
    """Largest deviations of logits and attention from the float64 model, on a batch of the given lengths in T
    frames.
    """
    x = np.random.default_rng(seed).normal(size=(len(lengths), T, 46)).astype(np.float32)
    logits, attention = net.run(None, {"features": x, "lengths": np.array(lengths)})
    ours, alpha = weights.model(np.float64).infer(x, np.array(lengths))
    longest = max(lengths)
    assert logits.shape == ours.shape and attention.shape == (len(lengths), T)
    assert not attention[:, longest:].any() and not attention[:, :longest][alpha == 0].any()
    return np.abs(logits - ours).max(), np.abs(attention[:, :longest] - alpha).max()


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_model_for_any_batch_and_time(tmp_path, kind):
    weights = random_statistics(checkpoint(**KINDS[kind]))
    net = exported(tmp_path, weights)
    for lengths, T in (([1], 1), ([7], 7), ([3, 9, 1, 9], 9), ([3, 2], 12), ([124, 87, 69], 124)):
        assert max(deviations(net, weights, lengths, T)) <= TOLERANCE


@pytest.mark.oracle
def test_the_bundled_weights(tmp_path):
    weights = load_checkpoint("paper")
    assert max(deviations(exported(tmp_path, weights), weights, [87, 124, 69, 1], 124)) <= TOLERANCE


@pytest.mark.oracle
def test_a_clip_does_not_depend_on_its_neighbours_or_on_padding(tmp_path):
    weights = checkpoint()
    net = exported(tmp_path, weights)
    x = np.random.default_rng(0).normal(size=(3, 8, 46)).astype(np.float32)
    lengths = np.array([8, 3, 5])
    together = net.run(None, {"features": x, "lengths": lengths})[0]
    x[1, 3:], x[2, 5:] = 1e6, np.nan
    np.testing.assert_allclose(
        net.run(None, {"features": x, "lengths": lengths})[0], together, rtol=0, atol=TOLERANCE
    )
    for n, T in enumerate(lengths):
        alone = net.run(None, {"features": x[n : n + 1, :T], "lengths": lengths[n : n + 1]})[0]
        np.testing.assert_allclose(alone[0], together[n], rtol=0, atol=TOLERANCE)


@pytest.mark.oracle
def test_metadata_and_interface(tmp_path):
    weights = checkpoint()
    net = exported(tmp_path, weights)
    kept = json.loads(net.get_modelmeta().custom_metadata_map["npreslstm"])
    assert kept["sha256"] == weights.sha256 and kept["classes"] == list(weights.classes)
    assert kept["features"] == weights.features.to_dict() and kept["model"] == weights.config.to_dict()
    np.testing.assert_array_equal(kept["mean"], weights.mean)
    assert [(i.name, i.shape, i.type) for i in net.get_inputs()] == [
        ("features", ["clips", "frames", 46], "tensor(float)"),
        ("lengths", ["clips"], "tensor(int64)"),
    ]
    assert [(o.name, o.shape) for o in net.get_outputs()] == [
        ("logits", ["clips", 3]),
        ("attention", ["clips", "frames"]),
    ]


@pytest.mark.oracle
def test_the_command(tmp_path, capsys):
    pytest.importorskip("onnx")
    source, target = write_weights(tmp_path / "a.npz"), tmp_path / "a.onnx"
    assert main(["export", "onnx", str(source), "--out", str(target)]) == 0
    assert capsys.readouterr().out.startswith(
        f"{target}: features (clips, frames, 46) and lengths (clips,) to logits (clips, 3)"
    )
    deviations(session(target), load_checkpoint(source), [2, 3], 3)


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"needs the onnx library: pip install npreslstm\[onnx\]"):
        export_onnx(checkpoint(), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_weights_are_not_replaced_by_an_onnx_file(tmp_path, capsys):
    """The ending says what is meant."""
    for name in ("w.npz", "other.npz"):
        write_weights(tmp_path / name)
    before = (tmp_path / "other.npz").read_bytes()
    assert main(["export", "onnx", str(tmp_path / "w.npz"), "--out", str(tmp_path / "other.npz")]) == 2
    assert "other.npz does not end in .onnx; weights: npreslstm convert" in capsys.readouterr().err
    assert (tmp_path / "other.npz").read_bytes() == before
