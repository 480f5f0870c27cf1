"""The tools behind docs/accuracy.md, on a small corpus: who is left out, and that the figures are those of
the networks.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from samples import voice, write_wav

from npreslstm.audio.config import load_config
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main
from npreslstm.conditions.condition import Condition
from npreslstm.errors import InputError
from npreslstm.experiments.journal import Journal
from npreslstm.experiments.protocol import PAPER_TEST
from npreslstm.listening import Event, EventKind
from npreslstm.training.dataset import load_dataset
from tools.accuracy import ladder, listening, overlap, robustness, score_folds


def test_the_ladder_never_hears_the_speakers_of_the_bundled_weights():
    speakers = np.repeat([str(k) for k in range(1, 25)], 3)
    made = list(ladder.tasks(speakers, "store", None, None, 0))
    for task in made:
        trained, scored = set(speakers[task.split.train]), set(speakers[task.split.test])
        assert trained and scored and not trained & scored and not (trained | scored) & set(PAPER_TEST[0])
    assert sorted(np.concatenate([task.split.test for task in made])) == sorted(
        np.flatnonzero(~np.isin(speakers, PAPER_TEST[0]))
    )


def test_networks_that_the_ladder_kept_are_teachers(tmp_path, capsys):
    rows = ["file,label,speaker"]
    for k in range(24):
        write_wav(tmp_path / f"{k}.wav", voice(0.3, seed=k))
        rows.append(f"{k}.wav,{'ab'[k % 2]},{k // 4 + 1}")
    (tmp_path / "corpus.csv").write_text("\n".join(rows))
    few = [str(tmp_path / "corpus.csv"), "--cache", str(tmp_path / "cache")]
    few += "--workers 1 --set epochs=2".split()
    run = [*few, "--set", "speeds=1"]
    ladder.main([*run, "--seed", "1", "--keep", str(tmp_path / "T")])
    ladder.main([*run, "--teachers", str(tmp_path / "T"), "--keep", str(tmp_path / "S")])
    ladder.main([*few, *"--set speeds=1,0.8 --seed 1 --speeds 1 --speeds 1,0.8".split()])
    first, second, again, once, twice = capsys.readouterr().out.splitlines()
    assert (
        once == again + " at 1"
        and twice.endswith(" speeds=1,0.8 at 1,0.8")
        and twice.split(" nats")[0] != once.split(" nats")[0]
    )
    assert first.endswith("mcu seed 1 default epochs=2 speeds=1") and second.endswith(
        "mcu seed 0 default epochs=2 speeds=1 teachers"
    )
    for k in range(ladder.GROUPS):
        teacher = load_checkpoint(tmp_path / "T" / f"group-{k}-seed-1.npz")
        student = load_checkpoint(tmp_path / "S" / f"group-{k}-seed-0.npz")
        assert student.notes["teachers"] == [teacher.sha256]
    slower = load_config("mcu").to_dict() | {"hop_length": 1024}
    (tmp_path / "slower.json").write_text(json.dumps(slower))
    both = ["--teachers", str(tmp_path / "T"), "--teachers", str(tmp_path / "S")]
    ladder.main([*run, *both, "--features", str(tmp_path / "slower.json"), "--keep", str(tmp_path / "P")])
    assert len(load_checkpoint(tmp_path / "P" / "group-3-seed-0.npz").notes["teachers"]) == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        ladder.main([*run, "--speeds", "1,0.7"])
    assert "--speeds has 0.7, which the recipe lacks" in capsys.readouterr().err
    with pytest.raises(InputError, match="has no group-0-seed"):
        ladder.main([*run, "--teachers", str(tmp_path)])


def test_the_ladder_goes_on_from_networks_and_calibrates_by_them(tmp_path, capsys):
    pytest.importorskip("soundfile", "0.13")  # conditions write MP3
    rows = ["file,label,speaker"]
    for k in range(24):
        write_wav(tmp_path / f"{k}.wav", voice(0.3, seed=k))
        rows.append(f"{k}.wav,{'ab'[k % 2]},{k // 4 + 1}")
    (tmp_path / "corpus.csv").write_text("\n".join(rows))
    few = ["--set", "epochs=2", "--set", "speeds=1", "--workers", "1"]
    run = [str(tmp_path / "corpus.csv"), "--cache", str(tmp_path / "cache"), *few]
    ladder.main([*run, "--keep", str(tmp_path / "T")])
    robust = ["--recipe", "robust", "--set", "conditions=2", "--start", str(tmp_path / "T")]
    ladder.main([*run, *robust, "--temperature", str(tmp_path / "T.json"), "--keep", str(tmp_path / "S")])
    _, plain, drawn, temperature = capsys.readouterr().out.splitlines()
    assert plain.endswith("conditions=2 start") and drawn.endswith(
        "conditions=2 start under drawn conditions"
    )
    assert re.fullmatch(
        r"temperature [\d.]+: expected calibration error 0\.\d{4} before, 0\.\d{4} after", temperature
    )
    record = json.loads((tmp_path / "T.json").read_text())
    assert (
        record["clips"] == 16
        and record["speakers"] == ["1", "3", "4", "6"]
        and temperature.startswith(f"temperature {record['value']:.3f}:")
    )
    for k in range(ladder.GROUPS):
        begun, gone_on = (load_checkpoint(tmp_path / folder / f"group-{k}-seed-0.npz") for folder in "TS")
        assert gone_on.notes["started from"] == begun.sha256
    with pytest.raises(InputError, match="has no group-0-seed"):
        ladder.main([*run, "--start", str(tmp_path)])


def test_the_networks_of_a_cross_validation_are_scored_as_it_did(corpus, whole, capsys):
    score_folds.main([str(corpus), str(whole), "--cache", str(whole / "features")])
    lines, expected = (
        capsys.readouterr().out.splitlines(),
        json.loads((whole / "summary.json").read_text())["UAR by run"],
    )
    pattern = r"run (\d): float32 ([\d.]+), int8 ([\d.]+), mean over 1 speeds ([\d.]+); same label ([\d.]+)%"
    found = [re.fullmatch(pattern, line).groups() for line in lines]
    assert [(run, once, speeds) for run, once, _, speeds, _ in found] == [
        (str(k), f"{u:.4f}", f"{u:.4f}") for k, u in enumerate(expected)
    ]
    # achieved 0, 100
    assert all(
        abs(float(integer) - float(once)) < 0.05 and float(same) > 95 for _, once, integer, _, same in found
    )


def test_another_corpus_is_not_scored_in_its_name(corpus, whole, tmp_path):
    shutil.copytree(corpus.parent, tmp_path / "other", ignore=shutil.ignore_patterns("*-*"))
    write_wav(tmp_path / "other" / "0.wav", voice(0.3, seed=99))
    with pytest.raises(InputError, match="is not the corpus of"):
        score_folds.main(
            [str(tmp_path / "other" / corpus.name), str(whole), "--cache", str(tmp_path / "cache")]
        )
    (tmp_path / "bare").mkdir()
    shutil.copy(whole / "config.json", tmp_path / "bare")
    with pytest.raises(InputError, match="has no weights/"):
        score_folds.main([str(corpus), str(tmp_path / "bare"), "--cache", str(tmp_path / "cache")])


def test_predictions_at_several_speeds_are_kept_for_reports(corpus, whole, tmp_path, capsys):
    score_folds.main(
        [
            str(corpus),
            str(whole),
            "--cache",
            str(whole / "features"),
            "--speeds",
            "1",
            "--keep",
            str(tmp_path / "kept"),
        ]
    )
    assert "mean over 1 speeds" in capsys.readouterr().out
    kept, original = Journal(str(tmp_path / "kept")), Journal(str(whole))
    assert kept.config["heard at"] == [1.0] and kept.entries().keys() == original.entries().keys()
    assert main(["crossval", "--report", str(tmp_path / "kept")]) == 0
    assert "each clip heard at the speeds 1, the probabilities averaged" in capsys.readouterr().out
    assert json.loads((tmp_path / "kept" / "summary.json").read_text()) == json.loads(
        (whole / "summary.json").read_text()
    )
    with pytest.raises(SystemExit):
        score_folds.main([str(corpus), str(whole), "--cache", str(whole / "features"), "--speeds", "1,0.9"])
    assert "--speeds has 0.9, which the recipe lacks" in capsys.readouterr().err


def test_the_table_of_conditions_is_written_between_its_marks():
    page = f"before\n{robustness.MARKS[0]}\nold\n{robustness.MARKS[1]}\nafter\n"
    assert (
        robustness.between_marks(page, "| new |\n")
        == f"before\n{robustness.MARKS[0]}\n| new |\n{robustness.MARKS[1]}\nafter\n"
    )
    with pytest.raises(InputError, match="lacks the lines"):
        robustness.between_marks("before", "new")


@pytest.mark.parametrize(
    "page, words", [("no/page.md", "there is no folder"), ("page.md", "lacks the lines")]
)
def test_a_page_that_cannot_be_updated_is_found_before_the_work(tmp_path, monkeypatch, page, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text("text")
    with pytest.raises(InputError, match=words):
        robustness.main(["no corpus", "--update", page])


def test_clips_as_recorded_score_as_the_card_says(ravdess, tmp_path):
    checkpoints = {"mcu": load_checkpoint("mcu")}
    dataset = robustness.held_out(load_dataset(ravdess), checkpoints)
    found = robustness.robustness(checkpoints, dataset, {"as recorded": Condition()}, cache=str(tmp_path))
    again = robustness.robustness(checkpoints, dataset, {"as recorded": Condition()}, cache=str(tmp_path))
    hearing = found["mcu"]["as recorded"]
    # 16 bits; achieved 0
    assert hearing.uar == pytest.approx(checkpoints["mcu"].notes["scores held out"]["uar"], abs=0.004)
    assert np.array_equal(hearing.probabilities, again["mcu"]["as recorded"].probabilities)


@pytest.mark.parametrize(
    "arguments",
    (
        ["accuracy/ladder", "--cache", "features"],
        ["accuracy/robustness"],
        ["train_weights", "mcu"],
        ["accuracy/c_parity"],
    ),
)
def test_a_missing_corpus_is_one_line(arguments, tmp_path):
    tool, *more = arguments
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, str(root / "tools" / f"{tool}.py"), str(tmp_path / "nothing"), *more]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True
    )
    assert done.returncode == 2 and not done.stdout and not list(tmp_path.iterdir())
    assert (
        done.stderr.startswith(f"npreslstm: error: {tmp_path / 'nothing'} ") and done.stderr.count("\n") == 1
    )


def test_the_integer_frontend_is_compared_clip_by_clip(ravdess, capsys):
    from tools.accuracy import integer_frontend

    integer_frontend.main([str(ravdess), "--weights", "mcu", "--every", "700"])
    printed = capsys.readouterr().out
    assert "clips: 3\n" in printed and "of them different: 0\n" in printed
    assert "clips with the same label: 3 (100.00 %)" in printed
    with pytest.raises(InputError, match="--every is 0"):
        integer_frontend.main([str(ravdess), "--every", "0"])


def test_of_a_clip_the_longest_utterance_counts():
    first, second = np.eye(3)[:2]
    events = [Event(EventKind.START, 4), Event(EventKind.END, 10, "a", first)]
    events += [
        Event(EventKind.START, 20),
        Event(EventKind.RESULT, 51, "a", first),
        Event(EventKind.END, 60, "b", second),
    ]
    assert listening.longest_utterance(events) == 1
    assert listening.longest_utterance(events[:2]) == 0 and listening.longest_utterance([]) == -1


def test_answers_of_new_windows():
    """A result a second; windows of ten begin every five, so of five answers two are of its first seconds."""
    results = [Event(EventKind.RESULT, 31 * k - 1, "b", np.array([0.3, 0.7])) for k in range(1, 22)]
    listener = SimpleNamespace(push=lambda pcm: [Event(EventKind.START, 8), *results], finish=list)
    told = list(overlap.answers(listener, None, 155))
    assert told == [(k % 5 < 2, 1) for k in range(11)]
    assert [first for first, _ in overlap.answers(listener, None, 0)] == [True, True, *[False] * 8, True]
