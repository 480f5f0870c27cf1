"""What commands say of a manifest's names, copies and silence."""

import os

import numpy as np
import pytest
from samples import voice, write_wav

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main

FEW = ["--features", "mcu", "--hidden", "4", "--set", "epochs=1", "--set", "speeds=1"]


def sounds(folder):
    """Six clips of two speakers and two labels, and their manifest."""
    rows = ["file,label,speaker"]
    for k in range(6):
        write_wav(folder / f"{k}.wav", voice(0.3, seed=k))
        rows.append(f"{k}.wav,{'Angry' if k == 0 else ('angry', 'sad')[k % 2]},s{k // 3}")
    (folder / "corpus.csv").write_text("\n".join(rows))
    return str(folder / "corpus.csv")


def test_train_warns_of_spelling_and_evaluate_refuses_it(tmp_path, capsys):
    data, out = sounds(tmp_path), str(tmp_path / "w.npz")
    assert main(["train", data, *FEW, "--out", out]) == 0
    assert (
        "warning: corpus.csv has labels that differ in spelling only: 'Angry' (clips: 1) and 'angry'"
        in capsys.readouterr().err.replace(str(tmp_path) + "/", "")
    )
    assert load_checkpoint(out).classes == ("Angry", "angry", "sad")
    assert main(["train", data, *FEW, "--label", "Angry=angry", "--out", out]) == 0
    assert "differ in spelling" not in capsys.readouterr().err and load_checkpoint(out).classes == (
        "angry",
        "sad",
    )
    assert main(["evaluate", data, "--weights", out, "--speakers", "all"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        "has the labels Angry; the model knows angry, sad; only the spelling differs:"
        " --label 'Angry=angry'" in error
    )
    assert main(["evaluate", data, "--weights", out, "--speakers", "all", "--label", "Angry=angry"]) == 0


@pytest.mark.skipif(os.name != "posix", reason="names of files are texts there")
def test_a_manifest_whose_name_is_no_utf_8(tmp_path):
    """What is trained on it can be read again."""
    name = os.path.join(os.fsencode(tmp_path), b"m\xff.csv")
    try:
        os.rename(sounds(tmp_path), name)
    except OSError:
        pytest.skip("this file system takes no such names")
    out = str(tmp_path / "w.npz")
    assert main(["train", os.fsdecode(name), *FEW, "--label", "Angry=angry", "--out", out]) == 0
    assert load_checkpoint(out).notes["data"] == "m\ufffd.csv"


def test_copies_and_silence_are_named(tmp_path, capsys):
    data, out = sounds(tmp_path), str(tmp_path / "w.npz")
    write_wav(tmp_path / "1.wav", np.zeros(4800))
    (tmp_path / "5.wav").write_bytes((tmp_path / "2.wav").read_bytes())
    crossval = ["crossval", data, *FEW, "--label", "Angry=angry", "--folds", "2", "--workers", "1"]
    runs = [["train", data, *FEW, "--label", "Angry=angry", "--out", out]]
    # the second finds them stored
    runs += [
        [*crossval, "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / name)] for name in ("1", "2")
    ]
    for arguments in runs:
        assert main(arguments) == 0
        said = capsys.readouterr().err.replace(str(tmp_path) + "/", "")
        copies = (
            "warning: corpus.csv has the same sound under several names: 2.wav = 5.wav (with different labels"
            " and speakers); leave one of each"
        )
        assert copies in said and said.count("same sound") == 1
        assert "warning: 1 clip is silent: 1.wav; take them out" in said and said.count("silent") == 1
    write_wav(tmp_path / "4.wav", np.zeros(0))
    assert (
        main(runs[0]) == 2
        and "1 of 6 clips cannot be used" in (said := capsys.readouterr().err)
        and "4.wav: no samples" in said
    )
    (tmp_path / "4.wav").write_bytes(b"")
    assert main(runs[0]) == 2 and "4.wav" in capsys.readouterr().err.splitlines()[-1]
