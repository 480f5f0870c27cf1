"""npreslstm train, through the command line."""

import json
import sys
import wave

import numpy as np
import pytest

from npreslstm.audio.config import load_config
from npreslstm.checkpoint import is_native, load_checkpoint, save_checkpoint
from npreslstm.cli import main

FEW = ["--set", "epochs=2", "--set", "speeds=1", "--set", "batch_size=4", "--hidden", "4"]


def write_wave(path, pitch, seconds=0.3, rate=16000):
    t = np.arange(int(seconds * rate)) / rate
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((8000 * np.sin(2 * np.pi * pitch * t)).astype(np.int16).tobytes())


@pytest.fixture
def corpus(tmp_path):
    """Eight clips of four speakers in two classes, and their manifest."""
    rows = ["file,label,speaker"]
    for k in range(8):
        write_wave(tmp_path / f"{k}.wav", 200 + 300 * (k % 2) + 10 * k)
        rows.append(f"{k}.wav,{'low' if k % 2 == 0 else 'high'},s{k // 2}")
    (tmp_path / "corpus.csv").write_text("\n".join(rows))
    return tmp_path / "corpus.csv"


def test_a_speaker_with_a_comma_in_the_name_can_be_held_out(corpus, tmp_path):
    text = corpus.read_text()
    corpus.write_text(text.replace(",s3", ',"s,3"'))
    out = tmp_path / "w.npz"
    assert main(["train", str(corpus), *FEW, "--test", '"s,3"', "--out", str(out)]) == 0
    assert load_checkpoint(out).notes["speakers held out"] == ["s,3"]


