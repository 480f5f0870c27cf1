"""Ogg: pages and links, see RFC 3533. A file may be several streams one after the other, each from a page
that begins it.
"""

import struct
import zlib
from typing import NamedTuple

from npreslstm.audio.containers.data import Data, Part

CONTINUED, BEGINS, ENDS = 1, 2, 4  # flags of a page
HEAD = 27  # bytes before the lengths of a page's segments
# how the first packet of a stream of sound starts
AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Page(NamedTuple):
    start: int
    content: bytes
    flags: int
    serial: int
    number: int
    open_ended: bool  # its last packet goes on in the next page

    @property
    def stop(self) -> int:
        return self.start + len(self.content)


def walk(data: Data, start: int) -> Part | None:
    """The link that starts at `start`, or None if it holds no sound; InputError if it is cut or damaged."""
    page = _page(data, start)
    if not page.flags & BEGINS:
        raise data.cut("its beginning is missing")
    serial = last = None
    beginning = True
    while page and (beginning or not page.flags & BEGINS):
        beginning = page.flags & BEGINS
        if beginning and serial is None and _body(page).startswith(AUDIO):
            serial, last = page.serial, page
        elif page.serial == serial:
            if page.number != (last.number + 1) & 0xFFFFFFFF:
                raise data.cut(f"Ogg pages are missing before byte {page.start}")
            last = page
        stop = page.stop
        page = _page(data, stop)
    if last is None:
        return None
    ends = bool(last.flags & ENDS)
    if not ends and last.open_ended:
        raise data.cut("the last packet is incomplete")
    return Part(start, stop, not ends, () if ends else ((last.start, _ended(last)),))


def checksum(page: bytes) -> int:
    """The CRC of a page whose own field is zero: that of zlib, but not mirrored, from 0 and not inverted."""
    mirrored = zlib.crc32(page.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _page(data: Data, start: int) -> _Page | None:
    """The page at `start`; None if there is none; InputError if it is incomplete or damaged."""
    head = data.at(start, HEAD)
    if not head or head[:4] != b"OggS"[: len(head)]:
        return None
    segments = data.at(start + HEAD, head[26]) if len(head) == HEAD else b""
    if (
        len(head) < HEAD
        or len(segments) < head[26]
        or start + HEAD + len(segments) + sum(segments) > data.size
    ):
        raise data.cut("the last Ogg page is incomplete")
    content = data.at(start, HEAD + len(segments) + sum(segments))
    flags, _, serial, number, expected = struct.unpack_from("<BqIII", content, 5)
    if checksum(_with_checksum(content, 0)) != expected:
        raise data.unreadable(f"damaged: the Ogg page at byte {start} does not match its checksum")
    return _Page(start, content, flags, serial, number, segments[-1:] == b"\xff")


def _body(page: _Page) -> bytes:
    return page.content[HEAD + page.content[26] :]


def _with_checksum(content: bytes, value: int) -> bytes:
    return content[:22] + struct.pack("<I", value) + content[26:]


def _ended(page: _Page) -> bytes:
    """The page as it would be with the mark that the stream ends with it, without which decoders
    find no end.
    """
    content = _with_checksum(page.content, 0)
    content = content[:5] + bytes([page.flags | ENDS]) + content[6:]
    return _with_checksum(content, checksum(content))
