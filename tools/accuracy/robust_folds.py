#!/usr/bin/env python3
"""Score the networks of a cross-validation under recording conditions, each on the speakers whom it never
heard.

    python tools/accuracy/robust_folds.py RAVDESS DIR [--condition "as recorded" --condition "peak at 0.9"]
        [--jobs 2] [--cache FEATURES]
    python tools/accuracy/robust_folds.py RAVDESS DIR --condition all

DIR is a folder of `npreslstm crossval` with weights/. Prints, for every condition, the UAR of the pooled
predictions and their expected calibration error: mean and standard deviation of the runs whose networks are
all there. The last line has the means over the conditions of each run.
"""

import argparse
import os
import sys

import numpy as np

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.conditions.table import TABLE
from npreslstm.errors import InputError
from npreslstm.experiments.journal import Journal
from npreslstm.experiments.robustness import SEED, robustness
from npreslstm.report.text import table
from npreslstm.terminal import ClipLine
from npreslstm.training.calibration import expected_calibration_error
from npreslstm.training.dataset import load_dataset
from npreslstm.training.metrics import confusion_matrix, uar

DEFAULT = ("as recorded", "peak at 0.9")


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="the RAVDESS folder")
    parser.add_argument("results", metavar="DIR")
    parser.add_argument(
        "--condition",
        action="append",
        metavar="NAME",
        help=f"of the table, or all; repeatable (default: {' and '.join(DEFAULT)})",
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"of noises and rooms (default {SEED})")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that extract features")
    parser.add_argument("--cache", metavar="DIR", help="folder that keeps features")
    args = parser.parse_args(argv)
    dataset, journal = load_dataset(args.data), Journal(args.results)
    names = list(TABLE) if args.condition == ["all"] else args.condition or DEFAULT
    if unknown := [name for name in names if name not in TABLE]:
        raise InputError(f"no condition {unknown[0]!r}; expected all, or some of {', '.join(TABLE)}")
    runs = complete_runs(journal)
    if not runs:
        raise InputError(f"{args.results} has no run with all of its networks in weights/")
    found = [score_run(journal, run, dataset, {name: TABLE[name] for name in names}, args) for run in runs]
    for run in found:
        run["mean"] = tuple(np.mean([run[name] for name in names], axis=0))
    rows = [_row(name, found) for name in (*names, "mean")]
    print(table(("condition", "UAR", "", "ECE", ""), rows, right={1, 3}))


def complete_runs(journal: Journal) -> list[int]:
    """Runs whose networks are all there."""
    folds = range(len(journal.config["folds"]))
    runs = sorted({run for run, _ in journal.entries()})
    return [run for run in runs if all(os.path.exists(journal.path("weights", run, fold)) for fold in folds)]


def score_run(journal, run, dataset, conditions, args) -> dict[str, tuple[float, float]]:
    """{condition: (UAR, ECE)} of the predictions of a run's folds, pooled."""
    pools = {name: [] for name in conditions}
    for fold, speakers in enumerate(journal.config["scored speakers"]):
        own = {name.removeprefix(f"{dataset.name}/") for name in speakers}
        part = dataset._replace(clips=tuple(dataset.of(own)))
        checkpoint = load_checkpoint(journal.path("weights", run, fold))
        heard = robustness(
            {"fold": checkpoint}, part, conditions, args.seed, args.jobs, args.cache, ClipLine()
        )["fold"]
        labels = np.array([checkpoint.classes.index(dataset.classes[clip.label]) for clip in part.clips])
        for name, hearing in heard.items():
            pools[name].append((labels, hearing.probabilities))
    return {name: _pooled(pool) for name, pool in pools.items()}


def _pooled(pool):
    labels = np.concatenate([part for part, _ in pool])
    probabilities = np.concatenate([part for _, part in pool])
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    return uar(confusion), expected_calibration_error(probabilities, labels)


def _row(name, found):
    scores = np.array([run[name] for run in found])  # (runs, 2)
    spread = scores.std(axis=0, ddof=1) if len(scores) > 1 else (np.nan, np.nan)
    return [
        name,
        *sum(
            (
                [f"{mean:.4f}", f"+- {std:.4f}" if len(scores) > 1 else "one run"]
                for mean, std in zip(scores.mean(axis=0), spread)
            ),
            [],
        ),
    ]


if __name__ == "__main__":
    sys.exit(guarded(main))
