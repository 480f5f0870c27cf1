"""Where the sound in a file starts and ends, by the structure of its container, without decoding it.

Decoders believe the length in a header: they leave out what was joined to a file, refuse what a pipe left
without a length, and say nothing of a file that was cut. So the structure is walked here, and the decoder is
given each `Part` by itself, with its true length in place of an unknown one. Containers that are not known
here are one part; `npreslstm.audio.reader` asks the decoder about their lengths.
"""

import io
from collections.abc import Callable

from npreslstm.audio.containers import chunks, flac, media, mpeg, ogg, rare
from npreslstm.audio.containers.data import Data, Part, Pcm, only_zeros, skip_id3, skip_tags
from npreslstm.errors import InputError

__all__ = ["ENDLESS", "Data", "Part", "Pcm", "find_parts", "starts_file"]

ENDLESS = (
    "it does not say how long it is: read to the end of its data, but whether that is all cannot be told"
)

Walk = Callable[[Data, int], Part | None]
FORMS: dict[tuple[bytes, bytes], Walk] = {  # by the first four bytes and those from the eighth on
    **{(name, b"WAVE"): chunks.wave for name in (b"RIFF", b"RIFX", b"RF64", b"BW64")},
    **{(b"FORM", name): chunks.aiff for name in (b"AIFF", b"AIFC")},
    **{(b"FORM", name): rare.svx for name in (b"8SVX", b"16SV")},
}
STARTS: dict[bytes, Walk] = {
    b"OggS": ogg.walk,
    b"fLaC": flac.walk,
    b".snd": chunks.au,
    b"dns.": chunks.au,
    b"caff": chunks.caf,
    chunks.W64_RIFF: chunks.w64,
    media.EBML: media.matroska,
    media.ASF_HEADER: media.asf,
    b"#!AMR": media.amr,
    # a layer that MPEG does not have
    **{b"\xff" + second: media.adts for second in (b"\xf0", b"\xf1", b"\xf8", b"\xf9")},
    b"\xff": mpeg.walk,
    b"NIST_1A\n": rare.nist,
    rare.VOC: rare.voc,
    b"ALawSoundFile**": rare.wve,
    b"2BIT": rare.avr,
    b"\x01\x04": rare.mpc,
    b"Extended Instrument: ": rare.xi,
    b"\xf0\x7e": rare.sds,
    b"MATLAB 5.0 MAT-file": rare.mat5,
}
OTHER_STARTS = (  # of sound that is not walked here
    *(b"ID3", b"FLV\1", b"MAC ", b"wvpk", b"TTA1", b"MP+", b"MPCK", b".RMF", b"\x7f\xfe\x80\x01"),
    *(b" paf", b"fap ", b".SoX", b"XoS.", b"nut/multimedia", b"\0\0\1\xba"),
    *(bytes([0x64, 0xA3, kind, 0]) for kind in (1, 2, 3, 4)),  # IRCAM
    *(bytes([0, kind, 0xA3, 0x64]) for kind in (1, 2, 3, 4)),
    *chunks.OUTER,
)
BY_TWO_BYTES = (rare.mpc, rare.sds)  # which samples may be, too
TAKE_ID3 = (mpeg.walk, flac.walk, media.adts)  # formats that the tag belongs to


def find_parts(data: Data) -> list[Part]:
    """The sounds in a file, in order: one, or several that were joined.

    Parameters
    ----------
    data : Data
        ``data.remarks`` gets what a reader should know.

    Returns
    -------
    list of Part
        If the container is of no kind that can be walked, one from the first byte to the last that is not
        `known`.

    Raises
    ------
    InputError
        If the file ends before the container does, or is damaged.
    """
    parts, offset = [], 0
    while offset < data.size:
        walk = _walker(data, offset)
        start = offset if walk in TAKE_ID3 else skip_id3(data, offset)
        part = walk(data, start) if walk else None
        if part is None or part.stop <= offset:  # what does not go on is no part
            break
        parts.append(part)
        offset = skip_tags(data, part.stop)
    if not parts:
        return [Part(0, data.size, known=False)]
    if offset < data.size and not only_zeros(data, offset):
        data.remarks.append(
            f"{data.size - offset} bytes after its end are no sound that can be read, and passed over"
        )
    if any(part.endless for part in parts):
        data.remarks.append(ENDLESS)
    return parts


def starts_file(head: bytes) -> bool:
    """Whether what begins with these bytes, some thousands, is a sound file, and no samples without a header.

    Two bytes are found among samples, too; so of MPEG and AAC a second frame must follow the first one.
    """
    if head.startswith(OTHER_STARTS):
        return True
    data = Data(io.BytesIO(head), "-")
    walk = _walker(data, 0)
    if walk not in (mpeg.walk, media.adts):
        return walk is not None and walk not in BY_TWO_BYTES
    try:
        return walk(data, 0) is not None
    except InputError:  # it goes on after these bytes
        return True


def _walker(data: Data, offset: int) -> Walk | None:
    """What walks the container that starts at `offset`, by its first bytes."""
    head = data.at(offset, 31)
    if head[:3] == b"ID3":
        head = data.at(skip_id3(data, offset), 31)
    if walk := FORMS.get((head[:4], head[8:12])):
        return walk
    if head[4:8] == b"ftyp":
        return media.mp4
    if head[20:] == b"samplerate\0":
        return rare.mat4
    return next((walk for start, walk in STARTS.items() if head.startswith(start)), None)
