"""Sound from standard input, pipes and open files, results to standard output; what is no file among several
arguments.
"""

import io
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from samples import voice, write_wav, write_weights

from npreslstm import cli
from npreslstm.audio.config import FEATURE_CONFIGS
from npreslstm.audio.features import extract_file
from npreslstm.audio.folder import extract_folder
from npreslstm.audio.reader import find_audio, read_audio
from npreslstm.errors import InputError
from npreslstm.recognizer import Recognizer

MCU = FEATURE_CONFIGS["mcu"]
needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_weights(tmp_path_factory.mktemp("weights") / "w.npz"))


@pytest.fixture
def clip(tmp_path):
    return write_wav(tmp_path / "clip.wav", voice(0.5))


@pytest.fixture
def standard_input(monkeypatch, clip):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(clip.read_bytes())))


def rows(capsys, *argv):
    """Exit status, and the lines of CSV without the name of the file."""
    status = cli.main([str(argument) for argument in argv])
    return status, [line.partition(",")[2] for line in capsys.readouterr().out.splitlines()]


class TestCommands:
    def test_predict(self, capsys, weights, clip, standard_input):
        options = "--weights", weights, "--format", "csv"
        expected = rows(capsys, "predict", clip, *options)
        assert rows(capsys, "predict", "-", *options) == expected

    def test_predict_in_workers(self, capsys, weights, clip, standard_input):
        options = "--weights", weights, "--format", "csv", "--jobs", "2"
        others = [write_wav(clip.parent / f"{k}.wav", voice(0.3, seed=k)) for k in range(9)]
        status, lines = rows(capsys, "predict", "-", *others, clip, *options)
        assert status == 0 and len(lines) == 12 and lines[1] == lines[-1]

    def test_features(self, capsys, clip, standard_input, tmp_path):
        options = "--features", "mcu", "--cache", tmp_path / "cache"
        expected = rows(capsys, "features", clip, *options)
        assert expected[0] == 0 and len(expected[1]) > 5
        assert rows(capsys, "features", "-", "--output", "-", *options) == expected

    def test_output_to_standard_output(self, capsys, weights, clip, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert cli.main(["predict", str(clip), "--weights", weights]) == 0
        expected = capsys.readouterr().out
        assert cli.main(["predict", str(clip), "--weights", weights, "--output", "-"]) == 0
        assert capsys.readouterr().out == expected
        assert not os.path.exists("-")

    def test_something_that_is_no_sound(self, capsys, weights, monkeypatch):
        for content, words in (
            (b"", "-: an empty file (0 bytes)"),
            (b"To be or not to be", "-: not a sound file"),
        ):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
            assert cli.main(["predict", "-", "--weights", weights]) == 2
            out, err = capsys.readouterr()
            assert out == "" and words in err and err.count("\n") == 1

    @pytest.mark.skipif(
        shutil.which("bash") is None or not os.path.exists("/dev/fd"),
        reason="there is no bash, or no /dev/fd",
    )
    @pytest.mark.parametrize(
        "line", ["$P - < $C", "cat $C | $P -", "cat $C | $P /dev/stdin", "$P <(cat $C)", "$P /dev/stdin < $C"]
    )
    def test_from_a_shell(self, weights, clip, line):
        variables = {
            "P": f"{sys.executable} -m npreslstm predict --weights {weights} --format csv",
            "C": str(clip),
        }
        run = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, env={**os.environ, **variables}
        )
        assert run.returncode == 0 and run.stdout.count("\n") == 2 and ",0.000,0.500," in run.stdout, (
            run.stderr
        )

    @pytest.mark.parametrize("other", ["notes", "*.flac"])
    def test_what_leads_to_no_file_costs_its_own_row(self, capsys, weights, clip, other):
        (clip.parent / "notes").mkdir()
        other = str(clip.parent / other)
        for command in (
            ["predict", "--weights", weights, "--format", "csv"],
            ["features", "--features", "mcu"],
        ):
            assert cli.main([*command, str(clip), other]) == 1
            out, err = capsys.readouterr()
            assert out.splitlines()[1].startswith(f"{clip},0.000,") and out.splitlines()[-1].startswith(
                f"{other},,"
            )
            assert f"error: {other}: " in err and (
                "a folder without sound files" in err or "no file matches this pattern" in err
            )


@needs_fifos
class TestFifos:
    @pytest.fixture
    def fifo(self, tmp_path, clip):
        """A FIFO through which the clip comes, once."""
        path = tmp_path / "fifo"
        os.mkfifo(path)
        writer = threading.Thread(target=lambda: path.write_bytes(clip.read_bytes()))
        writer.start()
        yield path
        writer.join()

    def test_read_audio(self, fifo, clip):
        np.testing.assert_array_equal(read_audio(fifo)[0], read_audio(clip)[0])

    def test_features_in_workers(self, fifo, clip, capsys):
        assert cli.main(["features", "--jobs", "2", "--features", "mcu", str(fifo), str(clip)]) == 0
        lines = [line.partition(",")[2] for line in capsys.readouterr().out.splitlines()[1:]]
        assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


class TestOpenFiles:
    @pytest.mark.filterwarnings("ignore::npreslstm.audio.resampling.ResamplingWarning")
    def test_all_that_take_a_path(self, clip, weights):
        content, expected = clip.read_bytes(), read_audio(clip)[0]
        np.testing.assert_array_equal(read_audio(io.BytesIO(content))[0], expected)
        np.testing.assert_array_equal(extract_file(io.BytesIO(content), MCU), extract_file(clip, MCU))
        recognizer = Recognizer(weights)
        prediction = recognizer.process_file(io.BytesIO(content))
        assert (
            prediction.file == "<BytesIO>"
            and prediction.probabilities == recognizer.process_file(clip).probabilities
        )
        with open(clip, "rb") as file:
            assert recognizer.process_file(file).file == str(clip)

    def test_from_its_position_on(self, clip):
        file = io.BytesIO(b"something else" + clip.read_bytes())
        file.seek(14)
        np.testing.assert_array_equal(read_audio(file)[0], read_audio(clip)[0])

    def test_text(self, clip):
        with (
            open(clip, encoding="latin-1") as file,
            pytest.raises(InputError, match="opened as text; expected a binary file"),
        ):
            read_audio(file)

    def test_something_else(self):
        with pytest.raises(InputError, match="expected a path or a binary file, not int"):
            read_audio(3)


@pytest.mark.parametrize("paths", ["a.wav", b"a.wav"])
def test_a_single_path_for_several(weights, paths):
    for function in (Recognizer(weights).process_files, extract_folder, find_audio):
        with pytest.raises(InputError, match=r"expected a list of files: \[b?'a.wav'\]"):
            function(paths)


def test_what_is_no_list_of_files(weights, clip):
    with open(clip, "rb") as file:
        for paths in (file, io.BytesIO(), 5, None):
            for function in (Recognizer(weights).process_files, extract_folder, find_audio):
                with pytest.raises(InputError, match="expected a list of files"):
                    list(function(paths))
