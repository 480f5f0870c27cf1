"""Sounds in every format that libsndfile writes, and how they are read."""

import io
import struct
import warnings

import pytest
from samples import voice

from npreslstm.audio.reader import LengthWarning, read_audio
from npreslstm.errors import InputError

soundfile = pytest.importorskip("soundfile")

SECONDS = 0.7
# which libsndfile does not write, or not into one file that it reads again
UNWRITABLE = "AIFF/DWVW MP3/MPEG_LAYER_I WAV/MPEG SD2/ RAW/"
# formats whose files do not say how long they are, or not as libsndfile writes them
NO_LENGTH = {"IRCAM", "PAF", "PVF", "XI"}


def encode(kind, subtype, signal=None):
    """A clip in a format, as bytes."""
    if subtype not in soundfile.available_subtypes(kind):
        pytest.skip(f"soundfile {soundfile.__version__} does not write {subtype}")
    for rate in (16000, 8000, 44100):
        buffer = io.BytesIO()
        try:
            soundfile.write(
                buffer, voice(SECONDS, rate) if signal is None else signal, rate, subtype, format=kind
            )
        except (RuntimeError, ValueError):  # soundfile's errors are RuntimeErrors
            continue
        return buffer.getvalue()
    raise AssertionError(f"{kind} {subtype} cannot be written")


def formats():
    names = [
        (kind, subtype)
        for kind in soundfile.available_formats()
        for subtype in soundfile.available_subtypes(kind)
    ]
    return [pair for pair in names if not "/".join(pair).startswith(tuple(UNWRITABLE.split()))]


def read(content):
    """The samples, or None for a file that is refused, and whether there was a warning about its length."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            signal = read_audio(io.BytesIO(content))[0]
        except InputError as error:
            assert "\n" not in str(error) and str(error).startswith("<BytesIO>: ")
            return None, False
    return signal, any(warning.category is LengthWarning for warning in caught)


def read_quietly(content):
    """The samples of a file about which nothing is odd."""
    signal, warned = read(content)
    assert signal is not None and not warned
    return signal


# What a program leaves that cannot go back to the beginning to write the length there: (kind, subtype):
# [(marker, offset from it, bytes)].
UNKNOWN = {
    "RIFF, zero": ("WAV", "PCM_16", [(b"RIFF", 4, bytes(4)), (b"data", 4, bytes(4))]),
    "RIFF, ones": ("WAV", "PCM_16", [(b"RIFF", 4, b"\xff" * 4), (b"data", 4, b"\xff" * 4)]),
    "RIFF, 2 GB": ("WAV", "PCM_16", [(b"data", 4, struct.pack("<I", 0x7FFFF000))]),
    "RIFF, sign": ("WAV", "PCM_16", [(b"data", 4, struct.pack("<I", 0x80000000))]),
    "RF64": ("RF64", "PCM_16", [(b"ds64", 16, bytes(8))]),
    "Wave64": ("W64", "PCM_16", [(b"data\xf3\xac", 16, struct.pack("<Q", 2**63 - 1))]),
    "AIFF": ("AIFF", "PCM_16", [(b"COMM", 10, bytes(4)), (b"SSND", 4, bytes(4))]),
    "AIFC": ("AIFF", "FLOAT", [(b"COMM", 10, b"\xff" * 4), (b"SSND", 4, b"\xff" * 4)]),
    "AIFF, SoX": (
        "AIFF",
        "PCM_24",
        [(b"COMM", 10, (0x7F000000 // 3).to_bytes(4, "big")), (b"SSND", 4, b"\x7e\xff\xff\xff")],
    ),
    "AIFC, mu-law": ("AIFF", "ULAW", [(b"COMM", 10, bytes(4)), (b"SSND", 4, bytes(4))]),
    "AU, ones": ("AU", "PCM_16", [(b".snd", 8, b"\xff" * 4)]),
    "AU, zero": ("AU", "FLOAT", [(b".snd", 8, bytes(4))]),
    "CAF": ("CAF", "PCM_16", [(b"data", 4, b"\xff" * 8)]),
}


def patched(content, patches):
    content = bytearray(content)
    for marker, offset, patch in patches:
        place = content.index(marker) + offset
        content[place : place + len(patch)] = patch
    return bytes(content)
