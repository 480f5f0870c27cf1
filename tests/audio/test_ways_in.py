"""Sound that is cut, joined or put in another wrapping gives the same by every way in: a path, an open
file, a pipe, in blocks, and PCM WAV without soundfile: the whole, an error, or a part with a warning.
"""

import functools
import io
import os
import sys
import threading
import warnings

import numpy as np
import pytest
from encoded_sounds import encode, formats

from npreslstm.audio.reader import LengthWarning, open_audio, read_audio, read_blocks
from npreslstm.errors import InputError

pytest.importorskip("soundfile")

ID3 = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
ID3_V1 = b"TAG" + bytes(125)
BLOCK = 1000  # samples


def outcome(read, source):
    """(samples, or the message of an error without the name of the file; whether there was a warning).

    Blocks are looked at one by one, so the first of two oddities may be another than that of the whole.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            signal = read(source)
        except InputError as error:
            text = str(error).partition(": ")[2].partition("; write it anew")[0].partition("ffmpeg -i")[0]
            return "odd samples" if "expected finite" in text or "expected floats" in text else text, False
    return signal, any(warning.category is LengthWarning for warning in caught)


def whole(source):
    return read_audio(source)[0]


def in_blocks(source):
    with open_audio(source) as file:
        return np.concatenate(list(read_blocks(file, BLOCK)))


def by_path(content, path):
    path.write_bytes(content)
    return outcome(whole, path)


def by_blocks(content, path):
    path.write_bytes(content)
    return outcome(in_blocks, path)


def by_open_file(content, path):
    """From where it is, which is not its beginning."""
    path.write_bytes(b"before" + content)
    with open(path, "rb") as file:
        file.seek(6)
        return outcome(whole, file)


def by_pipe(content, path):
    reading, writing = os.pipe()

    def write():
        with open(writing, "wb") as file:
            file.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return outcome(whole, f"/dev/fd/{reading}")
    finally:
        writer.join()
        os.close(reading)


WAYS = [by_path, by_blocks, by_open_file]
if os.path.exists("/dev/fd"):
    WAYS.append(by_pipe)


def damaged(content):
    """{what was done: bytes}."""
    rng = np.random.default_rng(len(content))
    first, second = sorted(map(int, rng.integers(1, len(content), 2)))
    return {
        "nothing": content,
        "cut early": content[:first],
        "cut late": content[: (second + len(content)) // 2],
        "one byte is missing": content[:-1],
        "joined": content + content,
        "cut and joined": content[:second] + content,
        "joined and cut": content + content[:second],
        "a piece is missing": content[:first] + content[second:],
        "in tags": ID3 + content + ID3_V1,
        "joined in tags, cut": ID3 + content + ID3_V1 + content[:second],
        "zeros after it": content + bytes(512),
        "text after it": content + b"To be or not to be. " * 40,
    }


@functools.cache
def of_bytes(kind, subtype):
    """{what was done: (its bytes, outcome)}, read from memory."""
    return {
        what: (content, outcome(whole, io.BytesIO(content)))
        for what, content in damaged(encode(kind, subtype)).items()
    }


def assert_same(got, expected, what):
    assert got[1] == expected[1], what
    assert type(got[0]) is type(expected[0]), (what, got, expected)
    if isinstance(got[0], str):
        assert got[0] == expected[0], what
    else:
        np.testing.assert_array_equal(got[0], expected[0], what)


@pytest.mark.parametrize("kind, subtype", formats())
def test_nothing_is_lost_in_silence(kind, subtype):
    """Without an error or a warning, the samples are all there, and are those of the whole."""
    found = of_bytes(kind, subtype)
    _, (signal, _) = found["nothing"]
    for what, (_, (got, warned)) in found.items():
        # a piece of samples that have no structure can be missing only where the length says so
        if isinstance(got, str) or warned:
            continue
        expected = np.concatenate([signal] * (len(got) // len(signal) or 1))
        np.testing.assert_array_equal(got, expected, what)


@pytest.mark.oracle
@pytest.mark.parametrize("kind, subtype", formats())
def test_nothing_is_lost_by_ffmpeg_either(kind, subtype):
    """It is asked for what libsndfile refuses."""
    pytest.importorskip("av")
    test_nothing_is_lost_in_silence(kind, subtype)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind, subtype", formats())
def test_the_same_by_every_way_in(kind, subtype, way, tmp_path):
    for what, (content, expected) in of_bytes(kind, subtype).items():
        assert_same(way(content, tmp_path / "sound"), expected, what)


@pytest.mark.parametrize("way", [*WAYS, None])
@pytest.mark.parametrize("kind, subtype", [pair for pair in formats() if pair[0] in ("WAV", "WAVEX")])
def test_the_same_without_soundfile(kind, subtype, way, tmp_path, monkeypatch):
    """But for what the standard library does not read, which is refused."""
    found = of_bytes(kind, subtype)
    monkeypatch.setitem(sys.modules, "soundfile", None)  # importing it raises ImportError
    for what, (content, expected) in found.items():
        got = way(content, tmp_path / "sound") if way else outcome(whole, io.BytesIO(content))
        if kind == "WAV" and subtype.startswith("PCM") and what != "text after it":
            assert_same(got, expected, what)
        elif not isinstance(got[0], str):
            assert_same(got, expected, what)
