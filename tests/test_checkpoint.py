"""Weights files: round trips, and everything that may be wrong with one."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from npreslstm.assets import DEFAULT_WEIGHTS
from npreslstm.audio.features import FeatureConfig
from npreslstm.checkpoint import Checkpoint, load_checkpoint, load_model, save_checkpoint
from npreslstm.errors import InputError
from npreslstm.formats.torch_pt_write import write_state_dict
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig

SMALL = ModelConfig(input_size=6, hidden_size=5, num_classes=3)
FEATURES = FeatureConfig(n_mfcc=4, n_chroma=2)


def make_checkpoint(**changes):
    rng = np.random.default_rng(0)
    state = ResLSTM(SMALL, rng).state_dict()
    mean, std = rng.normal(size=6), 1 + rng.random(6)
    return replace(
        Checkpoint(SMALL, state, FEATURES, mean, std, ("sad", "glad", "mad"), {"seed": 0}), **changes
    )


@pytest.fixture
def saved(tmp_path):
    save_checkpoint(tmp_path / "w.npz", make_checkpoint())
    return tmp_path / "w.npz"


def rewrite(path, change_header=lambda header: None, change_arrays=lambda arrays: None):
    """Change a saved file as a forger would: without mending the checksum."""
    with np.load(path) as stored:
        arrays = dict(stored)
    header = json.loads(str(arrays.pop("header")))
    change_header(header)
    change_arrays(arrays)
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def resave(path, **changes):
    """Write a checkpoint that contradicts itself, with a right checksum."""
    save_checkpoint(path, make_checkpoint(**changes))


def test_round_trip_is_exact(saved):
    before, after = make_checkpoint(), load_checkpoint(saved)
    assert (after.config, after.features, after.classes, after.notes) == (
        before.config,
        before.features,
        before.classes,
        before.notes,
    )
    for a, b in [
        (after.mean, before.mean),
        (after.std, before.std),
        *((after.state[name], before.state[name]) for name in before.state),
    ]:
        np.testing.assert_array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
    assert after.sha256 == before.sha256 and len(after.sha256) == 64


def test_what_is_saved_can_be_loaded_whatever_names_were_noted(tmp_path):
    """Names of files may be halves of characters: bytes that are no UTF-8."""
    half = "m\udcff.csv"
    weights = make_checkpoint(notes={"data": half, half: [half]}, classes=("x", "y", f"z{half}"))
    save_checkpoint(tmp_path / "w.npz", weights)
    loaded = load_checkpoint(tmp_path / "w.npz")
    assert loaded.notes == {"data": "m\ufffd.csv", "m\ufffd.csv": ["m\ufffd.csv"]}
    assert loaded.classes[2] == "zm\ufffd.csv" and loaded.sha256 == weights.sha256


def test_saving_twice_gives_the_same_bytes(saved, tmp_path):
    save_checkpoint(tmp_path / "again.npz", make_checkpoint())
    assert saved.read_bytes() == (tmp_path / "again.npz").read_bytes()


def test_a_file_needs_no_pickle_and_is_small(saved, tmp_path):
    with zipfile.ZipFile(saved) as archive:
        assert all(b"'descr': '|O'" not in archive.read(name) for name in archive.namelist())
    state = ResLSTM(rng=np.random.default_rng(0)).state_dict()
    full = Checkpoint(ModelConfig(), state, FeatureConfig(), np.zeros(46), np.ones(46), tuple("abcdefgh"))
    save_checkpoint(tmp_path / "full.npz", full)
    assert (tmp_path / "full.npz").stat().st_size < 250_000


def test_load_model_in_either_precision(saved):
    assert load_model(saved).vector.dtype == np.float32
    double = load_model(saved, np.float64)
    np.testing.assert_array_equal(double.vector, load_model(saved).vector)
    assert double.vector.dtype == np.float64


def test_statistics_are_optional(tmp_path):
    save_checkpoint(tmp_path / "bare.npz", make_checkpoint(features=None, mean=None, std=None, classes=None))
    bare = load_checkpoint(tmp_path / "bare.npz")
    assert bare.features is bare.mean is bare.std is bare.classes is None


def test_no_such_file_and_no_such_bundled_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.npz is not a file; expected weights"):
        load_checkpoint(tmp_path / "nothing.npz")
    with pytest.raises(FileNotFoundError, match="no bundled weights called 'nothing'"):
        load_checkpoint("nothing")


def test_tensors_come_in_one_order_whatever_that_of_the_file(tmp_path):
    state = make_checkpoint().state
    write_state_dict(tmp_path / "a.pt", state)
    write_state_dict(tmp_path / "b.PT", dict(reversed(state.items())))
    a, b = (load_checkpoint(tmp_path / name) for name in ("a.pt", "b.PT"))
    assert list(a.state) == list(b.state) == list(a.config.schema) and a.sha256 == b.sha256


def test_a_folder_of_the_same_name_hides_no_bundled_weights(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mcu").mkdir()
    (tmp_path / "paper").write_bytes(saved.read_bytes())
    assert load_checkpoint("mcu").features.sample_rate == 16000
    # a file that is asked for by its name is that file
    assert load_checkpoint("paper").sha256 == load_checkpoint(saved).sha256
    assert load_checkpoint().sha256 == load_checkpoint(DEFAULT_WEIGHTS).sha256


@pytest.mark.parametrize("keep", [0, 10, 500, -100, -1])
def test_truncated_files_are_refused(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(InputError, match="is not a readable weights file .* truncated or damaged"):
        load_checkpoint(saved)


@pytest.mark.parametrize("position", np.linspace(0.01, 0.99, 25))
def test_any_flipped_byte_is_noticed_or_harmless(saved, position):
    """Damage to the archive's own bookkeeping may go unread; then what is loaded is what was saved."""
    data = bytearray(saved.read_bytes())
    data[int(position * len(data))] ^= 0x55
    saved.write_bytes(data)
    try:
        loaded = load_checkpoint(saved)
    except InputError:
        return
    assert loaded.sha256 == make_checkpoint().sha256


