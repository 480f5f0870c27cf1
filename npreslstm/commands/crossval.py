"""``npreslstm crossval``: how good a recipe is on speakers it has not heard."""

import os
import sys
import time

from npreslstm.commands.data import (
    DATA,
    add_background_argument,
    add_corpus_arguments,
    background_files,
    corpus_paths,
    load_training_data,
)
from npreslstm.commands.evaluate import add_plot_arguments, check_plots
from npreslstm.report.text import show

HELP = "cross-validate a recipe over speakers: repeated, parallel, resumable"

EXAMPLES = """\
examples:
  npreslstm crossval ravdess/ --runs 10 --workers 2 --out results/
  npreslstm crossval ravdess/ --recipe original --out original/
  npreslstm crossval ravdess/ --inner --set lr=1e-3 --out try-lr/     choose between recipes without the test speakers
  npreslstm crossval corpus.csv --folds 5 --config mcu --out results/
  npreslstm crossval ravdess/ --teachers results/ --recipe student --out students/     each learns from all runs of results/
  npreslstm crossval ravdess/ --config mcu --start results/ --recipe robust --out robust/     each goes on from its own fold's
  npreslstm crossval --corpus ravdess/ --corpus nemo.csv --labels map.csv --config mcu --out both/     by the paper's folds
  npreslstm crossval --corpus a.csv --corpus b.csv --corpus c.csv --folds corpus --out others/     leave one corpus out
  npreslstm crossval --report results/
  npreslstm crossval --pack results/ --out kept/     predictions, configuration and curves in two files, which --report reads too

Every fold of every run is trained from a seed of its own and entered into --out when it is done. Interrupted in any way,
the same command goes on where it was, and ends with the same bits. Statistics, weights and epochs come from speakers that
are not scored (--recipe original: statistics from all, as in the paper's code). A recipe that keeps its last epoch needs no
validation speakers, so they are trained on too, unless --validation or --inner is given. In --out: config.json and
predictions/*.csv (what --report needs), history/, summary.json, weights/ (the networks, each a file for any other command);
features/ and snapshots/ may be deleted in the end.
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
    parser.add_argument(
        "--inner",
        action="store_true",
        help="score the validation speakers; the test speakers have no part in anything",
    )
    teachers = "learn from the networks of another cross-validation, fold by fold (distillation); repeatable"
    parser.add_argument("--teachers", action="append", default=[], metavar="DIR", help=teachers)
    parser.add_argument(
        "--start", metavar="DIR", help="go on from the networks of another cross-validation, fold by fold"
    )
    parser.add_argument(
        "--validation",
        action="store_true",
        help="keep the validation speakers out of training and follow their UAR",
    )


def add_training_arguments(parser):
    """What `crossval` and `search` have in common."""
    add_corpus_arguments(parser)
    folds = (
        "paper (default), emobox, a number of folds for any corpus, or corpus, which leaves out one of"
        " several"
    )
    parser.add_argument("--folds", default="paper", metavar="F", help=folds)
    recipe = (
        "default, student or robust (where there are teachers), original (the paper's settings) or a JSON"
        " file of fields"
    )
    parser.add_argument("--recipe", default="default", metavar="R", help=recipe)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the recipe, e.g. lr=1e-3; repeatable",
    )
    add_background_argument(parser)
    parser.add_argument(
        "--config",
        default="paper",
        metavar="C",
        help="features: paper (default), mcu, or a JSON file of fields",
    )
    parser.add_argument(
        "--model", default="reslstm-sa", choices=("reslstm-sa", "lstm-sa"), help="default: reslstm-sa"
    )
    parser.add_argument(
        "--hidden", type=int, default=64, metavar="H", help="hidden units of the last LSTM (default 64)"
    )
    parser.add_argument(
        "--layers", type=int, default=1, metavar="L", help="layers stacked in each LSTM (default 1)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="everything random follows from it (default 0)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: as many as cores)")
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="train on a dask.distributed cluster, e.g. tcp://host:8786"
    )
    parser.add_argument(
        "--cache", metavar="DIR", help="folder of features, to share between results (default: inside --out)"
    )


def run(args):
    import json

    from npreslstm.errors import InputError
    from npreslstm.experiments.crossval import summarise
    from npreslstm.experiments.packed import open_results, pack_results
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
    from npreslstm.cli import say
    from npreslstm.experiments.crossval import pooled
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


def make_plan(args, **options):
    """The `Plan` that arguments describe; says on standard error what it amounts to."""
    from npreslstm.cli import say
    from npreslstm.experiments.crossval import Plan
    from npreslstm.experiments.protocol import TABLES, missing_clips
    from npreslstm.schema import ModelConfig
    from npreslstm.training.dataset import RAVDESS
    from npreslstm.training.recipe import load_recipe, training_features, with_settings

    recipe = with_settings(load_recipe(args.recipe), args.set)
    dataset = load_training_data(args)
    model = ModelConfig(args.model, hidden_size=args.hidden, num_layers=args.layers)
    options["backgrounds"] = background_files(args)
    plan = Plan.make(
        dataset,
        args.folds,
        training_features(args.config, recipe.trim_db),
        model,
        recipe,
        seed=args.seed,
        **options,
    )
    ravdess = [part for part in dataset.parts if part.name == RAVDESS]
    if ravdess and args.folds in TABLES and (missing := missing_clips(ravdess[0])):
        more = " ..." if len(missing) > 5 else ""
        lacks = f"{_folder(args)} lacks {len(missing)} of RAVDESS's 1,440 clips"
        say(f"warning: {lacks}, so scores cannot be compared: {', '.join(missing[:5])}{more}")
    return plan


def _folder(args):
    """The corpus that is a folder, and so RAVDESS."""
    return next(path for path in corpus_paths(args) if os.path.isdir(path))


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
        from npreslstm.commands.train import ClipLine

        self.clips = self.clips or ClipLine()
        self.clips(done, total)
        self.started = time.monotonic()  # the time left is that of training

    def entry(self, run, fold, history, entries):
        """A fold is done."""
        from npreslstm.experiments.crossval import pooled_uar
        from npreslstm.report.text import duration

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
