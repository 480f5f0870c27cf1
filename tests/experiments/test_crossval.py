"""Cross-validation: honest splits, the folder of results, students, clear errors before any work."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from crossval_runs import (
    EPOCHS,
    FOLDS,
    RUNS,
    command,
    plan_of,
    quick_recipe,
    results,
    small_model,
)

from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.experiments import crossval as cv
from npreslstm.experiments.journal import Journal, lock_folder
from npreslstm.experiments.plan import Plan, fold_seed
from npreslstm.experiments.store import open_examples
from npreslstm.experiments.summary import pooled
from npreslstm.training.dataset import load_dataset
from npreslstm.training.recipe import training_features


def test_every_clip_is_predicted_once_a_run_by_its_own_fold(whole, corpus):
    journal = Journal(str(whole))
    entries = journal.entries()
    assert list(entries) == [(run, fold) for run in range(RUNS) for fold in range(FOLDS)]
    for run in range(RUNS):
        together = pooled([entries[run, fold] for fold in range(FOLDS)])
        assert sorted(together.files) == sorted(str(k) for k in range(24))
        assert all("ab"[label] == "ab"[int(name) % 2] for name, label in zip(together.files, together.labels))
    np.testing.assert_allclose(entries[0, 0].probabilities.sum(axis=1), 1, rtol=0, atol=1e-5)  # five decimals
    seeds = {journal.history(*key)["seed"] for key in entries}
    assert len(seeds) == RUNS * FOLDS and fold_seed(7, 0, 0) in seeds
    assert (entries[0, 0].probabilities != entries[1, 0].probabilities).any()
    assert len(journal.history(0, 0)["loss"]) == EPOCHS and os.listdir(whole / "snapshots") == []


def predictions_with(examples, names, plan, changed, monkeypatch):
    """Predictions of fold 0 when the features of some clips are noise."""
    rng = np.random.default_rng(0)
    variants = list(examples.variants)
    for n in changed:
        variants[n] = [rng.normal(0, 100, frames.shape).astype(np.float32) for frames in variants[n]]
    monkeypatch.setattr(cv, "open_examples", lambda store: (examples._replace(variants=variants), names))
    split = plan.split(plan.folds[0], examples.speakers)
    return cv.run_fold(cv.FoldTask(0, 0, 1, "", split, plan.model, plan.recipe, None)).predictions


@pytest.mark.parametrize(
    "options",
    [{}, {"hold_validation": True}, {"recipe": quick_recipe(1, keep="best")}],
    ids=["last", "validation", "best"],
)
def test_test_speakers_have_no_part_in_what_predicts_them(corpus, whole, monkeypatch, options):
    plan = plan_of(corpus, **options)
    examples, names = open_examples(str(next(whole.glob("features/corpus-*"))))
    tested = plan.split(plan.folds[0], examples.speakers).test
    plain = predictions_with(examples, names, plan, (), monkeypatch)
    others = predictions_with(examples, names, plan, tested[1:], monkeypatch)
    assert (plain.probabilities[0] == others.probabilities[0]).all() and (
        plain.probabilities[1:] != others.probabilities[1:]
    ).any()


def test_inner_scores_never_see_a_test_speaker(corpus, whole, monkeypatch):
    plan = plan_of(corpus, inner=True)
    examples, names = open_examples(str(next(whole.glob("features/corpus-*"))))
    tested = np.flatnonzero(np.isin(examples.speakers, plan.folds[0].test))
    plain = predictions_with(examples, names, plan, (), monkeypatch)
    assert set(plain.speakers) == set(plan.folds[0].validation)
    assert (
        plain.probabilities == predictions_with(examples, names, plan, tested, monkeypatch).probabilities
    ).all()


def test_statistics_of_all_speakers_only_where_the_recipe_asks(corpus, whole, monkeypatch):
    plan = plan_of(corpus, recipe=quick_recipe(1, statistics="all"))
    examples, names = open_examples(str(next(whole.glob("features/corpus-*"))))
    tested = plan.split(plan.folds[0], examples.speakers).test
    plain = predictions_with(examples, names, plan, (), monkeypatch)
    others = predictions_with(examples, names, plan, tested[1:], monkeypatch)
    assert (plain.probabilities[0] != others.probabilities[0]).any()


@pytest.mark.parametrize(
    "options, trained, validated, scored",
    [
        ({}, 16, 0, "test"),
        ({"hold_validation": True}, 8, 8, "test"),
        ({"recipe": quick_recipe(1, keep="best")}, 8, 8, "test"),
        ({"inner": True}, 8, 8, "validation"),
    ],
)
def test_who_trains_who_validates_who_is_scored(corpus, options, trained, validated, scored):
    plan = plan_of(corpus, **options)
    speakers = np.array([clip.speaker for clip in plan.dataset.clips])
    for fold in plan.folds:
        split = plan.split(fold, speakers)
        assert (len(split.train), len(split.validation)) == (trained, validated)
        assert set(speakers[split.test]) == set(getattr(fold, scored))
        assert not set(speakers[split.train]) & set(fold.test)


def test_more_runs_are_added_to_those_that_are_there(corpus, whole, tmp_path):
    arguments = command(corpus, whole, tmp_path / "out", "--workers", "1")
    assert main([*arguments, "--runs", "1"]) == 0
    assert json.loads((tmp_path / "out/summary.json").read_text())["UAR"]["std"] is None
    assert main(arguments) == 0
    assert results(tmp_path / "out") == results(whole)


def test_the_report_follows_from_config_and_predictions_alone(whole, tmp_path, capsys):
    shutil.copytree(whole / "predictions", tmp_path / "predictions")
    shutil.copy(whole / "config.json", tmp_path)
    assert main(["crossval", "--report", str(tmp_path), "--format", "json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads((whole / "summary.json").read_text())
    assert main(["crossval", "--report", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert (
        f"UAR {summary['UAR']['mean']:.4f} +- {summary['UAR']['std']:.4f}" in printed
        and "true / predicted, %" in printed
    )
    for key, words in (("ECE", "expected calibration error"), ("NLL", "negative log-likelihood")):
        assert f"{words} {summary[key]['mean']:.4f} +- {summary[key]['std']:.4f}\n" in printed
    assert "the 6 trainings took" not in printed  # where the history is not there
    os.remove(tmp_path / "predictions" / "run-01-fold-2.csv")
    assert main(["crossval", "--report", str(tmp_path)]) == 0
    assert "run 1 is left out: 2 of 3 folds are done" in capsys.readouterr().out


def test_students_learn_from_the_networks_of_their_own_fold(corpus, whole, tmp_path, capsys):
    more = tmp_path / "more" / "weights"
    more.mkdir(parents=True)
    for fold in range(FOLDS):
        shutil.copy(whole / "weights" / f"run-01-fold-{fold}.npz", more)
    arguments = command(
        corpus,
        whole,
        tmp_path / "out",
        "--teachers",
        str(whole),
        "--teachers",
        str(more.parent),
        "--workers",
        "1",
    )
    assert main(arguments) == 0
    journal = Journal(str(tmp_path / "out"))
    teachers = [
        [load_checkpoint(whole / "weights" / f"run-{run:02}-fold-{fold}.npz").sha256 for run in (0, 1, 1)]
        for fold in range(FOLDS)
    ]
    assert journal.config["teachers"] == teachers
    assert "learnt from networks of the same folds: 3 3 3 of folds 0 to 2" in capsys.readouterr().out
    student = load_checkpoint(tmp_path / "out" / "weights" / "run-01-fold-2.npz")
    assert student.notes["teachers"] == teachers[2] and results(tmp_path / "out") != results(whole)
    entry = journal.entries()[1, 2]
    assert student.notes["scores held out"]["accuracy"] == (entry.predicted == entry.labels).mean()
    (more / "run-01-fold-1.npz").unlink()
    assert (
        main(
            command(
                corpus, whole, tmp_path / "none", "--teachers", str(whole), "--teachers", str(more.parent)
            )
        )
        == 2
    )
    assert "has no networks of fold 1" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_runs_with_teachers_of_their_own(corpus, whole, tmp_path, capsys):
    """Beyond the last run of the teachers, the first comes again."""
    out, by_run = tmp_path / "out", ("--teachers", str(whole), "--teachers-by-run", "--workers", "1")
    assert main([*command(corpus, whole, out, *by_run), "--runs", str(RUNS + 1)]) == 0
    assert "2 2 2 of folds 0 to 2, each run from those of one run there, in turn" in capsys.readouterr().out
    for run in range(RUNS + 1):
        for fold in range(FOLDS):
            student, teacher = (
                load_checkpoint(folder / "weights" / f"run-{which:02}-fold-{fold}.npz")
                for folder, which in ((out, run), (whole, run % RUNS))
            )
            assert student.notes["teachers"] == [teacher.sha256]
    assert Journal(str(out)).config["teachers by run"] is True
    assert main(command(corpus, whole, tmp_path / "none", "--teachers-by-run")) == 2
    assert "there are none; give --teachers" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_two_processes_cannot_work_on_one_folder(corpus, whole):
    pytest.importorskip("fcntl")
    plan = Plan.make(
        load_dataset(corpus), "3", training_features("mcu"), small_model(), quick_recipe(EPOCHS), seed=7
    )
    with lock_folder(str(whole)), pytest.raises(InputError, match="another process is working on"):
        cv.crossval(plan, 2, str(whole))


ROUNDS, RACERS = 60, 4
RACE = """
import os, sys, time
from npreslstm.errors import InputError
from npreslstm.experiments.journal import Journal, lock_folder
from npreslstm.experiments.plan import Plan, fold_seed
base, racer, config = sys.argv[1], sys.argv[2], {config}
for k in range({rounds}):
    folder, ready, done = (os.path.join(base, f"{{kind}}{{k}}") for kind in ("", "ready", "done"))
    open(ready + racer, "w").close()
    while sum(name.startswith(f"ready{{k}}-") for name in os.listdir(base)) < {racers}:
        pass
    try:
        with lock_folder(folder):
            Journal(folder, config)
            open(os.path.join(folder, "inside" + racer), "w").close()
            open(done + racer, "w").close()
            while sum(name.startswith(f"done{{k}}-") for name in os.listdir(base)) < {racers}:
                time.sleep(0.001)
    except InputError:
        open(done + racer, "w").close()
