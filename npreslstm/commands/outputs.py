"""Where the rows of many files go: to standard output as they are done, into a file that can be gone on with,
or all at once.
"""

import contextlib
import hashlib
import os
import sys

from npreslstm import __version__
from npreslstm.partial import DIGEST, FOR_PEOPLE
from npreslstm.terminal import say


def opened(files, form, about, args):
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
