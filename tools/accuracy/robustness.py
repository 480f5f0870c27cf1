#!/usr/bin/env python3
"""Score weights under recording conditions: the table of docs/accuracy.md.

    python tools/accuracy/robustness.py RAVDESS [--weights robust --weights mcu ...] [--seed 1] [--jobs 2]
        [--cache FEATURES]
    python tools/accuracy/robustness.py RAVDESS --jobs 2 --cache FEATURES --update docs/accuracy.md

The clips are those of the speakers whom all of the weights hold out. Every condition changes the samples
before anything else does; none of them is drawn in training. `npreslstm evaluate DATA --conditions` does the
same for other weights and corpora.
"""

import argparse
import re
import sys
from pathlib import Path

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.experiments.robustness import SEED, robustness
from npreslstm.files import atomic_write, check_output
from npreslstm.report.robustness import robustness_markdown
from npreslstm.terminal import ClipLine
from npreslstm.training.dataset import load_dataset

BUNDLED = ("robust", "mcu", "paper")
MARKS = "<!-- robustness: tools/accuracy/robustness.py -->", "<!-- end of robustness -->"


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="the RAVDESS folder")
    parser.add_argument(
        "--weights", action="append", help=f"bundled name or file; repeatable (default: {', '.join(BUNDLED)})"
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"of noises and rooms (default {SEED})")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--cache", metavar="DIR", help="folder that keeps features")
    parser.add_argument("--update", metavar="FILE", help="write the table there, between its marks")
    args = parser.parse_args(argv)
    page = args.update and _page(args.update)
    whole = load_dataset(args.data)
    checkpoints = {name: load_checkpoint(name) for name in args.weights or BUNDLED}
    dataset = held_out(whole, checkpoints)
    found = robustness(
        checkpoints, dataset, seed=args.seed, jobs=args.jobs, cache=args.cache, progress=ClipLine()
    )
    text = robustness_markdown(found)
    if args.update is None:
        print(text, end="")
        return
    with atomic_write(args.update, "w", encoding="utf-8") as file:
        file.write(between_marks(page, text))


def _page(path):
    """The page to be written anew; what is wrong with it shows before the work."""
    check_output("--update", path)
    page = Path(path).read_text(encoding="utf-8")
    between_marks(page, "")
    return page


def between_marks(page, text):
    """A page with the text between MARKS replaced."""
    first, last = MARKS
    if first not in page or last not in page:
        raise InputError(f"the page lacks the lines {first} and {last}; expected both")
    return re.sub(f"{first}.*{last}", lambda _: f"{first}\n{text}{last}", page, flags=re.DOTALL)


def held_out(dataset, checkpoints):
    """The clips of the speakers whom all weights hold out."""
    unheard = [
        {name.removeprefix(f"{dataset.name}/") for name in c.notes.get("speakers held out", ())}
        for c in checkpoints.values()
    ]
    clips = tuple(dataset.of(set.intersection(*unheard)))
    if not clips:
        raise InputError(f"{dataset.name} has no clips of speakers that {' and '.join(checkpoints)} hold out")
    return dataset._replace(clips=clips)


if __name__ == "__main__":
    sys.exit(guarded(main))
