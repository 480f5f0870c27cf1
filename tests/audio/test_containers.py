"""Sound that is cut, joined or put in another wrapping: the whole of it, an error, or a part with a warning;
never a part in silence.
"""

import io
import struct
import sys

import numpy as np
import pytest
from encoded_sounds import NO_LENGTH, SECONDS, UNKNOWN, encode, formats, patched, read, read_quietly
from samples import voice

from npreslstm.audio.containers import Data, find_parts
from npreslstm.audio.containers.ogg import checksum
from npreslstm.audio.reader import read_audio
from npreslstm.errors import InputError

soundfile = pytest.importorskip("soundfile")


@pytest.mark.parametrize("kind, subtype", formats())
class TestEveryFormat:
    def test_whole(self, kind, subtype):
        content = encode(kind, subtype)
        signal, warned = read(content)
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            np.testing.assert_array_equal(signal, file.read(file.frames, dtype="float32"))
        assert warned == (kind in NO_LENGTH)

    def test_cut(self, kind, subtype):
        content = encode(kind, subtype)
        whole, _ = read(content)
        rng = np.random.default_rng(0)
        for stop in {
            *rng.integers(1, len(content), 25),
            len(content) * 3 // 5,
            len(content) - 1,
            len(content) - 2,
            len(content) - 4,
        }:
            signal, warned = read(content[:stop])
            assert signal is None or warned or len(signal) == len(whole), f"cut at {stop} of {len(content)}"

    def test_joined(self, kind, subtype):
        content = encode(kind, subtype)
        whole, _ = read(content)
        signal, warned = read(content + content)
        assert signal is None or warned or len(signal) == 2 * len(whole)

    def test_something_after_it(self, kind, subtype):
        content = encode(kind, subtype)
        whole, _ = read(content)
        signal, warned = read(content + bytes(range(1, 256)) * 100)
        assert signal is None or warned
        if signal is not None and kind not in NO_LENGTH | {"HTK", "FLAC"}:
            np.testing.assert_array_equal(signal[: len(whole)], whole)

    def test_cut_and_joined(self, kind, subtype):
        content = encode(kind, subtype)
        whole, _ = read(content)
        for stop in np.random.default_rng(1).integers(len(content) // 2, len(content), 5):
            signal, warned = read(content[:stop] + content)
            assert signal is None or warned or len(signal) == 2 * len(whole), (
                f"cut at {stop} of {len(content)}"
            )


@pytest.mark.parametrize(
    "kind, subtype", [("WAV", "PCM_16"), ("WAVEX", "FLOAT"), ("AIFF", "PCM_24"), ("AU", "PCM_16"), ("CAF",
    "PCM_16"), ("FLAC", "PCM_16")]
    + [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("W64", "PCM_16"), ("RF64", "PCM_16"),
    ("NIST", "PCM_16"), ("SVX", "PCM_16")]
)  # fmt: skip
def test_joined_files_are_read_one_after_the_other(kind, subtype):
    first, second = encode(kind, subtype), encode(kind, subtype, voice(0.4, seed=1))
    expected = np.concatenate([read_quietly(first), read_quietly(second), read_quietly(first)])
    np.testing.assert_array_equal(read_quietly(first + second + first), expected)


def test_joined_files_of_different_formats_and_rates():
    wav, flac = encode("WAV", "PCM_16"), encode("FLAC", "PCM_16")
    np.testing.assert_array_equal(
        read_quietly(wav + flac), np.concatenate([read_quietly(wav), read_quietly(flac)])
    )
    buffer = io.BytesIO()
    soundfile.write(buffer, voice(0.2, 8000), 8000, format="WAV")
    with pytest.raises(InputError, match="2 files joined, of different .*8000, 1.*16000, 1"):
        read_audio(io.BytesIO(wav + buffer.getvalue()))


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_length_that_a_pipe_left_unknown(name):
    kind, subtype, patches = UNKNOWN[name]
    content = encode(kind, subtype)
    signal, warned = read(patched(content, patches))
    assert warned
    np.testing.assert_array_equal(signal, read_quietly(content))
    if subtype != "ULAW":  # the last sample is incomplete
        assert read(patched(content, patches)[:-1])[0] is None


@pytest.mark.parametrize("name", UNKNOWN)
def test_another_file_after_an_unknown_length(name):
    """Its header is no sound, whatever the size of a sample."""
    kind, subtype, patches = UNKNOWN[name]
    content, other = encode(kind, subtype), encode(kind, subtype, voice(0.4, seed=1))
    expected = np.concatenate([read_quietly(content), read_quietly(other)])
    signal, warned = read(patched(content, patches) + other)
    assert warned
    np.testing.assert_array_equal(signal, expected)


def flac_without_length(content):
    """Total samples 0, as an encoder that writes to a pipe leaves it: 36 bits of the header."""
    return content[:21] + bytes([content[21] & 0xF0]) + bytes(4) + content[26:]


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_flac_of_unknown_length(subtype):
    content = encode("FLAC", subtype)
    signal, warned = read(flac_without_length(content))
    assert warned
    np.testing.assert_array_equal(signal, read_quietly(content))
    assert read(flac_without_length(content)[:-1])[0] is None
    tagged, _ = read(flac_without_length(content) + b"TAG" + bytes(125))
    np.testing.assert_array_equal(tagged, signal)
    twice, warned = read(flac_without_length(content) + content)
    assert warned and len(twice) == 2 * len(signal)


def test_voc_without_an_end():
    """Blocks with their sizes, and no block that ends them."""
    content = encode("VOC", "PCM_16")
    assert content.endswith(b"\0")
    np.testing.assert_array_equal(read_quietly(content[:-1]), read_quietly(content))
    assert read(content[:-2])[0] is None


@pytest.mark.parametrize("end", [b"", b"\0"])
def test_voc_of_several_blocks(end, monkeypatch):
    """As FFmpeg writes it; libsndfile would hear the first block alone."""
    content = encode("VOC", "PCM_16")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"npreslstm\[media\].*ffmpeg -i IN OUT.wav"):
        read_audio(io.BytesIO(content[:-1] + content[26:-1] + end))


