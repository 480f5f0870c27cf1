"""Folds over several corpora, and the scores of each."""

import numpy as np

from npreslstm.experiments.corpora import corpus_scores
from npreslstm.experiments.journal import Predictions
from npreslstm.experiments.protocol import TABLES, make_folds
from npreslstm.training.dataset import RAVDESS, Clip, Dataset
from npreslstm.training.merging import merge


def parts_of(counts, name="c"):
    """A dataset whose speakers, of the names of `counts`, speak two classes in turn."""
    clips = [Clip(f"/{name}/{who}-{k}", k % 2, who) for who, count in counts.items() for k in range(count)]
    return Dataset(name, ("x", "y"), tuple(clips))


def test_every_fold_tests_and_trains_on_speakers_of_every_corpus():
    counts = {"s1": 8, "s2": 4, "s3": 4, "s4": 4, "s5": 4}
    first, second = parts_of(counts, "a"), parts_of({"s1": 2, "s2": 4, "s3": 2, "s9": 6}, "b")
    folds = make_folds("3", merge([first, second], {}))
    for name, part in (("a", first), ("b", second)):
        alone = make_folds("3", part)
        for fold, expected in zip(folds, alone):
            for speakers, own in zip(fold, expected):
                assert [s.removeprefix(f"{name}/") for s in speakers if s.startswith(f"{name}/")] == list(own)
    assert sorted(sum((fold.test for fold in folds), ())) == merge([first, second], {}).speakers


def test_folds_by_corpus_leave_one_out():
    data = merge(
        [parts_of({"s1": 2, "s2": 2}, "a"), parts_of({"s1": 2, "s3": 2}, "b"), parts_of({"s1": 4}, "c")], {}
    )
    folds = make_folds("corpus", data)
    assert [fold.test for fold in folds] == [("a/s1", "a/s2"), ("b/s1", "b/s3"), ("c/s1",)]
    assert [fold.validation for fold in folds] == [folds[1].test, folds[2].test, folds[0].test]


def test_a_table_shares_out_ravdess_and_as_many_folds_the_others():
    ravdess = parts_of({str(actor): 2 for actor in range(1, 25)}, RAVDESS)
    others = parts_of({f"s{k}": 2 for k in range(7)}, "a")
    folds = make_folds("paper", merge([others, ravdess], {}))
    found = [[s.removeprefix(f"{RAVDESS}/") for s in fold.test if s.startswith(RAVDESS)] for fold in folds]
    assert found == [list(fold.test) for fold in TABLES["paper"]]
    assert sorted(s for fold in folds for s in fold.test if s.startswith("a/")) == [
        f"a/s{k}" for k in range(7)
    ]


def test_scores_of_corpora_by_hand():
    speakers = np.array(["a/1", "a/1", "a/2", "b/1", "b/1"])
    probabilities = np.array(
        [[0.5, 0.3, 0.2], [0.4, 0.5, 0.1], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]
    )
    run = Predictions(
        tuple("12345"), speakers, np.array([0, 1, 2, 2, 0]), probabilities.argmax(axis=1), probabilities
    )
    found = corpus_scores({"a": ["x", "y", "z"], "b": ["x", "z"], "c": ["x"]}, ["x", "y", "z"], [run])
    assert found["a"]["UAR by run"] == found["a"]["UAR among its classes by run"] == [1.0]
    # y is no class of b
    assert found["b"]["UAR by run"] == [0.5] and found["b"]["UAR among its classes by run"] == [1.0]
    assert found["b"]["UAR interval"] is None and found["b"]["clips"] == 2 and "c" not in found
