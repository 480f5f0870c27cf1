"""What may not be read is said to be so, by its name; it is not called damaged, and not passed over."""

import builtins
import errno
import json
import os

import numpy as np
import pytest
from samples import voice, write_wav, write_weights

from npreslstm.audio.reader import find_audio
from npreslstm.cli import main
from npreslstm.training.dataset import load_dataset


@pytest.fixture
def locked(monkeypatch):
    """Makes a path one that may not be opened or listed, even by the superuser."""
    paths, opened, listed = set(), builtins.open, os.scandir

    def refuse(function, path, *rest, **more):
        if isinstance(path, (str, os.PathLike)) and os.path.abspath(path) in paths:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        return function(path, *rest, **more)

    monkeypatch.setattr(builtins, "open", lambda *args, **more: refuse(opened, *args, **more))
    monkeypatch.setattr(os, "scandir", lambda path=".": refuse(listed, path))
    return lambda path: paths.add(os.path.abspath(path))


def results(folder):
    (folder / "predictions").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def vectors(folder):
    folder.mkdir()
    about = {"format": "npreslstm vectors", "version": 1, "weights": {"sha256": ""}}
    about |= {"cases": {"one": {}}, "files": {}}
    (folder / "manifest.json").write_text(json.dumps(about))
    np.savez(folder / "one.npz", lengths=[1], input=np.zeros((1, 1, 1)))
    return folder


FILES = {
    "w.npz": ["info", "w.npz"],
    "w.pt": ["info", "w.pt"],
    "a.wav": ["predict", "a.wav"],
    "c.json": ["features", "b.wav", "--features", "c.json"],
    "r.json": ["train", "--synthetic", "--recipe", "r.json", "--out", "out.npz"],
    "s.npz": ["convert", "w.npz", "out.npz", "--mean-std", "s.npz"],
    "results/config.json": ["crossval", "--report", "results"],
    "vectors/manifest.json": ["export", "vectors", "--check", "vectors"],
    "vectors/one.npz": ["export", "vectors", "--check", "vectors"],
    "corpus.csv": ["evaluate", "corpus.csv"],
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_permission(tmp_path, monkeypatch, locked, capsys, name):
    monkeypatch.chdir(tmp_path)
    write_weights("w.npz")
    for other in ("w.pt", "c.json", "r.json", "corpus.csv"):
        (tmp_path / other).write_text("x")
    np.savez("s.npz", mean=np.zeros(46), std=np.ones(46))
    for clip in ("a.wav", "b.wav"):
        write_wav(clip, voice(0.3))
    results(tmp_path / "results")
    vectors(tmp_path / "vectors")
    locked(name)
    assert main(FILES[name]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "damaged" not in err
    assert name in err and ("Permission denied" in err or "no permission" in err)
    assert not os.path.exists("out.npz")


def test_a_folder_in_a_folder_without_permission(tmp_path, monkeypatch, locked, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("in/one", "in/two"):
        os.makedirs(folder)
        write_wav(os.path.join(folder, "03-01-01-01-01-01-01.wav"), voice(0.3))
    locked("in/two")
    for read in (lambda: find_audio(["in"]), lambda: load_dataset("in")):
        with pytest.raises(PermissionError) as caught:
            read()
        assert caught.value.filename == os.path.join("in", "two")
    assert main(["predict", "in"]) == 2
    assert capsys.readouterr().err == "npreslstm: error: in/two: Permission denied\n"
