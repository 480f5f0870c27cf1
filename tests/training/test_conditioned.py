"""Features under drawn conditions, and training on them and on several corpora."""

import shutil

import numpy as np
import pytest
from samples import FEATURES, voice, write_wav

from npreslstm.audio.features import extract_features
from npreslstm.conditions.condition import Condition
from npreslstm.errors import InputError
from npreslstm.schema import ModelConfig
from npreslstm.training import conditioned
from npreslstm.training.conditioned import Draws, prepare_conditioned
from npreslstm.training.examples import Examples, split_by_speaker
from npreslstm.training.fit import fit
from npreslstm.training.priors import RAREST, class_priors
from npreslstm.training.recipe import ROBUST, STUDENT, Recipe, with_settings
from npreslstm.training.trainer import Trainer

DRAWS = Draws(FEATURES, (1.0, 0.9), 4)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Six files of two speakers; conditions that are drawn for them write Opus."""
    pytest.importorskip("soundfile", "0.13")
    folder = tmp_path_factory.mktemp("clips")
    paths = [str(write_wav(folder / f"{k}.wav", voice(0.4, seed=k))) for k in range(6)]
    return paths, ["ann", "ann", "ann", "ben", "ben", "ben"]


def same(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second))


def test_the_same_clips_give_the_same_features_wherever_and_however(clips, tmp_path):
    paths, speakers = clips
    here = prepare_conditioned(paths, speakers, DRAWS)
    assert all(len(variants) == 4 and all(f.shape[1] == 46 for f in variants) for variants in here)
    assert not same(here[0][:2], here[0][2:]) and not same(here[0], here[1])
    moved = [shutil.copy(path, tmp_path) for path in paths]
    cache = str(tmp_path / "cache")
    there = prepare_conditioned(moved, speakers, DRAWS, jobs=2, cache=cache)
    again = prepare_conditioned(moved, speakers, DRAWS, cache=cache)
    assert all(same(a, b) and same(a, c) for a, b, c in zip(here, there, again))


def test_a_silent_background_is_refused(clips, tmp_path):
    """What is drawn as noisy would be clean."""
    paths, speakers = clips
    still = str(write_wav(tmp_path / "still.wav", np.zeros(3200)))
    draws = DRAWS._replace(backgrounds=(paths[0], still))
    with pytest.raises(InputError, match=r"still\.wav is silent; expected sounds to lay behind clips"):
        prepare_conditioned(paths, speakers, draws)


def test_fewer_conditions_are_the_first_of_more(clips, tmp_path, monkeypatch):
    paths, speakers = clips
    cache = str(tmp_path)
    four = prepare_conditioned(paths, speakers, DRAWS, cache=cache)
    with monkeypatch.context() as patched:
        patched.setattr(conditioned, "condition_clip", None)  # all from the cache
        two = prepare_conditioned(paths, speakers, DRAWS._replace(count=2), cache=cache)
    assert all(same(a[:2], b) for a, b in zip(four, two))
    six = prepare_conditioned(paths, speakers, DRAWS._replace(count=6), cache=cache)
    assert all(same(a, b[:4]) for a, b in zip(four, six))


def test_damaged_entries_are_made_anew(clips, tmp_path):
    paths, speakers = clips
    first = prepare_conditioned(paths, speakers, DRAWS, cache=str(tmp_path))
    for entry, content in zip(sorted(tmp_path.iterdir()), (b"", b"PK\x03\x04", b"no archive")):
        entry.write_bytes(content)
    assert all(
        same(a, b) for a, b in zip(first, prepare_conditioned(paths, speakers, DRAWS, cache=str(tmp_path)))
    )


def test_other_speakers_do_not_matter(clips, tmp_path):
    """The babble behind a clip is of its own speaker: who is held out gets into nobody else's features."""
    paths, speakers = clips
    both = prepare_conditioned(paths, speakers, DRAWS._replace(count=12))
    alone = prepare_conditioned(paths[:3], speakers[:3], DRAWS._replace(count=12))
    assert all(same(a, b) for a, b in zip(both, alone))
    stranger = str(write_wav(tmp_path / "x.wav", voice(0.4, seed=99)))
    others = prepare_conditioned([*paths[:2], stranger], speakers[:3], DRAWS._replace(count=12))
    assert not all(same(a, b) for a, b in zip(both, others))  # of the same speaker they do


