"""Scores of a cross-validation, from its configuration and its predictions alone."""

from collections import Counter

import numpy as np

from npreslstm.errors import InputError
from npreslstm.experiments.corpora import corpus_scores
from npreslstm.experiments.journal import Predictions
from npreslstm.training.calibration import expected_calibration_error, negative_log_likelihood
from npreslstm.training.metrics import bootstrap_uar, confusion_matrix, recalls, uar


def pooled(entries):
    """The predictions of several folds as one, in the order of the file names."""
    joined = Predictions(
        sum((e.files for e in entries), ()), *(np.concatenate(column) for column in list(zip(*entries))[1:])
    )
    order = np.argsort(joined.files, kind="stable")
    return Predictions(tuple(joined.files[n] for n in order), *(column[order] for column in joined[1:]))


def pooled_uar(entries, C):
    """UAR of the pooled predictions of a list of entries."""
    return uar(sum(confusion_matrix(entry.labels, entry.predicted, C) for entry in entries))


def summarise(config, entries, resamples=10_000):
    """Scores of the runs that are complete.

    Parameters
    ----------
    config : dict
        Of the journal.
    entries : dict
        {(run, fold): Predictions}.
    resamples : int
        Of the bootstrap.

    Returns
    -------
    dict
        JSON values: 'runs' (numbers of the complete runs), 'unfinished' ([run, folds done]), 'clips', 'UAR by
        run', 'UAR', 'accuracy', 'ECE' (`expected_calibration_error`), 'NLL' (`negative_log_likelihood`) and
        'recalls' ({class: ...}), each with 'mean' and 'std' (of the sample; None for one run), 'UAR interval'
        (95 %, over actors: `bootstrap_uar`), 'UAR by fold' (mean over runs), 'confusion' (rows the true
        classes, summed over runs), 'ensemble UAR' (of the mean of the runs' probabilities; None for one run).
        Of several corpora also 'corpora', as of `corpus_scores`.

    Raises
    ------
    InputError
        If no run is complete.
    """
    classes, folds = config["classes"], len(config["folds"])
    done = Counter(run for run, _ in entries)
    runs = _complete(done, folds)
    by_run = [pooled([entries[run, fold] for fold in range(folds)]) for run in runs]
    # (R, C, C)
    confusions = np.array([confusion_matrix(run.labels, run.predicted, len(classes)) for run in by_run])
    found = np.array([recalls(confusion) for confusion in confusions])  # (R, C)
    by_fold = [[pooled_uar([entries[run, fold]], len(classes)) for fold in range(folds)] for run in runs]
    first, hits = by_run[0], np.array([run.predicted == run.labels for run in by_run])
    uars = [uar(confusion) for confusion in confusions]
    rng = np.random.default_rng(0)
    interval = bootstrap_uar(first.labels, hits, first.speakers, resamples, rng)
    summary = {
        "runs": runs,
        "unfinished": [[run, count] for run, count in sorted(done.items()) if count < folds],
        "clips": len(first.files),
        "UAR by run": uars,
        "UAR": _spread(uars),
        "UAR interval": interval,
        "accuracy": _spread(hits.mean(axis=1)),
        "ECE": _spread([expected_calibration_error(run.probabilities, run.labels) for run in by_run]),
        "NLL": _spread([negative_log_likelihood(run.probabilities, run.labels) for run in by_run]),
        "recalls": {name: _spread(found[:, k]) for k, name in enumerate(classes)},
        "UAR by fold": np.mean(by_fold, axis=0).tolist(),
        "confusion": confusions.sum(axis=0).tolist(),
        "ensemble UAR": _ensemble_uar(by_run, len(classes)) if len(runs) > 1 else None,
    }
    if "corpora" in config:
        summary["corpora"] = corpus_scores(config["corpora"], classes, by_run, resamples)
    return summary


def _complete(done, folds):
    """Numbers of the runs {run: folds done} that have all folds; InputError if none has."""
    runs = [run for run, count in sorted(done.items()) if count == folds]
    if not runs:
        raise InputError(
            f"no run is complete yet: {sum(done.values())} folds are done, of {folds} a run; start the same"
            " command again to go on"
        )
    return runs


def _ensemble_uar(by_run, C):
    """UAR of the mean of the runs' probabilities."""
    together = np.mean([run.probabilities for run in by_run], axis=0).argmax(axis=1)
    return uar(confusion_matrix(by_run[0].labels, together, C))


def _spread(values):
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}
