"""Training: batches, the trainer's reproducibility and resumption, teachers, the synthetic task."""

from dataclasses import replace

import numpy as np
import pytest

from npreslstm.audio.config import FeatureConfig
from npreslstm.errors import InputError
from npreslstm.integer.calibration import calibrate
from npreslstm.schema import ModelConfig
from npreslstm.training.batches import make_batches, pad, predict
from npreslstm.training.examples import Examples, split_by_speaker
from npreslstm.training.fit import fit, score
from npreslstm.training.loop import train
from npreslstm.training.recipe import Recipe
from npreslstm.training.trainer import Trainer, View
from npreslstm.training.vocal_tract import VocalTract

QUICK = Recipe(
    epochs=4,
    batch_size=4,
    speeds=(1.0, 1.1),
    ema=0.5,
    lr=0.01,
    time_masks=1,
    longest_mask=2,
    column_masks=1,
    widest_mask=2,
)
SMALL = ModelConfig(input_size=3, hidden_size=4, num_classes=2)


def toy_clips(count=9, seed=0):
    """Two classes told apart by the sign of the first column, in two variants a clip."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    clips = []
    for label in labels:
        frames = rng.normal(size=(rng.integers(4, 9), 3)).astype(np.float32)
        frames[:, 0] += 2 * label - 1
        clips.append([frames, 0.9 * frames[:-1]])
    return clips, labels


def test_a_last_batch_of_one_clip_joins_the_one_before():
    assert [batch.tolist() for batch in make_batches(np.arange(9), 4)] == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]
    assert [len(batch) for batch in make_batches(np.arange(10), 4)] == [4, 4, 2]
    assert [len(batch) for batch in make_batches(np.arange(1), 4)] == [1]


def test_predictions_do_not_depend_on_the_batches():
    model = Trainer(SMALL, QUICK, *toy_clips(), seed=0).model
    clips = [variants[0] for variants in toy_clips()[0]]
    one_by_one = np.concatenate([predict(model, [frames]) for frames in clips])
    # achieved 3e-7
    np.testing.assert_allclose(predict(model, clips, batch_size=4), one_by_one, rtol=0, atol=2e-6)


def test_same_seed_same_bits_and_another_seed_another_model():
    runs = [train(Trainer(SMALL, QUICK, *toy_clips(), seed=seed)).state_dict() for seed in (1, 1, 2)]
    assert all((runs[0][name] == runs[1][name]).all() for name in runs[0])
    assert any((runs[0][name] != runs[2][name]).any() for name in runs[0])


@pytest.mark.parametrize("keep", ["last", "best"])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, keep):
    recipe = replace(QUICK, keep=keep)
    validation = [variants[0] for variants in toy_clips(6, seed=1)[0]], toy_clips(6, seed=1)[1]
    whole = train(Trainer(SMALL, recipe, *toy_clips(), seed=3), validation).state_dict()

    def stop(epoch):
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    snapshot = tmp_path / "run.training"
    with pytest.raises(KeyboardInterrupt):
        train(Trainer(SMALL, recipe, *toy_clips(), seed=3), validation, stop, snapshot, snapshot_seconds=0)
    assert snapshot.exists()
    seen = []
    resumed = train(
        Trainer(SMALL, recipe, *toy_clips(), seed=3), validation, seen.append, snapshot, snapshot_seconds=0
    ).state_dict()
    assert [epoch.epoch for epoch in seen] == [3, 4]  # the snapshot is of epoch 2, the last that was finished
    assert all((resumed[name] == whole[name]).all() for name in whole)


def test_the_state_of_another_run_is_refused(tmp_path):
    Trainer(SMALL, QUICK, *toy_clips(), seed=1).save(tmp_path / "state")
    with pytest.raises(InputError, match="state of a different run, or of an earlier version; delete it"):
        Trainer(SMALL, QUICK, *toy_clips(), seed=2).restore(tmp_path / "state")
    clips, labels = toy_clips()
    clips[3][0] = clips[3][0] + np.float32(1e-3)  # as many frames of other sound
    with pytest.raises(InputError, match="state of a different run"):
        Trainer(SMALL, QUICK, clips, labels, seed=1).restore(tmp_path / "state")


@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04 truncated", "array", "no identity"])
def test_a_damaged_state_is_one_line(tmp_path, content):
    path = tmp_path / "state"
    if content == "array":
        np.save(path.with_suffix(".npy"), np.zeros(3))
        path.with_suffix(".npy").rename(path)
    elif content == "no identity":
        np.savez(tmp_path / "s.npz", epoch=1)
        (tmp_path / "s.npz").rename(path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="state is damaged .*: delete it"):
        Trainer(SMALL, QUICK, *toy_clips(), seed=1).restore(path)


def test_validation_on_others_is_another_run(tmp_path):
    clips, labels = toy_clips()

    def stop(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    def run(part):
        watched = [variants[0] for variants in clips[part]], labels[part]
        train(
            Trainer(SMALL, QUICK, clips, labels, seed=1),
            watched,
            stop,
            tmp_path / "state",
            snapshot_seconds=-1,
        )

    for part, error in (
        (slice(4), KeyboardInterrupt),
        (slice(4, 8), InputError),
        (slice(4), KeyboardInterrupt),
    ):
        with pytest.raises(error):
            run(part)


def test_the_toy_task_is_learnt():
    recipe = replace(QUICK, epochs=30, mixup=0.0, noise=0.1, offset=0.1, dropout=0.0)
    model = train(Trainer(SMALL, recipe, *toy_clips(40), seed=0))
    clips, labels = toy_clips(40, seed=5)
    # achieved 0.95 to 1
    assert score(model, [variants[0] for variants in clips], labels, ("down", "up"))["uar"] > 0.9


def uneven_clips(count=40, seed=0):
    """Toy clips with three of the first class for each of the second."""
    clips, labels = toy_clips(count, seed)
    kept = [n for n in range(count) if labels[n] == 0 or n % 6 == 1]
    return [clips[n] for n in kept], labels[kept]


def test_a_uniform_prior_is_the_training_prior_taken_out_of_the_bias():
    clips, labels = uneven_clips()
    states = [
        train(Trainer(SMALL, replace(QUICK, prior=prior), clips, labels, seed=0)).state_dict()
        for prior in ("training", "uniform")
    ]
    change = states[0].pop("fc.bias") - states[1].pop("fc.bias")
    # achieved 3.3e-8
    assert np.diff(change) == pytest.approx(np.log(np.mean(labels == 1) / np.mean(labels == 0)), abs=3e-7)
    assert abs(change.sum()) < 1e-7  # achieved 0
    assert all((states[0][name] == states[1][name]).all() for name in states[0])


def test_validation_scores_are_those_of_the_network_that_is_returned():
    validation = [variants[0] for variants in toy_clips(30, seed=1)[0]], toy_clips(30, seed=1)[1]
    trainer = Trainer(SMALL, QUICK, *uneven_clips(), seed=0)
    model = train(trainer, validation)
    assert np.abs(trainer.log_prior).min() > 0.1
    assert score(model, *validation, ("down", "up"))["uar"] == trainer.history[-1][1]


def test_with_teachers_the_labels_do_not_matter():
    clips, labels = toy_clips()
    recipe = replace(QUICK, prior="training")
    teachers = [Trainer(SMALL, recipe, clips, labels, seed).model for seed in (5, 6)]
    runs = [
        train(Trainer(SMALL, recipe, clips, found, 0, teachers[:n])).state_dict()
        for n, found in ((2, labels), (2, 1 - labels), (1, labels))
    ]
    assert all((runs[0][name] == runs[1][name]).all() for name in runs[0])
    assert any((runs[0][name] != runs[2][name]).any() for name in runs[0])


def test_a_student_of_a_good_teacher_is_good():
    recipe = replace(QUICK, epochs=30, mixup=0.0, noise=0.1, offset=0.1, dropout=0.0)
    clips, labels = uneven_clips(60)
    teacher = train(Trainer(SMALL, recipe, clips, labels, seed=0))
    student = train(Trainer(SMALL, recipe, clips, labels, 1, [teacher]))
    unseen, truth = [variants[0] for variants in toy_clips(40, seed=5)[0]], toy_clips(40, seed=5)[1]
    assert score(student, unseen, truth, ("down", "up"))["uar"] > 0.9  # achieved 0.975 to 1


def test_a_teacher_of_other_features_hears_the_same_clips():
    """At the same speeds, cut and mixed alike; here its frames are half as long."""
    recipe = replace(QUICK, batch_size=40, crop=0.5, noise=0.0, offset=0.0, time_masks=0, column_masks=0)
    T = np.random.default_rng(0).integers(10, 30, 40)
    marked = [[np.full((frames, 3), 2 * n + k, np.float32) for k in range(2)] for n, frames in enumerate(T)]
    finer = [[np.repeat(variant[:, :2], 2, axis=0) for variant in variants] for variants in marked]
    trainer, batch, rng = (
        Trainer(SMALL, recipe, marked, [0, 1] * 20, 0),
        np.arange(40),
        np.random.default_rng(1),
    )
    drawn = trainer._draw(batch, rng)
    x, lengths = trainer._heard(trainer.view, batch, drawn, rng)
    its_x, its_lengths = trainer._heard(View(finer), batch, drawn, rng)
    np.testing.assert_array_equal(its_x[:, 0, 0], x[:, 0, 0])
    np.testing.assert_array_equal(its_lengths, 2 * lengths)
    assert len(np.unique(x[:, 0, 0] % 1)) > 10 and (lengths < T).any()


def in_other_features(examples):
    """The same clips in two columns, at half the rate of frames."""
    variants = [[frames[::2, :2] for frames in clip] for clip in examples.variants]
    return examples._replace(config=FeatureConfig(n_mfcc=1, n_chroma=1), variants=variants)


def test_a_student_of_teachers_with_other_features():
    clips, labels = toy_clips(12)
    speakers = np.repeat(["a", "b", "c"], 4)
    examples = Examples("toy", ("down", "up"), None, clips, labels, speakers)
    other, split = in_other_features(examples), split_by_speaker(speakers, test=["c"])
    its = fit(other, split, SMALL, QUICK, 0)
    own = fit(examples, split, SMALL, QUICK, 0)
    of_both = fit(examples, split, SMALL, QUICK, 1, teachers=[its, own], others=[other])
    assert of_both.notes["teachers"] == [its.sha256, own.sha256] and of_both.config.input_size == 3
    with pytest.raises(InputError, match="does not fit the training: features is .* there and null here"):
        fit(examples, split, SMALL, QUICK, 1, teachers=[its])
    turned = other._replace(speakers=speakers[::-1])
    with pytest.raises(InputError, match="a teacher's features are not those of the student's"):
        fit(examples, split, SMALL, QUICK, 1, teachers=[its], others=[turned])
    louder = other._replace(variants=[[frames + 1 for frames in clip] for clip in other.variants])
    with pytest.raises(InputError, match="has heard another corpus"):
        fit(examples, split, SMALL, QUICK, 1, teachers=[its], others=[louder])


def test_a_teacher_that_heard_others_is_refused():
    clips, labels = toy_clips(12)
    speakers = np.repeat(["a", "b", "c"], 4)
    examples = Examples("toy", ("down", "up"), None, clips, labels, speakers)
    split = split_by_speaker(speakers, test=["c"])
    teacher = fit(examples, split_by_speaker(speakers, test=["b"]), SMALL, QUICK, 0)
    with pytest.raises(
        InputError,
        match=(
            'a teacher .* does not fit the training: speakers trained on is ."a", "c". there and ."a", "b".'
            " here"
        ),
    ):
        fit(examples, split, SMALL, QUICK, 0, teachers=[teacher])
    good = fit(examples, split, SMALL, QUICK, 0)
    with pytest.raises(InputError, match='prior is "uniform" there and "training" here'):
        fit(examples, split, SMALL, replace(QUICK, prior="training"), 0, teachers=[good])
    assert fit(examples, split, SMALL, QUICK, 1, teachers=[good]).notes["teachers"] == [good.sha256]
    elsewhere = examples._replace(
        variants=[[frames + np.float32(1) for frames in variants] for variants in clips]
    )
    with pytest.raises(
        InputError, match="a teacher .* has heard another corpus, with speakers of the same names"
    ):
        fit(elsewhere, split, SMALL, QUICK, 1, teachers=[good])


def test_a_teacher_whose_epoch_was_chosen_on_a_held_out_speaker_is_refused():
    clips, labels = toy_clips(12)
    speakers = np.repeat(["a", "b", "c", "d"], 3)
    examples = Examples("toy", ("down", "up"), None, clips, labels, speakers)
    best = replace(QUICK, keep="best")
    split = split_by_speaker(speakers, validation=["c"], test=["d"])
    of_c, of_d = (
        fit(examples, split, SMALL, best, 0),
        fit(examples, split_by_speaker(speakers, validation=["d"], test=["c"]), SMALL, best, 0),
    )
    assert fit(examples, split, SMALL, QUICK, 1, teachers=[of_c]).notes["teachers"] == [of_c.sha256]
    with pytest.raises(
        InputError, match="owes its epoch to speaker d, held out here; expected one that keeps its last epoch"
    ):
        fit(examples, split, SMALL, QUICK, 1, teachers=[of_c, of_d])
    pupil = fit(
        examples, split_by_speaker(speakers, validation=["d"], test=["c"]), SMALL, QUICK, 1, teachers=[of_d]
    )
    assert pupil.notes["epoch chosen by"] == ["d"]
    with pytest.raises(InputError, match="owes its epoch to speaker d"):  # through its own teacher
        fit(examples, split, SMALL, QUICK, 1, teachers=[pupil])


def test_best_epoch_needs_validation_speakers():
    with pytest.raises(InputError, match="keep is 'best' without validation speakers"):
        train(Trainer(SMALL, replace(QUICK, keep="best"), *toy_clips(), seed=0))


def test_one_clip_is_too_few():
    with pytest.raises(InputError, match="1 clips to train on; expected at least 2"):
        Trainer(SMALL, QUICK, *toy_clips(1), seed=0)


def test_weights_know_the_ranges_of_their_training_clips():
    clips, labels = toy_clips(70)
    speakers = np.repeat(["a", "b"], 35)
    made = fit(
        Examples("toy", ("down", "up"), None, clips, labels, speakers),
        split_by_speaker(speakers),
        SMALL,
        QUICK,
        0,
    )
    x, lengths = pad([((frames[0] - made.mean) / made.std).astype(np.float32) for frames in clips])
    whole = calibrate(made, x, lengths)
    assert made.notes["calibration"]["input"] == whole["input"]
    # achieved 0; products of other sizes may round otherwise
    np.testing.assert_allclose(made.notes["calibration"]["cell"], whole["cell"], rtol=5e-7)


def test_held_out_speakers_have_no_influence_on_the_weights():
    clips, labels = toy_clips(12)
    speakers = np.repeat(["a", "b", "c"], 4)
    split = split_by_speaker(speakers, test=["c"])
    results = []
    for spoilt in (False, True):
        variants = [
            [100 * frames if spoilt and who == "c" else frames for frames in clip]
            for clip, who in zip(clips, speakers)
        ]
        examples = Examples("toy", ("down", "up"), None, variants, labels, speakers)
        results.append(fit(examples, split, SMALL, QUICK, seed=0))
    for name in results[0].state:
        np.testing.assert_array_equal(results[0].state[name], results[1].state[name])
    np.testing.assert_array_equal(results[0].mean, results[1].mean)
    assert (
        results[0].notes["speakers held out"] == ["c"] and results[0].notes["scores held out"]["clips"] == 4
    )


def test_each_clip_of_a_batch_is_spoken_by_one_of_the_tracts():
    recipe = replace(
        QUICK, speeds=(1.0,), crop=0.0, mixup=0.0, noise=0.0, offset=0.0, time_masks=0, column_masks=0
    )
    clips, labels = toy_clips(40)
    tracts = [VocalTract(np.eye(2, dtype=np.float32) * factor, np.ones(2, np.float32)) for factor in (2, 3)]
    trainer, batch = Trainer(SMALL, recipe, clips, labels, 0, tracts=tracts), np.arange(40)
    rng = np.random.default_rng(0)
    x, lengths = trainer._heard(trainer.view, batch, trainer._draw(batch, rng), rng)
    plain, _ = pad([clip[0] for clip in clips])
    factors = [round(float((x[n, 0, 0] - 1) / plain[n, 0, 0])) for n in batch]
    assert set(factors) == {2, 3}
    for n, T in enumerate(lengths):
        np.testing.assert_array_equal(x[n, :T, :2], np.float32(factors[n]) * plain[n, :T, :2] + 1)
        np.testing.assert_array_equal(x[n, :T, 2], plain[n, :T, 2])


def test_other_vocal_tracts_need_to_know_the_features():
    clips, labels = toy_clips(12)
    examples = Examples("toy", ("down", "up"), None, clips, labels, np.repeat(["a", "b"], 6))
    with pytest.raises(InputError, match="warp is 0.1 for features without a configuration"):
        fit(examples, split_by_speaker(examples.speakers), SMALL, replace(QUICK, warp=0.1), 0)
