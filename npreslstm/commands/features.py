"""``npreslstm features``: MFCC and chroma of sound files."""

import os
import sys

from npreslstm.terminal import Progress, say

HELP = "compute MFCC and chroma of sound files, raw (not z-scored)"

EXAMPLES = """\
examples:
  npreslstm features clip.wav                              CSV on standard output, one row a frame
  npreslstm features recordings/ --output features.npz --jobs 2 --cache .features
  npreslstm features clip.wav --config mcu --plot clip.png
  npreslstm features clip.wav --config mine.json --output features.json

A configuration file is a JSON object with fields of paper to change: sample_rate, n_fft, hop_length, n_mels, n_mfcc,
n_chroma, fmin, fmax, top_db, floor_db, tuning, framing, trim_db. The .npz holds files (N,), lengths (N,), features (sum
of lengths, D), columns (D,) and config (JSON).

exit status: 0 all done; 1 some files could not be read and have an empty row; 2 nothing was written
"""

KINDS = (".npz", ".csv", ".json")


def add_arguments(parser):
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="sound file, folder with all in it, quoted pattern, or - (standard input)",
    )
    parser.add_argument(
        "--config",
        default="paper",
        metavar="C",
        help="paper (default), mcu, or a JSON file with fields to change",
    )
    output = "write to FILE, whole or not at all: .npz, .csv, .json, or - (default), CSV on standard output"
    parser.add_argument("--output", metavar="FILE", help=output)
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help="draw waveform, log-mel bands, MFCC and chroma of one file: .png, .svg or .pdf",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="processes (default 1); the result does not depend on it",
    )
    parser.add_argument(
        "--cache", metavar="DIR", help="remember features there: an interrupted run goes on where it stopped"
    )


def run(args):
    from npreslstm.audio.reader import pipes_kept

    args.output = None if args.output == "-" else args.output
    with pipes_kept(args.paths) as args.paths:
        return _run(args)


def _run(args):
    from npreslstm.audio.config import load_config

    config = load_config(args.config)
    files = _files(args)
    if args.plot is not None:
        _plot(files, config, args.plot)
        if args.output is None:
            return 0
    results = _extract(files, config, args)
    return _report(results, config, args.output)


def _files(args):
    """The files behind the arguments; what leads to none stays in its place, to be named when its
    turn comes.
    """
    from npreslstm.audio.reader import find_audio
    from npreslstm.errors import InputError

    files = {}
    for path in args.paths:
        try:
            files.update(dict.fromkeys(find_audio([path])))
        except (FileNotFoundError, InputError):
            files[path] = None
    _check_output("--output", args.output, KINDS, files)
    _check_output("--plot", args.plot, (".png", ".svg", ".pdf"), files)
    if args.plot is not None and len(files) != 1:
        raise InputError(f"--plot draws one file; {len(files)} are given")
    return list(files)


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
    from npreslstm.report.frontend import plot_frontend
    from npreslstm.report.plots import plain_text

    plain_text()
    plot_frontend(*read_audio(files[0]), config, path, title=os.path.basename(files[0]))


def _extract(files, config, args):
    from npreslstm.audio.folder import extract_folder

    with Progress(len(files), "files") as progress:
        return extract_folder(files, config, args.jobs, args.cache, lambda done, total: progress.step())


def _report(results, config, output):
    """Write the features, name the files without, and give the exit status."""
    from npreslstm.errors import InputError

    errors = [file.error for file in results if file.error is not None]
    if len(errors) == len(results):
        for error in errors[:-1]:
            say(f"error: {error}")
        raise InputError(errors[-1])
    _write(results, config, output)
    for error in errors:
        say(f"error: {error}")
    return 1 if errors else 0


def _write(results, config, output):
    from npreslstm.files import atomic_write
    from npreslstm.report import frames

    if output is None:
        frames.write_csv(results, config, sys.stdout)
        return
    kind = os.path.splitext(output)[1].lower()
    if kind == ".npz":
        with atomic_write(output) as file:
            frames.write_npz(results, config, file)
        return
    with atomic_write(output, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        (frames.write_csv if kind == ".csv" else frames.write_json)(results, config, file)
