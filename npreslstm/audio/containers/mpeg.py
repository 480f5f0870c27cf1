"""MPEG audio (MP3 and its older layers): a run of frames, each of which says how long it is, and no more than
that.

An encoder that can go back writes an information frame first (Xing, Info or VBRI) that says how many frames
follow; one that writes to a pipe cannot. Joined files are one run of frames, with the information frame of
each among them.
"""

from typing import NamedTuple

from npreslstm.audio.containers.data import Data, Part, skip_id3, skip_tags

RATES = (44100, 48000, 32000)
BIT_RATES = {  # kbit/s by index, from 1 on; by MPEG 1 or later, and layer
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


class _Kind(NamedTuple):
    """What is the same in all frames of a sound."""

    version: int  # 1, or 2 for MPEG 2 and 2.5
    layer: int
    rate: int  # Hz
    mono: bool


class _Frame(NamedTuple):
    start: int
    size: int
    kind: _Kind

    @property
    def stop(self) -> int:
        return self.start + self.size


def walk(data: Data, start: int) -> Part | None:
    """The frames of one sound, or None if there are none at `start`; InputError if some are missing."""
    first = _frame(data, skip_id3(data, start))
    if first is None or not _goes_on(data, first):
        return None
    informed, declared = _information(data, first)
    offset = first.stop if informed else first.start
    count = 0
    while count != declared and (frame := _frame(data, offset)) and frame.kind == first.kind:
        if count and _information(data, frame)[0]:
            break  # of another sound
        if frame.stop > data.size:
            raise data.cut("the last MPEG frame is incomplete")
        count += 1
        offset = frame.stop
    if data.size - offset < 4 and data.at(offset, 1) == b"\xff":
        raise data.cut("the last MPEG frame is incomplete")
    if declared is None:
        return Part(start, offset, True, frames=count * _samples(first.kind))
    if count < declared:
        raise data.cut(f"{declared - count} of {declared} MPEG frames are missing")
    return Part(start, offset)


def _frame(data: Data, start: int) -> _Frame | None:
    """The frame whose header is at `start`, or None."""
    head = data.at(start, 4)
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bits, rate, padding, mode = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1, head[3] >> 6
    if version == 1 or layer == 4 or bits == 15 or rate == 3:
        return None
    if bits == 0:
        raise data.unreadable("MPEG sound of a free bit rate, whose frames do not say how long they are")
    hz = RATES[rate] // (1, 2, 4)[(3, 2, 0).index(version)]
    kind = _Kind(1 if version == 3 else 2, layer, hz, mode == 3)
    slots = _samples(kind) // 8 * 1000 * BIT_RATES[kind.version, layer][bits - 1]  # bytes times Hz
    size = slots // hz + padding if layer > 1 else 4 * (slots // (4 * hz) + padding)
    return _Frame(start, size, kind)


def _samples(kind: _Kind) -> int:
    """Samples of a frame, of each channel."""
    return 384 if kind.layer == 1 else 576 if (kind.version, kind.layer) == (2, 3) else 1152


def _goes_on(data: Data, frame: _Frame) -> bool:
    """Whether another frame of its kind, a tag or the end of the file follows: four bytes alone are found
    anywhere.
    """
    if (
        frame.stop >= data.size
        or skip_tags(data, frame.stop) > frame.stop
        or data.at(frame.stop, 3) == b"ID3"
    ):
        return True
    following = _frame(data, frame.stop)
    return following is not None and following.kind == frame.kind


def _information(data: Data, frame: _Frame) -> tuple[bool, int | None]:
    """Whether a frame is an information frame, and how many frames that says there are besides it, if it
    does.
    """
    if frame.kind.layer != 3:
        return False, None
    side = {(1, False): 32, (1, True): 17, (2, False): 17, (2, True): 9}[frame.kind.version, frame.kind.mono]
    text = data.at(frame.start + 4 + side, 12)
    if text[:4] in (b"Xing", b"Info"):
        return True, int.from_bytes(text[8:12], "big") if text[7] & 1 else None
    text = data.at(frame.start + 36, 18)
    if text[:4] == b"VBRI":
        return True, int.from_bytes(text[14:18], "big")
    return False, None
