"""``npreslstm predict``: emotions of sound files."""

import functools
import os
import sys
import warnings

from npreslstm.commands.arguments import add_speeds_argument, parse_speeds
from npreslstm.commands.many import (
    OUTPUT_EXAMPLES,
    add_path_arguments,
    add_work_arguments,
    found_files,
    run_many,
)
from npreslstm.terminal import reason

HELP = "predict the emotion in sound files"

EXAMPLES = (
    """\
examples:
  npreslstm predict clip.wav --attention
  npreslstm predict recordings/ --output emotions.csv --jobs 2
  npreslstm predict recordings/ --output emotions.csv --jobs 2 --resume      go on after an interruption
  find /archive -name '*.flac' | npreslstm predict --files - --output emotions.jsonl --dask tcp://host:8786
  npreslstm predict interview.flac --window 4 --hop 2 --smooth 4    windows on speech, the rest is silence
  npreslstm predict clip.wav --weights mcu --speeds 1,0.85,1.15      three times the work, fewer errors
  npreslstm predict 'takes/*.wav' --weights my.npz --format json
  npreslstm predict clip.wav --weights mcu --integer    what firmware of `export c --frontend integer` answers
  ffmpeg -v error -i talk.m4a -f wav - | npreslstm predict -

"""
    + OUTPUT_EXAMPLES
    + """
exit status: 0 all done; 1 some files could not be read and have an empty row; 2 nothing was written
"""
)

FORMATS = ("table", "csv", "json", "jsonl")


def add_arguments(parser):
    add_path_arguments(parser)
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
    integer_help = "integers from samples to probabilities, as `export c --type int8 --frontend integer`"
    parser.add_argument("--integer", action="store_true", help=integer_help)
    parser.add_argument("--format", choices=FORMATS, help="default: table, or by the ending of --output")
    parser.add_argument(
        "--output", metavar="FILE", help="write there instead of standard output (-), whole or not at all"
    )
    add_work_arguments(parser)
    parser.add_argument(
        "--attention", action="store_true", help="show where in time the model listened (not in CSV)"
    )


def run(args):
    from npreslstm.parallel import one_thread_each

    with one_thread_each():
        args.command = "predict"
        args.output = None if args.output == "-" else args.output
        with found_files(args) as files:
            return _run(files, args)


def _run(files, args):
    from npreslstm.audio.windows import check_windows
    from npreslstm.files import check_output

    check_windows(args.window, args.hop, args.smooth)
    check_output("--output", args.output, [*files, *([args.weights] if args.weights else [])])
    recognizer = _kind_of_recognizer(args.integer)(args.weights, parse_speeds(args.speeds))
    options = {"window": args.window, "hop": args.hop, "gate": args.gate, "smooth": args.smooth}
    kind = _format(args)
    about = options | {
        "speeds": list(recognizer.speeds),
        "format": kind,
        "attention": args.attention,
        "integer": args.integer,
        "weights": recognizer.checkpoint.sha256,
    }
    weights = os.path.abspath(args.weights) if os.path.exists(args.weights or "") else args.weights
    there = functools.partial(
        _predict_elsewhere, args.integer, weights, about["weights"], recognizer.speeds, options
    )

    def here(files, progress):
        return predict_files(recognizer, options, files, progress.note)

    return run_many(files, here, there, _form(kind, recognizer.classes, args), about, args)


def _kind_of_recognizer(integer):
    """The class of recognizers that hear in floating point, or in the integers of the C port."""
    if integer:
        from npreslstm.integer_recognizer import IntegerRecognizer

        return IntegerRecognizer
    from npreslstm.recognizer import Recognizer

    return Recognizer


def _format(args):
    ending = os.path.splitext(args.output or "")[1].lower()
    return args.format or {".csv": "csv", ".json": "json", ".jsonl": "jsonl"}.get(ending, "table")


def _form(kind, classes, args):
    """What makes text of results."""
    from npreslstm.report import predictions, text

    if kind == "csv":
        return predictions.CsvRows(classes)
    if kind == "json":
        return predictions.JsonRows(args.attention)
    if kind == "jsonl":
        return predictions.JsonLines(args.attention)
    return predictions.Table(classes, args.attention, bool(args.output) or text.can_draw(sys.stdout))


def _predict_elsewhere(integer, weights, digest, speeds, options, files):
    """`predict_files` in a worker."""
    return predict_files(_recognizer(integer, weights, digest, speeds), options, files)


@functools.lru_cache(1)
def _recognizer(integer, weights, digest, speeds):
    """The recognizer of a worker; OSError if its weights are not those of the run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said once, by the process that the user started
        recognizer = _kind_of_recognizer(integer)(weights, speeds)
    if recognizer.checkpoint.sha256 != digest:
        raise OSError(f"{weights} is not the same where the work is done, or has changed: copy it there")
    return recognizer


def predict_files(recognizer, options, files, progress=None):
    """(file, Prediction or None, error or None) of some files, and the warnings that came up as
    (category, text).
    """
    errors = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        predictions = recognizer.process_files(
            files, on_error=errors.__setitem__, progress=progress, **options
        )
    results = [
        (file, prediction, reason(errors[file]) if file in errors else None)
        for file, prediction in zip(files, predictions)
    ]
    return results, [(warning.category, str(warning.message)) for warning in caught]
