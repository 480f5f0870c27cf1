"""Results in two files: the same figures, the same bytes each time, and damage named."""

import gzip
import json
import shutil

import numpy as np
import pytest
from crossval_runs import EPOCHS, FOLDS, RUNS, command

from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.experiments.journal import Journal
from npreslstm.experiments.packed import FILES, JSON, TABLE, PackedResults, open_results, pack_results


@pytest.fixture(scope="module")
def packed(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "made" / "here"
    pack_results(str(whole), str(folder))
    return folder


def report(capsys, folder, *more):
    assert main(["crossval", "--report", str(folder), *more]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("form", ("text", "json"))
def test_a_report_is_the_same_to_the_last_digit(whole, packed, capsys, form):
    assert report(capsys, packed, "--format", form) == report(capsys, whole, "--format", form)
    assert sorted(path.name for path in packed.iterdir()) == sorted(FILES)


def test_all_but_the_networks_is_there(whole, packed):
    journal, kept = Journal(str(whole)), open_results(str(packed))
    assert isinstance(kept, PackedResults) and isinstance(open_results(str(whole)), Journal)
    assert kept.config == journal.config and kept.summary == json.loads((whole / "summary.json").read_text())
    entries, originals = kept.entries(), journal.entries()
    assert list(entries) == list(originals) == [(run, fold) for run in range(RUNS) for fold in range(FOLDS)]
    for key, original in originals.items():
        assert entries[key].files == original.files and kept.history(*key) == journal.history(*key)
        for column, expected in zip(entries[key][1:], original[1:]):
            np.testing.assert_array_equal(column, expected)
    assert len(kept.history(1, 2)["loss"]) == EPOCHS and kept.history(5, 0) is None


def test_the_command_packs_and_reports_what_it_wrote(whole, packed, tmp_path, capsys):
    expected = report(capsys, whole)
    for source in (whole, packed):  # what is packed may be packed again
        assert main(["crossval", "--pack", str(source), "--out", str(tmp_path / "out")]) == 0
        assert capsys.readouterr().out == expected
        assert all((tmp_path / "out" / name).read_bytes() == (packed / name).read_bytes() for name in FILES)


def test_the_table_is_plain_csv_without_a_date(packed):
    data = (packed / TABLE).read_bytes()
    assert data[3:8] == bytes(5)  # flags (no name) and the time
    lines = gzip.decompress(data).decode().splitlines()
    assert lines[0] == "run,fold,file,speaker,true,predicted,a,b" and len(lines) == 1 + RUNS * 24


def test_runs_without_histories_or_in_part_are_packed(whole, tmp_path, capsys):
    shutil.copytree(whole / "predictions", tmp_path / "j" / "predictions")
    shutil.copy(whole / "config.json", tmp_path / "j")
    (tmp_path / "j" / "predictions" / "run-01-fold-2.csv").unlink()
    kept = pack_results(str(tmp_path / "j"), str(tmp_path / "out"))
    assert kept.history(0, 0) is None and "run 1 is left out: 2 of 3 folds are done" in report(
        capsys, tmp_path / "out"
    )
    (tmp_path / "j" / "predictions" / "run-00-fold-0.csv").unlink()
    with pytest.raises(InputError, match="no run is complete yet"):
        pack_results(str(tmp_path / "j"), str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def cut(data):
    return data[: len(data) // 2]


def edit(change):
    return lambda data: gzip.compress(change(gzip.decompress(data).decode()).encode())


@pytest.mark.parametrize(
    "change, message",
    [
        (cut, "is damaged"),
        (lambda data: data[:40] + bytes(20) + data[60:], "is damaged"),
        (lambda data: b"run,fold", "is damaged"),
        (lambda data: gzip.compress(b""), "is damaged .*expected the columns run, fold, file"),
        (
            edit(lambda text: text.replace("run,", "runs,")),
            "is damaged .*expected the columns run, fold, file",
        ),
        (edit(lambda text: text.replace("true,", "label,")), "is damaged .*expected the columns file"),
        (edit(lambda text: text.replace("\n0,", "\n-1,", 1)), "is damaged .*run or fold is '-1'"),
        (
            edit(lambda text: text.replace("\n0,", "\n0,0,", 1)),
            "is damaged .*line 2 has 9 columns; expected 8",
        ),
        (
            edit(lambda text: text.replace("\n0,0,", "\n0,7,")),
            "run 0 fold 7 is not of the speakers of that fold",
        ),
        (
            edit(lambda text: "\n".join(text.splitlines()[:-1])),
            "run 1 fold 2 is not of the speakers of that fold with all their clips",
        ),
        (edit(lambda text: text.replace(",a,", ",z,")), "is damaged"),
        (edit(lambda text: text.replace(",0.", ",nan0.", 1)), "is damaged"),
    ],
)
def test_a_damaged_table_is_named(packed, tmp_path, capsys, change, message):
    shutil.copy(packed / JSON, tmp_path)
    (tmp_path / TABLE).write_bytes(change((packed / TABLE).read_bytes()))
    with pytest.raises(InputError, match=f"{TABLE}:? {message}"):
        open_results(str(tmp_path)).entries()
    assert main(["crossval", "--report", str(tmp_path)]) == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_missing_table_is_one_line(packed, tmp_path, capsys):
    shutil.copy(packed / JSON, tmp_path)
    assert main(["crossval", "--report", str(tmp_path)]) == 2
    assert TABLE in (said := capsys.readouterr().err) and said.count("\n") == 1


@pytest.mark.parametrize(
    "value",
    ([], {"config": {}}, {"config": {}, "summary": {}, "histories": {}}, {"histories": {"run-0": {}}}),
)
def test_another_json_is_refused(packed, tmp_path, value):
    kept = json.loads((packed / JSON).read_text())
    (tmp_path / JSON).write_text(
        json.dumps(kept | value if "histories" in value and len(value) == 1 else value)
    )
    with pytest.raises(
        InputError,
        match="is not that of a cross-validation; expected a folder that npreslstm crossval --pack wrote",
    ):
        open_results(str(tmp_path))
    (tmp_path / JSON).write_text((packed / JSON).read_text()[:500])
    with pytest.raises(InputError, match="is damaged"):
        open_results(str(tmp_path))


def test_the_two_forms_are_not_mixed(corpus, whole, packed, tmp_path, capsys):
    for name in FILES:
        shutil.copy(packed / name, tmp_path)
    assert main(command(corpus, whole, tmp_path)) == 2
    assert f"{tmp_path} holds results that are packed: choose another folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    assert main(["crossval", "--pack", str(packed), "--out", str(whole)]) == 2
    assert (
        "holds a cross-validation that is not packed" in capsys.readouterr().err
        and not (whole / JSON).exists()
    )
    shutil.copy(whole / "config.json", tmp_path)
    assert main(["crossval", "--report", str(tmp_path)]) == 2
    assert "holds both results.json and config.json" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", (["--pack", "x"], ["corpus.csv", "--pack", "x", "--out", "y"]))
def test_what_packing_takes(arguments, capsys):
    assert main(["crossval", *arguments]) == 2
    assert "--pack DIR takes --out DIR, and no DATA" in capsys.readouterr().err


def test_nothing_to_pack(tmp_path, capsys):
    assert main(["crossval", "--pack", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "holds no cross-validation" in capsys.readouterr().err and not (tmp_path / "out").exists()
