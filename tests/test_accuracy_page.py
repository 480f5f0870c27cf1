"""The table of docs/accuracy.md, recomputed from the committed predictions."""

import json
from pathlib import Path

import pytest

from npreslstm.training.crossval import summarise
from npreslstm.training.journal import Journal

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.mark.parametrize("name", ["paper", "mcu"])
def test_the_row_is_what_the_predictions_give(name):
    journal = Journal(str(DOCS / "results" / name))
    summary = summarise(journal.config, journal.entries())
    low, high = summary["UAR interval"]
    folds = " ".join(f"{value:.4f}" for value in summary["UAR by fold"])
    row = f"| `{name}` | {summary['UAR']['mean']:.4f} | {low:.4f} to {high:.4f} | {summary['accuracy']['mean']:.4f} | {folds} |"
    assert row in (DOCS / "accuracy.md").read_text(encoding="utf-8")
    assert json.loads((DOCS / "results" / name / "summary.json").read_text())["UAR"] == summary["UAR"]


@pytest.mark.parametrize("name", ["paper", "mcu"])
def test_no_scored_speaker_was_trained_on(name):
    """By the committed configuration: the folds cover all speakers once, and the statistics are of training speakers."""
    config = json.loads((DOCS / "results" / name / "config.json").read_text())
    tested = [speaker for fold in config["folds"] for speaker in fold["test"]]
    assert sorted(tested, key=int) == [str(k) for k in range(1, 25)]
    assert config["scored speakers"] == [fold["test"] for fold in config["folds"]]
    assert config["recipe"]["statistics"] == "training" and config["recipe"]["keep"] == "last"