@pytest.mark.oracle
def test_voc_of_several_blocks_by_pyav():
    pytest.importorskip("av")
    content = encode("VOC", "PCM_16")
    once, twice = read_quietly(content), read_quietly(content[:-1] + content[26:])
    np.testing.assert_array_equal(twice, np.concatenate([once, once]))


@pytest.mark.parametrize("channels", [1, 2])
def test_voc_of_sox(channels):
    """Which counts 8 bytes too few, and so seems to have something after its sound."""
    content = encode("VOC", "PCM_16", np.stack([voice(SECONDS)] * channels, axis=1))
    size = int.from_bytes(content[27:30], "little")
    by_sox = content[:27] + (size - 8).to_bytes(3, "little") + content[30:]
    np.testing.assert_array_equal(read_quietly(by_sox), read_quietly(content))
    comment = b"\5\4\0\0what"  # a block, of which the sound is not to be made longer
    np.testing.assert_array_equal(read_quietly(content[:-1] + comment + b"\0"), read_quietly(content))
    np.testing.assert_array_equal(read_quietly(by_sox + by_sox), np.tile(read_quietly(content).T, 2).T)


def flac_of(content, samples):
    """A FLAC that says it has so many samples."""
    return content[:22] + samples.to_bytes(4, "big") + content[26:]


@pytest.mark.parametrize("rate", [16000, 8000])
def test_flac_that_has_more_than_it_says(rate):
    buffer = io.BytesIO()
    soundfile.write(buffer, voice(1.5, rate), rate, format="FLAC")
    content = buffer.getvalue()
    block = int.from_bytes(content[10:12], "big")
    whole = read_quietly(content)
    for samples in range(block, len(whole), block):
        signal, warned = read(flac_of(content, samples))
        assert warned
        np.testing.assert_array_equal(signal, whole[:samples])


