"""Evaluation: who is scored, every number by hand, the integer model, warnings about speakers that are known,
pictures.
"""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from samples import checkpoint, voice, write_wav

from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.experiments.evaluate import choose_speakers, evaluate, scores, seen_speakers
from npreslstm.recognizer import Recognizer
from npreslstm.training.dataset import RAVDESS, RAVDESS_CLASSES, load_dataset

NOTES = {
    "data": RAVDESS,
    "speakers trained on": ["1", "3"],
    "speakers of validation": ["4"],
    "speakers held out": ["2", "5"],
}


@pytest.fixture(scope="module")
def ravdess_like(tmp_path_factory):
    """Six short clips of each of the actors 1 to 5, with RAVDESS's names."""
    folder = tmp_path_factory.mktemp("ravdess")
    for actor in range(1, 6):
        (folder / f"Actor_{actor:02}").mkdir()
        for k, (emotion, intensity) in enumerate([(1, 1), (2, 1), (3, 1), (3, 2), (8, 1), (8, 2)]):
            write_wav(
                folder / f"Actor_{actor:02}" / f"03-01-{emotion:02}-{intensity:02}-01-01-{actor:02}.wav",
                voice(0.4, seed=10 * actor + k),
            )
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.npz"
    history = {"history": {"loss": [2.0, 1.5, 1.2], "validation UAR": [0.2, 0.3, 0.35]}}
    save_checkpoint(path, replace(checkpoint(classes=RAVDESS_CLASSES), notes=NOTES | history))
    return path


PICTURES = ("attention", "confusion", "embeddings", "reliability", "training")


def run(capsys, *arguments):
    assert main(["evaluate", *map(str, arguments)]) == 0
    return capsys.readouterr()


def test_held_out_speakers_by_default_and_predictions_as_the_recognizer_makes_them(
    ravdess_like, weights, capsys
):
    printed = run(capsys, ravdess_like, "--weights", weights, "--format", "csv")
    assert printed.err == ""
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    # in the order of the names: emotion, intensity, ..., actor
    assert [row["speaker"] for row in rows] == ["2", "5"] * 6
    recognizer = Recognizer(weights)
    for row in rows:
        expected = recognizer.process_file(
            str(ravdess_like / f"Actor_{int(row['speaker']):02}" / f"{row['file']}.wav")
        )
        assert (
            row["predicted"] == expected.label and row["true"] == RAVDESS_CLASSES[int(row["file"][6:8]) - 1]
        )
        for name, probability in expected.probabilities.items():
            assert abs(float(row[name]) - probability) < 1e-5  # achieved 5e-6, by rounding to five decimals


def test_scores_by_hand(ravdess_like, weights, capsys):
    rows = list(
        csv.DictReader(io.StringIO(run(capsys, ravdess_like, "--weights", weights, "--format", "csv").out))
    )
    found = json.loads(run(capsys, ravdess_like, "--weights", weights, "--format", "json").out)

    def uar(rows):
        by_class = {}
        for row in rows:
            by_class.setdefault(row["true"], []).append(row["predicted"] == row["true"])
        return np.mean([np.mean(hits) for hits in by_class.values()])

    assert found["clips"] == 12 and found["speakers"] == ["2", "5"] and found["data"] == RAVDESS
    np.testing.assert_allclose(found["UAR"], uar(rows), rtol=0, atol=1e-15)  # achieved 0
    assert found["recalls"]["angry"] is None and set(found["groups"]) == {"sex", "intensity", "speaker"}
    chosen = {"female": lambda row: row["speaker"] == "2", "male": lambda row: row["speaker"] == "5"}
    chosen |= {
        "normal": lambda row: row["file"][9:11] == "01",
        "strong": lambda row: row["file"][9:11] == "02",
    }
    for group, members in (("sex", ("female", "male")), ("intensity", ("normal", "strong"))):
        for member in members:
            of = [row for row in rows if chosen[member](row)]
            score = found["groups"][group][member]
            assert score["clips"] == len(of)
            np.testing.assert_allclose(score["UAR"], uar(of), rtol=0, atol=1e-15)  # achieved 0
    probabilities = np.array([[float(row[name]) for name in RAVDESS_CLASSES] for row in rows])
    truth = np.array([RAVDESS_CLASSES.index(row["true"]) for row in rows])
    nll = -np.log(probabilities[np.arange(12), truth]).mean()
    np.testing.assert_allclose(found["NLL"], nll, rtol=0, atol=3e-5)  # achieved 3.2e-6
    confidence, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    inside = [(k / 15 < confidence) & (confidence <= (k + 1) / 15) for k in range(15)]
    ece = sum(abs(hits[of].sum() - confidence[of].sum()) for of in inside) / 12
    np.testing.assert_allclose(found["ECE"], ece, rtol=0, atol=5e-6)  # achieved 5.6e-7
    low, high = found["UAR interval"]
    assert low <= found["UAR"] <= high and np.sum(found["confusion"]) == 12


