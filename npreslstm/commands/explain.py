"""``npreslstm explain``: one clip, with every number on the way to its label."""

import os
import sys

from npreslstm.terminal import say

HELP = "show how a network comes to its label for one clip: as a page, as text, as a picture"

EXAMPLES = """\
examples:
  npreslstm explain clip.wav --out clip.html                one page with everything, for any browser, offline
  npreslstm explain clip.wav --weights paper --out clip.html
  npreslstm explain talk.flac --start 12 --seconds 8 --out talk.html
  npreslstm explain --live --out live.html                  a page that listens to the microphone
  npreslstm explain clip.wav --text                         60 columns for a terminal
  npreslstm explain clip.wav --text --unit lstm2:17         with the gates of that unit
  npreslstm explain clip.wav --plot clip.png                one figure (needs npreslstm[plot])

The page holds the recording itself: who has it can hear it. It loads nothing and sends nothing.

exit status: 0 done; 2 bad use or bad input, nothing written
"""


def add_arguments(parser):
    path_help = "sound file, or - (standard input); with --live it may be left out"
    parser.add_argument("path", metavar="PATH", nargs="?", help=path_help)
    parser.add_argument("--out", metavar="FILE.html", help="write the page there, whole or not at all")
    parser.add_argument("--live", action="store_true", help="let the page listen to the microphone, too")
    parser.add_argument("--text", action="store_true", help="draw attention, gates and label with characters")
    parser.add_argument("--plot", metavar="FILE", help="draw one figure: .png, .svg or .pdf")
    parser.add_argument(
        "--weights", metavar="W", help="weights file, or the name of bundled weights (default robust)"
    )
    parser.add_argument(
        "--start", type=float, default=0.0, metavar="S", help="seconds into the file (default 0)"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="how much of it, at most 30 (default: to the end)"
    )
    unit_help = (
        "whose gates --text and --plot show, as lstm2:17 (default: the one that the label depends on most)"
    )
    parser.add_argument("--unit", metavar="U", help=unit_help)


def execute(args):
    from npreslstm.audio.sources import pipes_kept
    from npreslstm.parallel import one_thread_each

    with one_thread_each():
        if args.path is None:
            return _run(args)
        with pipes_kept([args.path]) as [args.path]:
            return _run(args)


def _run(args):
    from npreslstm.errors import InputError
    from npreslstm.explain.hearing import hear, hear_nothing
    from npreslstm.explain.units import find_unit

    if args.live and not args.out:
        raise InputError("--live is for a page; expected --out FILE.html")
    if args.path is None and (not args.live or args.text or args.plot):
        raise InputError("no clip; expected PATH, or --live --out FILE.html for a page that listens")
    if not (args.out or args.text or args.plot):
        raise InputError("nothing to do; expected --out FILE.html, --text or --plot FILE")
    read = [*([args.path] if args.path else []), *([args.weights] if args.weights else [])]
    _check_output("--out", args.out, (".html", ".htm"), read)
    _check_output("--plot", args.plot, (".png", ".svg", ".pdf"), read)
    if args.live:
        _check_live(args.weights)
    if args.path is None:
        _write_page(hear_nothing(args.weights), args.out, live=True)
        return 0
    heard = hear(args.path, args.weights, args.start, args.seconds)
    unit = find_unit(heard, args.unit)
    if args.plot:
        _plot(heard, unit, args.plot)
    if args.out:
        _write_page(heard, args.out, args.live)
    if args.text:
        _print_text(heard, unit)
    return 0


def _check_output(option, path, kinds, read):
    """Find out before the work what would go wrong after it."""
    from npreslstm.errors import InputError
    from npreslstm.files import check_output

    if path is None:
        return
    if os.path.splitext(path)[1].lower() not in kinds:
        raise InputError(f"{option} is {path}; expected a name that ends in {' or '.join(kinds)}")
    check_output(option, path, read)


def _check_live(weights):
    from npreslstm.checkpoint import load_checkpoint
    from npreslstm.explain.page import check_live

    check_live(load_checkpoint(weights))


def _write_page(heard, path, live):
    from npreslstm.explain.page import explain_page
    from npreslstm.files import atomic_write

    html = explain_page(heard, live)
    with atomic_write(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(html)
    holds = "it listens when asked" if heard.name == "silence" and live else "it holds the recording"
    say(f"{path}: {len(html.encode()) / 1000:.0f} kB; {holds}; open it in a browser")


def _plot(heard, unit, path):
    from npreslstm.explain.picture import explain_figure
    from npreslstm.files import atomic_write
    from npreslstm.report.plots import plain_text

    plain_text()
    figure = explain_figure(heard, unit)
    with atomic_write(path) as file:
        figure.savefig(file, format=os.path.splitext(path)[1][1:].lower(), dpi=130)


def _print_text(heard, unit):
    from npreslstm.explain.text import explain_text
    from npreslstm.report.text import can_draw
    from npreslstm.terminal import show

    show(explain_text(heard, unit, can_draw(sys.stdout)))
