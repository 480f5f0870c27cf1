"""Containers of phones, cut at every byte: MP4, Matroska, ASF, AAC and AMR."""

import io
import struct

import pytest

from npreslstm.audio.containers import Data, find_parts
from npreslstm.errors import InputError


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
