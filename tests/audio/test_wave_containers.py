"""RIFF and Wave64: with and without soundfile, with chunks after the sound, with forgotten padding."""

import io
import struct
import sys
import warnings

import numpy as np
import pytest
from encoded_sounds import UNKNOWN, encode, patched, read, read_quietly
from samples import voice

from npreslstm.audio.reader import LengthWarning, read_audio
from npreslstm.errors import InputError

soundfile = pytest.importorskip("soundfile")


class TestWithoutSoundfile:
    """PCM WAV through the standard library: the same rule."""

    @pytest.fixture(autouse=True)
    def content(self, monkeypatch):
        self.wav = encode("WAV", "PCM_16")
        self.signal = read_quietly(self.wav)
        monkeypatch.setitem(sys.modules, "soundfile", None)  # importing it raises ImportError

    def test_the_same(self):
        np.testing.assert_array_equal(read_quietly(self.wav), self.signal)

    def test_cut(self):
        with pytest.raises(InputError, match="cut short: 4 of 22400 bytes of sound are missing"):
            read_audio(io.BytesIO(self.wav[:-4]))

    @pytest.mark.parametrize("name", [name for name in UNKNOWN if name.startswith("RIFF")])
    def test_unknown_length(self, name):
        signal, warned = read(patched(self.wav, UNKNOWN[name][2]))
        assert warned
        np.testing.assert_array_equal(signal, self.signal)

    def test_joined(self):
        np.testing.assert_array_equal(read_quietly(self.wav + self.wav), np.concatenate([self.signal] * 2))
        unknown = patched(self.wav, UNKNOWN["RIFF, ones"][2])
        twice, warned = read(unknown + unknown)
        assert warned
        np.testing.assert_array_equal(twice, np.concatenate([self.signal] * 2))

    def test_others_need_it(self):
        content = encode("FLAC", "PCM_16")
        with pytest.raises(
            InputError, match="without soundfile only PCM WAV can be read: pip install soundfile"
        ):
            read_audio(io.BytesIO(content))


class TestWav:
    """Chunks after the sound, forgotten padding, and what else there is."""

    wav = staticmethod(lambda: encode("WAV", "PCM_U8", voice(0.7001, 16000)))  # an odd number of bytes

    def chunk(self, name, content):
        return name + struct.pack("<I", len(content)) + content

    def test_chunks_after_the_sound(self):
        content = encode("WAV", "PCM_16")
        np.testing.assert_array_equal(
            read_quietly(content + self.chunk(b"LIST", b"INFO")), read_quietly(content)
        )

    def test_padding_that_was_forgotten(self):
        head = b"WAVE" + self.chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16000, 16000, 1, 8))
        for padding in (b"\0", b""):
            body = head + self.chunk(b"data", b"\x90" * 777) + padding + self.chunk(b"LIST", b"INFO")
            assert len(read_quietly(b"RIFF" + struct.pack("<I", len(body)) + body)) == 777

    def test_zeros_after_the_sound(self):
        content = encode("WAV", "PCM_16")
        np.testing.assert_array_equal(read_quietly(content + bytes(1000)), read_quietly(content))

    def test_several_chunks_of_sound(self):
        content = encode("WAV", "PCM_16")
        signal, warned = read(content + self.chunk(b"data", bytes(100)))
        assert signal is None or warned

    def test_samples_after_a_stale_length(self):
        """As a recorder leaves it that crashed after it had last written the length."""
        content = encode("WAV", "PCM_16")
        stale = patched(content, [(b"data", 4, struct.pack("<I", 8000))])
        signal, warned = read(stale)
        assert warned and len(signal) == 4000

    def test_an_empty_one_with_chunks_after_it(self):
        content = patched(encode("WAV", "PCM_16")[:44], [(b"data", 4, bytes(4))]) + self.chunk(
            b"LIST", b"INFO"
        )
        with pytest.raises(InputError, match="no samples"):
            read_audio(io.BytesIO(content))


