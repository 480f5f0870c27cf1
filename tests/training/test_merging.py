"""Several corpora as one: whose clip, whose class, whose speaker; what is refused; and that a single corpus
is as it was.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from samples import voice, write_wav

from npreslstm.errors import InputError
from npreslstm.experiments.store import clip_names, corpus_digest, open_examples, store_examples
from npreslstm.training.dataset import Clip, Corpus, Dataset, load_dataset
from npreslstm.training.examples import Examples, prepare_examples
from npreslstm.training.merging import merge, relabel
from npreslstm.training.recipe import training_features

FEATURES = training_features("mcu")


def dataset_of(name, classes, speakers=("ann", "ben")):
    """A dataset in which every speaker speaks every class once."""
    pairs = [(speaker, label) for speaker in speakers for label in range(len(classes))]
    return Dataset(
        name, classes, tuple(Clip(f"/{name}/{who}-{label}.wav", label, who) for who, label in pairs)
    )


def write_corpus(folder, name, labels, speakers=("ann", "ben"), seed=0):
    """A folder of sounds with a manifest of that name; each speaker says each label twice. Returns the
    manifest's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["file,label,speaker"]
    for who in speakers:
        for label in [*labels, *labels]:
            write_wav(folder / f"{len(rows)}.wav", voice(0.3, seed=seed + len(rows)))
            rows.append(f"{len(rows)}.wav,{label},{who}")
    (folder / name).write_text("\n".join(rows))
    return folder / name


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    ours = write_corpus(folder / "ours", "ours.csv", ["angry", "calm", "sad"])
    return load_dataset(ours), load_dataset(
        write_corpus(folder / "theirs", "theirs.csv", ["anger", "sad"], seed=50)
    )


def test_speakers_of_equal_names_are_two_and_classes_are_in_the_order_of_the_first(two):
    both = merge(two, {"anger": "angry"})
    assert both.name == "ours.csv + theirs.csv" and both.classes == ("angry", "calm", "sad") and both.several
    assert both.corpora == (Corpus("ours.csv", (0, 1, 2)), Corpus("theirs.csv", (0, 2)))
    assert both.speakers == ["ours.csv/ann", "ours.csv/ben", "theirs.csv/ann", "theirs.csv/ben"]
    for number, before in enumerate(two):
        now = [clip for clip in both.clips if clip.corpus == number]
        names = [
            {"anger": "angry"}.get(before.classes[c.label], before.classes[c.label]) for c in before.clips
        ]
        expected = [(c.path, name, f"{before.name}/{c.speaker}") for c, name in zip(before.clips, names)]
        assert [(c.path, both.classes[c.label], c.speaker) for c in now] == expected


def test_new_classes_come_after_those_of_the_first_corpus():
    both = merge(
        [
            dataset_of("a", ("z", "y")),
            dataset_of("b", ("x", "y", "z")),
            dataset_of("c", ("w", "x", "y", "z")),
        ],
        {},
    )
    assert both.classes == ("z", "y", "x", "w")
    assert [corpus.classes for corpus in both.corpora] == [(0, 1), (0, 1, 2), (0, 1, 2, 3)]


def test_a_mapping_for_one_corpus_goes_before_one_for_all():
    data = [dataset_of("a", ("angry", "calm", "sad")), dataset_of("b", ("angry", "calm", "sad"))]
    both = merge(data, {"calm": "neutral", "b/calm": "-"})
    assert both.classes == ("angry", "neutral", "sad")
    assert both.corpora[1].classes == (0, 2) and len(both.clips) == 6 + 4


def test_labels_that_mean_the_same_become_one_class():
    both = merge(
        [dataset_of("a", ("joy", "glee", "sad")), dataset_of("b", ("joy", "sad"))], {"a/glee": "joy"}
    )
    assert both.classes == ("joy", "sad") and sum(clip.label == 0 for clip in both.clips) == 4 + 2