def test_own_corpus_from_manifest_to_weights(corpus, tmp_path, capsys):
    out = tmp_path / "mine.npz"
    arguments = [
        str(corpus),
        "--features",
        "mcu",
        "--validation",
        "s2",
        "--test",
        "s3",
        "--seed",
        "5",
        "--cache",
        str(tmp_path / "cache"),
        *FEW,
    ]
    assert main(["train", *arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert f"wrote {out}" in printed.out and "held out: UAR" in printed.out and "seed 5" in printed.err
    assert "epoch 2/2  loss" in printed.err and "validation UAR" in printed.err and "0:00 left" in printed.err
    checkpoint = load_checkpoint(out)
    assert (
        checkpoint.classes == ("high", "low")
        and checkpoint.config.num_classes == 2
        and checkpoint.config.hidden_size == 4
    )
    assert checkpoint.features.sample_rate == 16000 and checkpoint.notes["speakers trained on"] == [
        "s0",
        "s1",
    ]
    assert not (tmp_path / "mine.npz.training").exists()
    first = out.read_bytes()
    assert main(["train", *arguments, "--out", str(out)]) == 0  # from the cache
    assert out.read_bytes() == first


def test_a_student_of_two_teachers(corpus, tmp_path, capsys):
    arguments = [
        "train",
        str(corpus),
        "--features",
        "mcu",
        "--test",
        "s3",
        "--cache",
        str(tmp_path / "cache"),
        *FEW,
    ]
    teachers = [str(tmp_path / f"teacher{seed}.npz") for seed in (1, 2)]
    for seed, path in enumerate(teachers, 1):
        assert main([*arguments, "--seed", str(seed), "--out", path]) == 0
    student = [
        *arguments,
        "--teacher",
        teachers[0],
        "--teacher",
        teachers[1],
        "--out",
        str(tmp_path / "student.npz"),
    ]
    assert main(student) == 0
    assert load_checkpoint(tmp_path / "student.npz").notes["teachers"] == [
        load_checkpoint(path).sha256 for path in teachers
    ]
    slower = load_config("mcu").to_dict() | {"hop_length": 1024}
    (tmp_path / "slower.json").write_text(json.dumps(slower))
    student[student.index("mcu")] = str(tmp_path / "slower.json")  # those of the teachers are made beside
    assert main(student) == 0
    made = load_checkpoint(tmp_path / "student.npz")
    assert made.features.hop_length == 1024 and len(made.notes["teachers"]) == 2
    capsys.readouterr()
    assert main([*student[:-1], str(tmp_path / "other.npz"), "--test", "s2"]) == 2
    assert (
        'does not fit the training: speakers trained on is ["s0", "s1", "s2"] there and ["s0", "s1", "s3"]'
        " here" in capsys.readouterr().err
    )
    assert not (tmp_path / "other.npz").exists()


ONE_EPOCH = ["train", "--synthetic", "--set", "epochs=1", "--hidden", "4"]


@pytest.mark.parametrize("ending", [".pt", ".pth", pytest.param(".safetensors", marks=pytest.mark.oracle)])
def test_the_ending_says_the_format_and_nothing_is_lost(tmp_path, capsys, ending):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    out, whole = tmp_path / f"tones{ending}", tmp_path / "tones.npz"
    assert main([*ONE_EPOCH, "--out", str(out)]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    tensors, complete = load_checkpoint(out), load_checkpoint(whole)
    assert not is_native(str(out)) and is_native(str(whole)) and len(list(tmp_path.iterdir())) == 2
    assert all(complete.state[name].tobytes() == array.tobytes() for name, array in tensors.state.items())
    assert tensors.features is None and complete.features is not None and complete.notes["seed"] == 0
    # the pair is replaced as a single file would be
    assert main([*ONE_EPOCH, "--out", str(out), "--seed", "1"]) == 0
    assert load_checkpoint(whole).notes["seed"] == 1
    save_checkpoint(whole, complete)
    assert main([*ONE_EPOCH, "--out", str(out)]) == 2
    assert f"would replace {whole}; give another --out, or move that file" in capsys.readouterr().err
    assert load_checkpoint(whole).sha256 == complete.sha256


@pytest.mark.parametrize("name", ["w", "w.onnx", "w.h5", "w.npy", "w.pt.bak"])
def test_another_ending_is_refused_before_training(tmp_path, capsys, name):
    assert main([*ONE_EPOCH, "--out", str(tmp_path / name)]) == 2
    printed = capsys.readouterr().err
    assert f"{name} does not end in .npz, .pt, .pth, .safetensors" in printed and "training on" not in printed
    assert not list(tmp_path.iterdir())


def test_safetensors_without_its_library_is_refused_before_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    assert main([*ONE_EPOCH, "--out", str(tmp_path / "w.safetensors")]) == 2
    printed = capsys.readouterr().err
    assert "pip install npreslstm[safetensors]" in printed and "training on" not in printed


def test_synthetic_training(tmp_path, capsys):
    assert (
        main(
            [
                "train",
                "--synthetic",
                "--set",
                "epochs=1",
                "--hidden",
                "8",
                "--out",
                str(tmp_path / "tones.npz"),
            ]
        )
        == 0
    )
    assert load_checkpoint(tmp_path / "tones.npz").classes == ("calm", "happy", "sad", "fear")
    assert "validation: UAR" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "give either DATA"),
        (["DATA", "--synthetic"], "give either DATA"),
        (["nowhere"], "nowhere does not exist; expected a RAVDESS folder or a manifest CSV"),
        (["DATA", "--test", "s9"], "no clips of speaker s9; the corpus has s0, s1, s2, s3"),
        (["DATA", "--test", "s0,s1,s2,s3"], "no speakers are left to train on"),
        (["DATA", "--set", "lr=fast"], "lr is 'fast'"),
        (
            ["DATA", "--features", "tiny"],
            "no feature configuration 'tiny'; expected paper or mcu or a JSON file",
        ),
        (["DATA", "--hidden", "0"], "hidden_size is 0"),
        (["DATA", "--seed", "-1"], "--seed is -1; expected 0 or more"),
        (["DATA", "--jobs", "0"], "jobs is 0; expected at least 1"),
    ],
)
def test_bad_use_is_one_line_and_status_2_and_writes_nothing(corpus, tmp_path, capsys, arguments, message):
    arguments = [str(corpus) if word == "DATA" else word for word in arguments]
    assert main(["train", *FEW, *arguments, "--out", str(tmp_path / "w.npz")]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and message in error[0]
    assert not list(tmp_path.glob("w.npz*"))


def test_an_unreadable_clip_is_named(corpus, tmp_path, capsys):
    (tmp_path / "3.wav").write_bytes(b"not audio")
    assert main(["train", str(corpus), *FEW, "--out", str(tmp_path / "w.npz")]) == 2
    assert "1 of 8 clips cannot be used" in capsys.readouterr().err and not (tmp_path / "w.npz").exists()


def test_a_missing_folder_is_noticed_before_the_work(corpus, tmp_path, capsys):
    assert main(["train", str(corpus), *FEW, "--out", str(tmp_path / "no" / "w.npz")]) == 2
    assert "make it first" in capsys.readouterr().err
    assert main(["train", str(corpus), *FEW, "--out", str(tmp_path)]) == 2
    assert "a folder; expected a file" in capsys.readouterr().err


def test_the_recipe_decides_whether_silence_is_trimmed(corpus, tmp_path):
    for setting, trim_db in (("trim_db=0", None), ("trim_db=20", 20.0)):
        assert main(["train", str(corpus), *FEW, "--set", setting, "--out", str(tmp_path / "w.npz")]) == 0
        assert load_checkpoint(tmp_path / "w.npz").features.trim_db == trim_db


def test_a_class_that_only_held_out_speakers_speak_is_refused(corpus, tmp_path, capsys):
    corpus.write_text(corpus.read_text().replace("6.wav,low", "6.wav,other"))
    assert main(["train", str(corpus), *FEW, "--test", "s3", "--out", str(tmp_path / "w.npz")]) == 2
    assert "nobody but the speakers held out of training speaks other" in capsys.readouterr().err


def test_training_that_diverges_writes_nothing(tmp_path, capsys):
    (tmp_path / "w.npz").write_bytes(b"old")
    assert (
        main(
            ["train", "--synthetic", "--set", "epochs=2", "--set", "lr=1e6", "--out", str(tmp_path / "w.npz")]
        )
        == 2
    )
    assert (
        "the loss is nan in epoch 1; expected a finite number: take a lower lr than 1e+06"
        in capsys.readouterr().err
    )
    assert (tmp_path / "w.npz").read_bytes() == b"old"
