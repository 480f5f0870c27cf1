"""``npreslstm info``: everything in a weights file is printed."""

import dataclasses
import json

import numpy as np
import pytest
from samples import FEATURES, checkpoint, write_weights

from npreslstm import cli
from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


@pytest.fixture
def info(capsys):
    """Runs `npreslstm info` and returns what it printed."""

    def info(*argv):
        assert cli.main(["info", *map(str, argv)]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return info


def test_json_holds_everything(tmp_path, info):
    path = write_weights(tmp_path / "w.npz", num_layers=2)
    weights, facts = load_checkpoint(path), json.loads(info(path, "--format", "json"))
    assert facts["file"] == str(path) and facts["bytes"] == path.stat().st_size
    assert facts["format"] == "npreslstm 1" and facts["sha256"] == weights.sha256
    assert (
        facts["model"] == weights.config.to_dict()
        and facts["num_parameters"] == weights.config.num_parameters
    )
    assert (
        facts["features"] == FEATURES.to_dict()
        and facts["classes"] == list(weights.classes)
        and facts["notes"] == weights.notes
    )
    assert np.array_equal(facts["mean"], weights.mean) and np.array_equal(facts["std"], weights.std)
    assert {tensor["name"]: tuple(tensor["shape"]) for tensor in facts["tensors"]} == {
        name: a.shape for name, a in weights.state.items()
    }
    assert (
        sum(np.prod(tensor["shape"], dtype=int) for tensor in facts["tensors"] if tensor["trained"])
        == facts["num_parameters"]
    )


def test_json_has_no_number_that_json_lacks(tmp_path, info):
    notes = {"history": {"loss": [1.5, float("nan")]}, "most": float("inf")}
    save_checkpoint(tmp_path / "w.npz", dataclasses.replace(checkpoint(), notes=notes))
    facts = json.loads(info(tmp_path / "w.npz", "--format", "json"), parse_constant=pytest.fail)
    assert facts["notes"] == {"history": {"loss": [1.5, None]}, "most": None}


def test_text_holds_everything(tmp_path, info):
    path = write_weights(tmp_path / "w.npz", hidden_size=64, classes=tuple("abcdefgh"))
    weights, out = load_checkpoint(path), info(path)
    words = out.split()
    for name, tensor in weights.state.items():
        assert name in words and (" x ".join(map(str, tensor.shape)) or "number") in out
    for name, value in FeatureConfig.to_dict(FEATURES).items():
        assert name in words and ("none" if value is None else str(value)) in words
    for expected in (
        weights.sha256,
        "46,772",
        "reslstm-sa",
        "a, b, c, d, e, f, g, h",
        "npreslstm 1",
        "split.held out",
        "[2, 5]",
        "licence",
    ):
        assert expected in out
    assert all(f"mfcc {k} " in out for k in range(34)) and all(f"chroma {k} " in out for k in range(12))
    assert words.count(f"{weights.mean[0]:.4g}") == 1 and words.count("0.3") >= 12


def test_long_lists_are_shortened(tmp_path, info):
    notes = {"history": {"loss": list(range(100, 200)), "rate": list(range(30))}}
    save_checkpoint(tmp_path / "w.npz", Checkpoint(**{**vars(checkpoint()), "notes": notes}))
    out = info(tmp_path / "w.npz")
    assert "history.loss  100 ... 199  (100 values; --format json has all)" in out and "27, 28, 29]" in out
    assert json.loads(info(tmp_path / "w.npz", "--format", "json"))["notes"] == notes


def test_incomplete_weights_name_the_remedy(tmp_path, info):
    complete = checkpoint()
    save_checkpoint(tmp_path / "w.npz", Checkpoint(complete.config, complete.state))
    out = info(tmp_path / "w.npz")
    assert out.count("npreslstm convert") == 3 and "notes\n  none" in out
    facts = json.loads(info(tmp_path / "w.npz", "--format", "json"))
    assert facts["features"] is facts["mean"] is facts["std"] is facts["classes"] is None


def test_pytorch_file(golden, info):
    facts = json.loads(info(golden / "reslstm_sa_h64.pt", "--format", "json"))
    assert facts["format"] is None and facts["num_parameters"] == 46_772
