"""What ``npreslstm predict`` and ``npreslstm features`` share: any number of files in, rows out as they are
done.
"""

import collections
import contextlib
import hashlib
import itertools
import os
import warnings
from typing import NamedTuple

from npreslstm.commands.outputs import opened
from npreslstm.partial import DIGEST
from npreslstm.terminal import Progress

# a task: enough clips for one batch, but a long recording by itself
FILES_AT_ONCE, BYTES_AT_ONCE = 8, 4_000_000
SOUND_HEAD = 8192  # bytes by which a sound file is known

OUTPUT_EXAMPLES = """\
Rows leave as they are done, in the order of the files. With --output OUT they lie in OUT.partial until all
are done, and then OUT appears whole. After an interruption of any kind, the same command with --resume goes
on, and ends with the same bytes.
"""


def add_path_arguments(parser):
    """Which files."""
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="sound file, folder with all in it, quoted pattern, or - (standard input)",
    )
    parser.add_argument(
        "--files", metavar="LIST", help="a text file that names sound files, one a line; - is standard input"
    )


def add_work_arguments(parser):
    """By whom the work is done, and from where on."""
    jobs = "processes (default 1); the result does not depend on it"
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help=jobs)
    dask = "work on a dask.distributed cluster that sees the same files, e.g. tcp://host:8786"
    parser.add_argument("--dask", metavar="ADDRESS", help=dask)
    resume = "go on from the OUT.partial of an interrupted run"
    parser.add_argument("--resume", action="store_true", help=resume)


@contextlib.contextmanager
def found_files(args):
    """The files behind the arguments, each once; what leads to none stays in its place, to be named when its
    turn comes.
    """
    from npreslstm.audio.reader import find_audio
    from npreslstm.audio.sources import pipes_kept
    from npreslstm.errors import InputError

    if not args.paths and args.files is None:
        raise InputError("the following arguments are required: PATH, or --files LIST")
    if args.jobs < 1:
        raise InputError(f"--jobs is {args.jobs}; expected at least 1")
    with pipes_kept(args.paths) as paths:
        files = {}
        for path in paths:
            try:
                files.update(dict.fromkeys(find_audio([path])))
            except (FileNotFoundError, InputError):
                files[path] = None
        if args.files is not None:
            files.update(dict.fromkeys(names_in_list(args.files)))
        yield list(files)


def names_in_list(path):
    """The names in a list: one a line, blank lines passed over; or, as of ``find -print0``, each followed by
    a zero byte. UTF-8, or UTF-16 with its mark.
    """
    from npreslstm.audio.containers import starts_file
    from npreslstm.audio.sources import standard_input
    from npreslstm.errors import InputError

    if path == "-":
        content = standard_input().read()
    else:
        with open(path, "rb") as file:
            content = file.read()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            content = os.fsencode(content.decode("utf-16"))
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is damaged: it is no UTF-16 ({error.reason})") from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    if starts_file(content[:SOUND_HEAD]):
        raise InputError(f"{path} is a sound file, not a list of names; give it without --files")
    if b"\0" in content:
        names = content.split(b"\0")
    else:
        names = (line.removesuffix(b"\r") for line in content.split(b"\n"))
    names = [os.fsdecode(name) for name in names if name.strip()]
    if not names:
        raise InputError(f"{path}: no file is named in it; expected one name a line")
    return names


class Chunk(NamedTuple):
    """Some files, and a digest of their names, sizes and times of change."""

    files: tuple[str, ...]
    found: str


def chunks(files):
    """Divide files into chunks, of which each is a task; always in the same way."""
    some, size, digest = [], 0, hashlib.blake2b(digest_size=DIGEST)
    for file in files:
        status = _status(file)
        some.append(file)
        size += status[0]
        digest.update(f"{len(file)} {status} ".encode() + os.fsencode(file))
        if len(some) == FILES_AT_ONCE or size >= BYTES_AT_ONCE:
            yield Chunk(tuple(some), digest.hexdigest())
            some, size, digest = [], 0, hashlib.blake2b(digest_size=DIGEST)
    if some:
        yield Chunk(tuple(some), digest.hexdigest())


def _status(file):
    """(size, time of change) of a file; zeros where there is none."""
    from npreslstm.audio.finding import place_of

    try:
        status = os.stat(place_of(file))
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return 0, 0
    return status.st_size, status.st_mtime_ns


def run_many(files, here, there, form, about, args):
    """Do the work on all files, and write what comes of it.

    Parameters
    ----------
    files : list of str
    here, there : callable
        Take the files of a chunk, and give (file, result or None, error or None) of each, and the warnings
        that came up as (category, text): in this process, given (files, progress); and in another one, given
        (files).
    form
        See `npreslstm.report.predictions.CsvRows`; one without `body` is written when all is done.
    about : dict
        JSON values that decide the result, besides the files.
    args
        Of the command line: output, jobs, dask, resume.

    Returns
    -------
    int
        Exit status: 1 if a file could not be used.

    Raises
    ------
    InputError
        If none could.
    """
    with (
        opened(files, form, about, args) as output,
        Progress(len(files), "files", done=output.done) as progress,
    ):
        work = chunks(files)
        output.pass_over(work)
        waiting = collections.deque()
        for results, raised in _outcomes(work, waiting, here, there, progress, args):
            for category, message in raised:
                warnings.warn(message, category, stacklevel=2)
            chunk = waiting.popleft()
            output.add(chunk, results)
            progress.step(len(chunk.files))
        output.finish()
    return 1 if output.failed else 0


def _outcomes(work, waiting, here, there, progress, args):
    """Yield what comes of each chunk, which is put into `waiting` when its work begins."""
    from npreslstm.parallel import run_in_order

    first = list(itertools.islice(work, args.jobs))
    work = itertools.chain(first, work)
    jobs = max(1, min(args.jobs, len(first)))

    def tasks():
        for chunk in work:
            waiting.append(chunk)
            yield chunk.files if args.dask is None else tuple(map(_absolute, chunk.files))

    if not first:
        return
    if jobs == 1 and args.dask is None:
        yield from (here(task, progress) for task in tasks())
    else:
        yield from run_in_order(there, tasks(), jobs, args.dask)


def _absolute(file):
    """A file by its name, to be found from another folder."""
    from npreslstm.audio.finding import place_of, placed

    return placed(file, os.path.abspath(place_of(file)))