def test_seeds_and_backgrounds_make_a_difference(clips, tmp_path, monkeypatch):
    paths, speakers = clips[0][:1], clips[1][:1]
    assert not same(*(prepare_conditioned(paths, speakers, DRAWS._replace(seed=seed))[0] for seed in (0, 1)))
    background = str(write_wav(tmp_path / "hum.wav", 0.1 * np.sin(np.arange(8000))))
    monkeypatch.setattr(conditioned, "draw", lambda rng, kinds: Condition(noise=kinds[-1], noise_db=0))
    cache = str(tmp_path / "cache")
    first, second = (
        prepare_conditioned(paths, speakers, DRAWS._replace(backgrounds=b), cache=cache)[0]
        for b in ((), (background,))
    )
    assert not same(first, second)  # pink, since nobody else is there to babble, and the hum


def test_a_speed_is_the_speed(clips, monkeypatch):
    monkeypatch.setattr(conditioned, "draw", lambda rng, kinds: Condition())
    plain, slow = prepare_conditioned(clips[0][:1], clips[1][:1], DRAWS._replace(count=2))[0]
    y = np.round(voice(0.4) * 32768) / 32768
    # of hundreds: `played` pads
    assert np.abs(plain - extract_features(y.astype(np.float32), 16000, FEATURES))[:, :34].max() < 2.0
    assert len(slow) == pytest.approx(len(plain) / 0.9, abs=1)


def examples(corpora=None, heard=None, variants=3):
    rng = np.random.default_rng(3)
    clips = [
        [rng.normal(size=(int(rng.integers(8, 14)), 46)).astype(np.float32) for _ in range(variants)]
        for _ in range(40)
    ]
    labels = np.arange(40) % 4
    if corpora is not None:
        labels = np.where(corpora == 1, labels % 2, labels)
    names = ("first", "second") if heard is not None else ()
    speakers = np.array([f"s{k % 5}" for k in range(40)])
    return Examples("x", tuple("abcd"), FEATURES, clips, labels, speakers, corpora, heard, names)


TWO = np.repeat([0, 1], 20)
HEARD = np.array([[True] * 4, [True, True, False, False]])
SMALL = with_settings(Recipe(), ["epochs=2", "speeds=1,0.9", "batch_size=8"])


def test_a_share_of_the_clips_is_heard_under_conditions():
    trainer = Trainer(
        ModelConfig(num_classes=4),
        with_settings(SMALL, ["conditions=3", "conditioned=0.25"]),
        [[None]] * 2,
        [0, 1],
        0,
    )
    chosen = trainer._variants(40_000, np.random.default_rng(0))
    assert np.mean(chosen >= 2) == pytest.approx(0.25, abs=0.01) and set(chosen) == {0, 1, 2, 3, 4}
    plain = Trainer(ModelConfig(num_classes=4), SMALL, [[None]] * 2, [0, 1], 0)._variants(
        40_000, np.random.default_rng(0)
    )
    assert np.array_equal(plain, np.random.default_rng(0).integers(2, size=40_000))  # as ever


def test_statistics_are_of_clips_as_they_are_and_under_conditions():
    data, rng = examples(variants=4), np.random.default_rng(0)
    split = split_by_speaker(data.speakers, test=("s0",))
    found = fit(data, split, ModelConfig(hidden_size=4), with_settings(SMALL, ["conditions=2"]), 0)
    rows = np.concatenate([data.variants[n][k] for n in split.train for k in (0, 2, 3)])
    assert found.mean == pytest.approx(rows.mean(axis=0), abs=1e-6) and found.std == pytest.approx(
        rows.std(axis=0), rel=1e-6
    )
    for n in split.test:  # who is held out has no part
        data.variants[n][:] = [rng.normal(size=(9, 46)).astype(np.float32) for _ in range(4)]
    again = fit(data, split, ModelConfig(hidden_size=4), with_settings(SMALL, ["conditions=2"]), 0)
    assert all(np.array_equal(found.state[name], again.state[name]) for name in found.state)


def test_an_epoch_takes_its_share_of_each_corpus():
    recipe = with_settings(SMALL, ["corpus_shares=1,0.5"])
    labels = np.zeros(40, int)
    trainer = Trainer(ModelConfig(num_classes=4), recipe, [[None]] * 40, labels, 0, corpora=TWO, heard=HEARD)
    epochs = [trainer._clips_of_epoch(np.random.default_rng(k)) for k in range(30)]
    for order in epochs:
        assert sorted(order[order < 20]) == list(range(20)) and np.count_nonzero(order >= 20) == 10
        assert len(set(order.tolist())) == 30
    assert set(np.concatenate(epochs).tolist()) == set(range(40))  # drawn anew each time


