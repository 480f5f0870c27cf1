"""Names of files in tables, CSV and messages: one row each, whatever is in them."""

import csv
import io
import json

import numpy as np
import pytest
from samples import voice, write_wav, write_weights

from npreslstm import cli
from npreslstm.report.text import table
from npreslstm.terminal import Progress, printable

NAMES = ["line\nbreak.wav", "carriage\rreturn.wav", "tab\tand \x1b[2Jescape.wav", 'quote",comma.wav']


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    try:
        return [str(write_wav(folder / name, voice(0.2, seed=k))) for k, name in enumerate(NAMES)]
    except OSError:
        pytest.skip("the file system has no such names")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_weights(tmp_path_factory.mktemp("weights") / "w.npz"))


def test_csv(clips, weights, capsys):
    for command in (["predict", "--weights", weights, "--format", "csv"], ["features", "--config", "mcu"]):
        assert cli.main([*command, *clips]) == 0
        out = capsys.readouterr().out
        assert out.endswith("\n") and "\r\n" not in out
        lines = list(csv.reader(io.StringIO(out, newline="")))
        assert len({len(line) for line in lines}) == 1
        assert list(dict.fromkeys(line[0] for line in lines[1:])) == clips


def test_json(clips, weights, capsys):
    assert cli.main(["predict", "--weights", weights, "--format", "json", *clips]) == 0
    assert [record["file"] for record in json.loads(capsys.readouterr().out)] == clips


def test_table(clips, weights, capsys):
    assert cli.main(["predict", "--weights", weights, *clips]) == 0
    out = capsys.readouterr().out
    assert (
        out.count("\n") == 5
        and "line\\nbreak.wav" in out
        and "tab\\tand \\x1b[2Jescape.wav" in out
        and "\x1b" not in out
    )
    assert cli.main(["predict", "--weights", weights, clips[1]]) == 0
    assert "carriage\\rreturn.wav  0.00-0.20 s" in capsys.readouterr().out


def test_messages(capsys, weights):
    assert cli.main(["predict", "--weights", weights, "gone\n\x1b[2J\r.wav"]) == 2
    assert capsys.readouterr().err == "npreslstm: error: gone \\x1b[2J\\r.wav: no file matches this pattern\n"


def test_printable():
    assert printable("a\x85\u2028\u202eb\x7f\tc") == "a\\x85\\u2028\\u202eb\\x7f\\tc"
    assert printable("Größe 猫 \u200d") == "Größe 猫 \u200d"
    assert table(["a"], [["x\ny"]]) == "a\nx\\ny"


def test_progress():
    stream = io.StringIO()
    stream.isatty = lambda: True
    with Progress(2, "files", stream) as progress:
        progress.noted = -np.inf
        progress.note("a\nb")
    assert "a\\nb" in stream.getvalue() and "\n" not in stream.getvalue()
