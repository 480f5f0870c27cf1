"""Temperatures from networks that did not hear the speakers, inside the training speakers."""

from dataclasses import replace

import numpy as np
import pytest
from crossval_runs import quick_recipe, small_model

from npreslstm.errors import InputError
from npreslstm.experiments import temperature
from npreslstm.training import batches
from npreslstm.training.calibration import fit_temperature, temperature_scores
from npreslstm.training.examples import Examples, Split, split_by_speaker
from npreslstm.training.fit import fit

CLASSES = ("a", "b")


def toy_examples(speakers=6, clips=8, seed=0):
    """Two classes that overlap, told apart by the sign of the first column."""
    rng = np.random.default_rng(seed)
    labels = np.tile([0, 1], speakers * clips // 2)
    variants = []
    for label in labels:
        frames = rng.normal(size=(rng.integers(4, 9), 3)).astype(np.float32)
        frames[:, 0] += rng.normal(0.4 * (2 * label - 1), 0.5)
        variants.append([frames])
    who = np.repeat([f"s{k}" for k in range(speakers)], clips)
    return Examples("toys", CLASSES, None, variants, labels, who)


RECIPE = quick_recipe(3, batch_size=4)


@pytest.fixture(scope="module")
def trained():
    """Examples, their split and the network trained on it."""
    examples = toy_examples()
    split = split_by_speaker(examples.speakers, test=("s1",))
    return examples, split, fit(examples, split, small_model(), RECIPE, 5)


def calibrate(trained, count=2, recipe=RECIPE, **options):
    examples, split, checkpoint = trained
    return temperature.calibrate_by_training(
        checkpoint, examples, split, small_model(), recipe, 5, count, **options
    )


@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_training_speaker_is_in_one_group_and_nobody_else(count):
    examples = toy_examples()
    split = split_by_speaker(examples.speakers, validation=("s4",), test=("s1",))
    if count == 5:
        split = split_by_speaker(examples.speakers, test=("s1",))
    parts = temperature.inner_splits(examples.speakers, examples.labels, CLASSES, split, count, RECIPE)
    groups = [set(examples.speakers[part.test]) for part in parts]
    assert sorted(np.concatenate([part.test for part in parts])) == sorted(split.train)
    assert (
        sum(map(len, groups)) == len(set.union(*groups))
        and max(map(len, groups)) - min(map(len, groups)) <= 1
    )
    for part, group in zip(parts, groups):
        assert not group & set(examples.speakers[part.train]) and len(part.validation) == 0
        assert sorted([*part.train, *part.test]) == sorted(split.train)


def test_validation_speakers_choose_the_inner_epochs_only_where_they_choose_the_outer():
    examples = toy_examples()
    split = split_by_speaker(examples.speakers, validation=("s4",))
    best = replace(RECIPE, keep="best")
    for recipe, expected in ((RECIPE, []), (best, split.validation.tolist())):
        parts = temperature.inner_splits(examples.speakers, examples.labels, CLASSES, split, 2, recipe)
        assert [part.validation.tolist() for part in parts] == [expected] * 2


def test_groups_that_cannot_be():
    examples = toy_examples()
    split = split_by_speaker(examples.speakers)

    def fail(message, count=2, recipe=RECIPE, labels=examples.labels):
        with pytest.raises(InputError, match=message):
            temperature.inner_splits(examples.speakers, labels, CLASSES, split, count, recipe)

    for count in (-1, 0, 1, 7):
        fail(
            f"to calibrate by are {count}; expected at least 2 and at most as many .* training speakers, 6",
            count,
        )
    fail("statistics is 'all'; expected 'training'", recipe=replace(RECIPE, statistics="all"))
    only = np.where(examples.speakers == "s3", examples.labels, 0)
    fail(
        "without speaker .*s3.*, one of 2 groups to calibrate by, nobody is left who speaks b; take more",
        labels=only,
    )


def test_the_temperature_is_that_of_networks_that_never_heard_the_group(trained):
    examples, split, checkpoint = trained
    made = calibrate(trained)
    logits, labels = [], []
    for k, part in enumerate(
        temperature.inner_splits(examples.speakers, examples.labels, CLASSES, split, 2, RECIPE)
    ):
        only = Split(part.train, part.validation, part.test[:0])
        inner = fit(examples, only, small_model(), RECIPE, temperature.inner_seed(5, 2, k))
        scaled = [((examples.variants[n][0] - inner.mean) / inner.std).astype(np.float32) for n in part.test]
        logits.append(batches.predict(inner.model(), scaled))
        labels.append(examples.labels[part.test])
    logits, labels = np.concatenate(logits), np.concatenate(labels)
    found = made.notes["temperature"]
    assert found["value"] == fit_temperature(logits, labels)
    assert found["clips"] == len(split.train) == 40 and found["speakers"] == ["s0", "s2", "s3", "s4", "s5"]
    scores = {name: found[name] for name in found if name[:3] in ("NLL", "ECE")}
    assert scores == temperature_scores(logits, labels, found["value"])
    assert found["NLL after"] < found["NLL before"] and "2 networks, each without a group" in found["how"]
    head = checkpoint.state["fc.weight"].astype(float) / found["value"]
    assert (made.state["fc.weight"] == head.astype(np.float32)).all()
    others = {name: value for name, value in made.notes.items() if name != "temperature"}
    assert others == checkpoint.notes  # labels are those that were scored


def test_held_out_and_validation_speakers_have_no_part_in_the_temperature(trained):
    examples, split, checkpoint = trained
    rng = np.random.default_rng(1)
    changed = list(examples.variants)
    for n in split.test:
        changed[n] = [rng.normal(0, 100, frames.shape).astype(np.float32) for frames in changed[n]]
    other = calibrate((examples._replace(variants=changed), split, checkpoint))
    assert other.notes["temperature"] == calibrate(trained).notes["temperature"]


def test_an_interrupted_calibration_goes_on_and_ends_with_the_same_bits(trained, tmp_path):
    whole, begun = calibrate(trained, 3), []

    def stop(number, part):
        begun.append(number)
        if number == 2:
            raise KeyboardInterrupt

    snapshot = str(tmp_path / "w.training")
    with pytest.raises(KeyboardInterrupt):
        calibrate(trained, 3, on_network=stop, snapshot=snapshot)
    assert sorted(temperature.inner_snapshots(snapshot)) == [f"{snapshot}.group-{k}" for k in (0, 1)]
    epochs = []
    resumed = calibrate(trained, 3, on_epoch=epochs.append, snapshot=snapshot)
    assert resumed.sha256 == whole.sha256
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]  # of the third network alone
    with pytest.raises(InputError, match="group-0 is the state of a different run"):
        calibrate(trained, 3, replace(RECIPE, lr=0.01), snapshot=snapshot)


def test_networks_with_teachers_are_refused(trained):
    examples, split, checkpoint = trained
    for name in ("teachers", "started from"):
        student = replace(checkpoint, notes=checkpoint.notes | {name: ["0" * 64]})
        with pytest.raises(InputError, match=f"notes have {name}: networks that heard all its speakers"):
            calibrate((examples, split, student))