def test_priors_of_corpora():
    labels, corpora = np.array([0, 0, 0, 1, 2, 3, 0, 1]), np.array([0, 0, 0, 0, 0, 0, 1, 1])
    priors = class_priors(labels, corpora, HEARD, "uniform")
    assert priors == pytest.approx(np.array([[3 / 6, 1 / 6, 1 / 6, 1 / 6], [0.5, 0.5, RAREST, RAREST]]))
    assert class_priors(labels, corpora, HEARD, "training") == pytest.approx(
        np.array([[0.25] * 4, [0.5, 0.5, RAREST, RAREST]])
    )


def test_classes_that_a_corpus_lacks_have_no_say():
    """The loss of its clips does not push the logits of classes that it cannot tell anything about."""
    recipe = with_settings(SMALL, ["mixup=0"])
    data = examples(TWO, HEARD)
    trainer = Trainer(
        ModelConfig(num_classes=4, hidden_size=4),
        recipe,
        data.variants,
        data.labels,
        0,
        corpora=TWO,
        heard=HEARD,
    )
    before = trainer.model.state_dict()["fc.bias"].copy()
    trainer._step(np.arange(20, 28), 1e-2, np.random.default_rng(0))
    moved = trainer.model.state_dict()["fc.bias"] - before
    assert np.abs(moved[2:]).max() < 1e-6 < np.abs(moved[:2]).max()
    batch = np.arange(20, 28)
    targets, priors = trainer._targets(batch, trainer._draw(batch, np.random.default_rng(1)))
    assert (
        targets.sum(axis=1) == pytest.approx(1, abs=1e-6)
        and not targets[:, 2:].any()
        and (priors[:, 2:] < 1e-20).all()
    )


def test_mixed_clips_of_two_corpora_have_mixed_priors():
    data = examples(TWO, HEARD)
    trainer = Trainer(
        ModelConfig(num_classes=4, hidden_size=4),
        SMALL,
        data.variants,
        data.labels,
        0,
        corpora=TWO,
        heard=HEARD,
    )
    batch = np.arange(12, 28)
    targets, priors = trainer._targets(batch, trainer._draw(batch, np.random.default_rng(1)))
    assert targets.sum(axis=1) == pytest.approx(1, abs=1e-5) and priors.sum(axis=1) == pytest.approx(
        1, abs=1e-5
    )
    possible = priors > 1e-20
    assert (targets[~possible] == 0).all() and np.isfinite(
        trainer._step(np.arange(40), 1e-3, np.random.default_rng(0))
    )


def test_two_corpora_are_learnt_together():
    """A class that one corpus lacks is still found in it by what the other taught."""
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(4, 46))
    labels = np.concatenate([np.arange(60) % 4, np.arange(40) % 2])
    corpora = np.repeat([0, 1], [60, 40])
    clips = [[(centres[k] + rng.normal(size=(12, 46))).astype(np.float32)] for k in labels]
    speakers = np.array([f"s{k % 5}" for k in range(100)])
    data = Examples(
        "x", tuple("abcd"), FEATURES, clips, labels, speakers, corpora, HEARD, ("first", "second")
    )
    recipe = with_settings(SMALL, ["epochs=15", "speeds=1", "ema=0.9", "corpus_shares=1,0.5"])
    found = fit(data, split_by_speaker(speakers, test=("s0",)), ModelConfig(hidden_size=8), recipe, 0)
    assert found.notes["scores held out"]["uar"] > 0.95  # achieved 1.0


def test_recipes_of_before_read_the_same():
    assert "conditions" not in Recipe().to_dict() and "corpus_shares" not in STUDENT.to_dict()
    assert ROBUST.to_dict()["conditions"] == 12 and Recipe.from_dict(ROBUST.to_dict()) == ROBUST
    shares = with_settings(ROBUST, ["corpus_shares=1,0.5"])
    assert shares.corpus_shares == (1.0, 0.5) and Recipe.from_dict(shares.to_dict()) == shares


@pytest.mark.parametrize(
    "setting",
    ["conditions=-1", "conditions=1001", "conditioned=1.5", "corpus_shares=1,0", "corpus_shares=1,x"],
)
def test_bad_settings_are_named(setting):
    with pytest.raises(InputError, match=setting.split("=")[0]):
        with_settings(Recipe(), [setting])
