"""Writing files whole or not at all, and lines of CSV."""

import contextlib
import csv
import os
import tempfile

from npreslstm.errors import InputError


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
    if os.path.realpath(path) in map(os.path.realpath, read):
        raise InputError(f"{option} is {path}, which is also to be read; give another name")


class CsvWriter:
    """A `csv.writer` whose lines end with a newline, and that quotes carriage returns as well as newlines in names."""

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

    An exception or an interruption inside the block leaves the old file, or none, and no temporary file. A symbolic link
    stays one, and the file it leads to is replaced. What is no file (``/dev/stdout``, a pipe) is written to as it is.

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
        with open(path, mode, **open_options) as file:
            yield file
        return
    folder, name = os.path.split(os.path.realpath(path))
    path = os.path.join(folder, name)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name[:40]}.", suffix=".part", dir=folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, folder) from None
    try:
        with open(descriptor, mode, **open_options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))  # mkstemp makes files private; a result file is not
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _mode(path):
    """Permissions of the file that is there, or of a new one."""
    if os.path.exists(path):
        return os.stat(path).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
