"""Sound files: read whole or in blocks, found in folders."""

import contextlib
import glob
import os
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np

from npreslstm.annotations import Array, Source, StrPath
from npreslstm.audio.containers import Data, Part, find_parts
from npreslstm.audio.decoders import open_part
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import check_memory, check_sample_rate, check_samples, to_mono, warn_of_scale
from npreslstm.audio.suffixes import AUDIO_SUFFIXES, MEDIA_SUFFIXES, is_audio_name, is_hidden
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
SPOOLED = 1 << 26  # bytes of a pipe that are kept in memory; the rest goes to a temporary file
AT_ONCE = 1 << 20  # bytes of a pipe

_Path = TypeVar("_Path", bound=Source)


class LengthWarning(UserWarning):
    """Whether a file is all there cannot be told, or something after its end is passed over.

    Examples
    --------
    Who would rather have no such file at all makes the warning an error:

    >>> import io, warnings
    >>> from npreslstm.assets import demo_clip_path
    >>> with open(demo_clip_path(), "rb") as file:
    ...     longer = io.BytesIO(file.read() + b"what is this?")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", LengthWarning)
    ...     try:
    ...         y, sample_rate = read_audio(longer)
    ...     except LengthWarning:
    ...         print("not whole, or not alone")
    not whole, or not alone
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
    with _content(path, name) as (content, place):
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
        self.scale_warned = False
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
        if peak > 1 and not file.scale_warned:
            file.scale_warned = warn_of_scale(block, file.name, stacklevel=3)
        left -= len(block)
        yield block


def read_all(file: Sound) -> Array:
    """All samples of an opened file, (n,) or (n, channels) float32."""
    check_memory(file.name, file.size, 4 * file.frames * file.channels, "its samples")
    return next(read_blocks(file, file.frames))


class PlacedName(str):
    """What a sound is called, while its content lies in the file `place`: that of a pipe, so that it can be
    read more than once and by other processes; or a file by its absolute path.
    """

    place: str


def placed(name: str, place: str) -> PlacedName:
    """A `PlacedName`."""
    made = PlacedName(name)
    made.place = place
    return made


def source_name(path: Source) -> str:
    """What a file is called in messages."""
    if isinstance(path, (str, bytes, os.PathLike)):
        return os.fsdecode(path)
    name = getattr(path, "name", None)
    return name if isinstance(name, str) else f"<{type(path).__name__}>"


def place_of(path: str) -> str:
    """The file to open for a path."""
    return getattr(path, "place", path)


@contextlib.contextmanager
def _content(path: Source, name: str) -> Iterator[tuple[BinaryIO, str | None]]:
    """The bytes of a source as a file that can be read to and fro, and its path, if it has one."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        with _spooled(path, name) as content:
            yield content, None
        return
    place = place_of(os.fsdecode(path))
    with _opened(place) as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            yield file, place
            return
        check_file(place)
        with _spooled(file, name) as content:
            yield content, None


def _opened(place: str) -> BinaryIO:
    try:
        return open(place, "rb", buffering=0)
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        check_file(place)
        raise


