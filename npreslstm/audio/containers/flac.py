"""FLAC: see RFC 9639. A header says how many samples there are, or 0 if it was written to a pipe; frames have
numbers.
"""

from collections.abc import Iterator

from npreslstm.audio.containers.data import TAG, Data, Part, skip_id3, skip_tags

STREAMINFO = b"\x00\x00\x00\x22"  # how the first block of metadata starts: its kind and size
SURPLUS = 1 << 17  # samples in the next frame after the last one at most
LONGEST = 1 << 24  # bytes of a frame at most, which is what the header's field can say


def walk(data: Data, start: int) -> Part | None:
    """The stream that starts at `start`, up to the next one that was joined to it; None if its header is no
    good.
    """
    head = skip_id3(data, start)
    offset = _first_frame(data, head)
    if offset is None:
        return None
    following = data.find(b"fLaC" + STREAMINFO, offset)
    stop = data.size if following < 0 else following
    info = data.at(head + 8, 34)
    declared = int.from_bytes(info[13:18], "big") & 0xFFFFFFFFF
    if declared:
        _check_count(data, declared, (count for count, _ in _last_frames(data, offset, stop, info)))
        return Part(start, stop)
    stop = _without_tag(data, stop)
    if offset >= stop:
        return Part(start, stop)
    count = _samples(data, offset, stop, info)
    field = bytes([info[13] & 0xF0 | count >> 32]) + (count & 0xFFFFFFFF).to_bytes(4, "big")
    return Part(start, stop, True, ((head + 8 + 13, field),))


def _check_count(data: Data, declared: int, counts: Iterator[int]) -> None:
    """Compare the samples that the header declares with those up to the ends of the last frames, counted from
    the last one back.
    """
    later: list[int] = []
    for count in counts:
        if count == declared:
            if any(0 < other - declared <= SURPLUS for other in later):
                data.remarks.append(
                    f"it says that it has {declared} samples: frames after them are passed over"
                )
            return
        later.append(count)
    if later and later[0] < declared:
        raise data.cut(f"{declared - later[0]} of {declared} samples are missing")
    data.remarks.append(
        "its last frame is not at its end: what comes after that is no sound that can be read, and passed"
        " over"
    )


def _first_frame(data: Data, head: int) -> int | None:
    """Where the frames start, after the blocks of metadata; None if those are no good."""
    if data.at(head + 4, 4)[1:] != STREAMINFO[1:]:
        return None
    offset = head + 4
    while len(block := data.at(offset, 4)) == 4:
        offset += 4 + int.from_bytes(block[1:], "big")
        if block[0] & 0x80:
            return offset
    return None


def _without_tag(data: Data, stop: int) -> int:
    """The end without an ID3v1 tag."""
    return stop - TAG if stop >= TAG and skip_tags(data, stop - TAG) == stop else stop


def _last_frames(data: Data, first: int, stop: int, info: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames among the last bytes, from the last one back: samples of a channel up to its end, and all
    bytes from it on.
    """
    longest = int.from_bytes(info[7:10], "big") or LONGEST
    start = max(first, stop - longest - TAG)
    tail = data.at(start, stop - start)
    place, sync = len(tail), data.at(first, 2)
    if len(sync) < 2:  # cut before the first frame
        return
    while (place := tail.rfind(sync, 0, place)) >= 0:
        count = _end_of_frame(tail[place : place + 16], int.from_bytes(info[2:4], "big"))
        if count is not None:
            yield count, tail[place:]


def _samples(data: Data, start: int, stop: int, info: bytes) -> int:
    """Samples of a channel up to the end of the last frame; InputError if that is incomplete."""
    for count, frame in _last_frames(data, start, stop, info):
        if _crc(frame, 16, 0x8005) == 0:
            return count
    raise data.cut("the last FLAC frame is incomplete")


def _end_of_frame(head: bytes, usual: int) -> int | None:
    """How many samples there are up to the end of the frame with this header; None if it is none."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    more = 8 - (head[4] ^ 0xFF).bit_length()  # leading ones: how many bytes the number has, as in UTF-8
    following = max(more - 1, 0)
    number = head[4] & (0x7F >> more)
    for byte in head[5 : 5 + following]:
        number = number << 6 | byte & 0x3F
    after = 5 + following
    code, rate = head[2] >> 4, head[2] & 0xF
    width = {6: 1, 7: 2}.get(code, 0)
    block = int.from_bytes(head[after : after + width], "big") + 1
    end = after + width + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if code == 0 or _crc(head[: end + 1], 8, 0x07) != 0:
        return None
    block = block if width else 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    return number + block if head[1] & 1 else number * usual + block


def _crc(text: bytes, width: int, polynomial: int) -> int:
    """Cyclic redundancy check, from 0 and not mirrored; 0 where `text` ends with its own."""
    value, top, mask = 0, 1 << width - 1, (1 << width) - 1
    for byte in text:
        value ^= byte << width - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
    return value
