"""Containers of chunks with a name and a size (RIFF, RF64, Wave64, AIFF, CAF), and AU, which is
one header.
"""

import struct
from typing import NamedTuple

from npreslstm.audio.containers import mpeg
from npreslstm.audio.containers.data import Data, Part, Pcm

# sizes, of fields of 4 and 8 bytes, from which on a writer to a pipe meant "I do not know"; SoX writes
# 0x7F000000 into AIFF, less what does not fill a sample
UNKNOWN = {4: 0x7EFF0000, 8: 1 << 62}
OUTER = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"caff")
SAMPLE_BY_SAMPLE = (0, 1, 3, 6, 7)  # forms of WAV: any of RIFX, integers, floats, A-law, mu-law
BLOCK_BY_BLOCK = (2, 0x11, 0x31, 0x38, 0x40)  # ADPCM of Microsoft, IMA and NMS, GSM 6.10, G.721
MPEG = (0x50, 0x55)  # MP2 and MP3, whose frames say how long they are
W64_RIFF = bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000")
W64_TAIL = bytes.fromhex("f3acd311 8cd100c0 4f8edb8a")  # ends the name of every other chunk of Wave64


class _Chunks(NamedTuple):
    """How chunks are written: how long a name is, its size, whether that counts the head, and where the next
    may start.
    """

    name: int
    size: struct.Struct
    counts_head: bool
    align: int
    printable: bool  # names are four letters

    def read(self, data: Data, offset: int) -> tuple[bytes, int, int] | None:
        """Name, first byte and size of the chunk at `offset`; None if there is none."""
        head = data.at(offset, self.name + self.size.size)
        if len(head) < self.name + self.size.size:
            return None
        name = head[: self.name]
        if not (all(32 <= byte < 127 for byte in name) if self.printable else name[4:] == W64_TAIL):
            return None
        size = self.size.unpack_from(head, self.name)[0] - (len(head) if self.counts_head else 0)
        return None if name in OUTER else (name, offset + len(head), max(size, 0))

    def after(self, data: Data, begin: int, size: int) -> int:
        """Where the next chunk starts: aligned, but some writers forget to."""
        end = begin + size
        aligned = end + -size % self.align
        if aligned == end or self.read(data, aligned) is not None:
            return aligned
        forgotten = end >= data.size or self.read(data, end) is not None or _starts_file(data, end)
        return end if forgotten else aligned

    def skip(self, data: Data, offset: int) -> tuple[int, list[tuple[bytes, int]]]:
        """Where the run of complete chunks that starts at `offset` ends, and the name and first
        byte of each.
        """
        chunks = []
        while (chunk := self.read(data, offset)) and chunk[1] + chunk[2] <= data.size:
            chunks.append((chunk[0], offset))
            offset = self.after(data, *chunk[1:])
        return offset, chunks


RIFF = _Chunks(4, struct.Struct("<I"), False, 2, True)
RIFX = _Chunks(4, struct.Struct(">I"), False, 2, True)
CAF = _Chunks(4, struct.Struct(">Q"), False, 1, True)
W64 = _Chunks(16, struct.Struct("<Q"), True, 8, False)


def _starts_file(data: Data, offset: int) -> bool:
    """Whether a file that was joined to another starts there."""
    return data.at(offset, 4) in OUTER or data.at(offset, 16) == W64_RIFF


def find_sound(
    data: Data, offset: int, grammar: _Chunks, sound: bytes
) -> tuple[dict[bytes, int], int, int] | None:
    """First bytes of the chunks before the one called `sound`, and that one's first byte and size."""
    before: dict[bytes, int] = {}
    while chunk := grammar.read(data, offset):
        name, begin, size = chunk
        if name[:4] == sound:
            return before, begin, size
        before.setdefault(name[:4], begin)
        offset = grammar.after(data, begin, size)
    return None