def without_first_frame(mp3):
    """As an encoder leaves it that writes to a pipe: no frame with information. Of a kind that has 24-byte
    frames or longer.
    """
    return mp3[mp3.index(mp3[:2], 48) :]


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("rate", [16000, 44100, 11025])
def test_mp3_without_information(mode, rate):
    pytest.importorskip("soundfile", "0.13")
    buffer = io.BytesIO()
    soundfile.write(
        buffer, np.tile(voice(1.0, rate), 3), rate, format="MP3", bitrate_mode=mode, compression_level=0.5
    )
    content = buffer.getvalue()
    bare = without_first_frame(content)
    signal, warned = read(bare)
    samples = 1152 if rate == 44100 else 576
    assert warned and len(signal) % samples == 0
    # the encoder's delay and padding are heard as well
    assert 0 < len(signal) - len(read_quietly(content)) < 4 * samples
    twice, warned = read(bare + bare)
    assert warned and len(twice) == 2 * len(signal)
    assert read(bare[:-1])[0] is None
    tags = b"ID3\x04\0\0\0\0\0\x05" + bytes(5), b"TAG" + bytes(125)
    np.testing.assert_array_equal(read(tags[0] + bare + tags[1])[0], signal)


def pages(content):
    """Offsets of the pages of an Ogg file."""
    starts, place = [], 0
    while (place := content.find(b"OggS", place)) >= 0:
        starts.append(place)
        place += 4
    return starts


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
class TestOgg:
    @pytest.fixture
    def content(self, subtype):
        return encode("OGG", subtype, np.tile(voice(2.0), 4))

    def test_without_the_mark_at_its_end(self, content):
        start = pages(content)[-1]
        page = bytearray(content[start:])
        page[5] &= ~4
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", checksum(bytes(page)))
        signal, warned = read(content[:start] + bytes(page))
        assert warned
        np.testing.assert_array_equal(signal, read_quietly(content))

    def test_the_last_pages_are_missing(self, content):
        signal, warned = read(content[: pages(content)[-1]])
        assert signal is None or (warned and 0 < len(signal) < len(read_quietly(content)))

    def test_a_page_in_the_middle_is_missing(self, content):
        starts = pages(content)
        middle = len(starts) // 2
        with pytest.raises(InputError, match="Ogg pages are missing before byte"):
            read_audio(io.BytesIO(content[: starts[middle]] + content[starts[middle + 1] :]))

    def test_the_beginning_is_missing(self, content):
        with pytest.raises(InputError, match="its beginning is missing"):
            read_audio(io.BytesIO(content[pages(content)[2] :]))

    def test_a_damaged_page(self, content):
        damaged = bytearray(content)
        damaged[pages(content)[-1] - 10] ^= 1
        with pytest.raises(
            InputError, match="damaged: the Ogg page at byte .* write it anew: ffmpeg -i IN OUT.wav"
        ):
            read_audio(io.BytesIO(damaged))


def test_parts_of_a_file_that_is_of_no_known_kind():
    (part,) = find_parts(Data(io.BytesIO(b"not a sound"), "x"))
    assert not part.known and (part.start, part.stop) == (0, 11)


@pytest.mark.parametrize(
    "kind",
    ["WAV", "AIFF", "FLAC", "OGG", "MP3", "AU", "CAF", "W64", "RF64", "NIST", "VOC"],
)
def test_tags_at_either_end(kind):
    """As programs write them that take every file for an MP3."""
    content = encode(kind, {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(kind, "PCM_16"))
    whole = read_quietly(content)
    id3 = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
    ape = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 0)
    for tagged in (id3 + content, content + b"TAG" + bytes(125), content + ape, id3 + content + ape):
        np.testing.assert_array_equal(read_quietly(tagged), whole)
    np.testing.assert_array_equal(read_quietly(content + id3 + content), np.concatenate([whole, whole]))