def test_text_has_all_tables(ravdess_like, weights, capsys, tmp_path):
    printed = run(capsys, ravdess_like, "--weights", weights).out
    for part in ("UAR 0.", "95 % over speakers", "true / predicted, %", "female", "strong", "speakers 2, 5"):
        assert part in printed
    for part in ("expected calibration error 0.", "negative log-likelihood "):
        assert part in printed
    run(capsys, ravdess_like, "--weights", weights, "--output", tmp_path / "scores.txt")
    assert (tmp_path / "scores.txt").read_text(encoding="utf-8") == printed


def test_speakers_that_were_trained_on_are_said_loudly(ravdess_like, weights, capsys):
    def said(speakers):
        printed = run(capsys, ravdess_like, "--weights", weights, "--speakers", speakers)
        assert ("NOT those of unseen" in printed.out) == ("NOT those of unseen" in printed.err)
        return printed.err

    assert "trained on speaker 1, 3, 4: these scores are NOT those of unseen speakers" in said("all")
    assert "trained on speaker 3:" in said("3,5") and said("5") == ""


def own_corpus(ravdess_like, folder):
    """A manifest of the same clips."""
    rows = [
        f"{path},{RAVDESS_CLASSES[int(path.name[6:8]) - 1]},{path.parent.name}"
        for path in sorted(ravdess_like.glob("*/*.wav"))
    ]
    (folder / "mine.csv").write_text("\n".join(["file,label,speaker", *rows]))
    return folder / "mine.csv"


def test_another_corpus_is_said_to_be_one(ravdess_like, weights, tmp_path, capsys):
    said = run(capsys, own_corpus(ravdess_like, tmp_path), "--weights", weights).err
    assert (
        f"the weights were trained on {RAVDESS}; whether they know speakers of mine.csv cannot be told"
        in said
    )


def test_what_is_read_is_not_overwritten(ravdess_like, weights, tmp_path, capsys):
    data = own_corpus(ravdess_like, tmp_path)
    before = data.read_bytes(), weights.read_bytes()
    for target in (data, weights):
        assert main(["evaluate", str(data), "--weights", str(weights), "--output", str(target)]) == 2
        assert "which is also to be read; give another name" in capsys.readouterr().err
    assert (data.read_bytes(), weights.read_bytes()) == before


