"""``npreslstm features``: MFCC and chroma of sound files."""

import functools
import os

from npreslstm.commands.arguments import add_features_argument
from npreslstm.commands.many import (
    OUTPUT_EXAMPLES,
    add_path_arguments,
    add_work_arguments,
    found_files,
    run_many,
)

HELP = "compute MFCC and chroma of sound files, raw (not z-scored)"

EXAMPLES = (
    """\
examples:
  npreslstm features clip.wav                              CSV on standard output, one row a frame
  npreslstm features recordings/ --output features.npz --jobs 2 --cache .features
  npreslstm features --files list.txt --output features.npz --dask tcp://host:8786 --resume
  npreslstm features clip.wav --features mcu --plot clip.png
  npreslstm features clip.wav --features mine.json --output features.json

A configuration file is a JSON object with fields of paper to change: sample_rate, n_fft, hop_length, n_mels,
n_mfcc, n_chroma, fmin, fmax, top_db, floor_db, tuning, framing, trim_db. The .npz holds files (N,), lengths
(N,), features (sum of lengths, D), columns (D,) and config (JSON); the .jsonl one line a file.

"""
    + OUTPUT_EXAMPLES
    + """
exit status: 0 all done; 1 some files could not be read and have an empty row; 2 nothing was written
"""
)

KINDS = (".npz", ".csv", ".json", ".jsonl")


def add_arguments(parser):
    add_path_arguments(parser)
    add_features_argument(
        parser,
        default="paper",
        metavar="F",
        help="paper (default), mcu, or a JSON file with fields to change",
    )
    output = (
        "write to FILE, whole or not at all: .npz, .csv, .json, .jsonl, or - (default),"
        " CSV on standard output"
    )
    parser.add_argument("--output", metavar="FILE", help=output)
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help="draw waveform, log-mel bands, MFCC and chroma of one file: .png, .svg or .pdf",
    )
    add_work_arguments(parser)
    parser.add_argument("--cache", metavar="DIR", help="remember features there, by the content of each file")


def execute(args):
    from npreslstm.parallel import one_thread_each

    with one_thread_each():
        args.command = "features"
        args.output = None if args.output == "-" else args.output
        with found_files(args) as files:
            return _run(files, args)


def _run(files, args):
    from npreslstm.audio.config import load_config

    config = load_config(args.features)
    _check_output("--output", args.output, KINDS, files)
    _check_output("--plot", args.plot, (".png", ".svg", ".pdf"), files)
    if args.plot is not None:
        _plot(files, config, args.plot)
        if args.output is None:
            return 0
    return _extract(files, config, args)


def _check_output(option, path, kinds, files):
    """Find out before the work what would go wrong after it."""
    from npreslstm.errors import InputError
    from npreslstm.files import check_output

    if path is None:
        return
    if os.path.splitext(path)[1].lower() not in kinds:
        raise InputError(f"{option} is {path}; expected a name that ends in {', '.join(kinds)}")
    check_output(option, path, files)


def _plot(files, config, path):
    from npreslstm.audio.reader import read_audio
    from npreslstm.errors import InputError
    from npreslstm.report.frontend import plot_frontend
    from npreslstm.report.plots import plain_text

    if len(files) != 1:
        raise InputError(f"--plot draws one file; {len(files)} are given")
    plain_text()
    plot_frontend(*read_audio(files[0]), config, path, title=os.path.basename(files[0]))


def _extract(files, config, args):
    from npreslstm.audio.folder import extract_all, open_cache

    kind = os.path.splitext(args.output or ".csv")[1].lower()
    cache = None if args.cache is None else open_cache(args.cache)
    work = functools.partial(extract_all, config=config, cache_dir=cache)
    about = {"config": config.to_dict(), "format": kind}
    return run_many(files, lambda some, progress: work(some), work, _form(kind, config), about, args)


def _form(kind, config):
    """What makes text, or bytes, of results."""
    from npreslstm.report import frames

    if kind == ".npz":
        return frames.NpzFrames(config)
    if kind == ".json":
        return frames.JsonFrames(config)
    return frames.JsonLines() if kind == ".jsonl" else frames.CsvFrames(config)
