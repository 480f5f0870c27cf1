"""``npreslstm predict``: emotions of sound files."""

import functools
import os
import sys
import warnings

from npreslstm.commands.arguments import add_speeds_argument, parse_speeds
from npreslstm.terminal import Progress, reason, say

HELP = "predict the emotion in sound files"

EXAMPLES = """\
examples:
  npreslstm predict clip.wav --attention
  npreslstm predict recordings/ --format csv --output emotions.csv --jobs 2
  npreslstm predict interview.flac --window 4 --hop 2 --smooth 4    windows on speech, the rest is silence
  npreslstm predict clip.wav --weights mcu --speeds 1,0.85,1.15      three times the work, fewer errors
  npreslstm predict 'takes/*.wav' --weights my.npz --format json
  ffmpeg -v error -i talk.m4a -f wav - | npreslstm predict -

exit status: 0 all done; 1 some files could not be read and have an empty row; 2 nothing was written
"""

FORMATS = ("table", "csv", "json")
# a worker's task: enough clips for one batch, but a long recording by itself
FILES_AT_ONCE, BYTES_AT_ONCE = 8, 4_000_000


def add_arguments(parser):
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="sound file, folder with all in it, quoted pattern, or - (standard input)",
    )
    parser.add_argument(
        "--weights", metavar="W", help=".npz, or the name of bundled weights (default robust)"
    )
    add_speeds_argument(parser)
    parser.add_argument(
        "--window",
        type=float,
        metavar="S",
        help="seconds a window (default: files up to 10 s whole, longer ones 4)",
    )
    parser.add_argument(
        "--hop", type=float, metavar="S", help="seconds from window to window (default: half a window)"
    )
    smooth_help = "average each window with neighbours nearer than S seconds (default 0)"
    parser.add_argument("--smooth", type=float, default=0.0, metavar="S", help=smooth_help)
    gate_help = "windows over all of a long recording, its silence too"
    parser.add_argument("--no-gate", dest="gate", action="store_false", help=gate_help)
    parser.add_argument("--format", choices=FORMATS, help="default: table, or by the ending of --output")
    parser.add_argument(
        "--output", metavar="FILE", help="write there instead of standard output (-), whole or not at all"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="processes (default 1); the result does not depend on it",
    )
    parser.add_argument(
        "--attention", action="store_true", help="show where in time the model listened (table and json)"
    )


def run(args):
    from npreslstm.parallel import one_thread_each

    with one_thread_each():
        from npreslstm.audio.reader import pipes_kept

        args.output = None if args.output == "-" else args.output
        with pipes_kept(args.paths) as args.paths:
            return _run(args)


def _run(args):
    from npreslstm.audio.windows import check_windows
    from npreslstm.errors import InputError
    from npreslstm.files import check_output
    from npreslstm.recognizer import Recognizer

    if args.jobs < 1:
        raise InputError(f"--jobs is {args.jobs}; expected at least 1")
    check_windows(args.window, args.hop, args.smooth)
    files = _files(args.paths)
    check_output("--output", args.output, [*files, *([args.weights] if args.weights else [])])
    recognizer = Recognizer(args.weights, parse_speeds(args.speeds))
    results = _predict(recognizer, files, args)
    errors = [error for _, _, error in results if error]
    if len(errors) == len(results):
        for error in errors[:-1]:
            say(f"error: {error}")
        raise InputError(errors[-1])
    _write(results, recognizer.classes, args)
    for error in errors:
        say(f"error: {error}")
    return 1 if errors else 0


def _files(paths):
    """The files behind the arguments; what leads to none stays in its place, to be named when its
    turn comes.
    """
    from npreslstm.audio.reader import find_audio
    from npreslstm.errors import InputError

    files = {}
    for path in paths:
        try:
            files.update(dict.fromkeys(find_audio([path])))
        except (FileNotFoundError, InputError):
            files[path] = None
    return list(files)


def _write(results, classes, args):
    from npreslstm.files import atomic_write
    from npreslstm.report import predictions, text

    kind = args.format or (
        {".csv": "csv", ".json": "json"}.get(os.path.splitext(args.output or "")[1].lower(), "table")
    )
    if kind == "csv":
        written = predictions.as_csv(results, classes)
    elif kind == "json":
        written = predictions.as_json(results, args.attention)
    else:
        written = predictions.as_table(
            results, classes, args.attention, bool(args.output) or text.can_draw(sys.stdout)
        )
    if args.output is None:
        sys.stdout.write(written)
    else:
        with atomic_write(args.output, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(written)


def _predict(recognizer, files, args):
    """(file, Prediction or None, error or None) of every file, in order."""

    chunks = list(_chunks(files))
    with Progress(len(files), "files") as progress:
        done = {}
        for chunk, outcome in _outcomes(recognizer, chunks, args, progress):
            done[chunk] = outcome
            progress.step(len(chunk))
    for chunk in chunks:
        for category, message in done[chunk][1]:
            warnings.warn(message, category, stacklevel=2)
    return [result for chunk in chunks for result in done[chunk][0]]


def _chunks(files):
    chunk, size = [], 0
    for file in files:
        chunk.append(file)
        size += os.path.getsize(file) if os.path.isfile(file) else 0
        if len(chunk) == FILES_AT_ONCE or size >= BYTES_AT_ONCE:
            yield tuple(chunk)
            chunk, size = [], 0
    if chunk:
        yield tuple(chunk)


def _outcomes(recognizer, chunks, args, progress):
    """Yield (chunk, what `_predict_chunk` gives for it) as chunks are done, here or in worker processes."""
    from npreslstm.parallel import run_all

    jobs = min(args.jobs, len(chunks))
    options = {"window": args.window, "hop": args.hop, "gate": args.gate, "smooth": args.smooth}
    if jobs == 1:
        yield from ((chunk, _predict_chunk(recognizer, options, chunk, progress.note)) for chunk in chunks)
    else:
        work = functools.partial(_work, recognizer.checkpoint, recognizer.speeds, options)
        yield from run_all(work, chunks, jobs)


def _work(checkpoint, speeds, options, chunk):
    from npreslstm.recognizer import Recognizer

    return _predict_chunk(Recognizer(checkpoint, speeds), options, chunk)


def _predict_chunk(recognizer, options, chunk, progress=None):
    """Results of some files, and the warnings that came up as (category, text)."""

    errors = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        predictions = recognizer.process_files(
            chunk, on_error=errors.__setitem__, progress=progress, **options
        )
    results = [
        (file, prediction, reason(errors[file]) if file in errors else None)
        for file, prediction in zip(chunk, predictions)
    ]
    return results, [(warning.category, str(warning.message)) for warning in caught]
