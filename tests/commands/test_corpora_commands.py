"""Several corpora through the command line: who is tested when, scores of each over its own classes, weights
that know whom they heard.
"""

import json

import numpy as np
import pytest
from samples import voice, write_wav

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main
from npreslstm.experiments.evaluate import choose_speakers, seen_speakers
from npreslstm.experiments.journal import Journal
from npreslstm.report.model_card import TERMS, model_card
from npreslstm.training.dataset import RAVDESS, load_dataset
from npreslstm.training.merging import merge

FEW = "--features mcu --hidden 4 --set epochs=2 --set speeds=1 --set batch_size=4".split()


def make_corpus(folder, name, labels, seed):
    """Three speakers (of the same names in every corpus), each label twice; other sounds for every seed."""
    folder.mkdir()
    rows = ["file,label,speaker"]
    for who in ("ann", "ben", "eve"):
        for label in [*labels, *labels]:
            write_wav(folder / f"{len(rows)}.wav", voice(0.3, seed=seed + len(rows)))
            rows.append(f"{len(rows)}.wav,{label},{who}")
    (folder / name).write_text("\n".join(rows))
    return str(folder / name)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder with the manifests of two corpora, and with features."""
    folder = tmp_path_factory.mktemp("corpora")
    make_corpus(folder / "a", "a.csv", ["angry", "calm", "sad"], 0)
    make_corpus(folder / "b", "b.csv", ["anger", "sad"], 100)
    return folder


@pytest.fixture(scope="module")
def both(made):
    return [
        "--corpus",
        str(made / "a/a.csv"),
        "--corpus",
        str(made / "b/b.csv"),
        "--label",
        "b.csv/anger=angry",
    ]


def test_a_background_without_conditions_is_said(made, both, tmp_path, capsys):
    options = [
        "--background",
        str(made / "a"),
        "--cache",
        str(made / "cache"),
        "--out",
        str(tmp_path / "x.npz"),
    ]
    assert main(["train", *both, *FEW, "--test", "a.csv/ann,b.csv/ann", *options]) == 0
    assert "--background has no part in this: the recipe draws no conditions" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--conditions"]])
def test_silent_clips_are_said(made, weights, tmp_path, capsys, options):
    write_wav(tmp_path / "still.wav", np.zeros(4800))
    write_wav(tmp_path / "voice.wav", voice(0.3))
    (tmp_path / "c.csv").write_text("file,label,speaker\nstill.wav,sad,eve\nvoice.wav,calm,ben\n")
    choice = ["--weights", str(weights), "--speakers", "all", *options]
    assert main(["evaluate", str(tmp_path / "c.csv"), *choice]) == 0
    err = capsys.readouterr().err
    assert "1 clip is silent: " in err and "still.wav; take them out" in err and "voice.wav" not in err


@pytest.mark.parametrize("ending, begins", [("json", "{"), ("CSV", "file,"), ("txt", "a.csv, speakers ")])
def test_the_ending_of_an_output_says_its_form(made, weights, tmp_path, ending, begins):
    path = tmp_path / f"out.{ending}"
    choice = ["--weights", str(weights), "--speakers", "all", "--output", str(path)]
    assert main(["evaluate", str(made / "a/a.csv"), *choice]) == 0
    assert path.read_text(encoding="utf-8").startswith(begins)


@pytest.fixture(scope="module")
def weights(made, both):
    path = made / "w.npz"
    held_out = ["--validation", "b.csv/eve", "--test", "a.csv/ann,b.csv/ann"]
    assert main(["train", *both, *FEW, *held_out, "--cache", str(made / "cache"), "--out", str(path)]) == 0
    return path


@pytest.mark.parametrize("options", [[], ["--conditions"]])
def test_no_processes_are_refused_before_any_work(weights, made, capsys, options):
    capsys.readouterr()
    assert main(["evaluate", str(made / "a/a.csv"), "--weights", str(weights), "--jobs", "0", *options]) == 2
    assert capsys.readouterr().err == "npreslstm: error: --jobs is 0; expected at least 1\n"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--corpus", "A"], "one corpus only: --corpus A; give at least two, or A without --corpus"),
        (["--corpus", "A", "--corpus", "A"], "corpora have files in common: "),
        (
            ["A", "--corpus", "B"],
            (
                "a.csv has sad in common with the other corpora; expected at least two: a.csv has angry,"
                " calm, sad; b.csv has"
            ),
        ),
        (
            ["A", "--corpus", "B", "--label", "anger=calm", "--label", "sad=-"],
            "in common with the other corpora",
        ),
        (
            ["A", "--corpus", "B", "--label", "angr=angry"],
            "no corpus has the label angr; a.csv has angry, calm, sad; b.csv has anger, sad",
        ),
        (
            ["A", "--corpus", "B", "--label", "a=b=angry"],
            "no corpus has the label a=b; a.csv has",
        ),
        (
            ["A", "--corpus", "B", "--label", "anger"],
            "--label is 'anger'; expected LABEL=CLASS, e.g. anger=angry",
        ),
        (
            ["A", "--corpus", "B", "--label", "anger="],
            "the label anger means nothing; expected a class, or - to leave its clips out",
        ),
        (
            ["A", "--corpus", "B", "--label", "anger=angry", "--label", "anger=sad"],
            "the label anger has two meanings: angry and sad",
        ),
        (
            ["A", "--corpus", "nowhere.csv"],
            "nowhere.csv does not exist; expected a RAVDESS folder or a manifest CSV",
        ),
        (["A", "--labels", "nowhere.csv"], "nowhere.csv: No such file"),
        (
            ["A", "--label", "angry=sad", "--label", "calm=sad"],
            "a.csv is left with the classes sad; expected at least two",
        ),
    ],
)
@pytest.mark.parametrize(
    "command",
    [["train"], ["crossval", "--folds", "3"], ["evaluate", "--weights", "W"]],
    ids=["train", "crossval", "evaluate"],
)
def test_bad_use_is_one_line_before_any_work(made, weights, tmp_path, capsys, command, arguments, message):
    names = {"A": str(made / "a/a.csv"), "B": str(made / "b/b.csv"), "W": str(weights)}
    out = (
        []
        if command[0] == "evaluate"
        else ["--out", str(tmp_path / ("out.npz" if command[0] == "train" else "out")), *FEW]
    )
    capsys.readouterr()
    status = main([*(names.get(word, word) for word in [*command, *arguments]), *out])
    for short, name in names.items():
        message = message.replace(f" {short};", f" {name};").replace(f" {short} ", f" {name} ")
    error = capsys.readouterr().err.splitlines()
    assert status == 2 and message in error[-1] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", [["evaluate"], ["search", "--out", "x"], ["crossval", "--out", "x"], ["train", "--out", "x"]]
)
def test_without_a_corpus_it_says_what_to_give(command, capsys):
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "DATA (a RAVDESS folder or a manifest CSV)" in error and "several --corpus" in error


def uar_of_corpus(entries, name, classes):
    """Mean share of the clips of each class that were recognised, of the speakers of one corpus."""
    mine = [np.char.startswith(entry.speakers, name) for entry in entries]
    labels = np.concatenate([entry.labels[of] for entry, of in zip(entries, mine)])
    predicted = np.concatenate([entry.predicted[of] for entry, of in zip(entries, mine)])
    return np.mean([(predicted[labels == k] == k).mean() for k in classes])


def test_crossval_scores_each_corpus_over_its_own_classes(made, both, tmp_path, capsys):
    out = tmp_path / "out"
    folds = "--folds 3 --runs 2 --workers 1".split()
    arguments = ["crossval", *both, *FEW, *folds, "--cache", str(made / "cache"), "--out", str(out)]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert (
        "a.csv: 18 clips of 3 speakers; angry, calm, sad" in printed.err
        and "b.csv: 12 clips of 3 speakers; angry, sad" in printed.err
    )
    journal, summary = Journal(str(out)), json.loads((out / "summary.json").read_text())
    assert journal.config["corpora"] == {"a.csv": ["angry", "calm", "sad"], "b.csv": ["angry", "sad"]}
    entries = journal.entries()
    for (_, fold), entry in entries.items():
        tested = set(entry.speakers)
        assert tested == set(journal.config["folds"][fold]["test"]) and len(tested) == 2
        heard = load_checkpoint(out / "weights" / f"run-00-fold-{fold}.npz").notes["speakers trained on"]
        assert len(heard) == 4 and not set(heard) & tested
    for number, (name, own) in enumerate(journal.config["corpora"].items()):
        for run in range(2):
            of_run = [entry for (r, _), entry in entries.items() if r == run]
            expected = uar_of_corpus(of_run, name, [("angry", "calm", "sad").index(label) for label in own])
            assert abs(summary["corpora"][name]["UAR by run"][run] - expected) < 1e-15  # achieved 0
        assert summary["corpora"][name]["clips"] == (18, 12)[number]
    # in the first line, and in the table
    assert "UAR among its classes" in printed.out and printed.out.count("a.csv") == 2
    assert main(["crossval", "--report", str(out)]) == 0 and capsys.readouterr().out == printed.out
    before = {path: path.read_bytes() for path in out.glob("predictions/*")}
    assert main(arguments) == 0 and {path: path.read_bytes() for path in out.glob("predictions/*")} == before


def test_leaving_one_corpus_out(made, both, tmp_path, capsys):
    folds = "--folds corpus --workers 1".split()
    places = ["--cache", str(made / "cache"), "--out", str(tmp_path / "out")]
    arguments = ["crossval", *both, *FEW, *folds, *places]
    assert main(arguments) == 2  # only a.csv has it
    remedy = (
        "fold 0: nobody but the speakers held out of training speaks calm; hold out others, or leave these"
        " clips out with --label calm=-"
    )
    assert remedy in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main([*arguments, "--label", "calm=-"]) == 0
    config = Journal(str(tmp_path / "out")).config
    assert [fold["test"] for fold in config["folds"]] == [
        [f"{name}/{who}" for who in ("ann", "ben", "eve")] for name in ("a.csv", "b.csv")
    ]
    notes = load_checkpoint(tmp_path / "out/weights/run-00-fold-0.npz").notes
    assert notes["speakers trained on"] == ["b.csv/ann", "b.csv/ben", "b.csv/eve"] and set(
        notes["corpora"]
    ) == {"a.csv", "b.csv"}
    assert main([*arguments, "--label", "calm=-", "--validation"]) == 2
    assert (
        "leaves nobody to train on beside its test and validation speakers; take more folds, or give more"
        " corpora" in capsys.readouterr().err
    )
    assert main(["crossval", str(made / "a/a.csv"), "--folds", "corpus", "--out", str(tmp_path / "one")]) == 2
    assert "the folds 'corpus' need several corpora, and there is a.csv alone" in capsys.readouterr().err
    assert main(["crossval", *both, "--out", str(tmp_path / "table")]) == 2
    assert "the folds 'paper' need RAVDESS, and there are a.csv + b.csv" in capsys.readouterr().err


def test_a_map_of_labels_says_the_same(made, tmp_path, capsys):
    (tmp_path / "map.csv").write_text("corpus,label,class\nb.csv,anger,angry\n,calm,-\n")
    paths = ["--corpus", str(made / "a/a.csv"), "--corpus", str(made / "b/b.csv")]
    train = ["train", *paths, *FEW, "--cache", str(made / "cache"), "--test", "a.csv/ann"]
    by_map = [*train, "--labels", str(tmp_path / "map.csv"), "--out"]
    by_labels = [*train, *"--label anger=angry --label calm=-".split(), "--out"]
    assert main([*by_map, str(tmp_path / "1.npz")]) == 0
    assert main([*by_labels, str(tmp_path / "2.npz")]) == 0
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    assert load_checkpoint(tmp_path / "1.npz").classes == ("angry", "sad")
    assert main([*by_map, str(tmp_path / "map.csv")]) == 2
    assert "which is also to be read" in capsys.readouterr().err
    (tmp_path / "map.csv").write_text("label,class\n")
    assert main([*by_map, str(tmp_path / "3.npz")]) == 2
    assert "map.csv lists no labels; expected one a line, with its class" in capsys.readouterr().err


def test_weights_know_whom_they_heard_of_each_corpus(made, both, weights, capsys):
    loaded = load_checkpoint(weights)
    a, b = load_dataset(made / "a/a.csv"), load_dataset(made / "b/b.csv")
    together = merge([a, b], {"anger": "angry"})
    assert loaded.notes["corpora"] == {"a.csv": ["angry", "calm", "sad"], "b.csv": ["angry", "sad"]}
    assert choose_speakers(loaded, a) == ["ann"] and seen_speakers(loaded, a) == ["ben", "eve"]
    assert choose_speakers(loaded, b) == ["ann"] and seen_speakers(loaded, b) == ["ben", "eve"]
    assert choose_speakers(loaded, together) == ["a.csv/ann", "b.csv/ann"]
    assert seen_speakers(loaded, together) == ["a.csv/ben", "a.csv/eve", "b.csv/ben", "b.csv/eve"]
    other = a._replace(name="c.csv")
    assert choose_speakers(loaded, other) == ["ann", "ben", "eve"] and seen_speakers(loaded, other) == []
    noted = loaded.notes["scores held out"]["corpora"]
    capsys.readouterr()
    for name, mapping in (("a.csv", []), ("b.csv", ["--label", "b.csv/anger=angry"])):
        path = str(made / name[0] / name)
        assert main(["evaluate", path, "--weights", str(weights), *mapping, "--format", "json"]) == 0
        printed = capsys.readouterr()
        found = json.loads(printed.out)
        assert printed.err == "" and found["speakers"] == ["ann"] and found["UAR"] == noted[name]["uar"]
    assert main(["evaluate", *both, "--weights", str(weights), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: score["UAR by run"][0] for name, score in found["corpora"].items()} == {
        name: noted[name]["uar"] for name in noted
    }
    assert main(["evaluate", str(made / "a/a.csv"), "--weights", str(weights), "--speakers", "all"]) == 0
    assert (
        "the weights were trained on speaker ben, eve: these scores are NOT those of unseen"
        in capsys.readouterr().err
    )


def test_several_corpora_of_which_the_weights_know_one(made, both, tmp_path, capsys):
    path = tmp_path / "w.npz"
    train = ["train", str(made / "a/a.csv"), *FEW, "--cache", str(made / "cache"), "--test", "ann"]
    assert main([*train, "--out", str(path)]) == 0
    capsys.readouterr()
    assert main(["evaluate", *both, "--weights", str(path), "--format", "json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["speakers"] == ["a.csv/ann", "b.csv/ann", "b.csv/ben", "b.csv/eve"]
    assert (
        "the weights were trained on a.csv; whether they know speakers of b.csv cannot be told" in printed.err
    )
    assert main(["evaluate", *both, "--weights", str(path), "--speakers", "all"]) == 0
    assert (
        "trained on speaker a.csv/ben, a.csv/eve: these scores are NOT those of unseen speakers"
        in capsys.readouterr().err
    )


def test_a_corpus_without_held_out_speakers_is_named(made, both, tmp_path, capsys):
    path = tmp_path / "w.npz"
    train = ["train", *both, *FEW, "--cache", str(made / "cache")]
    assert main([*train, "--test", "a.csv/ann", "--out", str(path)]) == 0
    capsys.readouterr()
    assert main(["evaluate", *both, "--weights", str(path)]) == 0
    assert "warning: nobody of b.csv is scored" in capsys.readouterr().err
    alone = ["evaluate", str(made / "b/b.csv"), "--label", "anger=angry", "--weights", str(path)]
    assert main(alone) == 2
    assert "the weights hold out nobody of b.csv; name some with --speakers" in capsys.readouterr().err


def test_the_card_names_the_terms_of_every_corpus(weights):
    from dataclasses import replace

    loaded = load_checkpoint(weights)
    corpora = {RAVDESS: ["angry"], "nemo.csv": ["angry"], "emospeech.csv": ["angry"], "mine.csv": ["angry"]}
    loaded = replace(loaded, notes=loaded.notes | {"corpora": corpora, "command": "x"})
    summary = {
        "UAR": {"mean": 0.5, "std": None},
        "UAR interval": [0.4, 0.6],
        "UAR by fold": [0.5],
        "runs": [0],
    }
    card = model_card({"robust": loaded}, {"robust": summary})
    assert "`robust.npz` learnt from several corpora, whose terms hold together:" in card
    for name in corpora:
        assert f"- {name}: {TERMS.get(name, 'not stated')}" in card
    assert all(terms.startswith("CC BY-NC-SA 4.0 (") for terms in TERMS.values())
    alone = replace(loaded, notes={key: value for key, value in loaded.notes.items() if key != "corpora"})
    assert "several corpora" not in model_card({"robust": alone}, {"robust": summary})