"""


def test_of_all_who_come_at_once_one_works(tmp_path):
    """Each folder is new to all: who makes its config.json, and who locks it, is decided in one step."""
    pytest.importorskip("fcntl")
    config = {
        "data": "d", "classes": ["a"], "clips": {}, "scored speakers": [], "validation speakers": "",
        "seed": 0, "folds": [],
        "model": {"kind": "", "hidden_size": 1}, "features": {}, "recipe": {"statistics": "", "keep": ""},
    }  # fmt: skip
    code = RACE.format(config=config, rounds=ROUNDS, racers=RACERS)
    racers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), f"-{n}"]) for n in range(RACERS)]
    assert [racer.wait() for racer in racers] == [0] * RACERS
    for k in range(ROUNDS):
        assert len(list((tmp_path / str(k)).glob("inside-*"))) == 1
        assert not list((tmp_path / str(k)).glob(".*"))


def test_the_original_recipe_runs(corpus, tmp_path, capsys):
    arguments = [
        "--folds",
        "3",
        "--features",
        "mcu",
        "--hidden",
        "4",
        "--recipe",
        "original",
        "--set",
        "epochs=1",
        "--workers",
        "1",
    ]
    assert main(["crossval", str(corpus), *arguments, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert (
        "validation speakers are kept out of training" in printed.err
        and "not an honest protocol" in printed.out
    )
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["recipe"]["padding"] == "original" and config["recipe"]["optimizer"] == "adam"


def test_networks_go_on_from_those_of_another_cross_validation(corpus, whole, tmp_path, capsys):
    out = tmp_path / "on"
    run = command(corpus, whole, out, "--start", str(whole), "--set", "epochs=1")
    assert main(run) == 0
    began, went_on = Journal(str(whole)), Journal(str(out))
    for key in went_on.entries():
        begun = load_checkpoint(began.path("weights", *key))
        assert load_checkpoint(went_on.path("weights", *key)).notes["started from"] == begun.sha256
        assert begun.sha256 in went_on.config["started from"][key[1]]
    capsys.readouterr()
    assert main(command(corpus, whole, tmp_path / "other", "--start", str(tmp_path))) == 2
    assert "has no networks of fold 0" in capsys.readouterr().err


def test_teachers_may_hear_other_features(corpus, whole, tmp_path):
    """Here the students hear frames twice as long; the teachers' features are made beside theirs."""
    features = tmp_path / "slow.json"
    features.write_text(json.dumps(FeatureConfig.named("mcu").to_dict() | {"hop_length": 1024}))
    run = command(corpus, whole, tmp_path / "out", "--teachers", str(whole), "--workers", "1")
    run[run.index("--features") + 1] = str(features)
    run[run.index("--cache") + 1] = str(tmp_path / "cache")
    assert main(run) == 0
    journal = Journal(str(tmp_path / "out"))
    assert journal.config["features"]["hop_length"] == 1024
    student = load_checkpoint(tmp_path / "out" / "weights" / "run-01-fold-2.npz")
    teacher = load_checkpoint(whole / "weights" / "run-01-fold-2.npz")
    assert teacher.sha256 in student.notes["teachers"] and teacher.features != student.features
