"""m4a, 3gp, amr, aac, webm, as phones and browsers write them: read where PyAV is, and otherwise refused with
the remedy.
"""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from samples import write_weights

from npreslstm import cli
from npreslstm.audio.containers import Data, Part
from npreslstm.audio.decoders import View
from npreslstm.audio.reader import LengthWarning, open_audio, read_audio, read_blocks
from npreslstm.errors import InputError

SOUNDS = Path(__file__).parents[1] / "sounds"  # of the demo clip: 2.579 s
NAMES = ("a.3gp", "a.aac", "a.amr", "a.m4a", "a.webm")


@pytest.mark.parametrize("name", NAMES)
def test_without_a_decoder(monkeypatch, tmp_path, name):
    monkeypatch.setitem(sys.modules, "av", None)
    path = SOUNDS / name
    remedy = (
        "not a sound file that can be read without FFmpeg: pip install 'npreslstm\\[media\\]', or ffmpeg -i"
        f" {path} {path.with_suffix('.wav')}"
    )
    with pytest.raises(InputError, match=remedy):
        read_audio(path)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(InputError, match=remedy):
        read_audio(path)


def test_an_ending_that_only_a_decoder_knows(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "my clip.avi").write_bytes(b"RIFF\x00\x00\x00\x00AVI LIST")
    with pytest.raises(
        InputError, match=r"pip install 'npreslstm\[media\]', or ffmpeg -i '.*my clip.avi' '.*my clip.wav'"
    ):
        read_audio(tmp_path / "my clip.avi")


def test_in_a_folder(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    weights = write_weights(tmp_path / "w.npz")
    (tmp_path / "clips").mkdir()
    for name in ("a.3gp", "a.m4a", "._a.m4a", "cover.jpg"):
        (tmp_path / "clips" / name).write_bytes((SOUNDS / "a.3gp").read_bytes())
    demo = Path(cli.__file__).parent / "data" / "demo.wav"
    assert (
        cli.main(
            ["predict", "--weights", str(weights), "--format", "csv", str(demo), str(tmp_path / "clips")]
        )
        == 1
    )
    out, err = capsys.readouterr()
    assert out.count("\n") == 4
    assert [line.split(": ")[2].split("/")[-1] for line in err.splitlines() if "error" in line] == [
        "a.3gp",
        "a.m4a",
    ]


@pytest.mark.oracle
class TestWithPyAV:
    @pytest.fixture(autouse=True)
    def av(self):
        pytest.importorskip("av")

    @pytest.mark.filterwarnings("ignore::npreslstm.audio.reader.LengthWarning")
    @pytest.mark.parametrize("name", NAMES)
    def test_the_whole_sound(self, name):
        signal, rate = read_audio(SOUNDS / name)
        assert rate == (8000 if name in ("a.3gp", "a.amr") else 48000)
        assert abs(len(signal) / rate - 2.579) < 0.03 and np.abs(signal).max() > 0.1
        with open_audio(SOUNDS / name) as file:
            np.testing.assert_array_equal(np.concatenate(list(read_blocks(file, 1000))), signal)
            file.rewind()
            np.testing.assert_array_equal(file.read(500), signal[:500])

    @pytest.mark.parametrize("name", NAMES)
    def test_cut(self, name, tmp_path):
        content = (SOUNDS / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) * 3 // 5])
        with pytest.raises(InputError, match="cut short"):
            read_audio(tmp_path / name)

    @pytest.mark.parametrize("name", NAMES)
    def test_joined(self, name, tmp_path):
        content = (SOUNDS / name).read_bytes()
        (tmp_path / name).write_bytes(content * 2)
        if name in ("a.aac", "a.amr"):
            with pytest.warns(LengthWarning):
                once, twice = read_audio(SOUNDS / name)[0], read_audio(tmp_path / name)[0]
        else:
            once, twice = read_audio(SOUNDS / name)[0], read_audio(tmp_path / name)[0]
        assert len(twice) == 2 * len(once)

    def test_no_sound(self, tmp_path):
        for content in (
            b"To be or not to be",
            b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n",
            b"ffconcat version 1.0\nfile a.wav\n",
        ):
            (tmp_path / "a.mp4").write_bytes(content)
            with pytest.raises(InputError, match="not a sound file that can be read|broken sound file"):
                read_audio(tmp_path / "a.mp4")


@pytest.mark.oracle
def test_nothing_is_beyond_the_end_of_what_has_one(tmp_path):
    """A chunk that claims 6 exabytes sends FFmpeg there; zeros without end would keep it there."""
    pytest.importorskip("av")
    path = tmp_path / "a.caf"
    chunk = b"JKGD" + (6 << 60).to_bytes(8, "big")
    description = b"desc" + (32).to_bytes(8, "big") + np.float64(16000).astype(">f8").tobytes() + b"ulaw"
    description += bytes(4) + b"".join(n.to_bytes(4, "big") for n in (1, 1, 1, 8))
    path.write_bytes(b"caff\0\1\0\0" + description + chunk + bytes(1000))
    with pytest.raises(InputError):
        read_audio(path)


def test_a_view_ends_where_its_part_ends():
    data = Data(io.BytesIO(b"0123456789"), "a.bin")
    for endless, beyond in ((False, b""), (True, bytes(4))):
        view = View(data, Part(2, 6), endless)
        assert view.read() == b"2345"
        view.seek(6 << 60)
        assert view.read(4) == beyond
