"""``npreslstm crossval``: how good a recipe is on speakers it has not heard."""

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

HELP = "cross-validate a recipe over speakers: repeated, parallel, resumable"

EXAMPLES = """\
examples:
  npreslstm crossval ravdess/ --runs 10 --workers 2 --out results/
  npreslstm crossval ravdess/ --recipe original --out original/
  npreslstm crossval ravdess/ --inner --set lr=1e-3 --out try-lr/
      choose between recipes without the test speakers
  npreslstm crossval corpus.csv --folds 5 --features mcu --out results/
  npreslstm crossval ravdess/ --teachers results/ --recipe student --out students/
      each learns from all runs of results/
  npreslstm crossval ravdess/ --teachers results/ --teachers-by-run --runs 3 --recipe student --out own/
      no two of these runs share a teacher
  npreslstm crossval ravdess/ --features mcu --start results/ --recipe robust --out robust/
      each goes on from its own fold's
  npreslstm crossval --corpus ravdess/ --corpus nemo.csv --labels map.csv --features mcu --out both/
      by the paper's folds
  npreslstm crossval --corpus a.csv --corpus b.csv --corpus c.csv --folds corpus --out others/
      leave one corpus out
  npreslstm crossval --report results/
  npreslstm crossval --pack results/ --out kept/
      predictions, configuration and curves in two files, which --report reads too

Every fold of every run is trained from a seed of its own and entered into --out when it is done.
Interrupted in any way, the same command goes on where it was, and ends with the same bits. Statistics,
weights and epochs come from speakers that are not scored (--recipe original: statistics from all, as in the
paper's code). A recipe that keeps its last epoch needs no validation speakers, so they are trained on too,
unless --validation or --inner is given. In --out: config.json and predictions/*.csv (what --report needs),
history/, summary.json, weights/ (the networks, each a file for any other command); features/ and snapshots/
may be deleted in the end.
"""


def add_arguments(parser):
    parser.add_argument("data", nargs="?", help=DATA)
    parser.add_argument("--out", metavar="DIR", help="folder of the results")
    finished = parser.add_mutually_exclusive_group()
    finished.add_argument("--report", metavar="DIR", help="only print the scores of such a folder")
    finished.add_argument(
        "--pack",
        metavar="DIR",
        help="put the results of such a folder into two files in --out, without the networks",
    )
    add_plot_arguments(parser)
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="of the scores (default: text)"
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=1,
        metavar="N",
        help="runs of all folds (default 1); more may be added later",
    )
    add_training_arguments(parser)
    _add_others(parser)


def _add_others(parser):
    parser.add_argument(
        "--inner",
        action="store_true",
        help="score the validation speakers; the test speakers have no part in anything (but the feature"
        " statistics, if the recipe says statistics=all)",
    )
    teachers = "learn from the networks of another cross-validation, fold by fold (distillation); repeatable"
    parser.add_argument("--teachers", action="append", default=[], metavar="DIR", help=teachers)
    parser.add_argument(
        "--teachers-by-run",
        action="store_true",
        help="run 0 learns from run 0 of each folder alone, run 1 from run 1, and so on; beyond the last run"
        " of a folder, from its first again",
    )
    parser.add_argument(
        "--start", metavar="DIR", help="go on from the networks of another cross-validation, fold by fold"
    )
    parser.add_argument(
        "--validation",
        action="store_true",
        help="keep the validation speakers out of training and follow their UAR",
    )


def execute(args):
    import json

    from npreslstm.errors import InputError
    from npreslstm.experiments.packed import open_results, pack_results
    from npreslstm.experiments.summary import summarise
    from npreslstm.report.crossval import summary_text

    check_plots(args)
    if args.pack:
        if corpus_paths(args) or not args.out:
            raise InputError("--pack DIR takes --out DIR, and no DATA")
        pack_results(args.pack, args.out)
    elif not args.report:
        if not corpus_paths(args) or not args.out:
            raise InputError(
                "give DATA (a RAVDESS folder or a manifest CSV) or several --corpus, and --out DIR; or"
                " --report DIR"
            )
        _train(args)
    journal = open_results(args.report or args.out)
    summary = summarise(journal.config, journal.entries())
    text = summary_text(journal.config, summary, _seconds(journal, summary))
    if args.format == "json":
        print(json.dumps(summary, indent=1))
    else:
        show(text, end="")
    if args.plots:
        _plot(args, journal, summary)


def _train(args):
    from npreslstm.experiments.crossval import crossval
    from npreslstm.parallel import available_cores

    plan = make_plan(
        args,
        inner=args.inner,
        hold_validation=args.validation,
        teachers=tuple(args.teachers),
        teachers_by_run=args.teachers_by_run,
        start=args.start,
    )
    workers = available_cores() if args.workers is None else args.workers
    line = EntryLine(plan, args.runs, 1 if args.dask else workers)
    return crossval(plan, args.runs, args.out, args.cache, workers, args.dask, line.clip, line.entry)


def _seconds(journal, summary):
    """Seconds that each training of the runs took, as far as the journal has them."""
    histories = [
        journal.history(run, fold) for run in summary["runs"] for fold in range(len(journal.config["folds"]))
    ]
    return [history["seconds"] for history in histories if history]


def _plot(args, journal, summary):
    from npreslstm.experiments.summary import pooled
    from npreslstm.report import plots
    from npreslstm.training.calibration import SCORES, expected_calibration_error, reliability

    config, entries = journal.config, journal.entries()
    complete = pooled([entry for (run, _), entry in entries.items() if run in summary["runs"]])
    bins = reliability(complete.probabilities, complete.labels)
    error = f"{SCORES['ECE']} {expected_calibration_error(complete.probabilities, complete.labels):.3f}"
    calibration = f"{config['data']}, {len(summary['runs'])} runs\n{error}"
    title = f"{config['data']}, {len(summary['runs'])} runs: UAR {summary['UAR']['mean']:.3f}"
    figures = {
        "confusion": plots.confusion_figure(summary["confusion"], config["classes"], title),
        "training": plots.training_figure([journal.history(*key) or {} for key in entries]),
        "reliability": plots.reliability_figure(bins, calibration),
    }
    for path in plots.save_pictures(figures, args.plots, args.plot_format):
        say(f"drew {path}")


class EntryLine:
    """Progress: a line for every fold that is done."""

    def __init__(self, plan, runs, workers):
        self.plan, self.total, self.workers = plan, runs * len(plan.folds), workers
        self.started, self.finished, self.clips = time.monotonic(), 0, None
        use = "kept out of training" if plan.uses_validation else "trained on too"
        show(
            f"{runs} run{'s' if runs > 1 else ''} of {len(plan.folds)} folds from seed {plan.seed};"
            f" validation speakers are {use}",
            sys.stderr,
        )

    def clip(self, done, total):
        """A clip's features are extracted."""

        self.clips = self.clips or ClipLine()
        self.clips(done, total)
        self.started = time.monotonic()  # the time left is that of training

    def entry(self, run, fold, history, entries):
        """A fold is done."""
        from npreslstm.experiments.summary import pooled_uar
        from npreslstm.terminal import duration

        C = len(self.plan.dataset.classes)
        self.finished += 1
        left = (
            (time.monotonic() - self.started) / max(self.finished, self.workers) * (self.total - len(entries))
        )
        so_far = pooled_uar(list(entries.values()), C)
        text = (
            f"{len(entries)}/{self.total}  run {run} fold {fold} seed {history['seed']}  UAR"
            f" {pooled_uar([entries[run, fold]], C):.4f}"
        )
        show(f"{text}  so far {so_far:.4f}  {duration(left)} left", sys.stderr)
