"""Any number of files: rows as they are done, OUT.partial, --resume, lists of files, workers that are
lost."""

import contextlib
import io
import json
import os
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from samples import voice, write_wav, write_weights

from npreslstm import cli
from npreslstm.commands import many, predict
from npreslstm.commands.many import chunks, names_in_list
from npreslstm.errors import InputError
from npreslstm.partial import open_partial
from npreslstm.terminal import Progress

COUNT = 20  # clips, in three chunks of 8, 8 and 4
KINDS = ("predict csv", "predict json", "predict jsonl")
KINDS += ("features csv", "features json", "features jsonl", "features npz")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_weights(tmp_path_factory.mktemp("weights") / "w.npz"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Clips, of which one is no sound."""
    folder = tmp_path_factory.mktemp("made")
    for k in range(COUNT):
        write_wav(folder / f"{k:02}.wav", voice(0.1 + 0.01 * k, seed=k))
    (folder / "11.wav").write_bytes(b"no sound")
    return folder


@pytest.fixture
def clips(made, tmp_path, monkeypatch):
    """The clips in a folder of the test's own, which it works in."""
    shutil.copytree(made, tmp_path / "clips")
    monkeypatch.chdir(tmp_path)
    return Path("clips")


@pytest.fixture
def run(capsys, weights):
    """A function that runs a kind of command on some paths; returns (status, standard error)."""

    def run(kind, output, *arguments, paths=("clips",)):
        name, ending = kind.split()
        options = ["--weights", weights] if name == "predict" else ["--features", "mcu"]
        output = f"{output}.{ending}" if output != "-" else "-"
        status = cli.main([name, *map(str, paths), *options, "--output", output, *arguments])
        return status, capsys.readouterr().err

    return run


@pytest.fixture
def interrupted(monkeypatch):
    """Let the command be interrupted before its n-th chunk."""

    def interrupted(count):
        real, calls = many._outcomes, []

        def outcomes(*arguments):
            for outcome in real(*arguments):
                if len(calls) == count:
                    raise KeyboardInterrupt
                calls.append(1)
                yield outcome

        with monkeypatch.context() as patch:
            patch.setattr(many, "_outcomes", outcomes)
            yield

    return contextlib.contextmanager(interrupted)


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_with_the_same_bytes(run, clips, interrupted, kind):
    assert run(kind, "whole")[0] == 1
    ending = kind.split()[1]
    whole = Path(f"whole.{ending}").read_bytes()
    for count in (1, 1):
        with interrupted(count):
            status, err = run(kind, "out", "--resume")
        assert status == 130 and not os.path.exists(f"out.{ending}")
    assert err.splitlines()[-2:] == [
        f"npreslstm: 16 of 20 files are in out.{ending}.partial; the same command with --resume goes on",
        "npreslstm: interrupted",
    ]
    assert (
        run(kind, "out", "--resume", "--jobs", "2")[0] == 1
    )  # the file that is no sound was in the second part
    assert Path(f"out.{ending}").read_bytes() == whole
    assert not os.path.exists(f"out.{ending}.partial")


@pytest.mark.parametrize("kind", ["predict csv", "features npz"])
def test_a_partial_file_that_is_cut_anywhere(run, clips, interrupted, kind):
    run(kind, "whole")
    ending = kind.split()[1]
    whole = Path(f"whole.{ending}").read_bytes()
    with interrupted(2):
        run(kind, "out")
    partial = Path(f"out.{ending}.partial")
    content = partial.read_bytes()
    rng = random.Random(0)
    flipped = bytearray(content)
    flipped[-10] ^= 1
    first_line = content.index(b"\n") + 1
    for damaged in [
        bytes(flipped),
        content + b"# 8 files, 0 failed, 99",
        content[:first_line],
        content[: first_line - 1],
        b"",
        *(content[: rng.randrange(first_line, len(content))] for _ in range(4)),
    ]:
        partial.write_bytes(damaged)
        assert run(kind, "out", "--resume")[0] == 1
        assert Path(f"out.{ending}").read_bytes() == whole
        os.unlink(f"out.{ending}")


def test_rows_lie_in_the_partial_file(run, clips, interrupted):
    run("predict csv", "whole")
    with interrupted(2):
        run("predict csv", "out")
    lines = Path("out.csv.partial").read_text().splitlines()
    about = json.loads(lines[0].removeprefix("# npreslstm "))
    assert (about["command"], about["arguments"], about["files"]) == ("predict", ["clips"], COUNT)
    rows = [line for line in lines if not line.startswith("#")]
    assert rows == Path("whole.csv").read_text().splitlines()[: len(rows)] and len(rows) == 17


def test_what_does_not_go_on(run, clips, interrupted, weights, tmp_path):
    with interrupted(2):
        run("predict csv", "out")
    content = Path("out.csv.partial").read_bytes()
    other = write_weights(tmp_path / "other.npz", seed=1)
    unfinished = "out.csv.partial holds 16 of 20 files of an unfinished run"
    another = f"{unfinished} that is another one: its "
    for arguments, words in [
        ([], f"{unfinished}: go on with --resume, or delete it to begin anew"),
        (
            ["--resume", "--window", "2"],
            f"{another}window is None, not 2.0; repeat that command, or delete the file",
        ),
        (["--resume", "--speeds", "1,0.9"], f"{another}speeds is [1.0], not [1.0, 0.9]"),
        (["--resume", "--format", "jsonl"], f"{another}format is csv, not jsonl"),
        (["--resume", "--weights", str(other)], f"{another}weights is "),
    ]:
        status, err = run("predict csv", "out", *arguments)
        assert status == 2 and words in err and err.count("\n") == 1
    assert run("features csv", "out", "--resume")[0] == 2
    err = run("predict csv", "out", "--resume", paths=("clips", "gone.wav"))[1]
    assert f"{another}files is 20, not 21 (and inputs)" in err
    os.rename("clips/19.wav", "clips/2.wav")  # another order
    assert f"{another}inputs is " in run("predict csv", "out", "--resume")[1]
    os.rename("clips/2.wav", "clips/19.wav")
    write_wav("clips/03.wav", voice(0.5))
    status, err = run("predict csv", "out", "--resume")
    assert status == 2 and err == (
        "npreslstm: error: clips/00.wav or one of the 7 files after it has changed since out.csv.partial was"
        " begun; delete that to begin anew\n"
    )
    assert Path("out.csv.partial").read_bytes() == content
    Path("out.csv.partial").write_text("file,start,end\n")
    assert "out.csv.partial is no unfinished result of npreslstm" in run("predict csv", "out", "--resume")[1]
    assert Path("out.csv.partial").read_text() == "file,start,end\n"


def test_a_file_that_is_not_done_yet_may_change(run, clips, interrupted):
    with interrupted(1):
        run("predict csv", "out")
    write_wav("clips/19.wav", voice(0.7))
    run("predict csv", "whole")
    assert run("predict csv", "out", "--resume")[0] == 1
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_resume_without_what_it_needs(run, clips):
    status, err = run("predict csv", "-", "--resume", "--format", "csv")
    assert status == 2 and "--resume needs --output FILE" in err
    status, err = run("predict csv", "out", "--resume", "--format", "table")
    assert status == 2 and "--resume needs --format csv, json or jsonl" in err
    assert run("predict csv", "out", "--resume")[0] == 1  # nothing to go on from: from the beginning
    assert os.path.exists("out.csv")


def test_nothing_is_left_where_nothing_is_done(run, clips, interrupted):
    with interrupted(0):
        assert run("predict csv", "out") == (130, "npreslstm: interrupted\n")
    assert run("predict csv", "out", paths=("gone.wav", "lost.wav"))[0] == 2
    assert os.listdir() == ["clips"]


@pytest.mark.skipif(os.name == "nt", reason="locks of POSIX")
def test_two_processes_with_one_output(run, clips):
    with open_partial("out.csv", {}, False):
        status, err = run("predict csv", "out")
        assert status == 2 and "another process is working on out.csv.partial: wait for it" in err


def test_rows_leave_as_they_are_done(clips, weights, monkeypatch, capsys):
    """Those of unreadable files in front are held, since nothing is written where all are unreadable."""
    written = []
    real = predict.predict_files

    def watched(*arguments):
        written.append(sys.stdout.getvalue().count("\n"))
        return real(*arguments)

    monkeypatch.setattr(predict, "predict_files", watched)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    lost = [f"lost{k}.wav" for k in range(8)]
    assert cli.main(["predict", *lost, "clips", "--weights", weights, "--format", "csv"]) == 1
    assert written == [0, 0, 17, 25] and sys.stdout.getvalue().count("\n") == 29
    errors = capsys.readouterr().err.splitlines()
    assert [line.split()[2] for line in errors[:8]] == [f"{name}:" for name in lost] and len(errors) == 9


class TestLists:
    @pytest.mark.parametrize(
        "content",
        [
            "a b.wav\n\nd/ü.wav\n".encode(),
            "\ufeffa b.wav\r\nd/ü.wav".encode(),
            "a b.wav\r\nd/ü.wav\r\n".encode("utf-16"),
            "a b.wav\0d/ü.wav\0".encode(),
        ],
    )
    def test_names(self, tmp_path, content):
        (tmp_path / "list").write_bytes(content)
        assert names_in_list(str(tmp_path / "list")) == ["a b.wav", "d/ü.wav"]

    def test_the_same_rows_as_of_a_folder(self, run, clips):
        run("predict csv", "whole")
        names = sorted(map(str, clips.glob("*.wav")))
        Path("list.txt").write_text("\n".join([*names, names[3]]))  # each file once
        assert run("predict csv", "out", "--files", "list.txt", paths=())[0] == 1
        assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()

    def test_from_standard_input_after_paths(self, clips, weights, monkeypatch, capsys):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"clips/03.wav\nclips/*.wav\n")))
        command = ["predict", "clips/01.wav", "--files", "-", "--weights", weights, "--format", "csv"]
        assert cli.main(command) == 1  # a name in a list is no pattern
        rows = capsys.readouterr().out.splitlines()[1:]
        assert [row.split(",")[0] for row in rows] == ["clips/01.wav", "clips/03.wav", "clips/*.wav"]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_a_pipe_in_a_folder_is_not_waited_for(self, run, clips, tmp_path):
        folder = tmp_path / "with a pipe"
        folder.mkdir()
        shutil.copy(clips / "01.wav", folder)
        os.mkfifo(folder / "02.wav")
        assert run("predict csv", "out", paths=[str(folder)])[0] == 0
        rows = Path("out.csv").read_text().splitlines()[1:]
        assert len(rows) == 1 and "01.wav" in rows[0]

    def test_bad_lists(self, run, clips):
        Path("blank").write_text("\n \n")
        Path("odd").write_bytes(b"\xff\xfea")
        for name, words in [
            ("blank", "blank: no file is named in it"),
            ("odd", "odd is damaged: it is no UTF-16"),
            ("none", "none: No such file"),
            (str(clips / "01.wav"), "01.wav is a sound file, not a list of names; give it without --files"),
        ]:
            status, err = run("predict csv", "out", "--files", name, paths=())
            assert status == 2 and words in err and err.count("\n") == 1


