"""Writing files whole or not at all, and lines of CSV."""

import contextlib
import csv
import errno
import hashlib
import os
import re
import secrets
import tempfile
import threading

from npreslstm.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

SEAL = 16  # bytes of a digest
PART = ".part"  # ending of temporary files
LONGEST = 40  # characters of a file's name in that of its temporary file
FULL = {errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}


def check_output(option, path, read=()):
    """Raise InputError, before the work, for what would go wrong after it.

    Parameters
    ----------
    option : str
        The argument that names the file.
    path : str or None
        The file to write; None is none.
    read : iterable of str
        Files that are read, which it must not replace.
    """
    if path is None:
        return
    folder = os.path.dirname(path) or "."
    if not os.path.basename(path):
        raise InputError(f"{option} is {path!r}; expected the name of a file")
    if not os.path.isdir(folder):
        raise InputError(f"{option} is {path}; there is no folder {folder}: make it first")
    if os.path.isdir(path):
        raise InputError(f"{option} is {path}, a folder; expected a file")
    if os.path.exists(path) and not os.path.isfile(path):  # /dev/stdout, a pipe
        return
    if os.path.isfile(path) and _is_among(os.stat(path), read):
        raise InputError(f"{option} is {path}, which is also to be read; give another name")
    _check_name(option, path)
    _check_writable(option, path, folder)


def _check_name(option, path):
    """Raise InputError for a name that the system does not take, such as one of more than 255 bytes."""
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(f"{option} is {path}, which cannot be written: {error.strerror}") from None


def _is_among(status, paths):
    """Whether one of some paths leads to the file of that status."""
    for path in paths:
        with contextlib.suppress(OSError, ValueError):  # ValueError: a name with a zero byte
            if os.path.samestat(status, os.stat(path)):
                return True
    return False


def check_folder(option, folder):
    """Make a folder if it is not there; InputError, before the work, if nothing can be written into it."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(f"{option} is {folder}, which cannot be made: {error.strerror}") from None
    _check_writable(option, folder, folder)


def _check_writable(option, path, folder):
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{option} is {path}; nothing can be written into {folder}: {error.strerror}"
        ) from None


class CsvWriter:
    """A `csv.writer` whose lines end with a newline, and that quotes carriage returns as well as newlines in
    names.
    """

    def __init__(self, file):
        self._file = file
        self._writer = csv.writer(self)  # ends lines with both, and so quotes both

    def write(self, line):
        """What the csv module calls with every line."""
        self._file.write(line[:-2] + "\n")

    def writerow(self, cells):
        """Write a line of any values."""
        self._writer.writerow(cells)

    def writerows(self, rows):
        """Write several lines."""
        self._writer.writerows(rows)


@contextlib.contextmanager
def atomic_write(path, mode="wb", **open_options):
    """Open a temporary file beside `path` and rename it to `path` when the block ends.

    An exception or an interruption inside the block leaves the old file, or none, and no temporary file; what
    a process that was killed left behind is removed when the same file is written again. A symbolic link
    stays one, and the file it leads to is replaced. What is no file (``/dev/stdout``, a pipe) is written to
    as it is.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write; its folder must exist.
    mode : {'wb', 'w'}
        As of `open`.
    **open_options
        Passed on to `open` (``encoding``, ``newline``).

    Yields
    ------
    file
        The open temporary file.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written; names the folder.
    """
    path = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        with _named(path), open(path, mode, **open_options) as file:
            yield file
        return
    folder, name = os.path.split(os.path.realpath(path))
    sweep(folder, name)
    with _replacing(folder, name, mode, **open_options) as file:
        yield file


@contextlib.contextmanager
def _named(path):
    """Let the error of a full disk say which file did not fit."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = path
        raise


@contextlib.contextmanager
def _replacing(folder, name, mode="wb", **open_options):
    """`atomic_write` of what is a file, or none yet."""
    path = os.path.join(folder, name)
    # its name is known before it is there: no signal can come in between and leave it
    temporary, lock = os.path.join(folder, f".{name[:LONGEST]}.{secrets.token_hex(8)}{PART}"), None
    _unfinished.add(temporary)
    try:
        descriptor, lock = _create(temporary, folder)
        with _named(path), open(descriptor, mode, **open_options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))  # until here it was private; a result file is not
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        _unfinished.discard(temporary)
        if lock is not None:
            os.close(lock)


_unfinished = set()  # temporary files of this process
_creating = threading.Lock()  # held while one is made, and by who is about to end the process


def _create(temporary, folder):
    """Make a temporary file: its descriptor, and a second one that keeps it locked against `sweep`."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        try:
            with _creating:
                descriptor = os.open(temporary, flags, 0o600)
        except FileExistsError:  # the one of below, which is about to go
            continue
        except OSError as error:
            raise OSError(error.errno, error.strerror, folder) from None
        if fcntl is None:
            return descriptor, None
        if _lock(descriptor) and os.path.exists(temporary):
            return descriptor, os.dup(descriptor)
        os.close(descriptor)  # somebody is sweeping it, or has done so, before it was locked


def _lock(descriptor):
    """Lock an open file; False if another process has it locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # where files cannot be locked, nobody sweeps
        return True
    return True


def remove_unfinished():
    """Remove the temporary files of this process, which makes no more: for who is about to end it at once."""
    _creating.acquire()  # and never released, or one might be made anew in the moment that is left
    for temporary in list(_unfinished):
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def sweep(folder, name=None):
    """Remove temporary files that `atomic_write` began in a folder and whose processes did not live to finish
    them.

    Parameters
    ----------
    folder : str
    name : str, optional
        Only those of this file; default: those of all, for folders that are this package's own.
    """
    which = ".*" if name is None else re.escape(name[:LONGEST])
    pattern = re.compile(rf"\.{which}\.?[^.]*{re.escape(PART)}", re.DOTALL)
    with contextlib.suppress(OSError):  # a folder that is not there, or cannot be listed
        for other in os.listdir(folder):
            if pattern.fullmatch(other):
                _remove_if_dead(os.path.join(folder, other))


def _remove_if_dead(temporary):
    """Remove a temporary file unless a process that lives has it locked."""
    with contextlib.suppress(OSError):  # locked, finished in this very moment, or somebody else's
        if fcntl is None:
            os.unlink(temporary)  # which Windows refuses while it is open
            return
        if os.path.isfile(temporary):
            with open(temporary, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(temporary)


def write_sealed(path, data):
    """Write bytes whole or not at all, followed by their BLAKE2b digest, by which `read_sealed` finds any
    damage.

    Temporary files are not looked for in the folder, which may hold many files: `sweep` it once.
    """
    with _replacing(*os.path.split(os.path.realpath(path))) as file:
        file.write(data)
        file.write(hashlib.blake2b(data, digest_size=SEAL).digest())


def read_sealed(path):
    """The bytes that `write_sealed` wrote; None if there is no such file, or it is not as it was written."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    data, seal = content[:-SEAL], content[-SEAL:]
    return data if hashlib.blake2b(data, digest_size=SEAL).digest() == seal else None


def _mode(path):
    """Permissions of the file that is there, or of a new one."""
    if os.path.exists(path):
        return os.stat(path).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