def test_a_class_that_only_one_corpus_has_needs_no_word_where_there_is_no_doubt():
    assert merge([dataset_of("a", ("x", "y", "z")), dataset_of("b", ("x", "y"))], {}).classes == (
        "x",
        "y",
        "z",
    )
    assert merge([dataset_of("a", ("x", "y")), dataset_of("b", ("x", "y", "z"))], {}).classes == (
        "x",
        "y",
        "z",
    )


DOUBT = [dataset_of("a", ("x", "y", "angry")), dataset_of("b", ("x", "y", "anger"))]


@pytest.mark.parametrize(
    "meaning, classes", [("angry", "x y angry"), ("anger", "x y angry anger"), ("-", "x y angry")]
)
def test_a_label_that_may_be_another_name_is_asked_for(meaning, classes):
    with pytest.raises(
        InputError, match="b has anger and lacks angry of the corpora before it: say .*anger=angry if that"
    ):
        merge(DOUBT, {})
    assert merge(DOUBT, {"anger": meaning}).classes == tuple(classes.split())
    assert merge(DOUBT, {"b/anger": meaning}).classes == tuple(classes.split())


@pytest.mark.parametrize(
    "names, labels, message",
    [
        ("a:xy", {}, r"one corpus only \(a\); expected at least two"),
        (
            "a:xy b:yz",
            {},
            "a has y in common with the other corpora; expected at least two: a has x, y; b has y, z; say",
        ),
        (
            "a:xy b:zw",
            {},
            "a has no label in common with the other corpora; expected at least two: a has x, y; b has z, w",
        ),
        ("a:xy b:xyz c:zw", {}, "c has z in common .*c has z, w"),
        ("a:xy b:xy", {"z": "x"}, "no corpus has the label z; a has x, y; b has x, y"),
        ("a:xy b:xyz", {"a/z": "x"}, "no corpus has the label a/z"),
        ("a:xy b:xyz", {"z": ""}, "the label z means nothing; expected a class, or - to leave its clips out"),
        ("a:xy b:xyz", {"z": "x\x1b[2J"}, r"the class 'x\\x1b\[2J' has control characters or"),
        ("a:xy b:xyz", {"z": "“x”"}, "the class '“x”' has control characters or quotation marks of its own"),
        ("a:xy b:xyz", {"b/y": "-", "b/z": "-"}, "a has x in common"),
        ("a:xy b:xy", {"b/x": "-", "b/y": "-"}, "a has no label in common .*b has none"),
    ],
)
def test_corpora_that_do_not_meet_are_refused(names, labels, message):
    data = [dataset_of(name, tuple(classes)) for name, classes in (word.split(":") for word in names.split())]
    with pytest.raises(InputError, match=message):
        merge(data, labels)


@pytest.mark.parametrize("meaning", ["X", "x.", " x\u200b"])
def test_classes_of_a_mapping_that_may_be_one_are_named(meaning):
    with pytest.warns(UserWarning, match="the classes .* and .* differ in spelling only") as caught:
        assert meaning in relabel(dataset_of("a", ("x", "y", "z")), {"z": meaning}).classes
    assert len(caught) == 1
    relabel(dataset_of("a", ("x", "X", "z")), {"z": "y"})  # told of when it was read


def test_a_file_in_two_corpora_is_refused(tmp_path):
    first = load_dataset(write_corpus(tmp_path, "a.csv", ["x", "y"]))
    (tmp_path / "b.csv").write_text((tmp_path / "a.csv").read_text())
    with pytest.raises(InputError, match=r"corpora have files in common: .*1.wav \(a.csv, b.csv\)"):
        merge([first, load_dataset(tmp_path / "b.csv")], {})
    os.symlink(tmp_path / "1.wav", tmp_path / "link.wav")
    linked = Dataset(
        "c", ("x", "y"), (Clip(str(tmp_path / "link.wav"), 0, "s"), Clip(str(tmp_path / "no.wav"), 1, "s"))
    )
    with pytest.raises(InputError, match="files in common: .*1.wav"):
        merge([first, linked], {})


