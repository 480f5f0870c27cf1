"""The bundled weights: what their card says is what they do."""

import re
from pathlib import Path

import numpy as np
import pytest

from npreslstm.assets import DEFAULT_WEIGHTS, demo_clip_path, weights_folder
from npreslstm.audio.reader import read_audio
from npreslstm.checkpoint import load_checkpoint
from npreslstm.conditions.condition import Condition, apply
from npreslstm.experiments.packed import open_results
from npreslstm.recognizer import Recognizer
from npreslstm.report.model_card import model_card
from npreslstm.training.calibration import calibrated
from npreslstm.training.dataset import RAVDESS, RAVDESS_CLASSES, load_dataset
from npreslstm.training.metrics import confusion_matrix, recalls, uar
from npreslstm.training.recipe import ROBUST, STUDENT, with_settings

NAMES = sorted(path.stem for path in weights_folder().glob("*.npz"))
HELD_OUT = ["2", "5", "14", "15", "16"]


def test_there_are_three():
    assert NAMES == ["mcu", "paper", "robust"] and DEFAULT_WEIGHTS == "robust"


@pytest.mark.parametrize("name", NAMES)
def test_size_classes_and_speakers(name):
    checkpoint = load_checkpoint(name)
    assert (weights_folder() / f"{name}.npz").stat().st_size < 250_000
    assert checkpoint.config.num_parameters == 46772 and checkpoint.state["fc.weight"].dtype == np.float32
    held_out = [speaker.removeprefix(f"{RAVDESS}/") for speaker in checkpoint.notes["speakers held out"]]
    assert checkpoint.classes == RAVDESS_CLASSES and held_out == HELD_OUT
    assert not set(checkpoint.notes["speakers trained on"]) & set(checkpoint.notes["speakers held out"])
    assert not checkpoint.notes["speakers of validation"]
    assert "CC BY-NC-SA 4.0" in checkpoint.notes["licence"]


def test_the_card_is_written_from_the_files():
    """Regenerated, it is the same: the figures in it are those in the files' notes and in the committed
    results.
    """
    card = (weights_folder() / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"^\| `(\w+)\.npz`", card, re.M)
    assert sorted(names) == NAMES
    results = Path(__file__).resolve().parent.parent / "docs" / "results"
    if not results.exists():
        pytest.skip("docs/results is in the repository, not in the source distribution")
    found = {name: open_results(str(results / name)) for name in names if (results / name).is_dir()}
    packed = {name: result for name, result in found.items() if "corpora" not in result.config}
    summaries = {name: result.summary for name, result in packed.items()}
    checkpoints = {name: load_checkpoint(name) for name in names}
    assert card == model_card(checkpoints, summaries)
    configs = [result.config for result in packed.values()]
    recipes = {name: STUDENT.to_dict() for name in ("mcu", "paper")}
    assert {name: config["recipe"] for name, config in zip(packed, configs)} == recipes
    assert {name: checkpoints[name].notes["recipe"] for name in packed} == recipes
    robust = with_settings(ROBUST, ["corpus_shares=1,0.5,0.25"])
    assert checkpoints["robust"].notes["recipe"] == robust.to_dict()
    assert checkpoints["robust"].notes["started from"] == checkpoints["mcu"].sha256
    teachers = [checkpoints[name].notes.get("teachers") for name in packed]
    assert [config.get("teachers", [None])[0] for config in configs] == teachers


def test_the_card_says_whose_probabilities_are_calibrated():
    results = Path(__file__).resolve().parent.parent / "docs" / "results"
    summaries = {
        name: open_results(str(results / name)).summary for name in NAMES if (results / name).is_dir()
    }
    checkpoints = {name: load_checkpoint(name) for name in NAMES}
    record = {"clips": 1140, "speakers": ["1", "3"], "ECE before": 0.13, "ECE after": 0.04}
    made = calibrated(checkpoints["mcu"], 1.25, record)
    card = model_card(checkpoints | {"mcu": made}, summaries)
    said = (
        "of `mcu.npz` are calibrated by the temperature 1.250, fitted on 1,140 clips of 2 training speakers"
    )
    assert f"the probabilities {said} (expected calibration error 0.130 before, 0.040 after)" in card
    assert "; those of `paper.npz` are as trained." in card and "not calibrated" not in card


# mcu hears 48 kHz clips at 16 kHz
@pytest.mark.filterwarnings("ignore::npreslstm.audio.resampling.ResamplingWarning")
@pytest.mark.parametrize("name", NAMES)
def test_held_out_clips_give_exactly_the_stated_scores(name, ravdess):
    """From the sound files through `Recognizer`, as anybody would use it."""
    recognizer, dataset = Recognizer(name), load_dataset(ravdess)
    scores = load_checkpoint(name).notes["scores held out"]
    clips = dataset.of(HELD_OUT)
    predicted = [dataset.classes.index(recognizer.process_file(clip.path).label) for clip in clips]
    confusion = confusion_matrix([clip.label for clip in clips], predicted, 8)
    assert len(clips) == scores["clips"] == 300
    assert confusion.tolist() == scores["confusion"]
    assert uar(confusion) == scores["uar"]
    assert dict(zip(dataset.classes, recalls(confusion).tolist())) == scores["recalls"]


@pytest.mark.parametrize("decibels", [-20, 0, 10])
@pytest.mark.parametrize("trim_db", [None, 30])
def test_the_default_says_the_same_of_the_demo_clip_at_every_level(decibels, trim_db):
    y, rate = read_audio(demo_clip_path())
    heard = apply(Condition(gain_db=decibels, trim_db=trim_db), y, rate, np.random.default_rng(0))
    assert Recognizer().process_signal(heard, rate).label == "fear"
