"""Sound that is cut, joined or put in another wrapping: the whole of it, an error, or a part with a warning;
never a part in silence.
"""

import io
import struct
import sys
import warnings

import numpy as np
import pytest
from samples import voice

from npreslstm.audio.containers import Data, find_parts
from npreslstm.audio.containers.ogg import checksum
from npreslstm.audio.reader import LengthWarning, read_audio
from npreslstm.errors import InputError

soundfile = pytest.importorskip("soundfile")

SECONDS = 0.7
# which libsndfile does not write, or not into one file that it reads again
UNWRITABLE = "AIFF/DWVW MP3/MPEG_LAYER_I WAV/MPEG SD2/ RAW/"
# formats whose files do not say how long they are, or not as libsndfile writes them
NO_LENGTH = {"IRCAM", "PAF", "PVF", "XI"}


def encode(kind, subtype, signal=None):
    """A clip in a format, as bytes."""
    if subtype not in soundfile.available_subtypes(kind):
        pytest.skip(f"soundfile {soundfile.__version__} does not write {subtype}")
    for rate in (16000, 8000, 44100):
        buffer = io.BytesIO()
        try:
            soundfile.write(
                buffer, voice(SECONDS, rate) if signal is None else signal, rate, subtype, format=kind
            )
        except (RuntimeError, ValueError):  # soundfile's errors are RuntimeErrors
            continue
        return buffer.getvalue()
    raise AssertionError(f"{kind} {subtype} cannot be written")


def formats():
    names = [
        (kind, subtype)
        for kind in soundfile.available_formats()
        for subtype in soundfile.available_subtypes(kind)
    ]
    return [pair for pair in names if not "/".join(pair).startswith(tuple(UNWRITABLE.split()))]


