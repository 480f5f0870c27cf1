"""Folds of speakers: the published tables, groups of any corpus, and what may be wrong with them."""

import re
from pathlib import Path

import pytest

from npreslstm.errors import InputError
from npreslstm.experiments.protocol import TABLES, check_classes, make_folds, missing_clips
from npreslstm.training.dataset import RAVDESS, RAVDESS_CLASSES, Clip, Dataset

ACTORS = [str(actor) for actor in range(1, 25)]


def dataset_of(counts, classes=("a", "b"), name="mine"):
    """A dataset of `counts` {speaker: clips}, the classes in turn."""
    clips = [
        Clip(f"{speaker}-{k}.wav", k % len(classes), speaker)
        for speaker, count in counts.items()
        for k in range(count)
    ]
    return Dataset(name, classes, tuple(clips))


def ravdess():
    """RAVDESS by its names."""
    emotions = [(e, i) for e in range(1, 9) for i in (1, 2) if (e, i) != (1, 2)]
    names = [
        (e, f"03-01-{e:02}-{i:02}-{s:02}-{r:02}-{a:02}", str(a))
        for a in range(1, 25)
        for e, i in emotions
        for s in (1, 2)
        for r in (1, 2)
    ]
    return Dataset(
        RAVDESS, RAVDESS_CLASSES, tuple(Clip(f"x/{stem}.flac", e - 1, actor) for e, stem, actor in names)
    )


@pytest.mark.parametrize("name, folds", [("paper", 5), ("emobox", 6)])
def test_tables_test_every_actor_once_and_never_validate_on_a_test_actor(name, folds):
    table = make_folds(name, ravdess())
    assert table == TABLES[name] and len(table) == folds
    assert sorted(actor for fold in table for actor in fold.test) == sorted(ACTORS)
    assert all(fold.validation and not set(fold.test) & set(fold.validation) for fold in table)


def test_tables_are_the_published_ones():
    assert TABLES["paper"][0] == (("2", "5", "14", "15", "16"), ("3", "6"))
    assert TABLES["paper"][4] == (("1", "4", "9", "22"), ("2", "5"))
    assert TABLES["emobox"][0] == (("1", "11", "20", "21"), ("4", "10", "12", "14"))
    assert TABLES["emobox"][5].test == ("6", "13", "17", "22")


def test_the_documentation_has_the_same_tables():
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d \| ([\d, ]+) \| ([\d, ]+) \|$", text, re.MULTILINE)
    written = [tuple(tuple(cell.split(", ")) for cell in row) for row in rows]
    assert written == [*TABLES["paper"], *TABLES["emobox"]]


def test_groups_of_any_corpus_balance_clips_and_are_always_the_same():
    counts = {f"s{k}": clips for k, clips in enumerate((40, 10, 10, 10, 10, 20, 20))}
    folds = make_folds("3", dataset_of(counts))
    assert sorted(speaker for fold in folds for speaker in fold.test) == sorted(counts)
    assert [sum(counts[speaker] for speaker in fold.test) for fold in folds] == [40, 40, 40]
    assert folds == make_folds("3", dataset_of(dict(reversed(counts.items()))))
    assert [fold.validation for fold in folds] == [folds[1].test, folds[2].test, folds[0].test]


def test_groups_of_ravdess_mix_men_and_women():
    men = [
        sum(int(actor) % 2 for actor in fold.test)
        for fold in make_folds("4", dataset_of(dict.fromkeys(ACTORS, 4)))
    ]
    assert all(1 <= count <= 5 for count in men)  # in order they would be 6, 0, 6, 0


def test_missing_clips_of_ravdess_are_named():
    whole = ravdess()
    assert len(whole.clips) == 1440 and missing_clips(whole) == []
    assert missing_clips(whole._replace(clips=whole.clips[1:])) == ["03-01-01-01-01-01-01"]


@pytest.mark.parametrize(
    "name, counts, message",
    [
        (
            "paper",
            dict.fromkeys(set(ACTORS) - {"3", "17"}, 4),
            "need RAVDESS's actors 1 to 24, but of mine it lacks 3, 17; take a number",
        ),
        ("emobox", dict.fromkeys([*ACTORS, "anna"], 4), "also has anna"),
        ("five", {"x": 2, "y": 2}, "folds are 'five'; expected paper, emobox or a number of at least 2"),
        ("1", {"x": 2, "y": 2}, "a number of at least 2"),
        ("3", {"x": 2, "y": 2}, r"has 2 speakers \(x, y\): too few for 3 folds"),
        ("²", {"x": 2, "y": 2}, "folds are '²'"),
    ],
)
def test_folds_that_cannot_be_made_are_one_clear_error(name, counts, message):
    with pytest.raises(InputError, match=message):
        make_folds(name, dataset_of(counts))


def test_a_class_that_nobody_is_left_to_train_on():
    data = dataset_of({"x": 2, "y": 1})
    check_classes(data, {"y"})
    with pytest.raises(
        InputError, match="fold 3: nobody but the speakers held out of training speaks b; hold out others"
    ):
        check_classes(data, {"x"}, "fold 3: ")