def test_two_corpora_of_one_name_are_refused():
    first, second = (dataset_of(name, ("x", "y")) for name in "ab")
    with pytest.raises(
        InputError, match="two corpora are called a; rename one: speakers are known by the name"
    ):
        merge([first, second._replace(name="a")], {})


def test_a_label_that_looks_like_leaving_out_is_one():
    data = [dataset_of("a", ("-", "y")), dataset_of("b", ("-", "y"))]
    assert merge(data, {}).classes == ("-", "y") and len(merge(data, {}).clips) == 8
    assert relabel(data[0], {"y": "z"}).classes == ("-", "z")


def test_labels_of_a_single_corpus():
    data = relabel(dataset_of("a", ("anger", "calm", "sad")), {"anger": "angry", "a/sad": "-"})
    assert data.classes == ("angry", "calm") and len(data.clips) == 4 and not data.several
    with pytest.raises(InputError, match="a is left with the classes calm; expected at least two"):
        relabel(data, {"angry": "calm"})
    with pytest.raises(InputError, match="no corpus has the label sad; a has angry, calm"):
        relabel(data, {"sad": "calm"})


def test_examples_say_whose_each_clip_is_and_what_each_corpus_has(two, tmp_path):
    both = merge(two, {"anger": "angry"})
    made = prepare_examples(both, FEATURES)
    assert made.corpora.tolist() == [0] * 12 + [1] * 8 and made.corpus_names == ("ours.csv", "theirs.csv")
    assert made.heard.dtype == bool and made.heard.tolist() == [[True] * 3, [True, False, True]]
    stored, names = open_examples(store_examples(str(tmp_path), both, corpus_digest(both), FEATURES, (1.0,)))
    assert names[0] == "ours.csv/1" and names[-1].startswith("theirs.csv/") and names == clip_names(both)
    for one, other in zip(made, stored):
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
    assert stored.heard.dtype == bool and stored.corpus_names == made.corpus_names


def test_the_digest_of_several_corpora_says_which_clip_is_whose(two):
    both = merge(two, {"anger": "angry"})
    others = [both._replace(corpora=(both.corpora[0], Corpus("theirs.csv", (0, 1, 2))))]
    others.append(both._replace(clips=tuple(clip._replace(corpus=1) for clip in both.clips)))
    assert len({corpus_digest(data) for data in (both, *others)}) == 3


def test_one_corpus_is_what_it_was(two, tmp_path):
    data = two[0]
    # as of the versions that knew one corpus
    digest = hashlib.blake2b(json.dumps(data.classes).encode(), digest_size=16)
    for clip in data.clips:
        stem = os.path.basename(clip.path).removesuffix(".wav")
        digest.update(json.dumps([stem, clip.label, clip.speaker]).encode())
        digest.update(hashlib.blake2b(Path(clip.path).read_bytes()).digest())
    named = data._replace(corpora=(Corpus(data.name, (0, 1, 2)),))
    assert corpus_digest(data) == corpus_digest(named) == digest.hexdigest()
    store = store_examples(str(tmp_path), data, corpus_digest(data), FEATURES, (1.0,))
    assert store_examples(str(tmp_path), named, corpus_digest(named), FEATURES, (1.0,)) == store
    keys = [
        "version",
        "name",
        "corpus",
        "config",
        "speeds",
        "classes",
        "clips",
        "labels",
        "speakers",
        "lengths",
        "rows",
        "seal",
    ]
    assert list(json.loads(Path(store, "about.json").read_text())) == keys
    for made in (open_examples(store)[0], prepare_examples(named, FEATURES)):
        assert made.corpora.tolist() == [0] * 12 and made.heard is None and made.corpus_names == ()


def test_examples_are_of_one_corpus_by_default():
    made = Examples("toy", ("a", "b"), None, [], np.array([0, 1]), np.array(["x", "y"]))
    assert made.corpora.tolist() == [0, 0] and made.heard is None
    assert made._replace(name="other").corpora is made.corpora
