"""Files that people had, by the command that they gave: what comes out, what is said, the exit status.

What was tried of each kind beyond these, in files that the tests make, stands in docs/reading.md.
"""

import csv
import io
import shutil
from pathlib import Path

import pytest
from samples import voice, write_wav

from npreslstm import cli

TESTS = Path(__file__).parents[1]
ENDLESS = "it does not say how long it is: read to the end of its data"
MEDIA = ("a.3gp", "a.aac", "a.amr", "a.m4a", "a.webm")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """A function that runs a command in a folder of its own; returns (status, rows, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = cli.main(list(arguments))
        out, err = capsys.readouterr()
        return status, list(csv.DictReader(io.StringIO(out))), err

    return run


def old_libsndfile():
    """Whether it is one before 1.2.2, which takes the wrong length of MP3 that does not say its own."""
    import soundfile

    return tuple(map(int, soundfile.__libsndfile_version__.split("."))) < (1, 2, 2)


def predict(run, *paths):
    return run("predict", "--weights", "mcu", "--format", "csv", *map(str, paths))


@pytest.mark.parametrize(
    "name, seconds, said",
    [
        ("joined.mp3", 5.157, ""),  # two sounds, one after the other
        ("vbr.mp3", 18.648, ENDLESS),  # no information frame, variable rate
        ("complete.mp3", 2.616, ENDLESS),  # no information frame, constant rate
        ("chained.ogg", 5.157, ""),  # two links
        ("chained.opus", 5.157, ""),
    ],
)
def test_the_whole_sound(run, name, seconds, said):
    pytest.importorskip("soundfile")
    status, rows, err = predict(run, TESTS / "sounds" / name)
    if said == ENDLESS and old_libsndfile():
        assert status == 2 and not rows and "the decoder makes another length of it" in err
        return
    assert status == 0 and float(rows[-1]["end"]) == seconds
    assert said in err and err.count("\n") == (1 if said else 0)


@pytest.mark.parametrize("ending", ["wav", "aiff", "au", "w64", "ogg"])
def test_cut_files_are_refused(run, ending):
    pytest.importorskip("soundfile")
    status, rows, err = predict(run, TESTS / "sounds" / f"cut.{ending}")
    assert status == 2 and not rows and f"cut.{ending}: cut short: " in err and err.count("\n") == 1


def test_cut_opus_is_refused_or_warned_of(run):
    pytest.importorskip("soundfile")
    status, rows, err = predict(run, TESTS / "sounds" / "cut.opus")
    assert (status == 2 and "cut short" in err) or ENDLESS in err


def test_a_folder_of_everything(run, tmp_path):
    """Each file is heard, or named with a remedy."""
    soundfile = pytest.importorskip("soundfile")
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in MEDIA:
        shutil.copy(TESTS / "sounds" / name, mixed)
    shutil.copy(mixed / "a.m4a", mixed / "a.mp4")
    write_wav(mixed / "ok.wav", voice(1.0))
    write_wav(mixed / "x.wave", voice(1.0))
    for ending, kind in (("aifc", "AIFF"), ("snd", "AU"), ("sph", "NIST"), ("rf64", "RF64")):
        soundfile.write(mixed / f"x.{ending}", voice(1.0), 16000, format=kind)
    (mixed / "README.txt").write_text("no sound")
    status, rows, err = predict(run, mixed)
    assert [Path(row["file"]).name for row in rows] == sorted(path.name for path in mixed.glob("?*.[!t]*"))
    heard = {Path(row["file"]).name for row in rows if row["predicted"]}
    assert heard >= {"ok.wav", "x.aifc", "x.rf64", "x.snd", "x.sph", "x.wave"}
    refused = [line for line in err.splitlines() if line.startswith("npreslstm: error: ")]
    assert len(refused) == len(rows) - len(heard) and status == (1 if refused else 0)
    assert all("npreslstm[media]" in line and "ffmpeg -i" in line for line in refused)


def test_networks_under_prefixes(run):
    found = sorted((TESTS / "goldens" / "prefixes").iterdir())
    assert len(found) == 7
    for path in found:
        assert run("convert", str(path), "out.npz")[0] == 0


def test_a_row_with_a_field_too_many(run, tmp_path):
    write_wav(tmp_path / "a.wav", voice(0.3))
    (tmp_path / "corpus.csv").write_text(
        "file,text,label,speaker\na.wav,no,angry,1\na.wav,oh, yes,angry,2\na.wav,no,sad,2\n"
    )
    status, _, err = run("train", "corpus.csv", "--config", "mcu", "--out", "r.npz")
    assert status == 2 and "corpus.csv: line 3 has 5 fields, expected 4" in err
    assert not (tmp_path / "r.npz").exists()
