"""Scores under conditions: by hand, from the cache, by the command, and whose voices babble."""

import json
from pathlib import Path

import numpy as np
import pytest
from samples import FEATURES, checkpoint, voice, write_wav, write_weights

from npreslstm.audio.reader import read_audio
from npreslstm.cli import main
from npreslstm.conditions.condition import Condition, apply
from npreslstm.conditions.table import TABLE
from npreslstm.errors import InputError
from npreslstm.experiments.robustness import SEED, _other_voices, features_under, robustness
from npreslstm.recognizer import Recognizer
from npreslstm.report.robustness import mean_uar, robustness_json, robustness_markdown, robustness_text
from npreslstm.training.conditioned import entropy_of
from npreslstm.training.dataset import load_dataset

SOME = {
    "as recorded": Condition(),
    "white": Condition(noise="white", noise_db=5),
    "babble": Condition(noise="babble", noise_db=5),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Manifest of twelve clips of three speakers."""
    folder = tmp_path_factory.mktemp("clips")
    rows = ["file,label,speaker"]
    for k in range(12):
        write_wav(folder / f"{k}.wav", voice(0.4, seed=k))
        rows.append(f"{k}.wav,{('calm', 'happy', 'sad')[k % 3]},{'abc'[k // 4]}")
    (folder / "clips.csv").write_text("\n".join(rows))
    return load_dataset(folder / "clips.csv")


def test_scores_are_those_of_the_recognizer(clips, tmp_path):
    weights = checkpoint()
    found = robustness({"w": weights}, clips, SOME)["w"]
    recognizer = Recognizer(weights)
    for k, name in enumerate(["as recorded", "white"]):
        for n, clip in enumerate(clips.clips):
            y, rate = read_audio(clip.path)
            heard = apply(SOME[name], y, rate, np.random.default_rng([SEED, entropy_of(clip.path), k]))
            p = recognizer.process_signal(heard, rate).probabilities
            # achieved 6e-8
            assert list(p.values()) == pytest.approx(found[name].probabilities[n].tolist(), abs=1e-5)
    labels = np.array([clip.label for clip in clips.clips])
    hits = [np.mean(found["white"].predicted[labels == label] == label) for label in range(3)]
    assert found["white"].uar == pytest.approx(np.mean(hits)) and 0 <= found["white"].calibration_error <= 1
    assert mean_uar(found) == pytest.approx(np.mean([hearing.uar for hearing in found.values()]))


def test_the_cache_gives_the_same_and_knows_its_conditions(clips, tmp_path):
    def run(table):
        return features_under(clips, (FEATURES,), tuple(table.values()), cache=str(tmp_path))

    first, entries = run(SOME), set(tmp_path.iterdir())
    again = run(SOME)
    assert set(tmp_path.iterdir()) == entries and len(entries) == 12
    for clip, other in zip(first[0], again[0]):
        assert all(np.array_equal(a, b) for a, b in zip(clip, other))
    run(SOME | {"quiet": Condition(gain_db=-20)})
    assert len(set(tmp_path.iterdir())) == 24
    damaged = sorted(entries)[0]
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert all(np.array_equal(a, b) for x, y in zip(first[0], run(SOME)[0]) for a, b in zip(x, y))


def test_babble_is_of_other_speakers(clips):
    for speaker in clips.speakers:
        others = {clip.path for clip in clips.clips if clip.speaker != speaker}
        assert set(_other_voices(clips, speaker)) <= others
    alone = clips._replace(clips=tuple(clips.of({"a"})))
    assert set(_other_voices(alone, "a")) == {clip.path for clip in alone.clips}


def test_tables(clips):
    found = robustness({"one": checkpoint(), "two": checkpoint(seed=1)}, clips, SOME)
    text, page = robustness_text(found), robustness_markdown(found)
    assert text.splitlines()[1].startswith("as recorded") and f"{found['two']['white'].uar:.4f}" in text
    assert page.count("|\n") == len(SOME) + 3 and f"**{mean_uar(found['one']):.4f}**" in page
    assert robustness_json(found)["two"]["conditions"]["babble"]["UAR"] == found["two"]["babble"].uar


def test_the_command(clips, tmp_path, capsys, monkeypatch):
    for name in [name for name in TABLE if name not in ("as recorded", "telephone")]:
        monkeypatch.delitem(TABLE, name)
    write_weights(tmp_path / "w.npz")
    manifest = str(Path(clips.clips[0].path).parent / "clips.csv")
    run = ["evaluate", manifest, "--weights", str(tmp_path / "w.npz"), "--speakers", "all", "--conditions"]
    assert main(run) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["condition", "as recorded", "telephone", "mean"]
    assert main([*run, "--format", "json"]) == 0
    (values,) = json.loads(capsys.readouterr().out).values()
    assert list(values["conditions"]) == ["as recorded", "telephone"]
    assert main([*run, "--type", "int8", "--speeds", "1,0.9"]) == 2
    assert "leave out --type int8, --speeds" in capsys.readouterr().err


def test_bad_input(clips):
    with pytest.raises(InputError, match="has no clips to score"):
        robustness({"w": checkpoint()}, clips._replace(clips=()), SOME)
    with pytest.raises(InputError, match="has the labels happy; the model knows calm, sad"):
        robustness({"w": checkpoint(classes=("calm", "sad"))}, clips, SOME)
