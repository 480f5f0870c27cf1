"""Sound files by their names: in folders, behind patterns, and whether there is one to be read."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from typing import TypeVar

from npreslstm.annotations import Source, StrPath
from npreslstm.audio.suffixes import is_audio_name, is_hidden
from npreslstm.errors import InputError

_Path = TypeVar("_Path", bound=Source)


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


def place_of(path: str) -> str:
    """The file to open for a path."""
    return getattr(path, "place", path)


def find_audio(paths: Iterable[StrPath]) -> list[str]:
    """Sound files behind files, folders (searched through and through) and glob patterns.

    In folders and behind patterns, hidden files and folders, ``__MACOSX``, pipes and devices are passed over;
    of a folder, so are files whose ending is neither in AUDIO_SUFFIXES nor in MEDIA_SUFFIXES. Whether a file
    can be read shows when it is.

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
    """`paths`, unless that is a single one, whose letters or lines would be taken for files."""
    if isinstance(paths, (str, bytes, os.PathLike)) or hasattr(paths, "read"):
        raise InputError(f"paths is {paths!r}; expected a list of files: [{paths!r}]")
    if not isinstance(paths, Iterable):
        raise InputError(f"paths is {paths!r}; expected a list of files")
    return paths


def _expand(path: str) -> list[str]:
    if isinstance(path, PlacedName):
        return [path]
    if os.path.isdir(path):
        inside = [
            os.path.join(folder, name)
            for folder, names in walk(path)
            for name in names
            if is_audio_name(name) and not _is_pipe(os.path.join(folder, name))
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


def _is_pipe(path: str) -> bool:
    """Whether it is there, but no file: who reads a pipe may wait for ever."""
    return os.path.exists(path) and not os.path.isfile(path)


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
