"""Scores of several corpora one by one: each over its own classes. Letters: R runs, N clips, C classes."""

from collections.abc import Mapping, Sequence

import numpy as np

from npreslstm.experiments.journal import Predictions
from npreslstm.training.dataset import Corpus
from npreslstm.training.metrics import bootstrap_uar, confusion_matrix, uar


def corpus_classes(corpora: Sequence[Corpus], classes: Sequence[str]) -> dict[str, list[str]]:
    """{corpus: names of the classes that it has}, as checkpoints and results note it."""
    return {corpus.name: [classes[k] for k in corpus.classes] for corpus in corpora}


def corpus_scores(
    corpora: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    runs: Sequence[Predictions],
    resamples: int = 10_000,
) -> dict[str, dict]:
    """Scores of each corpus.

    Parameters
    ----------
    corpora : mapping
        As `corpus_classes` gives it.
    classes : sequence of str
        Of all corpora.
    runs : sequence of Predictions
        R, of the same clips in the same order; their speakers begin with the name of the corpus.
    resamples : int
        Of the bootstrap.

    Returns
    -------
    dict
        {corpus: {'clips', 'classes', 'UAR by run', 'UAR among its classes by run', 'UAR interval'}} of the
        corpora that have clips. UAR is the mean recall of the classes of the corpus; 'among its classes'
        takes the likeliest of these alone, which somebody can do who knows them. The interval is that of
        `bootstrap_uar`, of UAR.
    """
    first, C = runs[0], len(classes)
    whose = np.array([str(speaker).partition("/")[0] for speaker in first.speakers])
    scores = {}
    for name, own in corpora.items():
        chosen = np.flatnonzero(whose == name)
        if not len(chosen):
            continue
        labels, numbers = first.labels[chosen], np.array([classes.index(label) for label in own])
        among = [numbers[run.probabilities[chosen][:, numbers].argmax(axis=1)] for run in runs]
        hits = np.array([run.predicted[chosen] == labels for run in runs])  # (R, N)
        interval = bootstrap_uar(labels, hits, first.speakers[chosen], resamples, np.random.default_rng(0))
        scores[name] = {
            "clips": len(chosen),
            "classes": list(own),
            "UAR by run": [uar(confusion_matrix(labels, run.predicted[chosen], C)) for run in runs],
            "UAR among its classes by run": [uar(confusion_matrix(labels, guess, C)) for guess in among],
            "UAR interval": interval,
        }
    return scores