@pytest.mark.oracle
def test_pictures_of_a_single_clip_of_a_class_with_dollars(ravdess_like, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    clips = [f"{path},$\\x{k}$,s{k}" for k, path in enumerate(sorted(ravdess_like.glob("*/*.wav"))[:3])]
    (tmp_path / "c.csv").write_text("\n".join(["file,label,speaker", *clips]))
    save_checkpoint(tmp_path / "w.npz", checkpoint(classes=tuple(f"$\\x{k}$" for k in range(3))))
    run(
        capsys,
        tmp_path / "c.csv",
        "--weights",
        tmp_path / "w.npz",
        "--speakers",
        "s1",
        "--plots",
        tmp_path / "p",
    )
    assert (tmp_path / "p" / "embeddings.png").stat().st_size > 1000 and (
        tmp_path / "p" / "confusion.png"
    ).exists()


def test_one_speaker_has_no_interval(ravdess_like, weights, capsys):
    assert "one speaker" in run(capsys, ravdess_like, "--weights", weights, "--speakers", "2").out
    found = run(capsys, ravdess_like, "--weights", weights, "--speakers", "2", "--format", "json").out
    assert json.loads(found)["UAR interval"] is None


def test_networks_that_learnt_with_padding_are_scored_with_it(ravdess_like, tmp_path, capsys):
    data, out = own_corpus(ravdess_like, tmp_path), tmp_path / "w.npz"
    few = ["--set", "epochs=2", "--hidden", "4", "--features", "mcu", "--cache", str(tmp_path / "cache")]
    held_out = ["--validation", "Actor_01", "--test", "Actor_02,Actor_05"]
    assert main(["train", str(data), "--recipe", "original", *few, *held_out, "--out", str(out)]) == 0
    capsys.readouterr()
    found = json.loads(
        run(capsys, data, "--weights", out, "--format", "json", "--cache", tmp_path / "cache").out
    )
    noted = load_checkpoint(out).notes["scores held out"]
    assert found["confusion"] == noted["confusion"] and found["UAR"] == noted["uar"]


def test_who_is_chosen_and_who_is_known(ravdess_like):
    data, weights = load_dataset(ravdess_like), replace(checkpoint(classes=RAVDESS_CLASSES), notes=NOTES)
    assert choose_speakers(weights, data) == ["2", "5"] and seen_speakers(weights, data) == ["1", "3", "4"]
    other = data._replace(name="mine.csv")  # its speaker 1 is somebody else
    assert choose_speakers(weights, other) == other.speakers and seen_speakers(weights, other) == []
    silent = replace(weights, notes={})
    assert seen_speakers(silent, data) is None
    with pytest.raises(
        InputError, match="do not say which speakers were held out; name some with --speakers"
    ):
        choose_speakers(silent, data)
    for nobody in ("", ","):
        with pytest.raises(InputError, match="expected held-out, all, or names with commas"):
            choose_speakers(weights, data, nobody)
    with pytest.raises(InputError, match="no clips of speaker 9; the corpus has 1, 2"):
        choose_speakers(weights, data, "5,9")
    with pytest.raises(InputError, match="no clips of the held-out speaker 5"):
        choose_speakers(weights, data._replace(clips=tuple(data.of({"1", "2"}))))


def test_a_corpus_that_teachers_heard_has_nobody_who_is_unknown(ravdess_like, tmp_path, capsys):
    taught = {**NOTES, "corpora of ancestors": ["mine.csv"]}
    weights = replace(checkpoint(classes=RAVDESS_CLASSES), notes=taught)
    data = load_dataset(ravdess_like)
    assert choose_speakers(weights, data) == ["2", "5"]
    with pytest.raises(InputError, match="hold out nobody of mine.csv; name some with --speakers"):
        choose_speakers(weights, data._replace(name="mine.csv"))
    save_checkpoint(tmp_path / "w.npz", replace(weights, notes={**taught, "data": "another"}))
    asked = ravdess_like, "--weights", tmp_path / "w.npz", "--speakers", "all"
    assert "were trained on another; whether they know speakers of RAVDESS" in run(capsys, *asked).err
    teachers = {**taught, "data": "another", "corpora of ancestors": [data.name]}
    save_checkpoint(tmp_path / "w.npz", replace(weights, notes=teachers))
    said = run(capsys, *asked).err
    assert f"teachers of the weights learnt from {data.name}: these scores may be of speakers" in said
    assert "whether they know" not in said


def test_weights_that_do_not_say_who_was_trained_on(ravdess_like, tmp_path, capsys):
    save_checkpoint(tmp_path / "w.npz", replace(checkpoint(classes=RAVDESS_CLASSES), notes={}))
    assert (
        "do not say whom they were trained on"
        in run(capsys, ravdess_like, "--weights", tmp_path / "w.npz", "--speakers", "all").err
    )


def test_the_integer_model_is_that_of_the_port(ravdess_like, weights, capsys):
    printed = run(capsys, ravdess_like, "--weights", weights, "--type", "int8")
    assert "same label as float32: " in printed.out
    data, loaded = load_dataset(ravdess_like), Recognizer(weights).checkpoint
    integer, real = (evaluate(loaded, data, ["2", "5"], number_type) for number_type in ("int8", "float32"))
    error = np.abs(integer.predictions.probabilities - real.predictions.probabilities).max()
    assert 0 < error < 0.05  # achieved 0.010
    assert (
        integer.agreement == np.mean(integer.predictions.predicted == real.predictions.predicted)
        and real.agreement == 1
    )
    assert scores(integer)["agreement with float32"] == integer.agreement


def test_several_speeds_are_averaged_as_the_recognizer_does(ravdess_like, weights, capsys):
    text = run(capsys, ravdess_like, "--weights", weights, "--speeds", "1,0.85,1.15").out
    assert "mean of the probabilities at the speeds 1,0.85,1.15\n" in text
    loaded, data, speeds = Recognizer(weights).checkpoint, load_dataset(ravdess_like), (1.0, 0.85, 1.15)
    evaluation, integer = (
        evaluate(loaded, data, ["2"], number_type, speeds) for number_type in ("float32", "int8")
    )
    expected = Recognizer(loaded, speeds).process_files([clip.path for clip in evaluation.dataset.clips])
    for clip, (found, one) in enumerate(zip(evaluation.predictions.probabilities, expected)):
        # achieved 9e-8
        np.testing.assert_allclose(found, list(one.probabilities.values()), rtol=0, atol=9e-7)
        # achieved 1.5e-8
        np.testing.assert_allclose(evaluation.attention[clip], one.attention, rtol=0, atol=1.5e-7)
    error = np.abs(integer.predictions.probabilities - evaluation.predictions.probabilities).max()
    assert 0 < error < 0.05  # achieved 0.008
    assert main(["evaluate", str(ravdess_like), "--weights", str(weights), "--speeds", "0.9"]) == 2
    assert "expected 1.0 first" in capsys.readouterr().err


def test_own_corpus_with_the_labels_in_another_order(ravdess_like, weights, tmp_path, capsys):
    lines = ["file,label,speaker"]
    for clip in load_dataset(ravdess_like).clips:
        lines.append(f"{clip.path},{RAVDESS_CLASSES[clip.label]},p{clip.speaker}")
    (tmp_path / "own.csv").write_text("\n".join(lines))
    own = json.loads(run(capsys, tmp_path / "own.csv", "--weights", weights, "--format", "json").out)
    same = json.loads(
        run(capsys, ravdess_like, "--weights", weights, "--speakers", "all", "--format", "json").out
    )
    assert own["confusion"] == same["confusion"] and set(own["groups"]) == {"speaker"}
    (tmp_path / "own.csv").write_text("\n".join(lines).replace(",calm,", ",bored,"))
    assert main(["evaluate", str(tmp_path / "own.csv"), "--weights", str(weights)]) == 2
    assert "has the labels bored; the model knows neutral, calm" in capsys.readouterr().err


def test_embedding_and_attention_are_the_models(ravdess_like, weights):
    loaded = Recognizer(weights).checkpoint
    evaluation = evaluate(loaded, load_dataset(ravdess_like), ["2"])
    model, clip = loaded.model(), evaluation.dataset.clips[3]
    frames = Recognizer(weights).process_file(clip.path).attention
    np.testing.assert_allclose(evaluation.attention[3], frames, rtol=0, atol=2e-7)  # achieved 2e-8
    assert evaluation.contexts.shape == (6, 8) and evaluation.averages.shape == (6, 46)
    scale = model.tensors["bn.weight"] / np.sqrt(model.tensors["bn.running_var"] + 1e-5)
    head = (evaluation.contexts - model.tensors["bn.running_mean"]) * scale + model.tensors["bn.bias"]
    logits = head @ model.tensors["fc.weight"].T + model.tensors["fc.bias"]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # achieved 6e-8
    np.testing.assert_allclose(probabilities, evaluation.predictions.probabilities, rtol=0, atol=6e-7)


def test_bad_output_is_found_before_the_work(ravdess_like, weights, capsys, tmp_path):
    assert (
        main(
            [
                "evaluate",
                str(ravdess_like),
                "--weights",
                str(weights),
                "--output",
                str(tmp_path / "no" / "x.txt"),
            ]
        )
        == 2
    )
    assert "make it first" in capsys.readouterr().err


@pytest.mark.oracle
@pytest.mark.parametrize("picture, first", [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures(ravdess_like, weights, capsys, tmp_path, picture, first):
    pytest.importorskip("matplotlib")
    run(capsys, ravdess_like, "--weights", weights, "--plots", tmp_path / "p", "--plot-format", picture)
    files = sorted((tmp_path / "p").iterdir())
    assert [file.name for file in files] == [f"{name}.{picture}" for name in PICTURES]
    assert all(file.read_bytes().startswith(first) and file.stat().st_size > 5000 for file in files)


def test_without_matplotlib_it_says_so_before_the_work(ravdess_like, weights, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.backends.backend_agg", None)
    assert (
        main(["evaluate", str(ravdess_like), "--weights", str(weights), "--plots", str(tmp_path / "p")]) == 2
    )
    assert "pictures need matplotlib: pip install matplotlib" in capsys.readouterr().err
