"""Temperatures from the results of a cross-validation (`calibrate`), and from `train --calibrate`."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from crossval_runs import EPOCHS, RUNS, SMALL, make_corpus

from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.experiments import temperature
from npreslstm.experiments.journal import Journal
from npreslstm.layers.activations import softmax
from npreslstm.training.calibration import fit_temperature, log_probabilities


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder of a corpus of six speakers, weights that hold s5 out, and results of a corpus of that name
    without s5.
    """
    folder = tmp_path_factory.mktemp("home")
    corpus = make_corpus(folder)
    lines = [line for line in corpus.read_text().splitlines() if not line.endswith(",s5")]
    (folder / "inner").mkdir()
    text = "\n".join(lines).replace("\n", "\n../")
    (folder / "inner" / "corpus.csv").write_text(text)
    results = str(folder / "results")
    arguments = [
        "crossval",
        str(folder / "inner" / "corpus.csv"),
        *SMALL,
        "--runs",
        str(RUNS),
        "--workers",
        "1",
    ]
    assert main([*arguments, "--out", results]) == 0
    assert train(folder, "--test", "s5", "--out", str(folder / "w.npz")) == 0
    return folder


def train(folder, *arguments):
    options = ["--features", "mcu", "--hidden", "4", "--set", f"epochs={EPOCHS}", "--set", "speeds=1"]
    return main(
        [
            "train",
            str(folder / "corpus.csv"),
            *options,
            "--cache",
            str(folder / "results" / "features"),
            *arguments,
        ]
    )


def refused(capsys, folder, weights="w.npz", results="results"):
    """The line that is said; nothing is written."""
    out = folder / "not.npz"
    assert (
        main(["calibrate", str(folder / weights), "--results", str(folder / results), "--out", str(out)]) == 2
    )
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and not out.exists()
    return lines[0]


def test_results_calibrate_weights(home, capsys):
    arguments = [
        "calibrate",
        str(home / "w.npz"),
        "--results",
        str(home / "results"),
        "--out",
        str(home / "c.npz"),
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    plain, made = (load_checkpoint(home / name) for name in ("w.npz", "c.npz"))
    entries = Journal(str(home / "results")).entries().values()
    logits = log_probabilities(np.concatenate([entry.probabilities for entry in entries]))
    labels = np.concatenate([entry.labels for entry in entries])
    found = made.notes["temperature"]
    # sums in another order
    assert found["value"] == pytest.approx(fit_temperature(logits, labels), rel=1e-14)
    assert found["clips"] == 20 and found["speakers"] == ["s0", "s1", "s2", "s3", "s4"] and len(labels) == 40
    assert found["how"].endswith("2 runs from seed 7")
    assert (
        made.state["fc.bias"] == (plain.state["fc.bias"].astype(float) / found["value"]).astype(np.float32)
    ).all()
    assert printed.startswith(
        f"wrote {home / 'c.npz'}\ntemperature {found['value']:.4f}, fitted on 20 clips of 5 training"
    )
    first = (home / "c.npz").read_bytes()
    assert main(arguments) == 0 and (home / "c.npz").read_bytes() == first
    assert "calibrated already (temperature" in refused(capsys, home, weights="c.npz")
    assert main(["info", str(home / "c.npz")]) == 0
    assert f"probabilities  temperature {found['value']:.4f}, fitted on 20 clips" in capsys.readouterr().out
    assert main(["info", str(home / "w.npz")]) == 0
    assert "probabilities  as trained, without a temperature" in capsys.readouterr().out


def test_results_that_heard_whom_the_weights_hold_out_are_refused(home, corpus, whole, capsys):
    said = refused(capsys, home, results=whole)  # of all six speakers
    assert (
        "has heard speaker s5, whom the weights have not; expected a cross-validation of the weights'"
        " training" in said
    )


def with_config(home, change):
    """A copy of the results with another configuration."""
    folder = home / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(home / "results", folder, ignore=shutil.ignore_patterns("features"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change(config)))
    return folder


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: {"data": "other.csv"}, 'data is "other.csv" there and "corpus.csv" here'),
        (lambda c: {"recipe": c["recipe"] | {"lr": 0.5}}, "recipe.lr is 0.5 there and 0.002 here"),
        (lambda c: {"model": c["model"] | {"hidden_size": 5}}, "model.hidden_size is 5 there and 4 here"),
        (lambda c: {"features": c["features"] | {"n_mels": 32}}, "features.n_mels is 32 there and 64 here"),
        (lambda c: {"heard at": [1.0, 0.9]}, r"heard at is [1.0, 0.9] there and null here"),
        (lambda c: {"teachers": [[], [], []]}, "learnt from teachers is true there and false here"),
        (
            lambda c: {"folds": [{"test": ["s1"], "validation": []}] * 3},
            "whom it scores; expected a recipe that tells it",
        ),
        (lambda c: {"started from": [[], [], []]}, "go on from others, and do not say whom those had heard"),
        (lambda c: {"folds": [5, 5, 5]}, "is not that of a cross-validation"),
        (lambda c: {"folds": [{"test": 5}] * 3}, "is not that of a cross-validation"),
        (lambda c: {"seed": None}, "is not that of a cross-validation"),
    ],
)
def test_results_of_other_networks_are_refused(home, capsys, change, message):
    assert message in refused(capsys, home, results=with_config(home, change))


