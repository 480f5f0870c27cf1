"""Sound files: read whole or in blocks, found in folders."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from npreslstm.annotations import Array, Source
from npreslstm.audio.containers import Data, Part, find_parts
from npreslstm.audio.decoders import open_part
from npreslstm.audio.finding import find_audio
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import check_memory, check_sample_rate, check_samples, to_mono, warn_of_samples
from npreslstm.audio.sources import content_of, source_name
from npreslstm.audio.suffixes import AUDIO_SUFFIXES, MEDIA_SUFFIXES
from npreslstm.errors import InputError

__all__ = [
    "AUDIO_SUFFIXES",
    "MEDIA_SUFFIXES",
    "LengthWarning",
    "find_audio",
    "open_audio",
    "read_audio",
    "resample",
    "to_mono",
]

MAX_SAMPLES = 1 << 40  # of a channel: more is no recording, but a header that does not know


class LengthWarning(UserWarning):
    """Whether a file is all there cannot be told, or something after its end is passed over.

    Examples
    --------
    >>> import io
    >>> from npreslstm.assets import demo_clip_path
    >>> with open(demo_clip_path(), "rb") as file:
    ...     sound = file.read()
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     signal, rate = read_audio(io.BytesIO(sound + b"and more"))
    >>> print(caught[0].message)
    <BytesIO>: 8 bytes after its end are no sound that can be read, and passed over
    """


def read_audio(path: Source) -> tuple[Array, int]:
    """Read a sound file.

    FLAC, WAV, OGG, MP3 and whatever else libsndfile knows, through soundfile; m4a, mp4, 3gp, amr, webm, wma
    and the like through PyAV, where it is installed (``npreslstm[media]``); PCM WAV of 8, 16, 24 or 32 bits
    through the standard library where soundfile is not. Sounds that were joined in one file are read one
    after the other. docs/reading.md says more.

    Parameters
    ----------
    path : str, os.PathLike or binary file
        A file or a pipe; of an open file, what comes from its position on.

    Returns
    -------
    signal : np.ndarray [shape=(n,) or (n, channels), dtype=float32]
        Samples; full scale of an integer format is [-1, 1).
    sample_rate : int
        In Hz.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If the file is empty, not audio, cut short, without samples, or holds NaN or infinite samples, if its
        rate is below 1 kHz or above 1 MHz, or if it is small and its samples are many, as of hours of
        silence.

    Warns
    -----
    LengthWarning
        If the file does not say how long it is, and so may have been cut, or goes on after its end.
    ScaleWarning
        If its samples look like integers, or are of another scale than [-1, 1].
    ChannelWarning
        If its channels cancel each other.

    Examples
    --------
    >>> import io
    >>> from npreslstm.assets import demo_clip_path
    >>> with open(demo_clip_path(), "rb") as file:
    ...     signal, sample_rate = read_audio(io.BytesIO(file.read()))
    >>> signal.shape, sample_rate
    ((123770,), 48000)
    """
    with open_audio(path) as file:
        return read_all(file), file.samplerate


@contextlib.contextmanager
def open_audio(path: Source) -> Iterator["Sound"]:
    """Open a sound file to be read in pieces; errors and warnings as of `read_audio`.

    Parameters
    ----------
    path : str, os.PathLike or binary file

    Yields
    ------
    file
        With ``name``, ``samplerate``, ``channels`` and ``frames``; pass it to `read_blocks`.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> with open_audio(demo_clip_path()) as file:
    ...     print(file.samplerate, file.channels, file.frames)
    48000 1 123770
    """
    name = source_name(path)
    with content_of(path, name) as (content, place):
        data = Data(content, name)
        if data.size == 0:
            raise InputError(f"{name}: an empty file (0 bytes); expected FLAC, WAV or OGG")
        parts = find_parts(data)
        with contextlib.closing(Sound(data, parts, place)) as sound:
            for remark in data.remarks:
                warnings.warn(f"{name}: {remark}", LengthWarning, stacklevel=4)
            yield sound


class Sound:
    """An opened sound file: its parts one after the other, which are one but for files that were joined.

    Attributes
    ----------
    name : str
    samplerate : int
        Hz.
    channels : int
    frames : int
        Samples of a channel.
    size : int
        Bytes of the file.
    integer : bool
        Whether the samples of all parts are integers in the file.
    """

    def __init__(self, data: Data, parts: list[Part], path: str | None) -> None:
        self.name, self.size = data.name, data.size
        self._data, self._parts, self._path = data, parts, path if len(parts) == 1 else None
        self._file: Any = None  # the decoder of the part that is open
        self._next = 0
        self.warned = False  # by `warn_of_samples`
        self._measure()

    def _measure(self) -> None:
        """Find the rate, the channels and the length of all parts; the first one is left open."""
        kinds, self.frames, self.integer = [], 0, True
        for _ in self._parts:
            self._open_next()
            check_sample_rate(self._file.samplerate, self.name)
            if self._file.frames >= MAX_SAMPLES:
                raise self._data.unreadable("it does not say how long it is")
            kinds.append((self._file.samplerate, self._file.channels))
            self.frames += self._file.frames
            self.integer = self.integer and self._file.subtype.startswith("PCM_")
        if self.frames == 0:
            raise InputError(f"{self.name}: no samples")
        if len(set(kinds)) > 1:
            raise InputError(
                f"{self.name}: {len(kinds)} files joined, of different (Hz, channels): {sorted(set(kinds))};"
                " convert them one by one"
            )
        self.samplerate, self.channels = kinds[0]
        if len(kinds) > 1:
            self.rewind()

    def _open_next(self) -> None:
        self.close()
        self._file = open_part(self._data, self._parts[self._next], self._path)
        self._left = self._file.frames
        self._next += 1

    def rewind(self) -> None:
        """Read from the beginning again."""
        self._next = 0
        self._open_next()

    def close(self) -> None:
        """End the decoder; can be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, count: int) -> Array:
        """The next `count` samples, (count,) or (count, channels) float32; InputError if the file has fewer
        than it says.
        """
        blocks, missing = [], count
        while missing:
            if self._left == 0:
                self._open_next()
            block = self._decode(min(missing, self._left))
            self._left -= len(block)
            missing -= len(block)
            blocks.append(block)
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _decode(self, count: int) -> Array:
        try:
            block = self._file.read(count, dtype="float32")
        except MemoryError:
            raise InputError(
                f"{self.name}: {count} samples are too many for the memory; cut it, or read it in blocks"
            ) from None
        except InputError:
            raise
        except (RuntimeError, ValueError) as error:  # soundfile's own are RuntimeErrors
            raise InputError(f"{self.name}: broken sound file: {str(error).rstrip('.')}") from None
        if len(block) < count:
            raise InputError(
                f"{self.name}: cut short: {count - len(block)} of {self.frames} samples are missing"
            )
        return block


def read_blocks(file: Sound, size: int) -> Iterator[Array]:
    """Pieces of an opened file, (size,) or (size, channels) float32, the last one maybe shorter."""
    left = file.frames
    while left > 0:
        block = file.read(min(size, left))
        fits = file.integer and block.ndim == 1  # finite, and in [-1, 1)
        peak = 1.0 if fits else check_samples(block, file.name)
        if not file.warned and (peak > 1 or block.ndim == 2):
            file.warned = warn_of_samples(block, file.name, stacklevel=3)
        left -= len(block)
        yield block


def read_all(file: Sound) -> Array:
    """All samples of an opened file, (n,) or (n, channels) float32."""
    check_memory(file.name, file.size, 4 * file.frames * file.channels, "its samples")
    return next(read_blocks(file, file.frames))
