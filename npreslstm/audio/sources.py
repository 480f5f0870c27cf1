"""Where the bytes of a sound come from: a file, a pipe, standard input or an open file."""

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from npreslstm.annotations import Source
from npreslstm.audio.finding import PlacedName, check_file, place_of, placed
from npreslstm.errors import InputError

SPOOLED = 1 << 26  # bytes of a pipe that are kept in memory; the rest goes to a temporary file


AT_ONCE = 1 << 20  # bytes of a pipe


def source_name(path: Source) -> str:
    """What a file is called in messages."""
    if isinstance(path, (str, bytes, os.PathLike)):
        return os.fsdecode(path)
    name = getattr(path, "name", None)
    return name if isinstance(name, str) else f"<{type(path).__name__}>"


@contextlib.contextmanager
def content_of(path: Source, name: str) -> Iterator[tuple[BinaryIO, str | None]]:
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


def standard_input() -> BinaryIO:
    """Its bytes; InputError if it was closed before the program began, as ``<&-`` does."""
    if sys.stdin is None:
        raise InputError("- is standard input, which is closed; expected a pipe, or a file behind <")
    return sys.stdin.buffer


def _kept(path: str, place: str) -> PlacedName:
    with open(place, "wb") as target:
        if path == "-":
            source = standard_input()
            if source.isatty():
                raise InputError(
                    "- is the terminal; expected sound through a pipe: npreslstm predict - < clip.wav"
                )
            copy_binary(source, target, path)
        else:
            check_file(path)
            with open(path, "rb") as source:
                copy_binary(source, target, path)
    return placed(path, place)