def read(content):
    """The samples, or None for a file that is refused, and whether there was a warning about its length."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            signal = read_audio(io.BytesIO(content))[0]
        except InputError as error:
            assert "\n" not in str(error) and str(error).startswith("<BytesIO>: ")
            return None, False
    return signal, any(warning.category is LengthWarning for warning in caught)


def read_quietly(content):
    """The samples of a file about which nothing is odd."""
    signal, warned = read(content)
    assert signal is not None and not warned
    return signal


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


# What a program leaves that cannot go back to the beginning to write the length there: (kind, subtype):
# [(marker, offset from it, bytes)].
UNKNOWN = {
    "RIFF, zero": ("WAV", "PCM_16", [(b"RIFF", 4, bytes(4)), (b"data", 4, bytes(4))]),
    "RIFF, ones": ("WAV", "PCM_16", [(b"RIFF", 4, b"\xff" * 4), (b"data", 4, b"\xff" * 4)]),
    "RIFF, 2 GB": ("WAV", "PCM_16", [(b"data", 4, struct.pack("<I", 0x7FFFF000))]),
    "RIFF, sign": ("WAV", "PCM_16", [(b"data", 4, struct.pack("<I", 0x80000000))]),
    "RF64": ("RF64", "PCM_16", [(b"ds64", 16, bytes(8))]),
    "Wave64": ("W64", "PCM_16", [(b"data\xf3\xac", 16, struct.pack("<Q", 2**63 - 1))]),
    "AIFF": ("AIFF", "PCM_16", [(b"COMM", 10, bytes(4)), (b"SSND", 4, bytes(4))]),
    "AIFC": ("AIFF", "FLOAT", [(b"COMM", 10, b"\xff" * 4), (b"SSND", 4, b"\xff" * 4)]),
    "AU, ones": ("AU", "PCM_16", [(b".snd", 8, b"\xff" * 4)]),
    "AU, zero": ("AU", "FLOAT", [(b".snd", 8, bytes(4))]),
    "CAF": ("CAF", "PCM_16", [(b"data", 4, b"\xff" * 8)]),
}


def patched(content, patches):
    content = bytearray(content)
    for marker, offset, patch in patches:
        place = content.index(marker) + offset
        content[place : place + len(patch)] = patch
    return bytes(content)


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_length_that_a_pipe_left_unknown(name):
    kind, subtype, patches = UNKNOWN[name]
    content = encode(kind, subtype)
    signal, warned = read(patched(content, patches))
    assert warned
    np.testing.assert_array_equal(signal, read_quietly(content))
    assert read(patched(content, patches)[:-1])[0] is None  # the last sample is incomplete


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
    assert read(content[:-1] + content[26:-1])[1]  # its one block twice


@pytest.mark.parametrize("channels", [1, 2])
def test_voc_of_sox(channels):
    """Which counts 8 bytes too few, and so seems to have something after its sound."""
    content = encode("VOC", "PCM_16", np.stack([voice(SECONDS)] * channels, axis=1))
    size = int.from_bytes(content[27:30], "little")
    by_sox = content[:27] + (size - 8).to_bytes(3, "little") + content[30:]
    np.testing.assert_array_equal(read_quietly(by_sox), read_quietly(content))
    comment = b"\5\4\0\0what"  # a block, of which the sound is not to be made longer
    np.testing.assert_array_equal(read_quietly(content[:-1] + comment + b"\0"), read_quietly(content))


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


def test_parts_of_a_file_that_is_of_no_known_kind():
    (part,) = find_parts(Data(io.BytesIO(b"not a sound"), "x"))
    assert not part.known and (part.start, part.stop) == (0, 11)


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


def box(name, content=b""):
    return struct.pack(">I", 8 + len(content)) + name + content


def element(name, content, size=None):
    return name + (len(content) | 1 << 56 if size is None else size).to_bytes(8, "big") + content


def asf_object(kind, content=b"", size=None):
    guid = bytes.fromhex(f"{kind}26b275 8e66cf11 a6d900aa 0062ce6c")
    return guid + struct.pack("<Q", 24 + len(content) if size is None else size) + content


EBML, SEGMENT, CLUSTER, BLOCK = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\xa3"
LIVE = (1 << 57) - 1  # a size of ones: unknown
CLUSTERS = element(CLUSTER, element(BLOCK, bytes(50)), LIVE) * 2
ADTS_FRAME = bytes([0xFF, 0xF1, 0x50, 0x80, 0x03, 0x1F, 0xFC]) + bytes(17)  # 24 bytes by its head
MEDIA = {
    "mp4": (box(b"ftyp", b"isom") + box(b"moov", bytes(20)) + box(b"mdat", bytes(100)), False),
    "mp4, large": (
        box(b"ftyp", b"isom") + box(b"moov") + struct.pack(">I4sQ", 1, b"mdat", 66) + bytes(50),
        False,
    ),
    "webm": (element(EBML, bytes(5)) + element(SEGMENT, element(CLUSTER, element(BLOCK, bytes(50)))), False),
    "webm, live": (element(EBML, bytes(5)) + element(SEGMENT, CLUSTERS, LIVE), True),
    "mp4, fragments": (
        box(b"ftyp", b"isom") + box(b"moov") + 2 * (box(b"moof", bytes(20)) + box(b"mdat", bytes(30))),
        True,
    ),
    "mp4, indexed": (
        box(b"ftyp", b"isom") + box(b"moov") + box(b"moof") + box(b"mdat", bytes(30)) + box(b"mfra"),
        False,
    ),
    "asf": (asf_object("30", bytes(30)) + asf_object("36", bytes(200)), False),
    "adts": (ADTS_FRAME * 5, True),
    "amr": (b"#!AMR\n" + (b"\x3c" + bytes(31)) * 5 + b"\x7c", True),
    "amr-wb": (b"#!AMR-WB\n" + (b"\x04" + bytes(17)) * 5, True),
}


@pytest.mark.parametrize("name", MEDIA)
def test_containers_of_phones(name):
    """Complete, joined, and cut at every byte: cut ones are refused, unless they end with a frame and their
    kind says no length.
    """
    content, endless = MEDIA[name]
    (part,) = find_parts(Data(io.BytesIO(content), "x"))
    assert (part.start, part.stop, part.endless, part.media) == (0, len(content), endless, True)
    data = Data(io.BytesIO(content * 2), "x")
    spans = [(part.start, part.stop) for part in find_parts(data)]
    assert spans == (
        [(0, 2 * len(content))] if name == "adts" else [(0, len(content)), (len(content), 2 * len(content))]
    )
    for stop in range(20, len(content)):
        data = Data(io.BytesIO(content[:stop]), "x")
        try:
            parts = find_parts(data)
        except InputError as error:
            assert "cut short" in str(error)
        else:
            assert data.remarks or not parts[0].known, stop


def test_a_live_asf():
    data = Data(io.BytesIO(asf_object("30", bytes(30)) + asf_object("36", bytes(100), size=0)), "x")
    (part,) = find_parts(data)
    assert part.endless and part.stop == data.size


@pytest.mark.parametrize(
    "kind",
    ["WAV", "AIFF", "FLAC", "OGG", "MP3", "AU", "CAF", "W64", "RF64", "NIST", "VOC"],
)
def test_tags_at_either_end(kind):
    """As programs write them that take every file for an MP3."""
    content = encode(kind, soundfile.default_subtype(kind))
    whole = read_quietly(content)
    id3 = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
    ape = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 0)
    for tagged in (id3 + content, content + b"TAG" + bytes(125), content + ape, id3 + content + ape):
        np.testing.assert_array_equal(read_quietly(tagged), whole)
    np.testing.assert_array_equal(read_quietly(content + id3 + content), np.concatenate([whole, whole]))
