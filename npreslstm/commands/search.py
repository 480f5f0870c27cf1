"""``npreslstm search``: a better recipe, found on validation speakers."""

import sys
import time

from npreslstm.commands.arguments import (
    DATA,
    add_plot_arguments,
    add_training_arguments,
    check_plots,
    corpus_paths,
    make_plan,
)
from npreslstm.terminal import ClipLine, say, show

HELP = "search for a better recipe on validation speakers: TPE, pruning, parallel, resumable"

EXAMPLES = """\
examples:
  npreslstm search ravdess/ --trials 100 --workers 2 --out search/
  npreslstm search ravdess/ --recipe original --out search/            the paper's ranges
  npreslstm search --corpus a.csv --corpus b.csv --folds 5 --out search/
  npreslstm search ravdess/ --range lr=1e-4:1e-2:log --range batch_size=16,32 --out search/
  npreslstm crossval ravdess/ --recipe search/best.json --runs 10 --out results/

A trial is a recipe with numbers drawn from the ranges; its score is the pooled UAR of the validation
speakers of all folds, as `npreslstm crossval --inner` with the same seed gives it. Test speakers have no
part in anything, unless the recipe says statistics=all, as --recipe original does. Trials that fall behind
the median are stopped early. Interrupted in any way, the same command goes on where it was; a larger
--trials goes on further. In --out: best.json (for --recipe), trials.csv, config.json, study.log.
"""

BEST = 5  # trials that are printed


def add_arguments(parser):
    parser.add_argument("data", nargs="?", help=DATA)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--trials", type=int, default=100, metavar="N", help="trials in all (default 100)")
    parser.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="F=LOW:HIGH[:log]",
        help="vary this, or F=A,B,C; replaces the default ranges",
    )
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="database for Optuna, e.g. postgresql://... (default: a journal file in --out)",
    )
    add_training_arguments(parser)
    add_plot_arguments(parser)


def execute(args):
    from npreslstm.errors import InputError
    from npreslstm.experiments.ranges import DEFAULT_RANGES, PAPER_RANGES, parse_ranges
    from npreslstm.experiments.search import search
    from npreslstm.parallel import available_cores

    check_plots(args)
    if not corpus_paths(args):
        raise InputError("give DATA (a RAVDESS folder or a manifest CSV) or several --corpus")
    plan = make_plan(args, inner=True)
    default = PAPER_RANGES if plan.recipe.padding == "original" else DEFAULT_RANGES
    if plan.recipe.statistics == "all":
        say("warning: statistics=all: the features are z-scored by all speakers, those of the tests included")
    ranges = parse_ranges(args.range, plan.recipe) or default
    workers = available_cores() if args.workers is None else args.workers
    line = TrialLine(args.trials, 1 if args.dask else workers)
    where = args.out, args.storage, args.cache, workers, args.dask
    trials, importances = search(plan, ranges, args.trials, *where, line.clip, line.trial)
    _write_trials(args.out, ranges, trials)
    _report(args.out, ranges, trials)
    if args.plots:
        _plot(args, trials, importances)


def _write_trials(folder, ranges, trials):
    import csv
    import os

    from npreslstm.files import atomic_write

    with atomic_write(os.path.join(folder, "trials.csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", "validation UAR", *ranges])
        writer.writerows(
            [t.number, t.state, f"{t.value:.6f}", *(t.params.get(name, "") for name in ranges)]
            for t in trials
        )


def _report(folder, ranges, trials):
    import os

    from npreslstm.report.text import table

    complete = sorted(
        (trial for trial in trials if trial.state == "complete"), key=lambda trial: -trial.value
    )
    if not complete:
        show(
            f"{len(trials)} trials, none of them complete: the loss grew beyond all numbers; take lower"
            " ranges for lr"
        )
        return
    rows = [
        (str(t.number), f"{t.value:.4f}", *(f"{t.params[name]:.4g}" for name in ranges))
        for t in complete[:BEST]
    ]
    show(f"{len(trials)} trials, {len(trials) - len(complete)} of them stopped early; the best:\n")
    show(table(("trial", "UAR", *ranges), rows, right=range(2 + len(ranges))))
    show(
        "\nThe best of many is too good to be true: confirm it with npreslstm crossval --recipe"
        f" {os.path.join(folder, 'best.json')}"
    )


def _plot(args, trials, importances):
    from npreslstm.report import plots

    columns = (
        [trial.number for trial in trials],
        [trial.value for trial in trials],
        [trial.state == "pruned" for trial in trials],
    )
    figures = {"history": plots.search_figure(*columns), "importance": plots.importance_figure(importances)}
    for path in plots.save_pictures(figures, args.plots, args.plot_format):
        say(f"drew {path}")


class TrialLine:
    """Progress: a line for every trial that is done."""

    def __init__(self, total, workers):
        self.total, self.workers, self.started, self.finished, self.clips = (
            total,
            workers,
            time.monotonic(),
            0,
            None,
        )

    def clip(self, done, total):
        """A clip's features are extracted."""

        self.clips = self.clips or ClipLine()
        self.clips(done, total)
        self.started = time.monotonic()  # the time left is that of training

    def trial(self, trial, done):
        """A trial is done."""
        from npreslstm.experiments.search import best_trial
        from npreslstm.terminal import duration

        self.finished += 1
        left = (time.monotonic() - self.started) / max(self.finished, self.workers) * (self.total - len(done))
        best = best_trial(done)
        text = (
            f"{len(done)}/{self.total}  trial {trial.number}  UAR"
            f" {trial.value:.4f}{' (stopped early)' if trial.state == 'pruned' else ''}"
        )
        text += f"  best {best.value:.4f} of trial {best.number}" if best else ""
        show(f"{text}  {duration(left)} left", sys.stderr)
