"""Commands in processes that are forked from this one, where everything is loaded: what is killed, or races,
is the work and not the start of Python.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fuzz"))
from templates import make

from npreslstm.cli import main

QUICK = "--folds 3 --config mcu --hidden 4 --set epochs=2 --set speeds=1 --seed 7".split()


def prepared():
    """A temporary folder with a corpus, weights and results of small size, and everything loaded."""
    folder = tempfile.TemporaryDirectory(prefix="npreslstm-faults-")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[-1:] + [str(Path(__file__).resolve().parents[2])])
    process = os.fork()
    if not process:
        silence(os.devnull)
        make(os.path.join(folder.name, "made"))
        os._exit(0)
    if os.waitpid(process, 0)[1]:
        raise SystemExit("the inputs cannot be made")
    return folder


def silence(path):
    """Send both outputs of this process to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def start(argv, said, begin=None):
    """Start a command; `said` gets its output, `begin` is a pipe whose end it waits for. Returns the process
    id."""
    process = os.fork()
    if process:
        return process
    status = 99
    try:
        os.setsid()  # its workers are of its group
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        silence(said)
        if begin is not None:
            os.close(begin[1])
            os.read(begin[0], 1)
        status = main(argv)
    except SystemExit as end:
        status = end.code
    finally:
        os._exit(status)


def finish(process):
    """Wait for a process; its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def run(argv, said=os.devnull):
    """Run a command to its end; its exit status."""
    return finish(start(argv, said))
