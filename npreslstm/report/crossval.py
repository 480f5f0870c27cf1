"""The scores of a cross-validation for people."""

import numpy as np

from npreslstm.report.text import table
from npreslstm.terminal import duration, printable
from npreslstm.training.calibration import SCORES

HEADER = 10  # characters of a class name over a column


def summary_text(config, summary, seconds=()):
    """Text of what `npreslstm.experiments.crossval.summarise` returns; `config` is that of the journal,
    `seconds` of each training.
    """
    several = [corpora_table(summary["corpora"])] if "corpora" in summary else []
    confusion = confusion_table(config["classes"], summary["confusion"])
    sections = [_what(config, summary, seconds), _scores(summary), *several, _recalls(summary), confusion]
    return "\n\n".join(sections) + "\n"


def corpora_table(scores):
    """What `npreslstm.experiments.corpora.corpus_scores` returns; the means of the runs."""
    rows = []
    for name, score in scores.items():
        interval = (
            "one speaker"
            if score["UAR interval"] is None
            else "{:.4f} to {:.4f}".format(*score["UAR interval"])
        )
        found = [f"{np.mean(score[which]):.4f}" for which in ("UAR by run", "UAR among its classes by run")]
        rows.append((name, f"{score['clips']:,}", str(len(score["classes"])), found[0], interval, found[1]))
    header = ("corpus", "clips", "classes", "UAR", "95 % over speakers", "UAR among its classes")
    return table(header, rows, right=range(1, len(header)))


def _what(config, summary, seconds):
    model, recipe, folds = config["model"], config["recipe"], config["folds"]
    scored = "test" if config["scored speakers"] == [fold["test"] for fold in folds] else "validation"
    speakers = sum(map(len, config["scored speakers"]))
    lines = [
        (
            f"{config['data']}: {summary['clips']:,} clips of {speakers} {scored} speakers in {len(folds)}"
            " folds, each scored by a model that was not trained on them"
        ),
        (
            f"{model['kind']} with {model['hidden_size']} hidden units; {_runs(summary)} from seed"
            f" {config['seed']}; validation speakers {config['validation speakers']}"
        ),
    ]
    if seconds:
        lines.append(f"the {len(seconds)} trainings took {duration(sum(seconds))} of one process")
    if config.get("teachers"):
        counts = " ".join(str(len(fold)) for fold in config["teachers"])
        line = f"learnt from networks of the same folds: {counts} of folds 0 to {len(folds) - 1}"
        alone = ", each run from those of one run there, in turn" if config.get("teachers by run") else ""
        lines.append(line + alone)
    if config.get("heard at"):
        lines.append(
            f"each clip heard at the speeds {', '.join(f'{speed:g}' for speed in config['heard at'])}, the"
            " probabilities averaged"
        )
    lines += _reservations(recipe, scored)
    for run, done in summary["unfinished"]:
        lines.append(f"run {run} is left out: {done} of {len(folds)} folds are done")
    return "\n".join(map(printable, lines))


def _reservations(recipe, scored):
    """What keeps the figures from being honest, a line each."""
    lines = []
    if recipe["statistics"] == "all":
        lines.append(
            "the features' mean and standard deviation are of all speakers, scored ones included: not an"
            " honest protocol"
        )
    if recipe["keep"] == "best" and scored == "validation":
        lines.append("the epoch is chosen on the speakers that are scored: the figures are too high")
    return lines


def _scores(summary):
    interval = (
        "one speaker"
        if summary["UAR interval"] is None
        else "95 % over speakers: {:.4f} to {:.4f}".format(*summary["UAR interval"])
    )
    by_run = summary["UAR by run"]
    extremes = f"   best run {max(by_run):.4f}, worst {min(by_run):.4f}" if len(by_run) > 1 else ""
    lines = [
        f"UAR {_spread(summary['UAR'])}{extremes}   {interval}",
        f"accuracy {_spread(summary['accuracy'])}",
        *(f"{words} {_spread(summary[key])}" for key, words in SCORES.items()),
        "by run: " + " ".join(f"{value:.4f}" for value in by_run),
        "by fold: " + " ".join(f"{value:.4f}" for value in summary["UAR by fold"]),
    ]
    if summary["ensemble UAR"] is not None:
        lines.append(
            f"{_runs(summary)} as one ensemble, {len(by_run)} times the parameters:"
            f" {summary['ensemble UAR']:.4f}"
        )
    return "\n".join(lines)


def _runs(summary):
    count = len(summary["runs"])
    return f"{count} run{'s' if count > 1 else ''}"


def _recalls(summary):
    return table(("class", "recall"), [(name, _spread(value)) for name, value in summary["recalls"].items()])


def confusion_table(classes, confusion):
    """A confusion matrix, rows the true classes, in per cent of each."""
    rows = np.array(confusion)
    totals = np.maximum(rows.sum(axis=1, keepdims=True), 1)
    cells = [(name, *(f"{share:.1f}" for share in row)) for name, row in zip(classes, 100 * rows / totals)]
    header = ("true / predicted, %", *(name[:HEADER] for name in classes))
    return table(header, cells, right=range(1, len(header)))


def _spread(value):
    return f"{value['mean']:.4f}" + ("" if value["std"] is None else f" +- {value['std']:.4f}")
