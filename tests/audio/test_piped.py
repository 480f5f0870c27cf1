"""Sound from a pipe: WAV of every kind of sample, raw samples, and what is neither."""

import io
import struct
import wave

import numpy as np
import pytest
from samples import voice

from npreslstm.audio.activity import as_pcm
from npreslstm.audio.piped import PipedSound
from npreslstm.errors import InputError

PCM = np.rint(30000 * voice(0.35)).astype("<i2")


def wav(fmt, content, size=None, extra=b""):
    """A WAV with these 16 bytes or more of format."""
    size = len(content) if size is None else size
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + extra + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks + content


def fmt(kind, bits, channels=1, rate=16000):
    frame = bits // 8 * channels
    return struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits)


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content):
        self._content, self._at = content, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self._content[self._at : self._at + min(len(buffer), 97)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def heard(content, **options):
    sound = PipedSound(io.BufferedReader(Trickle(content)), **options)
    return sound, np.concatenate(list(sound.blocks()))


def test_samples_without_a_header():
    sound, samples = heard(PCM.tobytes(), rate=44100)
    assert sound.rate == 44100
    np.testing.assert_array_equal(samples, PCM)
    _, stereo = heard(np.stack([PCM, -PCM], axis=1).tobytes(), channels=2)
    np.testing.assert_array_equal(stereo, np.stack([PCM, -PCM], axis=1))


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 0x7FFFF000])
def test_wav_that_knows_its_length_or_not(size):
    note = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    sound, samples = heard(wav(fmt(1, 16, rate=48000), PCM.tobytes(), size, note), rate=16000)
    assert (sound.rate, sound.channels) == (48000, 1)
    np.testing.assert_array_equal(samples, PCM)


def test_what_follows_the_samples_is_not_heard():
    _, samples = heard(wav(fmt(1, 16), PCM.tobytes()) + b"LIST" + struct.pack("<I", 4) + b"abcd")
    np.testing.assert_array_equal(samples, PCM)


def test_wav_of_the_standard_library():
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44100)
        out.writeframes(np.stack([PCM, PCM], axis=1).tobytes())
    sound, samples = heard(file.getvalue())
    assert sound.rate == 44100 and samples.shape == (len(PCM), 2)


def kinds():
    """Format, bytes: the samples of PCM, whose last bits are zeros where 8 bits must hold them."""
    coarse = (PCM // 256 * 256).astype("<i2")
    wide = PCM.astype("<i4") * 65536
    extensible = fmt(0xFFFE, 16) + struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14)
    yield "8 bits", fmt(1, 8), (coarse // 256 + 128).astype(np.uint8).tobytes(), coarse
    yield "24 bits", fmt(1, 24), wide.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes(), PCM
    yield "32 bits", fmt(1, 32), wide.tobytes(), PCM
    yield "floats", fmt(3, 32), (PCM / 32768).astype("<f4").tobytes(), PCM
    yield "doubles", fmt(3, 64), (PCM / 32768).tobytes(), PCM
    yield "extensible", extensible, PCM.tobytes(), PCM


@pytest.mark.parametrize(("form", "content", "expected"), [kind[1:] for kind in kinds()])
def test_kinds_of_samples(form, content, expected):
    _, samples = heard(wav(form, content))
    np.testing.assert_array_equal(as_pcm(samples), expected)


def test_half_a_sample_is_named(capsys):
    _, samples = heard(PCM.tobytes()[:-1])
    np.testing.assert_array_equal(samples, PCM[:-1])
    assert "the last sample is incomplete: 1 of 2 bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "nothing came"),
        (b"To be or not to be\n", "text"),
        (b"fLaC" + bytes(99), "a sound file that is no WAV"),
        (b"OggS" + bytes(99), "a sound file that is no WAV"),
        (b"\0\0\0\x20ftypM4A " + bytes(99), "a sound file that is no WAV"),
        (wav(fmt(2, 4), bytes(99)), "a WAV of kind 2, 4 bits"),
        (wav(fmt(1, 16, channels=0), bytes(99)), "0 channels"),
        (wav(fmt(1, 16, rate=3), bytes(99)), "sample rate 3"),
        (wav(b"", bytes(99)), "the WAV's format is cut short"),
        (wav(fmt(1, 16), bytes(99))[:30], "ends within its header"),
        (b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd", "does not say what its samples are"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff" + bytes(99), "a chunk of 4,294,967,295 bytes"),
    ],
)
def test_what_is_no_sound_is_not_heard_as_noise(content, words):
    with pytest.raises(InputError, match=words):
        heard(content)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("big-endian", PCM.astype(">i2").tobytes()),
        (
            "of 24 bits",
            (65536 * voice(0.35) * 100).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(),
        ),
        ("of 32 bits", np.rint(2.0**31 * voice(0.35)).astype("<i4").tobytes()),
        ("like floats", voice(0.35).astype("<f4").tobytes()),
    ],
)
def test_samples_of_another_kind_are_doubted_once(capsys, kind, content):
    heard(content)
    [warning] = capsys.readouterr().err.splitlines()
    assert f"the samples look {kind}, and are heard as 16 bits, little-endian; convert them" in warning


def test_what_is_16_bits_is_not_doubted(capsys):
    rng = np.random.default_rng(0)
    noise = np.rint(8000 * rng.standard_normal(20000)).astype("<i2")
    quiet = rng.integers(-2, 3, 20000).astype("<i2")
    for samples in (PCM, noise, quiet, np.zeros(20000, "<i2"), np.full(20000, -32640, "<i2")):
        heard(samples.tobytes())
    assert capsys.readouterr().err == ""
