"""The table of docs/accuracy.md, recomputed from the committed predictions."""

import json
from pathlib import Path

import pytest

from npreslstm.checkpoint import load_checkpoint
from npreslstm.training.crossval import summarise
from npreslstm.training.journal import Journal

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.mark.parametrize("name", ["paper", "mcu"])
def test_the_row_is_what_the_predictions_give(name):
    journal = Journal(str(DOCS / "results" / name))
    summary = summarise(journal.config, journal.entries())
    low, high = summary["UAR interval"]
    spread = summary["UAR"]["mean"], summary["UAR"]["std"]
    score = f"{spread[0]:.4f}" if spread[1] is None else f"{spread[0]:.4f} ± {spread[1]:.4f}"
    folds = " ".join(f"{value:.4f}" for value in summary["UAR by fold"])
    page = (DOCS / "accuracy.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {len(summary['runs'])} | {score} | {low:.4f} to {high:.4f} | {summary['accuracy']['mean']:.4f} | {folds} |" in page
    if len(summary["runs"]) > 1:
        assert "\n    " + " ".join(f"{value:.4f}" for value in summary["UAR by run"]) + "\n" in page
        assert f"their ensemble {summary['ensemble UAR']:.4f}" in page
    assert json.loads((DOCS / "results" / name / "summary.json").read_text())["UAR"] == summary["UAR"]


@pytest.mark.parametrize("name", ["paper", "mcu"])
def test_no_scored_speaker_was_trained_on(name):
    """By the committed configuration: the folds cover all speakers once, and the statistics are of training speakers."""
    config = json.loads((DOCS / "results" / name / "config.json").read_text())
    tested = [speaker for fold in config["folds"] for speaker in fold["test"]]
    assert sorted(tested, key=int) == [str(k) for k in range(1, 25)]
    assert config["scored speakers"] == [fold["test"] for fold in config["folds"]]
    assert config["recipe"]["statistics"] == "training" and config["recipe"]["keep"] == "last"


def test_the_readme_has_the_same_figures():
    readme = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    files = {name: load_checkpoint(name).notes["scores held out"]["uar"] for name in ("paper", "mcu")}
    scores = {name: json.loads((DOCS / "results" / name / "summary.json").read_text())["UAR"] for name in files}
    means = {name: f"{score['mean']:.4f}" + ("" if score["std"] is None else f" ± {score['std']:.4f}") for name, score in scores.items()}
    assert f"reaches a UAR of {files['paper']:.4f} on" in readme and f"(16 kHz) and reaches {files['mcu']:.4f}." in readme
    assert f"recipe gives {means['paper']} with `paper` and {means['mcu']} with `mcu`" in readme
