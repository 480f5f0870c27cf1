"""Where the sound in a file starts and ends, by the structure of its container, without decoding it.

Decoders believe the length in a header: they leave out what was joined to a file, refuse what a pipe left without a length,
and say nothing of a file that was cut. So the structure is walked here, and the decoder is given each `Part` by itself,
with its true length in place of an unknown one. Containers that are not known here are one part; `npreslstm.audio.reader`
asks the decoder about their lengths.
"""

from collections.abc import Callable

from npreslstm.audio.containers import chunks, flac, media, mpeg, ogg
from npreslstm.audio.containers.data import Data, Part, Pcm, only_zeros, skip_id3, skip_tags

__all__ = ["ENDLESS", "Data", "Part", "Pcm", "find_parts"]

ENDLESS = "it does not say how long it is: read to the end of its data, but whether that is all cannot be told"
KINDS = {b".snd": chunks.au, b"dns.": chunks.au, b"caff": chunks.caf, b"OggS": ogg.walk, b"fLaC": flac.walk, media.EBML: media.matroska}
ADTS = (b"\xf0", b"\xf1", b"\xf8", b"\xf9")  # the second byte: a layer that MPEG does not have


def find_parts(data: Data) -> list[Part]:
    """The sounds in a file, in order: one, or several that were joined.

    Parameters
    ----------
    data : Data
        ``data.remarks`` gets what a reader should know.

    Returns
    -------
    list of Part
        If the container is of no kind that can be walked, one from the first byte to the last that is not `known`.

    Raises
    ------
    InputError
        If the file ends before the container does, or is damaged.
    """
    parts, offset = [], 0
    while offset < data.size:
        walk = _walker(data, offset)
        part = walk(data, offset) if walk else None
        if part is None:
            break
        parts.append(part)
        offset = skip_tags(data, part.stop)
    if not parts:
        return [Part(0, data.size, known=False)]
    if offset < data.size and not only_zeros(data, offset):
        data.remarks.append(f"{data.size - offset} bytes after its end are no sound that can be read, and passed over")
    if any(part.endless for part in parts):
        data.remarks.append(ENDLESS)
    return parts


def _walker(data: Data, offset: int) -> Callable[[Data, int], Part | None] | None:
    """What walks the container that starts at `offset`, by its first bytes."""
    head = data.at(offset, 16)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return chunks.wave
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return chunks.aiff
    if head[4:8] == b"ftyp":
        return media.mp4
    if head[:5] == b"#!AMR":
        return media.amr
    if head in (chunks.W64_RIFF, media.ASF_HEADER):
        return chunks.w64 if head == chunks.W64_RIFF else media.asf
    if head[:3] == b"ID3":
        head = data.at(skip_id3(data, offset), 4)
    if head[:1] == b"\xff":
        return media.adts if head[1:2] in ADTS else mpeg.walk
    return KINDS.get(head[:4])
