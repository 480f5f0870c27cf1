"""What phones and browsers write, which libsndfile does not read: MP4 and 3GP, Matroska and WebM, ASF (WMA),
AAC in ADTS, AMR.
"""

from npreslstm.audio.containers.data import Data, Part

ASF_HEADER = bytes.fromhex("3026b275 8e66cf11 a6d900aa 0062ce6c")
ASF_DATA = bytes.fromhex("3626b275 8e66cf11 a6d900aa 0062ce6c")
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT, CLUSTER = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
AMR_BYTES = {  # of a frame, by its kind; kinds without a number have no more than the byte that says so
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6),
}


def mp4(data: Data, start: int) -> Part | None:
    """Boxes: size, name, content; the first is ``ftyp``. Fragments (``moof``) are complete with an index of
    them, ``mfra``.
    """
    offset, names = start, set()
    while (
        len(head := data.at(offset, 16)) >= 8
        and head[4:8].isalnum()
        and not (head[4:8] == b"ftyp" and offset > start)
    ):
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:
            size = data.size - offset
        if size < 8:
            break
        names.add(head[4:8])
        offset += size
    if offset > data.size or 0 < data.size - offset < 8 or not names >= {b"moov", b"mdat"}:
        raise data.cut("the end of its boxes, their index or the sound is missing")
    # fragments, of which the last may be missing
    return Part(start, offset, b"moof" in names and b"mfra" not in names, media=True)


def matroska(data: Data, start: int) -> Part | None:
    """Elements: name, size, content. Segments and clusters of a live stream have no size."""
    offset, endless = start, False
    while head := data.at(offset, 12):
        if head[:4] == EBML and offset > start:
            break
        name, size, after = _element(head)
        if name == b"":
            break
        unknown = size == (1 << 7 * (after - len(name))) - 1
        if name == SEGMENT and not unknown and offset + after + size > data.size:
            raise data.cut(f"{offset + after + size - data.size} bytes of its segment are missing")
        endless = endless or (name == SEGMENT and unknown)
        offset += after if name == SEGMENT or (name == CLUSTER and unknown) else after + size
    if offset > data.size:
        raise data.cut("the last element is incomplete")
    return Part(start, offset, endless, media=True)


def _element(head: bytes) -> tuple[bytes, int, int]:
    """Name, size, and bytes of both, of an element; the number of leading zeros of each says how
    long it is.
    """
    name = 9 - head[0].bit_length()
    width = 9 - head[name].bit_length() if name <= 4 and name < len(head) else 9
    if width > 8 or name + width > len(head):
        return b"", 0, 0
    return head[:name], int.from_bytes(head[name : name + width], "big") & (1 << 7 * width) - 1, name + width


def asf(data: Data, start: int) -> Part | None:
    """Objects: a GUID, size, content; a live stream's data have no size."""
    offset, endless, found = start, False, False
    while len(head := data.at(offset, 24)) == 24 and not (head[:16] == ASF_HEADER and offset > start):
        size = int.from_bytes(head[16:], "little")
        if size >= 1 << 62 or size < 24 or (head[:16] == ASF_DATA and size <= 50):  # 50: its head alone
            endless, size = True, data.size - offset
        found = found or head[:16] == ASF_DATA
        offset += size
    if not found:
        raise data.cut("the object that holds the sound is missing")
    if offset > data.size:
        raise data.cut(f"{offset - data.size} bytes of its objects are missing")
    if 0 < data.size - offset < 24:
        raise data.cut("its last object has lost its head")
    return Part(start, offset, endless, media=True)


def adts(data: Data, start: int) -> Part | None:
    """AAC frames, each with a head that says how long it is."""
    offset, count = start, 0
    while len(head := data.at(offset, 7)) == 7 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if size < 7:
            return None
        offset += size
        count += 1
    if count < 2:
        return None
    if offset > data.size or 0 < data.size - offset < 7:
        raise data.cut("the last AAC frame is incomplete")
    return Part(start, offset, True, media=True)


def amr(data: Data, start: int) -> Part | None:
    """Frames of 20 ms, whose first byte says how long they are."""
    magic = next((magic for magic in AMR_BYTES if data.at(start, len(magic)) == magic), None)
    if magic is None:
        return None
    sizes, offset = AMR_BYTES[magic], start + len(magic)
    while (head := data.at(offset, 1)) and head[0] & 0x83 == 0:
        kind = head[0] >> 3
        offset += sizes[kind] if kind < len(sizes) else 1
    if offset > data.size:
        raise data.cut("the last AMR frame is incomplete")
    return Part(start, offset, True, media=True)
