"""One execution of a target: an input goes to a reader, and anything but a documented error is an escape."""

import contextlib
import os
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from typing import NamedTuple

from npreslstm.errors import InputError

MEMORY, SECONDS = 500_000_000, 10  # docs/reliability.md: the budget
HANG = 60  # seconds of processor time after which an execution is ended
PAGE = os.sysconf("SC_PAGE_SIZE")


class Target(NamedTuple):
    """A reader under attack.

    Attributes
    ----------
    use : callable
        (folder to work in, input): writes the input to a file there, if the reader takes one, and reads it.
    seeds : callable
        (folder of templates): inputs that are good, or nearly so.
    needs : tuple of str
        Modules besides NumPy without which it cannot run.
    documented : tuple of type
        Exceptions that may leave it.
    """

    use: Callable[[str, bytes], object]
    seeds: Callable[[str], Iterable[bytes]]
    needs: tuple[str, ...] = ()
    documented: tuple[type[BaseException], ...] = (InputError,)


class Hang(BaseException):
    """An execution that does not end."""


def execute(target: Target, folder: str, data: bytes) -> str | None:
    """Run one input.

    Returns
    -------
    str or None
        What went wrong, and where: the same text for the same fault. None if nothing did.
    """
    started = time.process_time()
    try:
        with _limits(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.use(folder, data)
    except target.documented:
        pass
    except Exception as error:
        return f"{type(error).__name__} in {_place(error)}"
    except Hang as error:
        return f"no end after {HANG} s in {_place(error)}"
    if time.process_time() - started > SECONDS:
        return f"more than {SECONDS} s"
    return None


@contextlib.contextmanager
def _limits():
    """Memory beyond the budget is a MemoryError; an endless loop is a `Hang`."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * PAGE
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    signal.signal(signal.SIGPROF, _end)
    signal.setitimer(signal.ITIMER_PROF, HANG)
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        signal.setitimer(signal.ITIMER_PROF, 0)


def _end(*_):
    raise Hang


def _place(error):
    """The innermost line of the package that an exception passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}npreslstm{os.sep}" in frame.filename] or frames
    return f"{os.path.basename(ours[-1].filename)}:{ours[-1].lineno}"
