"""Training that goes on from another network: what it begins with, what it keeps to, and whom that network
must not have heard.
"""

from dataclasses import replace

import numpy as np
import pytest
from samples import FEATURES

from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.layers.activations import softmax
from npreslstm.schema import ModelConfig
from npreslstm.training.ancestors import ANCESTORS, corpora_of, opinions_of
from npreslstm.training.batches import predict
from npreslstm.training.examples import Examples, split_by_speaker
from npreslstm.training.fit import fit
from npreslstm.training.recipe import Recipe, with_settings
from npreslstm.training.trainer import Trainer

RECIPE = with_settings(Recipe(), ["epochs=2", "speeds=1,0.9", "batch_size=8"])
SMALL = ModelConfig(hidden_size=4)


def corpus(name="ours.csv", speakers=5, seed=3):
    rng = np.random.default_rng(seed)
    labels = np.arange(40) % 4
    clips = [
        [(k + rng.normal(size=(int(rng.integers(8, 14)), 46))).astype(np.float32) for _ in range(2)]
        for k in labels
    ]
    return Examples(
        name, tuple("abcd"), FEATURES, clips, labels, np.array([f"s{k % speakers}" for k in range(40)])
    )


def two_corpora():
    """The clips of ours.csv and of theirs.csv, as one set."""
    one, two = corpus(), corpus("theirs.csv", seed=4)
    speakers = [f"ours.csv/{s}" for s in one.speakers] + [f"theirs.csv/{s}" for s in two.speakers]
    return Examples(
        "ours.csv + theirs.csv", one.classes, FEATURES, one.variants + two.variants,
        np.concatenate([one.labels, two.labels]), np.array(speakers), np.repeat([0, 1], 40),
        np.ones((2, 4), bool), ("ours.csv", "theirs.csv"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def begun():
    """A network that heard s1 to s4."""
    data = corpus()
    return fit(data, split_by_speaker(data.speakers, test=("s0",)), SMALL, RECIPE, 0)


def go_on(start, data=None, recipe=RECIPE, test=("s0",), model=SMALL):
    data = data or corpus()
    return fit(data, split_by_speaker(data.speakers, test=test), model, recipe, 1, start=start)


def test_it_begins_with_those_weights_and_keeps_the_statistics(begun):
    still = go_on(
        begun, recipe=with_settings(RECIPE, ["lr=1e-12", "weight_decay=0", "ema=0", "prior=training"])
    )
    plain = replace(begun, state={**begun.state})
    assert np.array_equal(still.mean, begun.mean) and np.array_equal(still.std, begun.std)
    for name, tensor in plain.state.items():
        if "running" not in name and "num_batches" not in name and name != "fc.bias":
            assert np.abs(still.state[name] - tensor).max() < 1e-7, name  # achieved 1e-8
    assert still.notes["started from"] == begun.sha256
    moved = go_on(begun)
    assert np.abs(moved.state["lstm1.weight_hh_l0"] - begun.state["lstm1.weight_hh_l0"]).max() > 1e-3


def test_an_anchor_holds_the_targets_to_what_the_network_said(begun):
    data = corpus()
    split = split_by_speaker(data.speakers, test=("s0",))
    clips = [
        [((f - begun.mean) / begun.std).astype(np.float32) for f in data.variants[n]] for n in split.train
    ]
    recipe = with_settings(RECIPE, ["anchor=0.25", "mixup=0", "label_smoothing=0"])
    said = opinions_of(begun, data, split, clips, recipe)
    by_hand = np.mean([predict(begun.model(), [variants[k] for variants in clips]) for k in (0, 1)], axis=0)
    assert np.array_equal(said, by_hand) and opinions_of(begun, data, split, clips, RECIPE) is None
    labels = data.labels[split.train]
    trainer = Trainer(begun.config, recipe, clips, labels, 0, start=begun.model(), opinions=said)
    batch = np.array([3, 0, 7])
    targets, _ = trainer._targets(batch, trainer._draw(batch, np.random.default_rng(0)))
    expected = 0.75 * np.eye(4)[labels[batch]] + 0.25 * softmax(said[batch] + trainer.log_prior)
    assert targets == pytest.approx(expected, abs=1e-6)


def test_corpora_that_it_does_not_know_have_labels_alone(begun):
    both = two_corpora()
    split = split_by_speaker(both.speakers, test=("ours.csv/s0",))
    said = opinions_of(
        begun, both, split, [both.variants[n] for n in split.train], with_settings(RECIPE, ["anchor=0.5"])
    )
    assert np.array_equal(np.isnan(said).any(axis=1), both.corpora[split.train] == 1)
    assert np.isfinite(
        fit(both, split, SMALL, with_settings(RECIPE, ["anchor=0.5"]), 0, start=begun).notes["history"][
            "loss"
        ]
    ).all()
    with pytest.raises(InputError, match="was trained on speaker ours.csv/s1, held out here"):
        fit(both, split_by_speaker(both.speakers, test=("ours.csv/s1",)), SMALL, RECIPE, 0, start=begun)
    go = split_by_speaker(both.speakers, test=("theirs.csv/s1",))  # another person of that name
    fit(both, go, SMALL, RECIPE, 0, start=begun)


def test_speakers_that_it_knows_cannot_be_held_out(begun):
    with pytest.raises(
        InputError, match="was trained on speaker s1, s3, held out here; expected one that has not heard them"
    ):
        go_on(begun, test=("s1", "s3"))
    go_on(begun, corpus("theirs.csv"), test=("s1", "s3"))  # others, of another corpus


def test_whom_the_first_network_heard_stays_in_the_notes(begun):
    data = corpus()
    few = np.flatnonzero(np.isin(data.speakers, ["s0", "s1", "s2"]))
    some = data._replace(
        variants=[data.variants[n] for n in few],
        labels=data.labels[few],
        speakers=data.speakers[few],
        corpora=data.corpora[few],
    )
    assert go_on(begun, some).notes["speakers trained on"] == ["s1", "s2", "s3", "s4"]


def test_what_does_not_fit_is_named(begun):
    for start, text in (
        (replace(begun, classes=tuple("abce")), "classes"),
        (replace(begun, features=replace(FEATURES, n_mels=40)), "features"),
        (replace(begun, mean=None, std=None), "has no statistics"),
    ):
        with pytest.raises(InputError, match=f"the network to start from .*{text}"):
            go_on(start)
    with pytest.raises(InputError, match="hidden_size"):
        go_on(begun, model=ModelConfig(hidden_size=5))


def test_the_command_goes_on(tmp_path, capsys):
    first, second = str(tmp_path / "first.npz"), str(tmp_path / "second.npz")
    assert main(["train", "--synthetic", "--out", first, "--set", "epochs=2", "--hidden", "8"]) == 0
    run = ["train", "--synthetic", "--set", "epochs=2", "--start", first, "--out", second]
    assert main(run) == 0
    assert load_checkpoint(second).notes["started from"] == load_checkpoint(first).sha256
    assert load_checkpoint(second).config.hidden_size == 8
    assert main([*run, "--calibrate", "2"]) == 2 and "--start has heard" in capsys.readouterr().err
    save_checkpoint(first, replace(load_checkpoint(first), classes=None))
    assert main(run) == 2


@pytest.fixture(scope="module")
def far(begun):
    """A network that went on from `begun` with another corpus beside."""
    both = two_corpora()
    return fit(both, split_by_speaker(both.speakers, test=("ours.csv/s0",)), SMALL, RECIPE, 0, start=begun)


def learn_from(teachers, data=None, test=("s0",)):
    data = data or corpus()
    return fit(data, split_by_speaker(data.speakers, test=test), SMALL, RECIPE, 1, teachers=teachers)


def test_a_teacher_may_have_heard_a_corpus_more(begun, far):
    student = learn_from([far, begun])
    assert student.notes["speakers trained on"] == ["s1", "s2", "s3", "s4"]
    assert student.notes[ANCESTORS] == ["theirs.csv"]
    assert corpora_of(student) == ["ours.csv", "theirs.csv"] and corpora_of(begun) == ["ours.csv"]
    assert learn_from([student]).notes[ANCESTORS] == ["theirs.csv"]  # from its teachers' teachers too
    assert go_on(student).notes[ANCESTORS] == ["theirs.csv"]
    assert ANCESTORS not in learn_from([begun]).notes and ANCESTORS not in far.notes


def test_a_teacher_of_several_corpora_must_have_heard_the_same_speakers_of_this_one(far):
    with pytest.raises(InputError, match="a teacher .* does not fit the training: speakers trained on"):
        learn_from([far], test=("s1",))
    with pytest.raises(InputError, match="speakers trained on is .* there and .* here"):
        learn_from([far], corpus("a third.csv"))
    names = [name for name in far.notes["speakers trained on"] if name != "ours.csv/s2"]
    less = replace(far, notes={**far.notes, "speakers trained on": names})
    with pytest.raises(InputError, match="a teacher .* does not fit the training: speakers trained on"):
        learn_from([less])
    other = replace(far, mean=far.mean + far.std)
    with pytest.raises(InputError, match="its mean and std are not those of the speakers here"):
        learn_from([other])
