"""Networks of others in files of every format: what is read, what is said, what is refused."""

import gzip
import re

import numpy as np
import pytest
from small_networks import GOLDENS, OTHER, W, assert_same, under

from npreslstm.checkpoint import CheckpointWarning, load_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.formats import safetensors, torch_pt

FOREIGN = {
    "dynamic": (
        r"'torch\.ScriptObject': an object of compiled code, as quantised layers have; use the network as it"
        r" was before quantisation"
    ),
    "dynamic_head": (
        r"'torch\.qint8': a type of quantised numbers; use the network as it was before quantisation"
    ),
    "quantised": (
        r"a quantised tensor; use the network as it was before quantisation, or in PyTorch save"
        r" x\.dequantize\(\) instead"
    ),
    "spectral": r"fc\.weight is spectral-normed; .* torch\.nn\.utils\.remove_spectral_norm\(module\)",
    "orthogonal": (
        r"lstm1\.weight_hh_l0 is computed from original by code .*\.remove_parametrizations\(module,"
        r" 'weight_hh_l0'\)"
    ),
}


@pytest.mark.parametrize("file", FOREIGN)
def test_pytorchs_own_files_that_are_refused(file, tmp_path, capsys):
    assert main(["convert", str(GOLDENS / f"checkpoint_{file}.pt"), str(tmp_path / "w.npz")]) == 2
    printed = capsys.readouterr().err
    assert re.search(FOREIGN[file], printed) and printed.count("\n") == 1
    assert not (tmp_path / "w.npz").exists()


# --- the same from every format, through the commands ---


def write_npz(path, state):
    np.savez(path, **state)


FORMATS = {".pt": torch_pt.write_state_dict, ".ckpt": torch_pt.write_state_dict, ".npz": write_npz}


@pytest.mark.parametrize("ending", [*FORMATS, pytest.param(".safetensors", marks=pytest.mark.oracle)])
def test_every_format_and_info_says_the_same(tmp_path, capsys, ending):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    source, target = tmp_path / f"a{ending}", tmp_path / "b.npz"
    write = FORMATS.get(ending, safetensors.write_state_dict)
    write(
        source,
        {**under("net.student."), **under("net.teacher.", OTHER), "criterion.weight": np.ones(3, np.float32)},
    )
    for command in (["info", source], ["convert", source, target]):
        assert main([str(word) for word in command]) == 2
        assert (
            f"{source}: it holds 2 networks, at 'net.student', 'net.teacher'; choose one by --key"
            in capsys.readouterr().err
        )
    assert not target.exists()
    assert main(["convert", str(source), str(target), "--key", "net.teacher"]) == 0
    said = capsys.readouterr().err
    assert (
        said.count(
            "the prefix 'net.teacher.' is removed from the names; left aside, as no part of the network:"
            " criterion.weight"
        )
        == 1
    )
    assert_same(load_checkpoint(target).state, OTHER)
    assert main(["info", str(source), "--key", "net.student"]) == 0
    assert "reslstm-sa" in capsys.readouterr().out


def test_a_key_for_a_native_file(capsys):
    assert main(["info", "paper", "--key", "model"]) == 2
    assert "holds one network; leave out the key 'model'" in capsys.readouterr().err


def test_numpy_archives(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **W, epoch=3, classes=np.array(["a", "b", "c"]))
    with pytest.warns(CheckpointWarning, match="left aside, as no part of the network: epoch, classes"):
        assert_same(load_checkpoint(tmp_path / "a.npz").state, W)
    np.savez(tmp_path / "b.npz", W)
    with pytest.raises(
        InputError,
        match=r"b\.npz is not .* \(arr_0\.npy: it is Python objects, .* np\.savez\(path, \*\*state_dict\)",
    ):
        load_checkpoint(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-100])
    with pytest.raises(InputError, match=r"c\.npz is not a readable \.npz file \(.*\): fetch it again"):
        load_checkpoint(tmp_path / "c.npz")
    (tmp_path / "a.npz").rename(tmp_path / "a.weights")
    with pytest.warns(CheckpointWarning):
        load_checkpoint(tmp_path / "a.weights")


def test_an_archive_that_unpacks_to_too_much(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", **W)
    monkeypatch.setattr("npreslstm.checkpoint.UNPACKED", 1000)
    with pytest.raises(InputError, match="is compressed; expected arrays of at most 1000 bytes"):
        load_checkpoint(tmp_path / "a.npz")


def test_a_torch_file_that_is_called_npz(tmp_path):
    torch_pt.write_state_dict(tmp_path / "a.pt", W)
    (tmp_path / "a.pt").rename(tmp_path / "a.npz")
    assert_same(load_checkpoint(tmp_path / "a.npz").state, W)


WRITERS = {
    ".pt": torch_pt.write_state_dict,
    ".npz": lambda path, state: np.savez(path, **state),
    ".safetensors": safetensors.write_state_dict,
}


@pytest.mark.parametrize("written", [".pt", ".npz", pytest.param(".safetensors", marks=pytest.mark.oracle)])
@pytest.mark.parametrize("called", ["w.pt", "w.npz", "w.safetensors", "w.bin", "w.onnx", "W.NPZ"])
def test_the_content_says_the_format(tmp_path, written, called):
    if written == ".safetensors":
        pytest.importorskip("safetensors")
    WRITERS[written](tmp_path / f"right{written}", W)
    (tmp_path / f"right{written}").rename(tmp_path / called)
    assert_same(load_checkpoint(tmp_path / called).state, W)


STRANGERS = {
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    "a web page or XML: download the file itself": b"<!DOCTYPE html><html></html>",
    "HDF5: read it where it was written": b"\x89HDF\r\n\x1a\n" + bytes(99),
    "packed by gzip: unpack it": gzip.compress(b"weights"),
    "GGUF: convert": b"GGUF\x03\x00\x00\x00" + bytes(50),
}


@pytest.mark.parametrize("remedy", STRANGERS)
@pytest.mark.parametrize("called", ["w.pt", "w.npz", "w.safetensors"])
def test_what_people_take_for_weights_is_named(tmp_path, capsys, remedy, called):
    path = tmp_path / called
    path.write_bytes(STRANGERS[remedy])
    for command in (["info", str(path)], ["convert", str(path), str(tmp_path / "out.npz")]):
        assert main(command) == 2
        assert f"{called} holds no weights, it is " in (said := capsys.readouterr().err) and remedy in said
    assert not (tmp_path / "out.npz").exists()
