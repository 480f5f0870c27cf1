"""The search: ranges, its score, pruning, the same trials after a kill, storage, what it writes."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.experiments import search
from npreslstm.experiments.ranges import DEFAULT_RANGES, PAPER_RANGES, Range, parse_ranges
from npreslstm.training.recipe import ORIGINAL, Recipe, load_recipe

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "--folds",
    "3",
    "--features",
    "mcu",
    "--hidden",
    "4",
    "--set",
    "epochs=2",
    "--set",
    "speeds=1",
    "--seed",
    "3",
    "--workers",
    "1",
]
RANGES = [
    "--range",
    "lr=1e-4:1e-1:log",
    "--range",
    "batch_size=4,8",
    "--range",
    "time_masks=0:3",
    "--range",
    "dropout=0:0.5",
]


def test_ranges_from_text():
    assert parse_ranges(
        ["lr=1e-4:1e-2:log", "dropout=0:0.5", "batch_size=8,16", "epochs=10:20"], Recipe()
    ) == {
        "lr": Range(1e-4, 1e-2, True),
        "dropout": Range(0.0, 0.5),
        "batch_size": Range(choices=(8, 16)),
        "epochs": Range(10, 20),
    }


NONSENSE = [
    "lr",
    "lr=",
    "lr=1:2:ln",
    "lr=2:1",
    "lr=0:1:log",
    "lr=0:inf",
    "lr=nan:1",
    "dropout=0:1.5",
    "batch_size=0,8",
    "epochs=1.5:3",
]


@pytest.mark.parametrize("text", NONSENSE)
def test_ranges_that_make_no_sense(text):
    with pytest.raises(
        InputError, match=f"range '{text}': expected LOW:HIGH, LOW:HIGH:log or values with commas"
    ):
        parse_ranges([text], Recipe())


@pytest.mark.parametrize("text", ["padding=masked,original", "speeds=1,2", "trim_db=10:40", "rate=1:2"])
def test_only_numbers_of_the_recipe_are_searched(text):
    with pytest.raises(
        InputError, match="is not of a number of the recipe; expected one of epochs, batch_size, lr"
    ):
        parse_ranges([text], Recipe())


@pytest.mark.parametrize("ranges, recipe", [(PAPER_RANGES, ORIGINAL), (DEFAULT_RANGES, Recipe())])
def test_recipes_lie_in_their_ranges(ranges, recipe):
    for name, values in ranges.items():
        value = getattr(recipe, name)
        assert value in values.choices if values.choices else values.low <= value <= values.high


def command(corpus, out, *more):
    return [
        "search",
        str(corpus),
        *SMALL,
        *RANGES,
        "--cache",
        str(corpus.parent / "features"),
        "--out",
        str(out),
        *more,
    ]


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """Results of a search that nothing interrupted."""
    pytest.importorskip("optuna")
    out = tmp_path_factory.mktemp("search") / "whole"
    assert main(command(corpus, out, "--trials", "14")) == 0
    return out


def rows(out):
    return list(csv.DictReader((out / "trials.csv").read_text().splitlines()))


@pytest.mark.oracle
def test_trials_lie_in_the_ranges_and_the_best_recipe_is_written(whole, corpus):
    trials = rows(whole)
    assert [int(trial["trial"]) for trial in trials] == list(range(14)) and os.listdir(
        whole / "snapshots"
    ) == []
    assert all(
        1e-4 <= float(t["lr"]) <= 1e-1 and int(t["batch_size"]) in (4, 8) and int(t["time_masks"]) in range(4)
        for t in trials
    )
    assert len({t["lr"] for t in trials}) == 14
    best = max(
        (t for t in trials if t["state"] == "complete"), key=lambda trial: float(trial["validation UAR"])
    )
    recipe = load_recipe(str(whole / "best.json"))
    assert (recipe.lr, recipe.batch_size, recipe.epochs) == (float(best["lr"]), int(best["batch_size"]), 2)


@pytest.mark.oracle
def test_the_score_is_that_of_an_inner_cross_validation(whole, corpus, tmp_path):
    arguments = [
        *SMALL,
        "--inner",
        "--recipe",
        str(whole / "best.json"),
        "--cache",
        str(corpus.parent / "features"),
    ]
    assert main(["crossval", str(corpus), *arguments, "--out", str(tmp_path / "out")]) == 0
    score = json.loads((tmp_path / "out/summary.json").read_text())["UAR"]["mean"]
    assert f"{score:.6f}" == max(
        trial["validation UAR"] for trial in rows(whole) if trial["state"] == "complete"
    )


@pytest.mark.oracle
def test_killed_and_started_again_it_makes_the_same_trials(whole, corpus, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = command(corpus, tmp_path / "out", "--trials", "6")
    process = subprocess.Popen(
        [sys.executable, "-m", "npreslstm", *arguments], env=environment, stderr=subprocess.PIPE, text=True
    )
    while "trial 1 " not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "out" / "trials.csv").exists()
    assert main(arguments) == 0
    assert main(command(corpus, tmp_path / "out", "--trials", "14")) == 0  # more of them
    assert (tmp_path / "out" / "trials.csv").read_bytes() == (whole / "trials.csv").read_bytes()
    assert (tmp_path / "out" / "best.json").read_bytes() == (whole / "best.json").read_bytes()


@pytest.mark.oracle
def test_the_lock_of_a_process_killed_while_it_wrote_is_broken(whole, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("npreslstm.experiments.search.LOCK_SECONDS", 3)
    shutil.copytree(whole, tmp_path / "out")
    (tmp_path / "out" / "study.log.lock").touch()
    assert main(command(corpus, tmp_path / "out", "--trials", "14")) == 0
    assert rows(tmp_path / "out") == rows(whole)


@pytest.mark.oracle
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_a_last_line_of_its_journal_is_no_hindrance(whole, corpus, tmp_path, share):
    shutil.copytree(whole, tmp_path / "out")
    journal = tmp_path / "out" / "study.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    last = lines[round(share * len(lines))]
    journal.write_bytes(b"".join(lines[: round(share * len(lines))]) + last[: len(last) // 2])
    assert main(command(corpus, tmp_path / "out", "--trials", "14")) == 0
    assert rows(tmp_path / "out") == rows(whole)


@pytest.mark.oracle
def test_a_trial_that_falls_behind_is_stopped_early():
    optuna = pytest.importorskip("optuna")
    from types import SimpleNamespace

    from npreslstm.experiments.search import PRUNING_TRIALS, _open_study, _reporter

    study = _open_study("sqlite://", "test", Recipe(epochs=8))
    for _ in range(PRUNING_TRIALS):
        trial = study.ask()
        for step in range(1, 17):
            trial.report(0.5, step)
        study.tell(trial, 0.5)
    trial = study.ask()
    good = _reporter(trial, [], 0)
    for epoch in range(1, 9):
        good(SimpleNamespace(epoch=epoch, uar=0.6))
    second = _reporter(trial, [0.6], 8)  # in the second fold the mean with the first one counts
    second(SimpleNamespace(epoch=1, uar=0.45))
    assert study.trials[-1].intermediate_values == {
        **dict.fromkeys(range(1, 9), 0.6),
        9: pytest.approx(0.525),
    }
    late = study.ask()
    with pytest.raises(optuna.TrialPruned):
        for epoch in range(1, 9):
            _reporter(late, [], 0)(SimpleNamespace(epoch=epoch, uar=0.4))
    assert len(study.trials[-1].intermediate_values) == 2  # a quarter of the epochs is free


@pytest.mark.oracle
def test_several_workers_share_a_database(corpus, tmp_path, capsys):
    pytest.importorskip("optuna")
    url = f"sqlite:///{tmp_path / 'study.db'}"
    assert main(command(corpus, tmp_path / "out", "--trials", "3", "--workers", "2", "--storage", url)) == 0
    assert len(rows(tmp_path / "out")) == 3 and not (tmp_path / "out" / "study.log").exists()
    assert "3/3  trial" in capsys.readouterr().err


@pytest.mark.oracle
def test_another_search_in_the_folder_is_refused(whole, corpus, capsys):
    assert main(command(corpus, whole, "--range", "crop=0:0.5")) == 2
    assert (
        "holds results of another configuration: ranges.crop is null there and [0.0, 0.5, false, []] here"
        in capsys.readouterr().err
    )
    assert main(command(corpus, whole, "--set", "mixup=0.9")) == 2
    assert "recipe.mixup is 0.3 there and 0.9 here" in capsys.readouterr().err


@pytest.mark.oracle
def test_bad_storage_is_one_line(corpus, tmp_path, capsys):
    pytest.importorskip("optuna")
    assert main(command(corpus, tmp_path / "out", "--storage", "nonsense://x")) == 2
    assert (
        "npreslstm: error: the storage of the search cannot be opened"
        in capsys.readouterr().err.splitlines()[-1]
    )
    assert main(command(corpus, tmp_path / "out", "--trials", "0")) == 2
    assert "trials is 0; expected at least 1" in capsys.readouterr().err


@pytest.mark.oracle
def test_pictures_of_the_search(whole, corpus, tmp_path):
    pytest.importorskip("matplotlib")
    shutil.copytree(whole, tmp_path / "out")  # a folder that was moved goes on too
    assert main(command(corpus, tmp_path / "out", "--trials", "18", "--plots", str(tmp_path / "p"))) == 0
    assert len(rows(tmp_path / "out")) == 18 and rows(tmp_path / "out")[:14] == rows(whole)
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["history.png", "importance.png"]


@pytest.mark.oracle
def test_when_all_diverge_it_says_so(corpus, tmp_path, capsys):
    pytest.importorskip("optuna")
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    assert (
        main(command(corpus, out, "--trials", "2", "--range", "lr=1e30:1e31", "--plots", str(tmp_path / "p")))
        == 0
    )
    said = capsys.readouterr().out
    assert (
        "2 trials, none of them complete" in said
        and "best.json" not in said
        and not (out / "best.json").exists()
    )


def test_without_optuna_it_says_so(corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(command(corpus, tmp_path / "out")) == 2
    assert "the search needs Optuna: pip install optuna, or npreslstm[search]" in capsys.readouterr().err


def test_seeds_of_draws_differ():
    states = {
        int(np.random.SeedSequence([0, trial, k]).generate_state(1)[0])
        for trial in range(100)
        for k in range(9)
    }
    assert len(states) == 900


@pytest.mark.oracle
def test_a_damaged_journal_is_an_input_error(tmp_path):
    """Whatever was changed in it; the journal has no checksums, so a changed number may be taken."""
    pytest.importorskip("optuna")
    path, ranges = (
        str(tmp_path / "study.log"),
        {
            "lr": Range(1e-4, 1e-2, True),
            "batch_size": Range(choices=(8, 16)),
        },
    )
    study = search._open_study(path, "npreslstm", Recipe())
    for k in range(6):
        trial = study.ask()
        trial.suggest_float("lr", 1e-4, 1e-2, log=True)
        trial.suggest_categorical("batch_size", (8, 16))
        study.tell(trial, k / 10)
    whole, rng, refused = Path(path).read_bytes(), np.random.default_rng(0), 0
    for _ in range(300):
        changed, at = bytearray(whole), int(rng.integers(len(whole)))
        changed[at : at + int(rng.integers(1, 30))] = rng.bytes(int(rng.integers(20)))
        Path(path).write_bytes(changed)
        try:
            study = search._open_study(path, "npreslstm", Recipe())
            search._check_trials(study, ranges, path)
        except InputError as error:
            assert path in str(error)
            refused += 1
            continue
        trials = search.finished_trials(study)
        if best := search.best_trial(trials):
            replace(Recipe(), **best.params)
    assert refused > 200