def test_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(many, "BYTES_AT_ONCE", 1000)
    names = []
    for k, size in enumerate([400, 700, 2000, 1, 1, 1, 1, 1, 1, 1, 1, 1]):
        names.append(str(tmp_path / f"{k:02}"))
        Path(names[-1]).write_bytes(bytes(size))
    names.append("a\0b")
    assert [len(chunk.files) for chunk in chunks(names)] == [2, 1, 8, 2]
    before = [chunk.found for chunk in chunks(names)]
    os.utime(names[2], (0, 0))
    after = [chunk.found for chunk in chunks(names)]
    assert [a == b for a, b in zip(before, after)] == [True, False, True, True]


def test_the_archive_is_that_of_numpy(clips, run, tmp_path):
    """Written piece by piece, and of the same bytes."""
    assert run("features npz", "out")[0] == 1
    with np.load("out.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert list(arrays) == ["files", "lengths", "features", "columns", "config"]
    assert arrays["lengths"][11] == 0 and arrays["lengths"].sum() == len(arrays["features"])
    np.savez("again.npz", **arrays)
    assert Path("again.npz").read_bytes() == Path("out.npz").read_bytes()


@pytest.mark.oracle
def test_weights_that_differ_on_a_worker(weights, tmp_path):
    """A worker that finds other weights under the same name says so."""
    predict._recognizer.cache_clear()
    with pytest.raises(OSError, match="is not the same where the work is done"):
        predict._recognizer(False, weights, "0" * 64, (1.0,))


def test_progress_of_what_is_left():
    stream = io.StringIO()
    stream.isatty = lambda: True
    with Progress(1000, "files", stream, done=900) as progress:
        progress.started -= 600  # seconds
        progress.step(1)
    assert "901/1000 files, 16 h 30 min left" in stream.getvalue()


def test_no_paths(capsys):
    with pytest.raises(InputError, match="PATH, or --files LIST"):
        with many.found_files(type("", (), {"paths": [], "files": None, "jobs": 1})):
            pass