def inner_scores(folder):
    """Make results those of the validation speakers, as with --inner: the test speakers of the next fold."""
    config = json.loads((folder / "config.json").read_text())
    config["scored speakers"] = [fold["validation"] for fold in config["folds"]]
    config["validation speakers"] = "kept out of training"
    (folder / "config.json").write_text(json.dumps(config))
    for run in range(RUNS):
        files = [folder / "predictions" / f"run-{run:02}-fold-{k}.csv" for k in range(3)]
        for file, rows in zip(files, [files[k].read_bytes() for k in (1, 2, 0)]):
            file.write_bytes(rows)


@pytest.mark.parametrize("field, value", [("keep", "best"), ("keep", "last"), ("statistics", "all")])
def test_scored_speakers_that_chose_the_epoch_or_gave_statistics_are_refused(home, capsys, field, value):
    folder = with_config(home, lambda config: {"recipe": config["recipe"] | {field: value}})
    if field == "keep":
        inner_scores(folder)
    weights = load_checkpoint(home / "w.npz")
    notes = weights.notes | {"recipe": weights.notes["recipe"] | {field: value}}
    save_checkpoint(home / "other.npz", replace(weights, notes=notes))
    if value == "last":
        arguments = [
            "calibrate",
            str(home / "other.npz"),
            "--results",
            str(folder),
            "--out",
            str(home / "o.npz"),
        ]
        assert main(arguments) == 0
    else:
        said = refused(capsys, home, weights="other.npz", results=folder)
        assert "whom it scores; expected a recipe that tells it nothing of them" in said


def test_only_the_rows_of_training_speakers_count(home):
    """Weights that were trained on fewer of the speakers, and chosen by the rest."""
    weights = load_checkpoint(home / "w.npz")
    notes = weights.notes | {"speakers trained on": ["s0", "s1", "s2"], "epoch chosen by": ["s3", "s4"]}
    made = temperature.calibrate_by_results(replace(weights, notes=notes), str(home / "results"))
    rows = Journal(str(home / "results")).entries().values()
    own = np.concatenate([np.isin(entry.speakers, ["s0", "s1", "s2"]) for entry in rows])
    logits = log_probabilities(np.concatenate([entry.probabilities for entry in rows]))[own]
    labels = np.concatenate([entry.labels for entry in rows])[own]
    found = made.notes["temperature"]
    assert found["value"] == pytest.approx(fit_temperature(logits, labels), rel=1e-14)
    assert found["speakers"] == ["s0", "s1", "s2"] and found["clips"] == 12
    nobody = replace(weights, notes=weights.notes | {"speakers trained on": ["x"]})
    with pytest.raises(
        InputError, match="has no results of speakers whom the weights were trained on; expected .* x"
    ):
        temperature.calibrate_by_results(nobody, str(home / "results"))


def test_epochs_of_teachers_chosen_by_whom_the_weights_hold_out_are_refused(home, capsys):
    folder = with_config(home, lambda config: {"teachers": [["0" * 64]] * 3})
    weights = load_checkpoint(home / "w.npz")
    save_checkpoint(home / "student.npz", replace(weights, notes=weights.notes | {"teachers": ["0" * 64]}))
    assert (
        main(["calibrate", str(home / "student.npz"), "--results", str(folder), "--out", str(home / "s.npz")])
        == 0
    )
    path = folder / "weights" / "run-01-fold-2.npz"
    network = load_checkpoint(path)
    save_checkpoint(path, replace(network, notes=network.notes | {"epoch chosen by": ["s5"]}))
    capsys.readouterr()
    said = refused(capsys, home, weights="student.npz", results=folder)
    assert "the network of run 1, fold 2 has heard speaker s5, whom the weights have not" in said
    path.unlink()
    said = refused(capsys, home, weights="student.npz", results=folder)
    assert "run-01-fold-2.npz is not there, which alone says by whom the epochs of its teachers were" in said


