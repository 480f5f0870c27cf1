"""`predict`: formats, windows, jobs, files, and the bad ones among them."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from samples import CLASSES, voice, write_clips, write_wav, write_weights

from npreslstm import cli, terminal
from npreslstm.parallel import DIED
from npreslstm.recognizer import Recognizer
from npreslstm.report import text


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_weights(tmp_path_factory.mktemp("weights") / "w.npz"))


@pytest.fixture
def clips(tmp_path):
    return write_clips(tmp_path / "clips")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


class TestPredict:
    """Rows, formats, files."""

    def test_csv_has_the_audformat_shape(self, run, weights, clips):
        status, out, err = run("predict", clips, "--weights", weights, "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert (status, err) == (0, [])
        assert list(rows[0]) == ["file", "start", "end", *CLASSES, "predicted"]
        for row, p in zip(rows, Recognizer(weights).process_folder(clips), strict=True):
            assert (row["file"], row["predicted"], float(row["end"])) == (p.file, p.label, p.end)
            assert all(abs(float(row[name]) - p.probabilities[name]) <= 1e-6 for name in CLASSES)

    def test_json(self, run, weights, clips):
        status, out, _ = run(
            "predict", clips / "a.wav", "--weights", weights, "--format", "json", "--attention"
        )
        (record,) = json.loads(out)
        p = Recognizer(weights).process_file(clips / "a.wav")
        assert (record["file"], record["start"], record["end"], record["predicted"]) == (
            p.file,
            0,
            p.end,
            p.label,
        )
        assert list(record["probabilities"]) == list(CLASSES)
        assert np.allclose(record["attention"]["weights"], p.attention, rtol=1e-5)
        assert np.allclose(record["attention"]["times"], p.times, atol=1e-4)
        assert (
            "attention"
            not in json.loads(run("predict", clips / "a.wav", "--weights", weights, "--format", "json")[1])[0]
        )

    def test_table_of_one_clip(self, run, weights, clips):
        status, out, _ = run("predict", clips / "a.wav", "--weights", weights, "--attention")
        p = Recognizer(weights).process_file(clips / "a.wav")
        lines = out.splitlines()
        assert status == 0 and lines[0] == f"{clips / 'a.wav'}  0.00-0.50 s  {p.label}"
        ranked = sorted(p.probabilities, key=p.probabilities.get, reverse=True)
        assert [line.split()[0] for line in lines[2:5]] == ranked
        assert (
            "█" in lines[2]
            and lines[-1].startswith("  attention over time: |")
            and set(lines[-1]) & set(text.LEVELS)
        )

    def test_table_of_several(self, run, weights, clips):
        _, out, _ = run("predict", clips, "--weights", weights)
        header, *rows = out.splitlines()
        assert header.split() == ["file", "start", "end", *CLASSES, "predicted"] and len(rows) == 3
        assert len({row.index(".wav") for row in rows}) == 1

    def test_attention_in_a_table(self, run, weights, clips):
        _, out, _ = run("predict", clips, "--weights", weights, "--attention")
        assert all(set(row) & set(text.LEVELS) for row in out.splitlines()[1:])

    def test_terminals_without_blocks(self, weights, clips):
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        command = [sys.executable, "-m", "npreslstm", clips / "a.wav", "--weights", weights, "--attention"]
        out = subprocess.run(command, capture_output=True, env=environment, check=True).stdout.decode("ascii")
        assert "##" in out and "\\u" not in out

    def test_windows(self, run, weights, clips):
        write_wav(clips / "long.wav", voice(5))
        _, out, _ = run(
            "predict",
            clips / "long.wav",
            "--weights",
            weights,
            "--format",
            "csv",
            "--window",
            "2",
            "--hop",
            "2",
        )
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [(row["start"], row["end"]) for row in rows] == [
            ("0.000", "2.000"),
            ("2.000", "4.000"),
            ("3.000", "5.000"),
        ]

    def test_silence_in_every_format(self, run, weights, clips):
        y = 1e-4 * np.random.default_rng(0).standard_normal(13 * 16000)
        y[6 * 16000 : 9 * 16000] += voice(3)
        path = write_wav(clips / "talk.wav", y)
        status, out, err = run("predict", path, "--weights", weights, "--format", "csv")
        first, second, third = csv.DictReader(io.StringIO(out))
        assert status == 0 and not err
        assert first["start"] == "0.000" and third["end"] == "13.000" and first["end"] == second["start"]
        assert [row["predicted"] == "silence" for row in (first, second, third)] == [True, False, True]
        assert [row["happy"] == "" for row in (first, second, third)] == [True, False, True]
        records = json.loads(run("predict", path, "--weights", weights, "--format", "json", "--attention")[1])
        assert [len(record["probabilities"]) for record in records] == [0, 3, 0] and records[0][
            "predicted"
        ] == "silence"
        assert records[2]["attention"] == {"times": [], "weights": []} and "error" not in records[0]
        shown = run("predict", path, "--weights", weights, "--attention")[1].splitlines()
        assert len(shown) == 4 and shown[1].split() == [str(path), "0.00", first["end"][:-1], "silence"]

    def test_gate_and_smoothing(self, run, weights, clips):
        y = np.concatenate(
            (voice(4), 1e-4 * np.random.default_rng(0).standard_normal(9 * 16000), voice(8, seed=1))
        )
        path = write_wav(clips / "talk.wav", y)

        def rows(*options):
            out = run("predict", path, "--weights", weights, "--format", "csv", *options)[1]
            return list(csv.DictReader(io.StringIO(out)))

        gated, all_of_it, smoothed = rows(), rows("--no-gate"), rows("--smooth", "3")
        assert len(all_of_it) == 10 and not [row for row in all_of_it if row["predicted"] == "silence"]
        assert [row["start"] for row in gated] == [row["start"] for row in smoothed] and gated != smoothed
        assert rows("--smooth", "3", "--jobs", "2") == smoothed

    def test_a_long_recording_without_speech(self, run, weights, clips):
        path = write_wav(clips / "still.wav", np.zeros(11 * 16000))
        status, out, err = run("predict", path, "--weights", weights)
        assert status == 0 and out == f"{path}  0.00-11.00 s  silence\n"
        said = f"no speech was heard in {path}: it is called silence; without the gate all of it is heard"
        assert err == [f"npreslstm: warning: {said}"]

    def test_patterns_and_order(self, run, weights, clips):
        _, out, _ = run(
            "predict", clips / "c.wav", clips / "[ab].wav", clips, "--weights", weights, "--format", "csv"
        )
        assert [row["file"][-5:] for row in csv.DictReader(io.StringIO(out))] == ["c.wav", "a.wav", "b.wav"]

    def test_output_file(self, run, weights, clips, tmp_path):
        to_stdout = run("predict", clips, "--weights", weights, "--format", "csv")[1]
        assert run("predict", clips, "--weights", weights, "--output", tmp_path / "r.csv") == (0, "", [])
        assert (tmp_path / "r.csv").read_text() == to_stdout
        assert run("predict", clips, "--weights", weights, "--output", tmp_path / "r.json")[0] == 0
        assert len(json.loads((tmp_path / "r.json").read_text())) == 3
        assert sorted(os.listdir(tmp_path)) == ["clips", "r.csv", "r.json"]

    @pytest.mark.parametrize(
        "output, words",
        [
            ("none/r.csv", "there is no folder"),
            (".", "a folder; expected a file"),
            ("clips/a.wav", "also to be read"),
        ],
    )
    def test_bad_output_is_found_before_the_work(self, run, weights, clips, tmp_path, output, words):
        before = (clips / "a.wav").read_bytes()
        status, out, err = run("predict", clips, "--weights", weights, "--output", tmp_path / output)
        assert (status, out) == (2, "") and len(err) == 1 and words in err[0]
        assert (clips / "a.wav").read_bytes() == before

    def test_an_interruption_leaves_the_old_file(self, run, weights, clips, tmp_path, monkeypatch):
        (tmp_path / "r.csv").write_text("old")
        monkeypatch.setattr("npreslstm.files.os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run("predict", clips, "--weights", weights, "--output", tmp_path / "r.csv")[0] == 130
        assert (tmp_path / "r.csv").read_text() == "old"
        assert sorted(os.listdir(tmp_path)) == ["clips", "r.csv", "r.csv.partial"]

    def test_one_bad_file_among_a_hundred(self, run, weights, clips, tmp_path):
        for k in range(100):
            write_wav(clips / f"n{k:03}.wav", voice(0.1, seed=k))
        (clips / "n050.wav").write_bytes(b"RIFF but not audio")
        status, out, err = run("predict", clips, "--weights", weights, "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert status == 1 and len(rows) == 103
        assert len(err) == 1 and str(clips / "n050.wav") in err[0]
        empty = [row for row in rows if not row["predicted"]]
        assert [row["file"] for row in empty] == [str(clips / "n050.wav")] and set(empty[0].values()) == {
            empty[0]["file"],
            "",
        }

    def test_a_bad_file_in_the_other_formats(self, run, weights, clips):
        status, out, err = run(
            "predict", clips / "a.wav", "gone.wav", "--weights", weights, "--format", "json"
        )
        assert status == 1 and json.loads(out)[1] == {
            **dict.fromkeys(("start", "end", "probabilities", "predicted")),
            "file": "gone.wav",
            "error": "gone.wav: no such file",
        }
        status, out, err = run("predict", clips / "a.wav", "gone.wav", "--weights", weights, "--attention")
        assert (
            status == 1
            and out.splitlines()[2] == "gone.wav"
            and err == ["npreslstm: error: gone.wav: no such file"]
        )

    def test_all_bad(self, run, weights, tmp_path):
        status, out, err = run(
            "predict", "gone.wav", "lost.wav", "--weights", weights, "--output", tmp_path / "r.csv"
        )
        assert (status, out) == (2, "") and os.listdir(tmp_path) == []
        assert err == ["npreslstm: error: gone.wav: no such file", "npreslstm: error: lost.wav: no such file"]

    def test_jobs_do_not_matter(self, run, weights, clips):
        for k in range(20):
            write_wav(clips / f"n{k:02}.wav", voice(0.2 + 0.01 * k, seed=k))
        write_wav(clips / "n10.wav", np.zeros(8000))  # a warning
        (clips / "n15.wav").write_bytes(b"not audio")
        environment = dict(os.environ)
        alone = run("predict", clips, "--weights", weights, "--format", "csv")
        assert run("predict", clips, "--weights", weights, "--format", "csv", "--jobs", "2") == alone
        slower = ["--speeds", "1,0.8"]
        both = run("predict", clips, "--weights", weights, "--format", "csv", *slower)
        assert (
            both[1] != alone[1]
            and run("predict", clips, "--weights", weights, "--format", "csv", "--jobs", "2", *slower) == both
        )
        assert dict(os.environ) == environment
        assert not hasattr(signal, "pthread_sigmask") or signal.SIGINT not in signal.pthread_sigmask(
            signal.SIG_BLOCK, ()
        )
        assert alone[0] == 1 and [line.split(": ")[1] for line in alone[2]] == ["warning", "error"]

    def test_a_killed_worker(self, run, weights, clips, tmp_path, monkeypatch):
        def broken(*_):
            raise BrokenProcessPool("a process in the pool was terminated abruptly")

        monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor.submit", broken)
        monkeypatch.setattr("npreslstm.commands.many.FILES_AT_ONCE", 1)
        status, out, err = run(
            "predict", clips, "--weights", weights, "--jobs", "2", "--output", tmp_path / "r.csv"
        )
        assert (status, out, os.listdir(tmp_path)) == (2, "", ["clips"])
        assert err == [f"npreslstm: error: {DIED}"]

    def test_names_that_are_not_text(self, run, weights, tmp_path):
        path = os.fsencode(tmp_path) + b"/caf\xe9.wav"
        try:
            write_wav(os.fsdecode(path), voice(0.2))
        except OSError:
            pytest.skip("this file system takes no such names")
        for kind in ("table", "csv", "json"):
            assert run("predict", tmp_path, "--weights", weights, "--format", kind)[0] == 0
        assert run("predict", tmp_path, "--weights", weights, "--output", tmp_path / "r.csv")[0] == 0
        assert path in (tmp_path / "r.csv").read_bytes()

    def test_progress_on_a_terminal(self, weights, clips, monkeypatch):
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        with contextlib.redirect_stdout(io.StringIO()):
            assert cli.main(["predict", str(clips), "--weights", weights]) == 0
        shown = stream.getvalue()
        assert (
            "0/3 files" in shown
            and "a.wav" in shown
            and "3/3 files" in shown
            and shown.endswith(terminal.CLEAR_LINE)
        )

    def test_silence_is_warned_of(self, run, weights, clips):
        path = write_wav(clips / "still.wav", np.zeros(16000))
        status, out, err = run("predict", path, "--weights", weights)
        assert status == 0 and err == [f"npreslstm: warning: {path} is silent: the label means little"]

    def test_resampling_is_said_once(self, run, weights, clips):
        for name in ("x.wav", "y.wav"):
            write_wav(clips / name, voice(0.5, 8000), 8000)
        status, _, err = run("predict", clips, "--weights", weights)
        assert status == 0 and len(err) == 1 and "audio at 8000 Hz is resampled to 16000 Hz" in err[0]
