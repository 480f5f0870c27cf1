"""Scores, and the interval over speakers against its naive twin."""

import numpy as np
import pytest

from npreslstm.training.metrics import bootstrap_uar, confusion_matrix, recalls, uar


def test_confusion_recalls_and_uar_by_hand():
    confusion = confusion_matrix([0, 0, 0, 1, 1], [0, 0, 1, 1, 0], 3)
    assert confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(recalls(confusion), [2 / 3, 1 / 2, np.nan])
    assert uar(confusion) == (2 / 3 + 1 / 2) / 2


def answers(seed=0, speakers=6, clips=12, runs=3, C=4):
    """Labels, whether each run was right, and speakers of which some are easier than others."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(speakers), clips)
    labels = rng.integers(C, size=len(who))
    return labels, rng.random((runs, len(who))) < rng.uniform(0.2, 0.9, speakers)[who], who.astype(str)


def naive_bootstrap(labels, hits, speakers, C, resamples, rng):
    """The same draws, clip by clip."""
    names, means = np.unique(speakers), []
    for drawn in rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples):
        clips = np.concatenate(
            [np.tile(np.flatnonzero(speakers == name), count) for name, count in zip(names, drawn)]
        )
        by_run = [
            np.mean([run[clips][labels[clips] == c].mean() for c in range(C) if (labels[clips] == c).any()])
            for run in hits
        ]
        means.append(np.mean(by_run))
    return np.quantile(means, [0.025, 0.975])


@pytest.mark.parametrize("clips", [12, 2])  # 2: some draws lack a class
def test_bootstrap_equals_its_naive_twin(clips):
    data = answers(clips=clips)
    fast = bootstrap_uar(*data, 200, np.random.default_rng(5))
    # achieved 6e-17
    np.testing.assert_allclose(
        fast, naive_bootstrap(*data, 4, 200, np.random.default_rng(5)), rtol=0, atol=5e-16
    )


def test_bootstrap_is_seeded_and_holds_the_mean():
    labels, hits, who = answers()
    low, high = bootstrap_uar(labels, hits, who, 1000, np.random.default_rng(1))
    assert [low, high] == bootstrap_uar(labels, hits, who, 1000, np.random.default_rng(1))
    assert low < np.mean([[run[labels == c].mean() for c in range(4)] for run in hits]) < high


def test_bootstrap_of_speakers_who_are_all_alike_is_a_point():
    labels, who = np.tile([0, 1], 4), np.repeat(["x", "y", "z", "u"], 2)
    assert bootstrap_uar(labels, np.array([labels == 0]), who, 50, np.random.default_rng(0)) == [0.5, 0.5]