@contextlib.contextmanager
def _spooled(source: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """All that is still to be read from a binary file."""
    if not hasattr(source, "read"):
        raise InputError(f"{name}: expected a path or a binary file, not {type(source).__name__}")
    with tempfile.SpooledTemporaryFile(SPOOLED) as content:
        spooled = cast(BinaryIO, content)  # it is one from Python 3.11 on
        copy_binary(source, spooled, name)
        yield spooled


def copy_binary(source: BinaryIO, target: BinaryIO, name: str) -> None:
    """Copy what is still to be read; InputError if it is text."""
    try:
        shutil.copyfileobj(source, target, AT_ONCE)
    except TypeError:
        raise InputError(f"{name}: opened as text; expected a binary file: open(path, 'rb')") from None


def find_audio(paths: Iterable[StrPath]) -> list[str]:
    """Sound files behind files, folders (searched through and through) and glob patterns.

    In folders and behind patterns, hidden files and folders and ``__MACOSX`` are passed over; of a folder, so
    are files whose ending is neither in AUDIO_SUFFIXES nor in MEDIA_SUFFIXES. Whether a file can be read
    shows when it is.

    Parameters
    ----------
    paths : iterable of str or os.PathLike

    Returns
    -------
    list of str
        In the order of `paths`; sorted within a folder or pattern; each file once.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    InputError
        If a folder holds no sound file, or a pattern matches nothing.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> folder = os.path.dirname(demo_clip_path())
    >>> [os.path.basename(path) for path in find_audio([folder])]
    ['demo.wav']
    """
    found = {}
    for path in map(os.fsdecode, listed(paths)):
        found.update(dict.fromkeys(_expand(path)))
    return list(found)


def listed(paths: Iterable[_Path]) -> Iterable[_Path]:
    """`paths`, unless that is a single one, whose letters would be taken for files."""
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise InputError(f"paths is {paths!r}; expected a list of files: [{paths!r}]")
    return paths


def _expand(path: str) -> list[str]:
    if isinstance(path, PlacedName):
        return [path]
    if os.path.isdir(path):
        inside = [
            os.path.join(folder, name)
            for folder, names in walk(path)
            for name in names
            if is_audio_name(name)
        ]
        matches = sorted(inside)
        if not matches:
            raise InputError(
                f"{path}: a folder without sound files; expected names that end in .wav, .flac, .mp3,"
                " .m4a ..."
            )
        return matches
    if os.path.exists(path):
        return [path]
    if not glob.has_magic(path):
        raise FileNotFoundError(f"{path}: no such file")
    matches = sorted(
        name
        for name in glob.glob(path, recursive=True)
        if os.path.isfile(name) and not _in_hidden(name, path)
    )
    if not matches:
        raise InputError(f"{path}: no file matches this pattern")
    return matches


def _in_hidden(name: str, pattern: str) -> bool:
    """Whether a match lies in what is passed over, without the pattern asking for that by name."""
    asked = pattern.split(os.sep)
    return any(
        is_hidden(part) and part not in asked and not part.strip(".") == "" for part in name.split(os.sep)
    )


def walk(path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (folder, sorted names of its files) of a folder and all in it, each once; symbolic links are
    followed.

    A folder that cannot be listed is an OSError that names it: what is in it must not silently be left out.
    """
    seen = set()
    for folder, folders, names in os.walk(path, followlinks=True, onerror=_give_up):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not is_hidden(name)]
        # beside its link, a folder goes by its own name
        folders.sort(key=lambda name: (os.path.islink(os.path.join(folder, name)), name))
        yield folder, sorted(names)


def _give_up(error: OSError) -> None:
    raise error


def check_file(path: str) -> None:
    """Raise FileNotFoundError or InputError unless there is a file or a pipe, with content, that
    may be read.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        found = None
    if found is None or stat.S_ISDIR(found.st_mode):
        _expand(path)  # says what is wrong, unless there are sound files
        raise InputError(f"{path}: not a file, but several; expected FLAC, WAV or OGG")
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
        raise InputError(f"{path}: not a file or a pipe; expected FLAC, WAV or OGG")
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:
        raise InputError(f"{path}: an empty file (0 bytes); expected FLAC, WAV or OGG")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: no permission to read it")


@contextlib.contextmanager
def pipes_kept(paths: Iterable[str]) -> Iterator[list[str]]:
    """Of the command line's paths, pipes and ``-`` (standard input) read whole into temporary files, see
    `PlacedName`.
    """
    with tempfile.TemporaryDirectory(prefix="npreslstm-") as folder:
        kept: dict[str, str] = {}
        for path in dict.fromkeys(paths):
            kept[path] = _kept(path, os.path.join(folder, str(len(kept)))) if _is_pipe(path) else path
        yield list(kept.values())


def _is_pipe(path: str) -> bool:
    """Whether a path is standard input or a pipe, or leads to what is open in this process alone."""
    if path == "-" or path.startswith(("/dev/stdin", "/dev/fd/", "/proc/self/fd/")):
        return True
    return os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)


def _kept(path: str, place: str) -> PlacedName:
    with open(place, "wb") as target:
        if path == "-":
            if sys.stdin.isatty():
                raise InputError(
                    "- is the terminal; expected sound through a pipe: npreslstm predict - < clip.wav"
                )
            copy_binary(sys.stdin.buffer, target, path)
        else:
            check_file(path)
            with open(path, "rb") as source:
                copy_binary(source, target, path)
    return placed(path, place)
