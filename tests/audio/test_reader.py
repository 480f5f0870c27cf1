"""read_audio: formats, both readers, bad files; find_audio."""

import os
import struct
import sys
import wave

import numpy as np
import pytest

from npreslstm.audio.reader import find_audio, open_audio, read_audio, read_blocks
from npreslstm.errors import InputError

RATE = 22050
SIGNAL = np.random.default_rng(0).integers(-(2**31), 2**31, (500, 2)) / 2.0**31  # full scale, all 32 bits


def write_wave(path, signal, width, rate=RATE):
    """PCM WAV by the standard library."""
    signal = np.atleast_2d(signal.T).T
    if width == 1:
        data = np.floor(signal * 128 + 128).astype(np.uint8).tobytes()
    else:
        wide = np.floor(signal * 2.0**31).astype(np.int32).view(np.uint8).reshape(*signal.shape, 4)
        highest = (
            slice(4 - width, 4) if sys.byteorder == "little" else slice(width)
        )  # `wave` takes native order
        data = wide[..., highest].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(signal.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


@pytest.fixture(params=["soundfile", "standard library"])
def reader(request, monkeypatch):
    if request.param == "soundfile":
        pytest.importorskip("soundfile")
    else:
        monkeypatch.setitem(sys.modules, "soundfile", None)  # importing it raises ImportError
    return request.param


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_pcm_wave(tmp_path, reader, width, channels):
    signal, rate = read_audio(write_wave(tmp_path / "a.wav", SIGNAL[:, :channels], width))
    step = 2.0 ** (1 - 8 * width)
    expected = (np.floor(SIGNAL[:, :channels] / step) * step).astype(np.float32)
    assert rate == RATE and signal.dtype == np.float32
    np.testing.assert_array_equal(signal, expected if channels == 2 else expected[:, 0])


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_pcm_wave_on_a_big_endian_machine(tmp_path, monkeypatch, width):
    """There `wave` swaps the bytes of the file, as it does here once it believes so."""
    path = write_wave(tmp_path / "a.wav", SIGNAL, width)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    expected, _ = read_audio(path)
    monkeypatch.setattr(sys, "byteorder", "big")
    np.testing.assert_array_equal(read_audio(path)[0], expected)


def test_eight_channels(tmp_path, reader):
    signal, _ = read_audio(write_wave(tmp_path / "a.wav", np.tile(SIGNAL, 4), 2))
    assert signal.shape == (500, 8)


@pytest.mark.parametrize(
    "kind, subtype",
    [("flac", "PCM_16"), ("flac", "PCM_24"), ("ogg", "VORBIS"), ("wav", "FLOAT"), ("wav", "DOUBLE")],
)
def test_formats_of_soundfile(tmp_path, kind, subtype):
    soundfile = pytest.importorskip("soundfile")
    tone = 0.5 * np.sin(np.arange(4000) / 20)
    soundfile.write(tmp_path / f"a.{kind}", tone, RATE, subtype)
    signal, rate = read_audio(tmp_path / f"a.{kind}")
    assert rate == RATE and signal.shape == (4000,)
    assert np.abs(signal - tone).max() < (0.05 if kind == "ogg" else 2e-5)


@pytest.mark.parametrize("size", [1, 7, 499, 500, 1000])
def test_blocks_make_the_whole(tmp_path, reader, size):
    path = write_wave(tmp_path / "a.wav", SIGNAL, 3)
    with open_audio(path) as file:
        blocks = list(read_blocks(file, size))
    assert all(len(block) == size for block in blocks[:-1])
    np.testing.assert_array_equal(np.concatenate(blocks), read_audio(path)[0])


def test_no_such_file(tmp_path, reader):
    with pytest.raises(FileNotFoundError, match="none.wav: no such file"):
        read_audio(tmp_path / "none.wav")


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "an empty file"),
        (b"this is no sound at all", "not a sound file|only PCM WAV"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "not a sound file|only PCM WAV"),
        (b"fLaC" + bytes(100), "not a sound file|only PCM WAV|broken sound file"),
        (b"RIFF\x40\x00\x00\x00WAVEfmt \xff\xff\xff\x7f" + bytes(40), "not a sound file|only PCM WAV"),
    ],
)
def test_not_audio(tmp_path, reader, content, words):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        read_audio(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_raw_samples_are_not_audio(tmp_path, reader):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(100))
    with pytest.raises(InputError, match="not a sound file|only PCM WAV"):
        read_audio(path)