def extent(
    data: Data,
    begin: int,
    declared: int,
    width: int,
    frame: int | None,
    grammar: _Chunks | None,
    mark: bytes | None = None,
) -> tuple[int, bool]:
    """How many bytes the sound that begins at `begin` has, and whether its size, a field of `width` bytes,
    was unknown; such a sound ends where another file was joined to it, whose header has the `mark`.
    """
    left = data.size - begin
    if 0 < declared <= left:
        return declared, False
    if declared == 0 and (left <= 0 or (grammar and grammar.skip(data, begin)[0] == data.size)):
        return 0, False
    if left < 0:
        raise data.cut("it ends before its sound begins")
    if 0 < declared < UNKNOWN[width]:
        raise data.cut(f"{declared - left} of {declared} bytes of sound are missing")
    if not frame:
        raise data.unreadable("it does not say how long it is, and its samples are compressed")
    if mark:
        left = _next_file(data, begin, mark) - begin
    if left % frame:
        raise data.cut("the last sample is incomplete")
    return left, True


def _next_file(data: Data, begin: int, mark: bytes) -> int:
    """Where the next file starts after `begin`, or the end: at a mark, or 8 bytes before one of four letters,
    which is a kind of RIFF or FORM.
    """
    place = data.find(mark, begin)
    while place >= 0:
        if len(mark) > 4:
            return place
        if place - 8 >= begin and data.at(place - 8, 4) in OUTER:
            return place - 8
        place = data.find(mark, place + 1)
    return data.size


def chunked(
    data: Data,
    start: int,
    grammar: _Chunks,
    begin: int,
    size: int,
    name: bytes,
    endless: bool = False,
    patches: tuple[tuple[int, bytes], ...] = (),
    pcm: Pcm | None = None,
) -> Part:
    """The part whose sound chunk is found; what follows belongs to it as long as it is chunks.

    Of several chunks of sound libsndfile refuses to read any, and FFmpeg reads the last: they see the first
    one alone.
    """
    stop, chunks = grammar.skip(data, grammar.after(data, begin, size))
    further = tuple((offset, b"JUNK") for other, offset in chunks if other[:4] == name)
    if further:
        data.remarks.append("it has several chunks of sound, of which the first is read")
    return Part(start, min(stop, data.size), endless, patches + further, pcm=pcm)


def wave(data: Data, start: int) -> Part | None:
    """RIFF, and RF64, whose sizes are in a chunk of their own."""
    grammar = RIFX if data.at(start, 4) == b"RIFX" else RIFF
    found = find_sound(data, start + 12, grammar, b"data")
    if found is None or b"fmt " not in found[0]:
        return None
    before, begin, size = found
    field, width = begin - 4, 4
    if b"ds64" in before and size == 0xFFFFFFFF:
        field, width = before[b"ds64"] + 8, 8
        size = int.from_bytes(data.at(field, 8), "little")
        size = UNKNOWN[8] if size == 0 else size
    pcm = _format(data, before[b"fmt "], grammar)
    if pcm.form in MPEG:
        return _mpeg(data, start, begin, size, width)
    frame = pcm.frame if pcm.form in SAMPLE_BY_SAMPLE + BLOCK_BY_BLOCK else None
    size, endless = extent(data, begin, size, width, frame, grammar, b"WAVE")
    if size % 2 and begin + size == data.size and pcm.form not in SAMPLE_BY_SAMPLE:
        # decoders read blocks up to the even end of the chunk, and make something else of the last one
        raise data.cut("the byte after the last block is missing")
    patches = ()
    if endless:
        patches = ((field, _field(data, size, width, grammar)),)
    pcm = pcm._replace(start=begin, stop=begin + size)
    return chunked(data, start, grammar, begin, size, b"data", endless, patches, pcm)


def _mpeg(data: Data, start: int, begin: int, declared: int, width: int) -> Part | None:
    """MPEG frames in a WAV: libsndfile believes the number of samples that the header gives, which is not
    that of the decoder, so it sees the frames alone.
    """
    part = mpeg.walk(data, begin)
    if part is None or not 0 < declared < UNKNOWN[width]:
        return part
    size, _ = extent(data, begin, declared, width, None, RIFF)
    if part.stop < begin + size:
        data.remarks.append(f"{begin + size - part.stop} bytes of its sound are no MPEG frames")
    whole = chunked(data, start, RIFF, begin, size, b"data", endless=False)
    return part._replace(endless=False, stop=whole.stop, shown=part.stop)


def _field(data: Data, size: int, width: int, grammar: _Chunks) -> bytes:
    """A size as it is written; the error if it is too large for its field."""
    if size >= 1 << 8 * width:
        raise data.unreadable(
            f"it does not say how long it is, and has more than {1 << 8 * width} bytes of sound"
        )
    return size.to_bytes(width, "little" if grammar in (RIFF, W64) else "big")


