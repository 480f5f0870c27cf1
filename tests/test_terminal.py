"""Nothing that comes from a file does anything to a terminal: names and notes are escaped in all text for
people.
"""

import csv
import dataclasses
import io
import json
import os
import re
import sys

import numpy as np
import pytest
from samples import checkpoint, voice, write_wav

from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.ports.c_blob import labels_of
from npreslstm.report.text import table
from npreslstm.terminal import CLEAR_LINE, ClipLine, Progress, printable, say, show

# title, clear, delete, right to left, overwrite, a line more
EVIL = "\x1b]0;x\x07\x9b2J\x7f\u202e\u2028a\rb\n~c"
SAFE = r"\x1b]0;x\x07\x9b2J\x7f\u202e\u2028a\rb\n~c"
CLASSES = ("calm", "happy", "sad")  # neither a manifest nor weights may have such labels
# all controls but the newline
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Weights, clips and a manifest with names that no terminal should see."""
    weights = checkpoint(classes=CLASSES)
    notes = {f"made{EVIL}": EVIL, "data": EVIL, "nested": {EVIL: [EVIL]}, "speakers trained on": [EVIL]}
    save_checkpoint(tmp_path / f"w{EVIL}.npz", dataclasses.replace(weights, notes=notes))
    with open(tmp_path / f"corpus{EVIL}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "speaker"])
        for k in range(6):
            write_wav(tmp_path / f"{k}{EVIL}.wav", voice(0.3, seed=k))
            writer.writerow([f"{k}{EVIL}.wav", CLASSES[k % 2], f"s{k // 2}"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


WEIGHTS, CLIP, CORPUS = f"w{EVIL}.npz", f"0{EVIL}.wav", f"corpus{EVIL}.csv"
COMMANDS = {
    "info": ["info", WEIGHTS],
    "predict one": ["predict", CLIP, "--weights", WEIGHTS],
    "predict several": ["predict", ".", "--weights", WEIGHTS, "--attention"],
    "predict none": ["predict", f"none{EVIL}.wav", "--weights", WEIGHTS],
    "predict with what is no weights": ["predict", CLIP, "--weights", CLIP],
    "convert": ["convert", WEIGHTS, f"out{EVIL}.pt"],
    "convert to nothing": ["convert", WEIGHTS, f"out{EVIL}"],
    "export c": ["export", "c", WEIGHTS, "--out", f"c{EVIL}", "--features", "mcu"],
    "export vectors": ["export", "vectors", WEIGHTS, "--out", f"v{EVIL}"],
    "evaluate": ["evaluate", CORPUS, "--weights", WEIGHTS, "--speakers", "all"],
    "evaluate nobody": ["evaluate", CORPUS, "--weights", WEIGHTS, "--speakers", f"{EVIL}"],
    "features of nothing": ["features", f"none{EVIL}.wav"],
    "features of a file with that name": ["features", CLIP, "--features", f"none{EVIL}"],
    "train": [
        "train",
        CORPUS,
        "--features",
        "mcu",
        "--set",
        "epochs=1",
        "--hidden",
        "4",
        "--out",
        f"t{EVIL}.npz",
    ],
    "report": ["crossval", "--report", f"r{EVIL}"],
    "an unknown option": ["predict", CLIP, f"--{EVIL}"],
    "an unknown command": [EVIL],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_reaches_the_terminal(folder, capsys, name):
    main(COMMANDS[name])
    out, err = capsys.readouterr()
    assert out + err and not ACTS.search(out + err)
    for line in (out + err).splitlines():
        assert not line.startswith("~")  # what comes after a newline in a name


def test_scores_of_a_cross_validation(folder, capsys):
    arguments = [
        "--folds",
        "3",
        "--features",
        "mcu",
        "--hidden",
        "4",
        "--set",
        "epochs=1",
        "--set",
        "speeds=1",
        "--workers",
        "1",
    ]
    assert main(["crossval", CORPUS, *arguments, "--out", f"r{EVIL}"]) == 0
    out, err = capsys.readouterr()
    assert not ACTS.search(out + err) and SAFE in out
    assert main(["crossval", "--report", f"r{EVIL}"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == out.splitlines()[0]


def named(classes):
    """Weights with these classes, as `save_checkpoint` would write them if it took them."""
    weights = dataclasses.replace(checkpoint(), classes=classes)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("npreslstm.checkpoint.check_class_names", lambda which, classes: None)
        save_checkpoint("named.npz", weights)
    return weights


DOORS = {
    "weights": ["predict", "a.wav", "--weights", "named.npz"],
    "weights shown": ["info", "named.npz"],
    "weights like others": ["convert", "good.npz", "out.npz", "--like", "named.npz"],
    "convert": ["convert", "good.npz", "out.npz", "--classes", f"calm,happy,{EVIL}"],
    "manifest": ["train", "labels.csv", "--features", "mcu", "--out", "out.npz"],
    "a label": ["train", "good.csv", "--features", "mcu", "--label", f"x={EVIL}", "--out", "out.npz"],
    "labels": ["train", "good.csv", "--features", "mcu", "--labels", "map.csv", "--out", "out.npz"],
    "export c": ["export", "c", "named.npz", "--out", "out.npz"],
    "export micropython": ["export", "micropython", "named.npz", "--out", "out.npz"],
    "export onnx": ["export", "onnx", "named.npz", "--out", "out.onnx"],
    "export vectors": ["export", "vectors", "named.npz", "--out", "out.npz"],
}


@pytest.mark.parametrize("evil", ["\x1b[2J", "a\0b", "\x9b2J", "a\nb", "\u202eevil", "a\u2028b"], ids=ascii)
def test_class_names_with_controls_come_in_by_no_door(tmp_path, monkeypatch, capsys, evil):
    """Nothing makes them harmless where exported C or MicroPython writes them on a serial line."""
    monkeypatch.chdir(tmp_path)
    save_checkpoint("good.npz", checkpoint())
    weights = named(("calm", "happy", evil))
    for name in "ab":
        write_wav(f"{name}.wav", voice(0.3))
    tables = {
        "labels": [["file", "label", "speaker"], ["a.wav", evil, "s"]],
        "good": [["file", "label", "speaker"], ["a.wav", "x", "s"], ["b.wav", "y", "t"]],
        "map": [["label", "class"], ["x", evil]],
    }
    for name, rows in tables.items():
        with open(f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    for name, command in DOORS.items():
        arguments = [argument.replace(EVIL, evil) for argument in command]
        assert main(arguments) == 2, name
        out, err = capsys.readouterr()
        assert re.search("control character|NUL bytes", err) and not out, (name, err)
        assert len(err.splitlines()) == 1, (name, err)
        assert not ACTS.search(err) and not any(map(os.path.exists, ("out.npz", "out.onnx"))), name
    with pytest.raises(InputError, match="mine.npz, to be written, has the class .*control characters"):
        save_checkpoint("mine.npz", weights)
    assert not os.path.exists("mine.npz")
    with pytest.raises(InputError, match="the checkpoint has the class .*control characters"):
        labels_of(weights)  # of what a program exports that never was a file


@pytest.mark.parametrize("port", ["c", "micropython"])
def test_exported_texts_hold_no_controls(tmp_path, port):
    """People look at a README and at sources on a terminal too, and a comment ends where it should."""
    notes = {"licence": f"mine {EVIL} */ /* int x; /*"}
    weights = dataclasses.replace(load_checkpoint("mcu"), notes=notes)
    save_checkpoint(tmp_path / "w.npz", weights)
    assert main(["export", port, str(tmp_path / "w.npz"), "--out", str(tmp_path / "out")]) == 0
    texts = [
        path for path in (tmp_path / "out").rglob("*") if path.suffix in (".md", ".c", ".h", ".py", ".txt")
    ]
    assert len(texts) > 5
    for path in texts:
        text = path.read_text(encoding="utf-8").replace("\t", "")  # of makefiles' and sources' own
        assert not ACTS.search(text), path.name
        assert path.suffix == ".md" or ("*/ /*" not in text and "int x; /*" not in text)


def test_data_keeps_the_names(folder, capsys):
    assert main(["predict", ".", "--weights", WEIGHTS, "--format", "csv"]) == 0
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert header[3:6] == list(CLASSES) and rows[0][0].endswith(CLIP)
    assert main(["predict", CLIP, "--weights", WEIGHTS, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["file"] == CLIP
    assert main(["info", WEIGHTS, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == list(CLASSES)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(2, "files") as progress:
        progress.note(EVIL)
        progress.step()
    ClipLine()(1, 2)
    say(f"error: {EVIL}")
    assert not ACTS.search(stream.getvalue().replace(CLEAR_LINE, ""))


def test_show_keeps_lines(capsys):
    show(f"a\n{EVIL}\n")
    assert capsys.readouterr().out == "a\n" + SAFE.replace(r"\n", "\n") + "\n\n"


def test_letters_of_all_writings_stay():
    for text in ("über", "سلام\u200cدنیا", "日本語\u3000", "हिन्दी\u200d", "🙂", "a\xa0b"):
        assert printable(text) == text
    assert table((EVIL,), [(EVIL,)]) == f"{SAFE}\n{SAFE}"
    assert np.all([ACTS.search(printable(chr(k))) is None for k in range(0x3000)])
