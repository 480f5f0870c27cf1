"""Scores of a cross-validation, from its configuration and its predictions alone."""

import numpy as np

from npreslstm.experiments.journal import Predictions
from npreslstm.experiments.summary import summarise


def test_the_summary_by_hand():
    config = {"classes": ["a", "b"], "folds": [{}, {}]}

    def entry(names, labels, predicted):
        speakers = np.array([name[0] for name in names])
        return Predictions(
            tuple(names), speakers, np.array(labels), np.array(predicted), np.eye(2)[predicted]
        )

    entries = {
        (0, 0): entry(["x1", "x2"], [0, 1], [0, 1]),
        (0, 1): entry(["y1", "y2"], [0, 1], [1, 1]),
        (1, 0): entry(["x1", "x2"], [0, 1], [0, 1]),
        (1, 1): entry(["y1", "y2"], [0, 1], [0, 1]),
        (2, 1): entry(["y1", "y2"], [0, 1], [0, 0]),
    }
    summary = summarise(config, entries)
    assert (summary["runs"], summary["unfinished"], summary["clips"]) == ([0, 1], [[2, 1]], 4)
    assert summary["UAR by run"] == [0.75, 1.0] and summary["UAR"] == {
        "mean": 0.875,
        "std": np.std([0.75, 1.0], ddof=1),
    }
    assert summary["recalls"]["a"]["mean"] == 0.75 and summary["recalls"]["b"] == {"mean": 1.0, "std": 0.0}
    assert summary["UAR by fold"] == [1.0, 0.75] and summary["confusion"] == [[3, 1], [0, 4]]
    assert summary["UAR interval"] == [0.75, 1.0]  # twice y, twice x
    # sure of all, wrong once of four
    assert summary["ECE"] == {"mean": 0.125, "std": np.std([0.25, 0.0], ddof=1)}
    np.testing.assert_allclose(summary["NLL"]["mean"], -np.log(5e-6) / 8, rtol=2e-16)
    assert summary["ensemble UAR"] == 1.0  # the tie of y1 goes to the first class
    one_run = {key: entry for key, entry in entries.items() if key[0] == 0}
    assert summarise(config, one_run)["ensemble UAR"] is None
