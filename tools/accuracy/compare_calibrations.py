#!/usr/bin/env python3
"""Compare ways to calibrate the networks of cross-validations: figures of docs/protocol.md.

    python tools/accuracy/compare_calibrations.py DIR ...

DIR is a folder of `npreslstm crossval`; its config.json and predictions/ are enough. In each run, what
calibrates a fold is fitted on the predictions of the other folds: a temperature, one that weighs every class
alike, a temperature with a bias for each class, and a scale with a bias for each class (vector scaling).
Prints the means over runs of expected calibration error, negative log-likelihood, UAR and temperature (of
several scales, the mean). The networks of the other folds have heard the fold's speakers, though they do not
score them: this compares the ways, and is no protocol for calibrating weights.
"""

import argparse
import sys

import numpy as np

from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.experiments.packed import open_results
from npreslstm.layers.activations import softmax
from npreslstm.report.text import table
from npreslstm.training import calibration
from npreslstm.training.metrics import confusion_matrix, uar

# A scale for each class or one for all; a bias for each or none; every class weighs alike, or every clip.
WAYS = {
    "as trained": None,
    "temperature": (False, False, False),
    "temperature, classes alike": (False, False, True),
    "temperature and biases": (False, True, False),
    "scales and biases": (True, True, False),
}


def fit(logits, labels, scales, biases, alike):
    """The scales (1 or C,) and biases (C,) of logits (N, C) with the least negative log-likelihood."""
    from scipy.optimize import minimize

    N, C = logits.shape
    weights = 1 / np.bincount(labels, minlength=C)[labels] if alike else np.ones(N)
    weights /= weights.sum()
    S = C if scales else 1

    def loss(parameters):
        p = softmax(logits * parameters[:S] + parameters[S:])
        error = (p - np.eye(C)[labels]) * weights[:, None]
        by_class = (error * logits).sum(axis=0)
        slope = by_class if scales else [by_class.sum()]
        return -weights @ np.log(p[np.arange(N), labels]), np.concatenate([slope, error.sum(axis=0) * biases])

    found = minimize(loss, np.concatenate([np.ones(S), np.zeros(C)]), jac=True, method="L-BFGS-B").x
    return found[:S], found[S:]


def calibrated(folds, way):
    """Probabilities (N, C) of a run's folds, each calibrated by the others, labels and the mean
    temperature.
    """
    logits = [calibration.log_probabilities(fold.probabilities) for fold in folds]
    found, temperatures = [], []
    for k, own in enumerate(logits):
        rest = [n for n in range(len(folds)) if n != k]
        others = np.concatenate([logits[n] for n in rest])
        labels = np.concatenate([folds[n].labels for n in rest])
        scale, bias = (np.ones(1), 0) if way is None else fit(others, labels, *way)
        found.append(softmax(own * scale + bias))
        temperatures.append(np.mean(1 / scale))
    return np.concatenate(found), np.concatenate([fold.labels for fold in folds]), np.mean(temperatures)


def scores(probabilities, labels, temperature):
    """Expected calibration error, negative log-likelihood, UAR and the temperature."""
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    error = calibration.expected_calibration_error(probabilities, labels)
    return error, calibration.negative_log_likelihood(probabilities, labels), uar(confusion), temperature


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", metavar="DIR", nargs="+")
    for folder in parser.parse_args(argv).results:
        journal = open_results(folder)
        folds, entries = range(len(journal.config["folds"])), journal.entries()
        runs = [run for run in sorted({run for run, _ in entries}) if all((run, k) in entries for k in folds)]
        if not runs:
            raise InputError(f"{folder} has no run that is complete; expected one or more")
        rows = []
        for name, way in WAYS.items():
            found = [scores(*calibrated([entries[run, k] for k in folds], way)) for run in runs]
            rows.append((name, *(f"{value:.4f}" for value in np.mean(found, axis=0))))
        print(table((folder, "ECE", "NLL", "UAR", "T"), rows, right={1, 2, 3, 4}), end="\n\n")


if __name__ == "__main__":
    sys.exit(guarded(main))
