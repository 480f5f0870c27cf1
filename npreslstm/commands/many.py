"""What ``npreslstm predict`` and ``npreslstm features`` share: any number of files in, rows out as they are
done.
"""

import collections
import contextlib
import hashlib
import itertools
import os
import sys
import warnings
from typing import NamedTuple

from npreslstm import __version__
from npreslstm.partial import DIGEST, FOR_PEOPLE
from npreslstm.terminal import Progress, say

# a task: enough clips for one batch, but a long recording by itself
FILES_AT_ONCE, BYTES_AT_ONCE = 8, 4_000_000

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
    from npreslstm.audio.reader import find_audio, pipes_kept
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
    from npreslstm.errors import InputError

    if path == "-":
        content = sys.stdin.buffer.read()
    else:
        with open(path, "rb") as file:
            content = file.read()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            content = os.fsencode(content.decode("utf-16"))
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is damaged: it is no UTF-16 ({error.reason})") from None
    content = content.removeprefix(b"\xef\xbb\xbf")
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

    files: tuple
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
    from npreslstm.audio.reader import place_of

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
        _opened(files, form, about, args) as output,
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
    from npreslstm.audio.reader import place_of, placed

    return placed(file, os.path.abspath(place_of(file)))


def _opened(files, form, about, args):
    """The output, as a context manager."""
    from npreslstm.errors import InputError

    growing = hasattr(form, "body")
    to_file = args.output is not None and (os.path.isfile(args.output) or not os.path.exists(args.output))
    if growing and to_file:
        return _Kept.opened(files, form, about, args)
    if args.resume:
        remedy = "--output FILE" if growing else "--format csv, json or jsonl"
        raise InputError(f"--resume needs {remedy}: nothing is kept of other runs")
    return contextlib.nullcontext((_Streamed if growing else _Held)(files, form, args))


class _Output:
    """Where results go. Errors are said as they come, but the last one if there is nothing else: it is
    raised.
    """

    def __init__(self, files, form, args):
        self._files, self._form, self._path = files, form, args.output
        self.done = self.failed = 0
        self._error = None  # not said yet

    def pass_over(self, work):
        """Take from an iterator of chunks those that are done already."""

    def add(self, chunk, results):
        """Take the results of a chunk."""
        for _, _, error in results:
            if error is not None:
                self._say_error()
                self._error = error
        self._take(chunk, results)
        self.done += len(results)
        self.failed += sum(error is not None for _, _, error in results)
        if self.failed < self.done:
            self._say_error()

    def finish(self):
        """Write what is still to be written; InputError if no file could be used."""
        from npreslstm.errors import InputError

        if self.failed == self.done:
            self._give_up()
            raise InputError(self._error or f"none of the {self.done} files could be read")
        self._write()

    def _say_error(self):
        if self._error is not None:
            say(f"error: {self._error}")
            self._error = None

    def _give_up(self):
        """No file could be used."""


class _Held(_Output):
    """A table, whose columns are as wide as the widest row needs."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._results = []

    def _take(self, chunk, results):
        self._results += results

    def _write(self):
        from npreslstm.files import atomic_write

        text = self._form.whole(self._results)
        if self._path is None:
            sys.stdout.write(text)
            return
        with atomic_write(self._path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)


class _Streamed(_Output):
    """Standard output, or a pipe: nothing is written before there is a file that could be used."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._unsaid, self._stream, self._begun = [], sys.stdout, False

    def _take(self, chunk, results):
        self._unsaid.append(self._form.body(results, self.done == 0))
        if self._begun or any(error is None for _, _, error in results):
            self._say("".join(self._unsaid))
            self._unsaid = []

    def _say(self, text):
        if not self._begun and self._path is not None:
            self._stream = open(self._path, "w", encoding="utf-8", errors="surrogateescape", newline="")
        self._begun = True
        self._stream.write(text)
        self._stream.flush()

    def _write(self):
        self._say(self._form.tail)
        if self._path is not None:
            self._stream.close()


class _Kept(_Output):
    """A file, beside which lies what is done of it; see `npreslstm.partial`."""

    @classmethod
    @contextlib.contextmanager
    def opened(cls, files, form, about, args):
        """Open what there is, or begin."""
        from npreslstm.errors import InputError
        from npreslstm.partial import open_partial

        about = {
            "command": args.command,
            "version": __version__,
            **about,
            FOR_PEOPLE: _shortened([*args.paths, *([f"--files {args.files}"] if args.files else [])]),
            "files": len(files),
            "inputs": _names_digest(files),
        }
        with open_partial(args.output, about, args.resume) as partial:
            output = cls(files, form, args)
            output._partial, output.done, output.failed = partial, partial.files, partial.failed
            try:
                yield output
            except InputError:
                raise
            except BaseException:
                output._say_how_to_go_on()
                raise

    def pass_over(self, work):
        """As of `_Output`; InputError if the files are not what they were."""
        from npreslstm.errors import InputError

        for (count, found), chunk in zip(self._partial.blocks, work):
            if (count, found) != (len(chunk.files), chunk.found):
                others = f" or one of the {count - 1} files after it" if count > 1 else ""
                raise InputError(
                    f"{chunk.files[0]}{others} has changed since {self._partial.path} was begun; delete that"
                    " to begin anew"
                )

    def _take(self, chunk, results):
        body = self._form.body(results, self.done == 0)
        content = body if isinstance(body, bytes) else _encoded(body)
        failed = sum(error is not None for _, _, error in results)
        self._partial.add(len(results), failed, chunk.found, content)

    def _write(self):
        from npreslstm.files import atomic_write

        with atomic_write(self._path) as file:
            if hasattr(self._form, "write"):
                self._form.write(file, self._files, self._partial.contents)
            else:
                file.writelines(self._partial.contents())
                file.write(_encoded(self._form.tail))
        self._partial.remove()

    def _give_up(self):
        self._partial.remove()

    def _say_how_to_go_on(self):
        path = self._partial.path
        if self.done and os.path.exists(path):
            say(
                f"{self.done} of {len(self._files)} files are in {path};"
                " the same command with --resume goes on"
            )


def _encoded(text):
    return text.encode("utf-8", "surrogateescape")


def _names_digest(files):
    """A digest of names and their order."""
    digest = hashlib.blake2b(digest_size=DIGEST)
    for file in files:
        digest.update(os.fsencode(file) + b"\0")
    return digest.hexdigest()


def _shortened(arguments, most=20):
    """The arguments themselves, for people, where they are few."""
    return arguments if len(arguments) <= most else [*arguments[:most], "..."]
