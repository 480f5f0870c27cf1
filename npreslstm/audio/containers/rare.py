"""Older formats that libsndfile reads, each with a header that says how long it is: what the header says, and
whether it is there.
"""

import struct

from npreslstm.audio.containers.chunks import RIFX, chunked, extent, find_sound
from npreslstm.audio.containers.data import Data, Part

VOC = b"Creative Voice File\x1a"
MAT4_BYTES = (8, 4, 4, 2, 2, 1)  # of a number, by the tens digit of a matrix's type


def nist(data: Data, start: int) -> Part | None:
    """NIST SPHERE: a header of text, the size of which is in its second line."""
    size = _number(data.at(start + 8, 8))
    head = data.at(start, size or 0)
    fields = {line.split()[0]: line.split()[-1] for line in head.split(b"\n")[2:] if len(line.split()) == 3}
    counts = [
        _number(fields.get(name, b"")) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
    ]
    if None in counts or b"," in fields.get(b"sample_coding", b""):  # a comma: compressed besides
        return None
    samples, channels, width = counts
    return _declared(data, start, start + size + samples * channels * width)


def voc(data: Data, start: int) -> Part | None:
    """Creative Voice: blocks of a kind and a size of 24 bits; one of kind 0 ends them.

    SoX counts 8 bytes too few into a block of 16-bit samples, so its size is mended.
    """
    offset = start + int.from_bytes(data.at(start + 20, 2), "little")
    sounds, patches, shown = 0, (), None
    while len(head := data.at(offset, 4)) == 4 and head[0]:
        sound, size = head[0] in (1, 2, 9), int.from_bytes(head[1:], "little")
        if head[0] == 9 and _lacks_eight(data, offset + 4 + size):
            size += 8
            patches = ((offset + 1, size.to_bytes(3, "little")),)
        offset += 4 + size
        sounds += sound
        if sound and sounds == 1 and data.at(offset, 1) not in (b"", b"\0"):
            patches, shown = (*patches, (offset, b"\0")), offset + 1  # libsndfile would hear the next block
    if offset > data.size:
        raise data.cut(f"{offset - data.size} bytes of a block are missing")
    if sounds > 1:  # of which libsndfile reads the first; FFmpeg writes 4,096 bytes into each
        patches, shown = (), None
    ended = data.at(offset, 1) == b"\0"
    whole = ended or sounds == 1  # libsndfile counts the end of A-law and mu-law into the block
    stop = offset + 1 if ended else offset
    return Part(start, stop, not whole, patches, shown=shown, media=sounds > 1)


def _lacks_eight(data: Data, offset: int) -> bool:
    """Whether the end of a file, or another one, is 8 bytes after that of a block, and these are no block."""
    rest = data.at(offset, 9 + len(VOC))
    ends = len(rest) == 9 or rest[9:] == VOC
    return ends and rest[8] == 0 and not (0 < rest[0] < 10 and rest[1:4] == b"\4\0\0")


def svx(data: Data, start: int) -> Part | None:
    """IFF of the Amiga: chunks."""
    found = find_sound(data, start + 12, RIFX, b"BODY")
    if found is None:
        return None
    _, begin, size = found
    size, _ = extent(data, begin, size, 4, None, RIFX)
    return chunked(data, start, RIFX, begin, size, b"BODY", endless=False)


def wve(data: Data, start: int) -> Part | None:
    """Psion A-law."""
    return _declared(data, start, start + 32 + int.from_bytes(data.at(start + 18, 4), "big"))


def avr(data: Data, start: int) -> Part | None:
    """Audio Visual Research."""
    stereo, bits, frames = struct.unpack(">HH10xI", data.at(start + 12, 18).ljust(18, b"\0"))
    return _declared(data, start, start + 128 + frames * (2 if stereo else 1) * (bits // 8))


def mpc(data: Data, start: int) -> Part | None:
    """Akai MPC 2000."""
    channels, frames = struct.unpack("<B8xI", data.at(start + 21, 13).ljust(13, b"\0"))
    return _declared(data, start, start + 42 + frames * 2 * (channels + 1))


def xi(data: Data, start: int) -> Part | None:
    """FastTracker 2 instrument: a header for each of its samples, then the samples."""
    count = int.from_bytes(data.at(start + 296, 2), "little")
    sizes = [int.from_bytes(data.at(start + 298 + 40 * k, 4), "little") for k in range(count)]
    if sum(sizes) == 0:  # as libsndfile leaves it
        return Part(start, data.size, True)
    return _declared(data, start, start + 298 + 40 * count + sum(sizes))


def sds(data: Data, start: int) -> Part | None:
    """MIDI sample dump: packets of 127 bytes, with numbers of 7 bits."""
    head = data.at(start, 21).ljust(21, b"\0")
    samples = head[10] | head[11] << 7 | head[12] << 14
    in_packet = 60 if head[6] < 15 else 40 if head[6] < 22 else 30
    part = _declared(data, start, start + 21 + 127 * -(-samples // in_packet))
    for packet in range(start + 21, part.stop, 127):
        # of which libsndfile writes to standard output
        if data.at(packet, 2) != b"\xf0\x7e" or data.at(packet + 126, 1) != b"\xf7":
            raise data.cut(f"the packet at byte {packet} is damaged")
    return part


def mat5(data: Data, start: int) -> Part | None:
    """MATLAB 5: two matrices, the rate and the samples; of each the flags, the sizes, the name and the
    numbers.
    """
    order = ">" if data.at(start + 126, 2) == b"MI" else "<"
    offset = stop = start + 128
    for _ in range(2):
        offset += 8
        for _ in range(4):
            kind, size = struct.unpack(order + "II", data.at(offset, 8).ljust(8, b"\0"))
            stop = offset + 8 + (size if kind < 1 << 16 else 0)  # small numbers are beside their kind
            offset = stop + (start - stop) % 8
    return _declared(data, start, stop)


def mat4(data: Data, start: int) -> Part | None:
    """MATLAB 4: two matrices, the rate and the samples."""
    order = "<" if data.at(start, 2)[:1] != b"\0" or data.at(start + 4, 4) == b"\1\0\0\0" else ">"
    offset = start
    for _ in range(2):
        kind, rows, columns, imaginary, name = struct.unpack(
            order + "5I", data.at(offset, 20).ljust(20, b"\0")
        )
        width = MAT4_BYTES[min(kind // 10 % 10, 5)]
        offset += 20 + name + rows * columns * width * (1 + min(imaginary, 1))
    return _declared(data, start, offset)


def _declared(data: Data, start: int, stop: int) -> Part:
    if stop > data.size:
        raise data.cut(f"{stop - data.size} of {stop - start} bytes are missing")
    return Part(start, stop)


def _number(text: bytes) -> int | None:
    text = text.strip()
    return int(text) if text.isdigit() and len(text) < 19 else None