def test_no_samples(tmp_path, reader):
    with pytest.raises(InputError, match="no samples"):
        read_audio(write_wave(tmp_path / "a.wav", np.zeros((0, 1)), 2))


def test_folder_is_no_file(tmp_path, reader):
    with pytest.raises(InputError, match="a folder without sound files"):
        read_audio(tmp_path)
    write_wave(tmp_path / "a.wav", SIGNAL, 2)
    with pytest.raises(InputError, match="not a file, but several"):
        read_audio(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything"
)
def test_no_permission(tmp_path, reader):
    path = write_wave(tmp_path / "a.wav", SIGNAL, 2)
    path.chmod(0)
    with pytest.raises(InputError, match="no permission"):
        read_audio(path)


@pytest.mark.parametrize("rate", [0, 1_000_001])
def test_impossible_rates(tmp_path, reader, rate):
    path = write_wave(tmp_path / "a.wav", SIGNAL[:, 0], 2)
    content = bytearray(path.read_bytes())
    struct.pack_into("<II", content, 24, rate, 2 * rate)
    path.write_bytes(content)
    with pytest.raises(InputError, match="sample rate|not a sound file"):
        read_audio(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(tmp_path, bad):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", np.array([0.0, bad, 0.5]), RATE, "FLOAT")
    with pytest.raises(InputError, match="NaN or infinite"):
        read_audio(tmp_path / "a.wav")


def test_cut_flac(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "a.flac"
    soundfile.write(path, SIGNAL[:, 0].repeat(40), RATE, "PCM_16")
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match="broken sound file|cut short"):
        read_audio(path)


def test_folders_behind_links_count_once(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.wav").touch()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "loop").symlink_to(tmp_path / "here")
    assert find_audio([tmp_path / "here"]) == [str(tmp_path / "here" / "linked" / "a.wav")]


def test_float_wave_needs_soundfile(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", np.zeros(10), RATE, "FLOAT")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(InputError, match="pip install soundfile"):
        read_audio(tmp_path / "a.wav")


def test_find_audio(tmp_path):
    for name in ("b.wav", "a.FLAC", "sub/c.ogg", "notes.txt", "x.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    inside = [str(tmp_path / name) for name in ("a.FLAC", "b.wav", "sub/c.ogg")]
    assert find_audio([tmp_path]) == inside
    assert find_audio([tmp_path / "x.dat", tmp_path, tmp_path / "b.wav"]) == [
        str(tmp_path / "x.dat"),
        *inside,
    ]
    assert find_audio([str(tmp_path / "*.wav")]) == [str(tmp_path / "b.wav")]
    with pytest.raises(FileNotFoundError, match="none.wav: no such file"):
        find_audio([tmp_path / "none.wav"])
    with pytest.raises(InputError, match="no file matches"):
        find_audio([str(tmp_path / "*.mp3")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="a folder without sound files"):
        find_audio([tmp_path / "empty"])


def test_find_audio_by_one_list_of_endings(tmp_path):
    taken = [
        "a.aifc",
        "a.bwf",
        "a.wave",
        "a.snd",
        "a.SPH",
        "a.nist",
        "a.rf64",
        "a.mp2",
        "a.voc",
        "a.ircam",
        "a.iff",
        "a.paf",
        "a.sf",
        "a.htk",
    ]
    taken += ["a.m4a", "a.mp4", "a.3gp", "a.amr", "a.webm", "a.wma", "a.mov"]
    taken += ["a.3ga", "a.qcp", "a.dss", "a.ds2", "a.gsm", "a.vox", "a.bw64", "a.m4p", "a.dsf", "a.mxf"]
    passed = [
        "README.txt",
        "cover.jpg",
        "._a.wav",
        ".DS_Store",
        ".a.wav",
        "__MACOSX/a.wav",
        ".ipynb_checkpoints/a.wav",
        "x/.git/a.wav",
    ]
    for name in [*taken, *passed]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_audio([tmp_path]) == sorted(str(tmp_path / name) for name in taken)
    with pytest.raises(InputError, match="no file matches"):
        find_audio([str(tmp_path / "**" / "*.wav")])
    assert find_audio([tmp_path / "._a.wav", str(tmp_path / "__MACOSX" / "*")]) == [
        str(tmp_path / "._a.wav"),
        str(tmp_path / "__MACOSX" / "a.wav"),
    ]