def _format(data: Data, begin: int, grammar: _Chunks) -> Pcm:
    """What a chunk ``fmt`` says."""
    order = ">" if grammar is RIFX else "<"
    form, channels, rate, _, frame, bits = struct.unpack(
        order + "HHIIHH", data.at(begin, 16).ljust(16, b"\0")
    )
    if form == 0xFFFE:  # extensible: the form is the first two bytes of a GUID
        form = struct.unpack(order + "H", data.at(begin + 24, 2).ljust(2, b"\0"))[0]
    return Pcm(form if order == "<" else 0, channels, rate, bits, frame, 0, 0)


def w64(data: Data, start: int) -> Part | None:
    found = find_sound(data, start + 40, W64, b"data")
    if found is None or b"fmt " not in found[0]:
        return None
    before, begin, size = found
    frame = _format(data, before[b"fmt "], W64).frame
    size, endless = extent(data, begin, size, 8, frame, W64, W64_RIFF)
    patches = ((begin - 8, _field(data, size + 24, 8, W64)),) if endless else ()
    part = chunked(data, start, W64, begin, size, b"data", endless, patches)
    # libsndfile reads sound up to the end of a W64 file, whatever chunks follow it
    return part if part.stop == begin + size else part._replace(shown=begin + size)


# codings of AIFF-C: so many bits as the header says, or 8, whatever it says
PLAIN = (b"none", b"sowt", b"twos", b"raw ", b"in24", b"42ni", b"in32", b"23ni", b"fl32", b"fl64")
ONE_BYTE = (b"ulaw", b"alaw")


def aiff(data: Data, start: int) -> Part | None:
    found = find_sound(data, start + 12, RIFX, b"SSND")
    if found is None or b"COMM" not in found[0]:
        return None
    before, begin, size = found
    common = before[b"COMM"]
    channels, count, bits = struct.unpack(">HIH", data.at(common, 8).ljust(8, b"\0"))
    coding = b"none" if data.at(start + 8, 4) == b"AIFF" else data.at(common + 18, 4).lower()
    width = 1 if coding in ONE_BYTE else -(-bits // 8) if coding in PLAIN else 0
    frame = channels * width
    # 8 bytes of offset and block size come first
    size, endless = extent(data, begin + 8, max(size - 8, 0), 4, frame, RIFX, data.at(start + 8, 4))
    if frame and 0 < count * frame < UNKNOWN[4] and count * frame > size:
        raise data.cut(f"{count - size // frame} of {count} samples are missing")
    patches = ()
    if endless:
        patches = (
            (begin - 4, _field(data, size + 8, 4, RIFX)),
            (common + 2, (size // frame).to_bytes(4, "big")),
        )
    return chunked(data, start, RIFX, begin, size + 8, b"SSND", endless, patches)


def caf(data: Data, start: int) -> Part | None:
    found = find_sound(data, start + 8, CAF, b"data")
    if found is None or b"desc" not in found[0]:
        return None
    before, begin, size = found
    frame = struct.unpack(">I", data.at(before[b"desc"] + 16, 4).ljust(4, b"\0"))[0]
    # 4 bytes of an edit count come first
    size, endless = extent(data, begin + 4, max(size - 4, 0), 8, frame, CAF, b"caff\0\1\0\0desc")
    patches = ((begin - 8, _field(data, size + 4, 8, CAF)),) if endless else ()
    return chunked(data, start, CAF, begin, size + 4, b"data", endless, patches)


# of a sample, by encoding; others are counted in bytes
AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}


def au(data: Data, start: int) -> Part | None:
    order = ">" if data.at(start, 4) == b".snd" else "<"
    head = data.at(start + 4, 20)
    if len(head) < 20:
        return None
    offset, size, encoding, _, channels = struct.unpack(f"{order}IIIII", head)
    begin = start + offset
    frame = AU_BYTES.get(encoding, 1) * max(channels, 1)
    size, endless = extent(data, begin, size, 4, frame, None, b".snd\0\0\0" if order == ">" else None)
    patches = ((start + 8, _field(data, size, 4, RIFX if order == ">" else RIFF)),) if endless else ()
    return Part(start, min(begin + size, data.size), endless, patches)
