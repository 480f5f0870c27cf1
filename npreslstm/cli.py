"""The command line: finds the command, runs it, and turns every failure into one line and an exit status.

Exit status: 0 done; 1 done, but something was wrong that the output names; 2 bad use or bad input, nothing
written; 130 interrupted; 141 the reader of the output went away.
"""

import argparse
import contextlib
import importlib
import os
import sys
import warnings

from npreslstm import __version__
from npreslstm.errors import InputError
from npreslstm.files import FULL
from npreslstm.signals import ended_by_exceptions
from npreslstm.terminal import reason, say

# The modules of npreslstm.commands, in the order of --help.
COMMANDS = (
    "predict",
    "listen",
    "explain",
    "features",
    "train",
    "crossval",
    "search",
    "calibrate",
    "evaluate",
)
COMMANDS += ("convert", "export", "info", "gradcheck")

EPILOG = """\
examples:
  npreslstm clip.wav                          short for: npreslstm predict clip.wav
  npreslstm predict recordings/ --format csv --output emotions.csv
  npreslstm COMMAND --help                    options and examples of a command
"""

REMEMBERED = 10_000  # warnings, so that as many files as there are may have one each
INTERRUPTED, BROKEN_PIPE = 130, 141  # as a shell reports SIGINT and SIGPIPE


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Examples as they are written, and room for an option and its value beside its description."""

    def __init__(self, prog):
        super().__init__(prog, max_help_position=26)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and whose help is not lost in silence on a full disk."""

    def __init__(self, **options):
        super().__init__(formatter_class=_HelpFormatter, allow_abbrev=False, **options)

    def _print_message(self, message, file=None):  # of help and version: argparse's own passes over errors
        (file or sys.stderr).write(message)

    def error(self, message):
        say(f"error: {message}; see {self.prog} --help")
        raise SystemExit(2)


def main(argv=None):
    """Execute one command.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; default ``sys.argv[1:]``.

    Returns
    -------
    int
        The exit status.
    """
    # a program of PyInstaller and the like, started again as a worker of its own
    if getattr(sys, "frozen", False):
        import multiprocessing

        multiprocessing.freeze_support()
    argv = sys.argv[1:] if argv is None else list(argv)
    return guarded(_execute, argv)


def guarded(main, *arguments):
    """Call ``main(*arguments)`` as a program's main function: its warnings and errors are one line each on
    standard error.

    Returns
    -------
    int
        The exit status: what `main` returned, 2 after an error.
    """
    # None if closed by the caller
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))
    with _warnings_as_lines(), ended_by_exceptions():
        try:
            status = main(*arguments)
            sys.stdout.flush()  # a full disk or a closed pipe shows here, not after main
        except KeyboardInterrupt:
            say("interrupted")
            status = INTERRUPTED
        except BrokenPipeError:
            _drop_output()
            status = BROKEN_PIPE
        except ModuleNotFoundError as error:
            if error.name != "numpy":
                raise
            say("error: npreslstm needs NumPy: pip install numpy")
            status = 2
        except (InputError, OSError, MemoryError) as error:
            _drop_output()
            if getattr(error, "errno", None) in FULL and error.filename is None:  # files are named
                error.filename = "standard output"
            say(f"error: {reason(error)}")
            status = 2
    return status or 0


def _execute(argv):
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not fit the terminal's encoding
    parser = _parser()
    if not argv:
        parser.print_help()
        return 0
    if argv[0] == "-":
        raise InputError("- is no command; for sound from standard input: npreslstm predict -")
    if _looks_like_a_path(argv[0]):
        argv = ["predict", *argv]
    try:
        args = parser.parse_args(argv)
    except SystemExit as end:  # after --help or an error
        return end.code
    return args.execute(args)


def _parser():
    parser = _Parser(
        prog="npreslstm", description="Speech emotion recognition with ResLSTM-SA, in NumPy.", epilog=EPILOG
    )
    parser.add_argument("--version", action="version", version=f"npreslstm {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"npreslstm.commands.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP, epilog=module.EXAMPLES)
        module.add_arguments(command)
        command.set_defaults(execute=module.execute)
    return parser


def _looks_like_a_path(argument):
    """Whether a first argument that may be a command is a file, a folder or a pattern instead."""
    if argument.startswith("-") or argument in COMMANDS:
        return False
    return os.path.exists(argument) or any(mark in argument for mark in (".", "*", "?", "/", os.sep))


@contextlib.contextmanager
def _warnings_as_lines():
    """Show each warning once, as one line; those that only concern developers not at all."""
    seen = {}

    def show(message, *where, **more):
        if str(message) not in seen:
            seen[str(message)] = True
            if len(seen) > REMEMBERED:
                del seen[next(iter(seen))]
            say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):
            warnings.simplefilter("always", category)
        warnings.showwarning = show
        yield


def _drop_output():
    """Let nothing that is still unwritten fail again when the interpreter ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
