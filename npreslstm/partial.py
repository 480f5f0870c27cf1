"""Results that grow: ``OUT.partial`` beside the file to be written, to which finished work is added block by
block.

    # npreslstm {"command": "predict", "files": 20000, ...}    of what run it is
    # 8 files, 0 failed, 1234 bytes, DIGEST DIGEST              what a block is of: files, content
    a.wav,0.000,1.230,...                                       that many bytes, as they will be in OUT
    # 8 files, ...

A process can be killed at any moment: what is not a whole block is dropped when the run goes on. Without its
lines that begin with ``#``, the file of a CSV is a CSV.
"""

import contextlib
import hashlib
import json
import os
import re

from npreslstm.errors import InputError
from npreslstm.files import FULL, fcntl

SUFFIX = ".partial"
MAGIC = b"# npreslstm {"
LONGEST = 1 << 20  # bytes of the first line
MARK = re.compile(rb"# (\d+) files, (\d+) failed, (\d+) bytes, ([0-9a-f]{32}) ([0-9a-f]{32})\n")
DIGEST = 16  # bytes
FOR_PEOPLE = "arguments"  # of what a run is of, this decides nothing


class Partial:
    """The finished part of a run, locked against other processes; see `open_partial`.

    Attributes
    ----------
    path : str
    files, failed : int
        Files in it, and how many of them could not be used.
    blocks : list of (int, str)
        Of each block that was there when it was opened, how many files it is of, and the digest of what they
        were.
    """

    def __init__(self, path, file, about):
        self.path, self._file, self._about = path, file, about
        self.files = self.failed = self._start = self._stop = 0
        self.blocks = []

    def recall(self):
        """What the file says it is of, as a dictionary, and the blocks in it; None if it is new, or no block
        was finished.
        """
        self._file.seek(0)
        first = self._file.readline(LONGEST)
        if not first.startswith(MAGIC[: len(first)]):
            raise InputError(f"{self.path} is no unfinished result of npreslstm: move it out of the way")
        if not first.endswith(b"\n"):
            return None
        try:
            about = json.loads(first[len(MAGIC) - 1 :])
        except ValueError:
            raise InputError(f"{self.path} is damaged in its first line: delete it") from None
        self._start = self._stop = len(first)
        for mark, content in self._read():
            if _digest(content) != mark[4]:
                break
            self._stop = self._file.tell()
            self._count(int(mark[0]), int(mark[1]))
            self.blocks.append((int(mark[0]), mark[3]))
        return about if self.blocks else None

    def begin(self):
        """Make the file new."""
        self._file.seek(0)
        self._file.truncate()
        line = MAGIC[:-1] + json.dumps(self._about).encode() + b"\n"
        self._write(line)
        self._start = len(line)

    def go_on(self):
        """Drop what follows the last whole block."""
        self._file.seek(self._stop)
        self._file.truncate()

    def add(self, files, failed, found, content):
        """Add a block: how many files it is of, how many failed, a digest of what was found, its bytes."""
        numbers = f"# {files} files, {failed} failed, {len(content)} bytes"
        self._write(f"{numbers}, {found} {_digest(content)}\n".encode() + content)
        self._count(files, failed)

    def contents(self):
        """Yield the bytes of every block."""
        self._file.seek(self._start)
        for _, content in self._read():
            yield content

    def remove(self):
        """Delete the file."""
        self._file.close()  # Windows deletes no file that is open
        os.unlink(self.path)

    def _count(self, files, failed):
        self.files += files
        self.failed += failed

    def _read(self):
        """Yield (files, failed, bytes, digest, digest) and the content of every whole block from here on."""
        while mark := MARK.fullmatch(self._file.readline(LONGEST)):
            content = self._file.read(int(mark[3]))
            if len(content) < int(mark[3]):
                return
            yield tuple(field.decode() for field in mark.groups()), content

    def _write(self, content):
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            if error.errno in FULL and error.filename is None:
                error.filename = self.path
            raise


@contextlib.contextmanager
def open_partial(output, about, resume):
    """Open the `Partial` of an output file.

    Parameters
    ----------
    output : str
        The file to be written in the end.
    about : dict
        JSON values that decide the result.
    resume : bool
        Go on from the blocks that are there; without it, blocks are an error, so that no work is lost.

    Yields
    ------
    Partial

    Raises
    ------
    InputError
        If another process has it open, if it is of another run, or if there is one and `resume` is false.
    """
    path = output + SUFFIX
    with _locked(path) as file:
        partial = Partial(path, file, about)
        there = partial.recall()
        if there is None:
            partial.begin()
        else:
            _check(partial, there, about, resume)
            partial.go_on()
        try:
            yield partial
        except BaseException:
            if partial.files == 0 and os.path.exists(path):
                partial.remove()
            raise


def _check(partial, there, about, resume):
    """Raise InputError unless a run goes on from where it was."""
    done = f"{partial.path} holds {partial.files} of {there.get('files')} files of an unfinished run"
    if not resume:
        raise InputError(f"{done}: go on with --resume, or delete it to begin anew")
    changed = [key for key in {**there, **about} if there.get(key) != about.get(key) and key != FOR_PEOPLE]
    if changed:
        key = changed[0]
        others = f" (and {', '.join(changed[1:])})" if changed[1:] else ""
        difference = f"its {key} is {there.get(key)}, not {about.get(key)}{others}"
        raise InputError(f"{done} that is another one: {difference}; repeat that command, or delete the file")


@contextlib.contextmanager
def _locked(path):
    """The file of a path, made if it is not there, open for reading and writing and for no other process."""
    while True:
        with open(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b") as file:
            if fcntl is not None:
                _lock(file, path)
            if not _is_at(file, path):  # another process finished it before it was locked
                continue
            yield file
            return


def _lock(file, path):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"another process is working on {path}: wait for it") from None
    except OSError:  # where files cannot be locked
        pass


def _is_at(file, path):
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _digest(content):
    return hashlib.blake2b(content, digest_size=DIGEST).hexdigest()
