"""The bytes of a file, the parts they are of, and the tags among them."""

import os
import shlex
import struct
from typing import BinaryIO, NamedTuple

from npreslstm.errors import InputError

SEARCHED = 1 << 17  # bytes at once
TAG = 128  # bytes of an ID3v1 tag


class Pcm(NamedTuple):
    """Samples of a WAV file as they lie in it; `form` 1 is PCM."""

    form: int
    channels: int
    rate: int
    bits: int
    frame: int
    start: int
    stop: int


class Part(NamedTuple):
    """One sound in a file, complete by itself.

    Attributes
    ----------
    start, stop : int
        Bytes of the file.
    endless : bool
        Its container does not say how long it is: `stop` is where the data end.
    patches : tuple of (int, bytes)
        What a decoder is to read at some offsets of the file instead of what is there: lengths, where they
        were unknown.
    frames : int or None
        Samples of a channel, where the decoder would only guess.
    pcm : Pcm or None
        Of WAV.
    media : bool
        Of a kind that libsndfile never reads.
    known : bool
        Whether its container could be walked.
    shown : int or None
        Where the file ends for a decoder that would take what follows for sound; None where that is `stop`.
    """

    start: int
    stop: int
    endless: bool = False
    patches: tuple[tuple[int, bytes], ...] = ()
    frames: int | None = None
    pcm: Pcm | None = None
    media: bool = False
    known: bool = True
    shown: int | None = None


class Data:
    """The bytes of a file, with its name for messages, and remarks on what was odd about it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self.name = file, name
        self.size = file.seek(0, 2)
        file.seek(0)
        # all of a short file: to look at it here and there is then quick
        self._start = file.read(min(self.size, SEARCHED))
        self.remarks: list[str] = []

    def at(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on, fewer at the end."""
        # which may be further than a file can be
        if offset + count <= len(self._start) or offset >= self.size:
            return self._start[offset : offset + count]
        self._file.seek(offset)
        return self._file.read(count)

    def find(self, marker: bytes, start: int) -> int:
        """Where `marker` is, from `start` on; -1 if nowhere."""
        while start + len(marker) <= self.size:
            block = self.at(start, min(SEARCHED, self.size - start))
            if block.rfind(marker) >= 0:  # takes half the time of find
                return start + block.find(marker)
            start += len(block) - len(marker) + 1  # it may lie across the end of a block
        return -1

    @property
    def remedy(self) -> str:
        """The command that writes a file anew."""
        stem, ending = os.path.splitext(self.name)
        if not stem or self.name.startswith("<"):  # not a file by name
            return "ffmpeg -i IN OUT.wav"
        return (
            f"ffmpeg -i {shlex.quote(self.name)}"
            f" {shlex.quote(stem + ('-new' if ending.lower() == '.wav' else '') + '.wav')}"
        )

    def cut(self, what: str) -> InputError:
        """The error for a file of which something is missing."""
        return InputError(f"{self.name}: cut short: {what}")

    def unreadable(self, why: str) -> InputError:
        """The error for what cannot be read from beginning to end."""
        return InputError(f"{self.name}: {why}; write it anew: {self.remedy}")


def skip_id3(data: Data, offset: int) -> int:
    """The offset after the ID3v2 tags that start at `offset`."""
    while (head := data.at(offset, 10))[:3] == b"ID3" and len(head) == 10:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        offset += 10 + size + (10 if head[5] & 0x10 else 0)
    return offset


def skip_tags(data: Data, offset: int) -> int:
    """The offset after the ID3v1 and APE tags that start at `offset`."""
    while True:
        head = data.at(offset, 32)
        if head[:3] == b"TAG" and offset + TAG <= data.size:
            offset += TAG
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            size, has_header = struct.unpack_from("<I", head, 12)[0], head[23] & 0x80
            offset += size + (32 if has_header else 0)
        else:
            return offset


def only_zeros(data: Data, offset: int) -> bool:
    """Whether only zeros follow: padding."""
    while block := data.at(offset, SEARCHED):
        if block.count(0) < len(block):
            return False
        offset += len(block)
    return True