def test_bad_use_of_calibrate_is_one_line(home, capsys):
    assert "holds no cross-validation" in refused(capsys, home, results="nowhere")
    assert "no.npz is not a file" in refused(capsys, home, weights="no.npz")
    weights = load_checkpoint(home / "w.npz")
    for k, notes in enumerate(({}, {"speakers trained on": 5}, {"speakers trained on": ["s0"]})):
        save_checkpoint(home / "silent.npz", replace(weights, notes=notes))
        assert "do not say whom they were trained on, and how" in refused(
            capsys, home, weights="silent.npz"
        ), k
    before = (home / "w.npz").read_bytes()
    arguments = ["calibrate", str(home / "w.npz"), "--results", str(home / "results"), "--out"]
    assert main([*arguments, str(home / "w.npz")]) == 2
    assert "which is also to be read; give another name" in capsys.readouterr().err
    assert (home / "w.npz").read_bytes() == before


def test_train_calibrates(home, capsys):
    out = home / "t.npz"
    assert train(home, "--test", "s5", "--calibrate", "2", "--out", str(out)) == 0
    printed = capsys.readouterr()
    made, plain = load_checkpoint(out), load_checkpoint(home / "w.npz")
    found = made.notes["temperature"]
    assert found["speakers"] == ["s0", "s1", "s2", "s3", "s4"] and found["clips"] == 20
    assert (
        "network 1/2, trained on 2 of its speakers" in printed.err
        and "network 2/2, trained on 3" in printed.err
    )
    assert f"temperature {found['value']:.4f}, fitted on 20 clips of 5 training speakers" in printed.out
    assert {name: value for name, value in made.notes.items() if name != "temperature"} == plain.notes
    assert (made.state["lstm1.weight_hh_l0"] == plain.state["lstm1.weight_hh_l0"]).all()
    assert not list(home.glob("t.npz.*"))
    logits = [
        weights.model().infer(np.ones((1, 5, 46), np.float32), np.array([5]))[0] for weights in (plain, made)
    ]
    expected = softmax(logits[0] / found["value"])
    np.testing.assert_allclose(softmax(logits[1]), expected, rtol=0, atol=6e-7)  # achieved 6e-8


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--calibrate", "1"], "to calibrate by are 1; expected at least 2"),
        (["--calibrate", "0"], "to calibrate by are 0; expected at least 2"),
        (["--calibrate", "7"], "to calibrate by are 7; expected at least 2 and at most"),
        (["--calibrate", "2", "--set", "statistics=all"], "statistics is 'all'; expected 'training'"),
        (
            ["--calibrate", "2", "--teacher", "w.npz"],
            "trains networks without speakers whom a --teacher or --start has heard",
        ),
    ],
)
def test_what_train_cannot_calibrate_is_said_before_the_work(home, capsys, arguments, message):
    assert train(home, *arguments, "--out", str(home / "no.npz")) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and message in error[0] and not list(home.glob("no.npz*"))


def test_nothing_is_lost_where_no_temperature_is_best(home, capsys, monkeypatch):
    """The networks' states stay, so that the same training without --calibrate is done at once."""
    with monkeypatch.context() as patch:
        patch.setattr(temperature, "fit_temperature", lambda *rows: fit_temperature([[1.0, 0.0]], [0]))
        assert train(home, "--test", "s5", "--calibrate", "2", "--out", str(home / "e.npz")) == 2
    assert "no temperature is best for these 1 clips: all are labelled rightly" in capsys.readouterr().err
    assert not (home / "e.npz").exists()
    assert train(home, "--test", "s5", "--out", str(home / "e.npz")) == 0
    assert "epoch" not in capsys.readouterr().err and not list(home.glob("e.npz.*"))
    assert load_checkpoint(home / "e.npz").sha256 == load_checkpoint(home / "w.npz").sha256
