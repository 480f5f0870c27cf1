"""What `crossval` refuses, before any work: other configurations, damaged entries, bad input."""

import json
import shutil

import pytest
from crossval_runs import (
    FOLDS,
    RUNS,
    SMALL,
    command,
    finished,
)
from samples import voice, write_wav

from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.experiments.journal import Journal
from npreslstm.experiments.store import corpus_digest
from npreslstm.formats.plain_data import differences
from npreslstm.training.dataset import load_dataset


def test_a_folder_of_another_configuration_is_refused_before_any_work(corpus, whole, capsys):
    arguments = [
        "crossval",
        str(corpus),
        *SMALL,
        "--runs",
        "3",
        "--out",
        str(whole),
        "--set",
        "lr=0.5",
        "--hidden",
        "5",
    ]
    assert main(arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        "holds results of another configuration: model.hidden_size is 4 there and 5 here; recipe.lr is 0.002"
        " there and 0.5 here" in error
    )
    assert finished(whole) == RUNS * FOLDS


def test_a_clip_that_changed_is_another_configuration(corpus, tmp_path):
    shutil.copytree(corpus.parent, tmp_path / "c")
    before = corpus_digest(load_dataset(tmp_path / "c/corpus.csv"))
    assert before == corpus_digest(load_dataset(corpus))
    write_wav(tmp_path / "c/3.wav", voice(0.3, seed=99))
    assert before != corpus_digest(load_dataset(tmp_path / "c/corpus.csv"))
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": 3}) == [
        "a.c is 2 there and null here",
        "d is null there and 3 here",
    ]


def with_others_predicted(text):
    """The text of an entry of two classes, a and b, with the other class as what was predicted."""
    header, *rows = (line.split(",") for line in text.splitlines())
    others = [[*row[:3], {"a": "b", "b": "a"}[row[3]], *row[4:]] for row in rows]
    return "\n".join(map(",".join, [header, *others])) + "\n"


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text[: len(text) // 2], "is damaged"),
        (
            lambda text: text.replace("file,", "name,"),
            "is damaged .*expected the columns file, speaker, true, predicted",
        ),
        (
            lambda text: "\n".join(text.splitlines()[:-1]),
            "is not of the speakers .* with all their clips: delete it, and run again",
        ),
        (lambda text: text.replace(",a,", ",z,"), "is damaged"),
        (lambda text: text.replace(",0.", ",-0.", 1), "is damaged .a probability is below 0 or above 1"),
        (lambda text: text.replace(",0.", ",7.", 1), "is damaged .a probability is below 0 or above 1"),
        (with_others_predicted, "is damaged .the class that was predicted is not the likeliest"),
    ],
)
def test_a_damaged_entry_is_named(whole, tmp_path, change, message):
    shutil.copytree(whole / "predictions", tmp_path / "predictions")
    shutil.copy(whole / "config.json", tmp_path)
    entry = tmp_path / "predictions" / "run-01-fold-0.csv"
    entry.write_text(change(entry.read_text()))
    with pytest.raises(InputError, match=f"run-01-fold-0.csv {message}"):
        Journal(str(tmp_path)).entries()


def test_results_without_their_configuration_are_not_taken_over(corpus, whole, tmp_path, capsys):
    """Whose they are nobody knows, so another configuration must not call them its own."""
    other = command(corpus, whole, tmp_path / "out", "--seed", "9")
    shutil.copytree(whole, tmp_path / "out")
    config = tmp_path / "out" / "config.json"
    config.write_text("{")
    assert main(other) == 2
    error = capsys.readouterr().err
    assert "config.json is damaged" in error and "fetch it again, or choose another folder" in error
    config.unlink()
    assert main(other) == 2 and not config.exists()
    assert "has results, but no config.json that says what they are of" in capsys.readouterr().err


def test_bad_input_is_one_line_before_any_work(corpus, tmp_path, capsys):
    def error(*arguments):
        assert main(["crossval", *map(str, arguments)]) == 2
        lines = capsys.readouterr().err.splitlines()
        return lines[-1]

    out = tmp_path / "out"
    assert "give DATA" in error(corpus)
    assert "holds no cross-validation: there is no config.json" in error("--report", tmp_path)
    assert "the folds 'paper' need RAVDESS's actors 1 to 24" in error(corpus, "--out", out)
    assert "too few for 7 folds" in error(corpus, "--folds", 7, "--out", out)
    assert "fold 0 leaves nobody to train on" in error(corpus, "--folds", 2, "--inner", "--out", out)
    assert "runs is 0" in error(corpus, "--folds", 3, "--runs", 0, "--out", out)
    assert "workers is 0" in error(corpus, *SMALL, "--workers", 0, "--out", out)
    assert "seed is -1" in error(corpus, "--folds", 3, "--seed", -1, "--out", out)
    assert "recipe is 'mine.json'; expected default, student, robust, original or a JSON file" in error(
        corpus, "--recipe", "mine.json", "--out", out
    )


def test_unreadable_clips_are_listed_before_training(corpus, tmp_path, capsys):
    shutil.copytree(corpus.parent, tmp_path / "c")
    for name in ("5.wav", "6.wav"):
        (tmp_path / "c" / name).write_bytes(b"not audio")
    assert (
        main(
            [
                "crossval",
                str(tmp_path / "c/corpus.csv"),
                *SMALL,
                "--workers",
                "1",
                "--out",
                str(tmp_path / "out"),
            ]
        )
        == 2
    )
    error = capsys.readouterr().err.splitlines()[-1]
    assert "2 of 24 clips cannot be used" in error and "5.wav" in error and "6.wav" in error


def test_what_is_no_folder_of_results_is_one_line(whole, tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"what": "else"}')
    assert main(["crossval", "--report", str(tmp_path)]) == 2
    assert (
        "is not that of a cross-validation; expected a folder that npreslstm crossval --out wrote"
        in capsys.readouterr().err
    )
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert main(["crossval", "--report", str(tmp_path)]) == 2 and "is damaged" in capsys.readouterr().err
    config = json.loads((whole / "config.json").read_text())
    for change in (
        {"folds": 5},
        {"classes": 5},
        {"classes": [1]},
        {"scored speakers": []},
        {"scored speakers": [[1], ["a"], []]},
        {"clips": {}},
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        assert (
            main(["crossval", "--report", str(tmp_path)]) == 2
            and "is not that of a cross-validation" in capsys.readouterr().err
        )
    shutil.copytree(whole, tmp_path / "out")
    shutil.copy(
        whole / "predictions" / "run-00-fold-0.csv", tmp_path / "out" / "predictions" / "run-00-fold-7.csv"
    )
    assert main(["crossval", "--report", str(tmp_path / "out")]) == 2
    assert (
        "run-00-fold-7.csv in " in (said := capsys.readouterr().err)
        and "is of no fold: there are 3, from 0" in said
    )
