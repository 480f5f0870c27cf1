"""Converting weights: every format to every other, the original code's files, and what is refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from samples import checkpoint, voice, write_weights

from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.formats import safetensors, torch_pt
from npreslstm.model import ResLSTM
from npreslstm.recognizer import Recognizer
from npreslstm.schema import ModelConfig

ROOT = Path(__file__).resolve().parents[1]
ORIGINALS = {
    **{
        f"ResLSTM-SA h{H}": (ModelConfig(hidden_size=H), P)
        for H, P in ((32, 27988), (64, 46772), (128, 108916))
    },
    **{
        f"LSTM-SA h{H}": (ModelConfig("lstm-sa", hidden_size=H), P)
        for H, P in ((32, 10600), (64, 29384), (128, 91528))
    },
    "multi-vector, K = 1": (ModelConfig(head_combine=True), 46773),
    "multi-vector, K = 3": (ModelConfig(attention_vectors=3, head_combine=True), 46903),
    "LSTM-SA h128 with two vectors": (
        ModelConfig("lstm-sa", hidden_size=128, attention_vectors=2, head_combine=True),
        91658,
    ),
    "two layers": (ModelConfig(num_layers=2), 46772 + 4 * 46 * 94 + 4 * 64 * 130),
}


def random_state(config, seed=0):
    return ResLSTM(config, np.random.default_rng(seed)).state_dict()


def write_pt(path, state):
    torch_pt.write_state_dict(path, state)
    return path


def run(capsys, *arguments):
    """Exit status, output and messages of `npreslstm convert`."""
    status = main(["convert", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("name", ORIGINALS)
def test_the_original_codes_models(tmp_path, capsys, name):
    """Everything is read off the shapes; the tensors arrive bit by bit."""
    config, parameters = ORIGINALS[name]
    state = random_state(config)
    source, target = write_pt(tmp_path / "model.pt", state), tmp_path / "model.npz"
    status, out, _ = run(capsys, source, target)
    assert status == 0
    assert out.startswith(
        f"{target}: {config.kind}, 46 features, hidden size {config.hidden_size}, layers"
        f" {config.num_layers}, "
    )
    assert out.endswith(
        f"attention vectors {config.attention_vectors}, 8 classes, {parameters:,} parameters\n"
    )
    converted = load_checkpoint(target)
    assert converted.config == config
    assert converted.state.keys() == state.keys()
    assert all(converted.state[key].tobytes() == tensor.tobytes() for key, tensor in state.items())


def test_the_original_models_own_files(golden, golden_npz, tmp_path, capsys):
    """The state_dict and the nested training checkpoint give equal models, whose logits are the
    original's.
    """
    logits = []
    for file in ("reslstm_sa_h64.pt", "reslstm_sa_h64_checkpoint.pt"):
        target = tmp_path / f"{file}.npz"
        assert run(capsys, golden / file, target)[0] == 0
        logits.append(
            load_checkpoint(target).model(np.float64).infer(golden_npz["x"], golden_npz["lengths"])[0]
        )
    np.testing.assert_array_equal(*logits)
    # achieved 1e-14
    np.testing.assert_allclose(logits[0], golden_npz["masked64/eval_logits"], rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "ending", [".npz", ".pt", ".pth", pytest.param(".safetensors", marks=pytest.mark.oracle)]
)
def test_every_format_from_the_native_one_and_back(tmp_path, capsys, ending):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    source, there, back = write_weights(tmp_path / "a.npz"), tmp_path / f"b{ending}", tmp_path / "c.npz"
    status, _, err = run(capsys, source, there)
    assert status == 0
    notice = (
        f"npreslstm: note: {there} holds tensors alone; feature configuration, statistics, classes, notes"
        " stay behind: keep them with"
    )
    assert err == (
        "" if ending == ".npz" else f"{notice} `npreslstm convert {there} OUT.npz --like {source}`\n"
    )
    assert run(capsys, there, back, *([] if ending == ".npz" else ["--like", source]))[::2] == (0, "")
    first, last = load_checkpoint(source), load_checkpoint(back)
    assert (first.config.to_dict() | {"dropout": 0.5}, first.features, first.classes) == (
        last.config.to_dict(),
        last.features,
        last.classes,
    )
    np.testing.assert_array_equal(first.mean, last.mean)
    assert all(tensor.tobytes() == last.state[key].tobytes() for key, tensor in first.state.items())


def test_parts_that_stay_behind_are_kept_by_the_same_command(tmp_path, capsys):
    """The source has not what --like gave."""
    other = write_weights(tmp_path / "other.npz")
    plain, target = tmp_path / "plain.pt", tmp_path / "b c.pt"
    assert run(capsys, other, plain)[0] == 0
    status, _, err = run(capsys, plain, target, "--like", other)
    assert status == 0 and err.endswith("stay behind: keep them with the same command and an OUT.npz\n")
    status, _, err = run(capsys, other, target)
    assert status == 0 and err.endswith(f"`npreslstm convert '{target}' OUT.npz --like {other}`\n")


@pytest.mark.oracle
def test_torch_reads_what_is_written(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    source = write_weights(tmp_path / "a.npz")
    assert run(capsys, source, tmp_path / "b.pt")[0] == 0
    state = torch.load(tmp_path / "b.pt", weights_only=True)
    assert all(
        state[key].numpy().tobytes() == tensor.tobytes()
        for key, tensor in load_checkpoint(source).state.items()
    )


def test_without_statistics_it_says_that_recognizer_will_refuse(tmp_path, capsys):
    source, target = write_pt(tmp_path / "a.pt", checkpoint().state), tmp_path / "b.npz"
    status, _, err = run(capsys, source, target)
    assert status == 0
    assert err.startswith(
        f"npreslstm: note: {target} has no feature configuration, no statistics, no classes: Recognizer will"
        " refuse it"
    )
    with pytest.raises(InputError, match="Recognizer needs them"):
        Recognizer(target)
    other = write_weights(tmp_path / "other.npz")
    assert run(capsys, target, tmp_path / "c.npz", "--like", other)[::2] == (0, "")
    ours, theirs = (Recognizer(path).process_signal(voice(), 16000) for path in (tmp_path / "c.npz", other))
    assert ours.probabilities == theirs.probabilities


def test_features_classes_and_statistics_by_themselves(tmp_path, capsys):
    whole = checkpoint()
    source, target, statistics = (
        write_pt(tmp_path / "a.pt", whole.state),
        tmp_path / "b.npz",
        tmp_path / "statistics.npz",
    )
    np.savez(statistics, mean=whole.mean, std=whole.std, other=1)
    features = tmp_path / "features.json"
    features.write_text(json.dumps({"sample_rate": 22050}), encoding="utf-8")
    status, _, err = run(
        capsys,
        source,
        target,
        "--features",
        features,
        "--classes",
        "calm, happy,sad",
        "--mean-std",
        statistics,
    )
    assert (status, err) == (0, "")
    converted = load_checkpoint(target)
    assert (converted.features, converted.classes) == (
        FeatureConfig(sample_rate=22050),
        ("calm", "happy", "sad"),
    )
    np.testing.assert_array_equal(converted.std, whole.std)
    assert run(capsys, source, target, "--features", "mcu")[2].startswith(
        f"npreslstm: note: {target} has no statistics, no classes: Recognizer"
    )


SMALL = random_state(ModelConfig(hidden_size=8))
BASE = random_state(ModelConfig("lstm-sa", hidden_size=8))


def gates(state, count):
    """The same names with the rows of `count` gates instead of four."""
    return {
        name: w[: len(w) // 4 * count] if ".weight_" in name or ".bias_" in name else w
        for name, w in state.items()
    }


REFUSED = {
    "projections": (
        {**SMALL, "lstm2.weight_hr_l0": np.ones((4, 8), np.float32)},
        r"lstm2\.weight_hr_l0 is a projection \(proj_size=4\)",
    ),
    "peepholes": (
        {**SMALL, "lstm1.weight_peephole": np.ones(138, np.float32)},
        r"lstm1\.weight_peephole is a peephole connection",
    ),
    "peepholes of a cell": (
        {**SMALL, "lstm1.weight_ci": np.ones(46, np.float32)},
        r"lstm1\.weight_ci is a peephole connection",
    ),
    "GRU": (gates(BASE, 3), r"lstm\.weight_hh_l0 is \(24, 8\), the shape of a GRU"),
    "RNN": (gates(BASE, 1), r"lstm\.weight_hh_l0 is \(8, 8\), the shape of a plain RNN"),
    "GRU by name": (
        {name.replace("lstm.", "gru."): w for name, w in gates(BASE, 3).items()},
        r"gru\.weight_hh_l0 is \(24, 8\), the shape of a GRU",
    ),
    "bidirectional": (
        {**SMALL, **{f"{name}_reverse": w for name, w in SMALL.items() if name.endswith("_l0")}},
        r"lstm1\.weight_ih_l0_reverse belongs to a bidirectional LSTM",
    ),
    "another model": (
        {"conv.weight": np.ones((3, 3), np.float32)},
        r"state_dict lacks the matrix lstm\.weight_ih_l0; expected a ResLSTM-SA",
    ),
    "a tensor too many": ({**SMALL, "fc2.bias": np.ones(3, np.float32)}, r"unexpected fc2\.bias"),
    "a tensor missing": ({name: w for name, w in SMALL.items() if name != "bn.bias"}, r"lacks bn\.bias"),
    "too large for float32": (
        {**SMALL, "fc.bias": np.full(8, 1e200)},
        "weights that are NaN, infinite or too large",
    ),
    "NaN": (
        {**SMALL, "fc.bias": np.full(8, np.nan, np.float32)},
        "weights that are NaN, infinite or too large",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_cells_and_models_are_refused_by_name(tmp_path, capsys, case):
    state, message = REFUSED[case]
    source, target = write_pt(tmp_path / "a.pt", state), tmp_path / "b.npz"
    status, out, err = run(capsys, source, target)
    assert (status, out, err.count("\n")) == (2, "", 1)
    with pytest.raises(InputError, match=message) as error:
        load_checkpoint(source)
    assert err == f"npreslstm: error: {error.value}\n" and str(error.value).startswith(str(source))
    assert not target.exists()


BAD_USE = {
    "the ending": (["b.onnx"], r"b\.onnx does not end in \.npz, \.pt, \.pth, \.safetensors"),
    "like and more": (
        ["b.npz", "--like", "other.npz", "--classes", "a,b,c"],
        "--like gives features, classes and statistics; leave out",
    ),
    "classes of another number": (["b.npz", "--classes", "a,b"], r"a\.pt names 2 classes; its model has 3"),
    "empty classes": (
        ["b.npz", "--classes", "a,,c"],
        r"--classes has classes \('a', '', 'c'\); expected different names, none of them empty",
    ),
    "equal classes": (["b.npz", "--classes", "a,b,a"], "expected different names"),
    "control characters": (
        ["b.npz", "--classes", "a,b\x1b[2J,c"],
        r"--classes has the class 'b\\x1b\[2J'; expected names without control characters",
    ),
    "statistics of another size": (
        ["b.npz", "--mean-std", "short.npz"],
        r"mean is not a finite vector of 46 numbers",
    ),
    "a file without statistics": (
        ["b.npz", "--mean-std", "a.pt"],
        "a.pt is not a readable .npz file .*: make it by np.savez",
    ),
    "no statistics file": (["b.npz", "--mean-std", "none.npz"], "none.npz"),
    "unknown features": (
        ["b.npz", "--features", "large"],
        "no feature configuration 'large'; expected paper or mcu or a JSON file",
    ),
    "like without": (
        ["b.npz", "--like", "a.pt"],
        "a.pt has no feature configuration, no statistics, no classes itself",
    ),
    "like of another size": (["b.npz", "--like", "large.npz"], r"a\.pt names 2 classes; its model has 3"),
    "no such folder": (["none/b.npz"], "none"),
}


@pytest.mark.parametrize("case", BAD_USE)
def test_bad_use_writes_nothing(tmp_path, capsys, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    write_pt("a.pt", checkpoint().state)
    write_weights("other.npz")
    write_weights("large.npz", classes=("a", "b"))
    np.savez("short.npz", mean=np.zeros(3), std=np.ones(3))
    before = sorted(tmp_path.iterdir())
    arguments, message = BAD_USE[case]
    status, out, err = run(capsys, "a.pt", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("npreslstm: error: ") and re.search(message, err)
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_source(tmp_path, capsys):
    status, _, err = run(capsys, tmp_path / "none.pt", tmp_path / "b.npz")
    assert status == 2 and "none.pt is not a file" in err


def test_the_script_is_the_command(tmp_path):
    source, target = write_weights(tmp_path / "a.npz"), tmp_path / "b.pt"
    script = [sys.executable, ROOT / "tools" / "convert_torch.py", source, target]
    done = subprocess.run(
        script, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""}, check=True
    )
    assert done.stdout.startswith(f"{target}: reslstm-sa, 46 features, hidden size 8")
    assert torch_pt.read_state_dict(target).keys() == load_checkpoint(source).state.keys()


@pytest.mark.oracle
def test_safetensors_from_elsewhere(tmp_path, capsys):
    pytest.importorskip("safetensors")
    safetensors.write_state_dict(tmp_path / "a.safetensors", SMALL)
    assert run(capsys, tmp_path / "a.safetensors", tmp_path / "b.npz")[0] == 0
    assert load_checkpoint(tmp_path / "b.npz").config == ModelConfig(hidden_size=8)


def test_the_way_back_keeps_notes_and_dropout(tmp_path, capsys):
    """Through a .pt, which holds tensors alone, and --like the weights that it came from."""
    assert main(["convert", "paper", str(tmp_path / "a.pt")]) == 0
    assert "classes, notes stay behind" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "a.pt"), str(tmp_path / "b.npz"), "--like", "paper"]) == 0
    assert load_checkpoint(tmp_path / "b.npz").sha256 == load_checkpoint("paper").sha256
    assert main(["convert", str(tmp_path / "a.pt"), str(tmp_path / "c.npz"), "--like", "mcu"]) == 0
    assert load_checkpoint(tmp_path / "c.npz").notes == {}