class TestMpegInWav:
    """libsndfile does not write it; its length is that of the frames."""

    @pytest.fixture
    def mp3(self):
        pytest.importorskip("soundfile", "0.13")  # older ones read MP3 without its length otherwise
        content = encode("MP3", "MPEG_LAYER_III")
        return content[content.index(content[:2], 48) :]  # without the frame of information

    def wav(self, mp3, size=None):
        form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16000, 4000, 1152, 0, 12, 1, 2, 1152, 1, 1393)
        body = b"fmt " + struct.pack("<I", len(form)) + form + b"fact\4\0\0\0" + struct.pack("<I", 99999)
        body += b"data" + struct.pack("<I", len(mp3) if size is None else size) + mp3
        return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body

    def test_the_whole_sound(self, mp3):
        expected, _ = read(mp3)
        content = self.wav(mp3)
        assert len(expected) > 0.6 * 16000
        for further in (b"", b"LIST\4\0\0\0INFO"):
            np.testing.assert_array_equal(read_quietly(content + further), expected)
        twice = read_quietly(content + content)
        assert len(twice) == 2 * len(expected)

    def test_cut_and_of_unknown_length(self, mp3):
        content = self.wav(mp3)
        for stop in (len(content) - 1, len(content) // 2):
            with pytest.raises(InputError, match="cut short"):
                read_audio(io.BytesIO(content[:stop]))
        signal, warned = read(self.wav(mp3, 0xFFFFFFFF))
        assert warned
        np.testing.assert_array_equal(signal, read(mp3)[0])

    def test_what_is_no_mpeg(self, mp3):
        signal, warned = read(self.wav(mp3 + b"x" * 1000))
        assert warned
        np.testing.assert_array_equal(signal, read(mp3)[0])


def test_compressed_samples_of_unknown_length():
    """AC-3 in a WAV, of which the size of a block says nothing."""
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 0x2000, 1, 48000, 12000, 3840, 0)
    content = b"RIFF\xff\xff\xff\xffWAVE" + form + b"data\xff\xff\xff\xff" + b"\x0b\x77" * 3000
    with pytest.raises(InputError, match="its samples are compressed; write it anew: ffmpeg -i IN OUT.wav"):
        read_audio(io.BytesIO(content))


@pytest.mark.parametrize("kind, subtype, padding", [("WAV", "PCM_U8", 1), ("W64", "PCM_16", 0)])
def test_joined_where_the_padding_was_forgotten(kind, subtype, padding):
    """As SoX leaves it: Wave64 that does not fill its last eight bytes."""
    content = encode(kind, subtype, voice(0.7)[:11199])
    bare = content[: len(content) - padding]
    assert len(bare) % 2 or len(bare) % 8
    once = read_quietly(content)
    np.testing.assert_array_equal(read_quietly(bare + content), np.concatenate([once, once]))


@pytest.mark.parametrize("name", [b"data", b"list", b"junk"])
@pytest.mark.parametrize("samples", [1600, 1601, 1603])
def test_w64_with_chunks_after_its_sound(tmp_path, name, samples):
    """They are no sound, though libsndfile would read them as such."""
    signal = np.linspace(-0.5, 0.5, samples)
    soundfile.write(tmp_path / "a.w64", signal, 16000, subtype="PCM_16")
    content = (tmp_path / "a.w64").read_bytes()
    guid = content.index(b"data")
    further = name + content[guid + 4 : guid + 16] + struct.pack("<Q", 24 + 104) + bytes(range(104))
    padded = content + bytes(-len(content) % 8) + further
    got, warned = read(padded)
    assert warned == (name == b"data")
    np.testing.assert_array_equal(got, read_audio(tmp_path / "a.w64")[0])
    (tmp_path / "b.w64").write_bytes(padded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LengthWarning)
        np.testing.assert_array_equal(read_audio(tmp_path / "b.w64")[0], got)


def _aiff(rest):
    rate = bytes.fromhex("400cfa00000000000000")  # 16 kHz in 80 bits
    common = struct.pack(">IhIh", 18, 1, 0xFFFFFFFF, 16) + rate
    return (
        b"FORM"
        + struct.pack(">I", 46)
        + b"AIFFCOMM"
        + common
        + b"SSND"
        + struct.pack(">I", 0xFFFFFFFF)
        + rest
    )


def _caf(rest):
    description = struct.pack(">Qd4sIIIII", 32, 16000.0, b"lpcm", 0, 2, 1, 1, 16)
    return b"caff\0\1\0\0desc" + description + b"data" + bytes([255] * 8) + rest


def _au(mark, order, size):
    return mark + struct.pack(f"{order}IIIII", 5000, size, 3, 16000, 1) + bytes(40)  # sound from byte 5000 on


BEFORE_THE_SOUND = {
    "AIFF": _aiff(b""),
    "AIFF, four bytes": _aiff(bytes(4)),
    "CAF": _caf(b""),
    "CAF, two bytes": _caf(bytes(2)),
    "AU": _au(b".snd", ">", 100),
    "AU, unknown length": _au(b".snd", ">", 0xFFFFFFFF),
    "AU, other order": _au(b"dns.", "<", 100),
    "AU, other order, unknown length": _au(b"dns.", "<", 0xFFFFFFFF),
}


@pytest.mark.parametrize("name", BEFORE_THE_SOUND)
def test_a_file_that_ends_before_its_sound_begins(name):
    with pytest.raises(InputError, match="cut short: it ends before its sound begins"):
        read_audio(io.BytesIO(BEFORE_THE_SOUND[name]))