@pytest.mark.parametrize(
    "header, arrays",
    [
        (lambda h: h["notes"].update(seed=1), lambda a: None),
        (lambda h: None, lambda a: a["state/fc.bias"].__setitem__(0, 1)),
        (lambda h: None, lambda a: a.update(mean=a["mean"] + 1)),
        (lambda h: None, lambda a: a.pop("state/fc.bias")),
        (lambda h: None, lambda a: a.update(extra=np.zeros(1))),
    ],
    ids=["note", "weight", "mean", "lost tensor", "extra array"],
)
def test_tampering_is_refused(saved, header, arrays):
    rewrite(saved, header, arrays)
    with pytest.raises(InputError, match="does not match its own checksum"):
        load_checkpoint(saved)


def test_newer_versions_and_foreign_archives_are_refused(saved, tmp_path):
    rewrite(saved, lambda h: h.update(version=2))
    with pytest.raises(
        InputError, match="has format version 2; this version of npreslstm reads 1: upgrade npreslstm"
    ):
        load_checkpoint(saved)
    rewrite(saved, lambda h: h.update(format="other"))
    with pytest.raises(InputError, match="not a weights file of this package"):
        load_checkpoint(saved)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(
        InputError, match=r"other\.npz: state_dict lacks the matrix lstm.weight_ih_l0; .* found x$"
    ):
        load_checkpoint(tmp_path / "other.npz")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"config": ModelConfig(input_size=6, hidden_size=7, num_classes=3)}, "hidden_size 7 against 5"),
        ({"mean": np.zeros(5)}, "mean is not a finite vector of 6 numbers"),
        ({"std": np.zeros(6)}, "std is not a finite vector of 6 numbers"),
        ({"classes": ("one", "two")}, "names 2 classes; its model has 3"),
        ({"features": FeatureConfig()}, "the features have 46 columns; its model takes 6"),
    ],
)
def test_files_that_contradict_themselves_are_refused(tmp_path, changes, message):
    resave(tmp_path / "w.npz", **changes)
    with pytest.raises(InputError, match=message):
        load_checkpoint(tmp_path / "w.npz")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    state = make_checkpoint().state
    state["fc.bias"] = np.full(3, np.nan, np.float32)
    resave(tmp_path / "w.npz", state=state)
    with pytest.raises(InputError, match="holds weights that are NaN, infinite or too large for float32"):
        load_checkpoint(tmp_path / "w.npz")


def test_a_header_that_is_no_table_is_refused(saved):
    with np.load(saved) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "header"}
    np.savez(saved, header=np.array("[1]"), **arrays)
    with pytest.raises(InputError, match="not a weights file of this package"):
        load_checkpoint(saved)


def test_pickled_arrays_are_never_loaded(tmp_path):
    np.savez(tmp_path / "w.npz", header=np.array([{"format": "npreslstm"}], dtype=object))
    with pytest.raises(InputError, match="Python objects, which are not unpickled"):
        load_checkpoint(tmp_path / "w.npz")


def test_a_renamed_file_is_known_by_its_content(saved):
    saved.rename(saved.with_suffix(".weights"))
    assert load_checkpoint(saved.with_suffix(".weights")).sha256 == make_checkpoint().sha256


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_files_are_not_unpacked(saved, tmp_path, method):
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(tmp_path / "packed.npz", "w", method) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(InputError, match="packed.npz is compressed; expected arrays that are stored"):
        load_checkpoint(tmp_path / "packed.npz")


def test_counters_that_old_versions_of_pytorch_do_not_have_are_zero(tmp_path):
    state = {
        name: tensor
        for name, tensor in make_checkpoint().state.items()
        if not name.endswith("num_batches_tracked")
    }
    write_state_dict(tmp_path / "a.pt", state)
    found = load_checkpoint(tmp_path / "a.pt").state
    assert all(found[name] == 0 for name in found.keys() - state.keys()) and len(found) > len(state)


def test_a_negative_variance_is_refused(tmp_path):
    state = make_checkpoint().state
    write_state_dict(tmp_path / "a.pt", state | {"bn.running_var": -state["bn.running_var"]})
    with pytest.raises(InputError, match="bn.running_var has a negative variance"):
        load_checkpoint(tmp_path / "a.pt")
