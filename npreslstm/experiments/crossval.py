"""Cross-validation over speakers: every fold of every run a training of its own, entered into a journal when
done.
"""

import glob
import os
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from npreslstm import __version__
from npreslstm.checkpoint import Checkpoint, load_checkpoint
from npreslstm.errors import InputError, SnapshotError
from npreslstm.experiments.corpora import corpus_classes, corpus_scores
from npreslstm.experiments.journal import Journal, Predictions, lock_folder
from npreslstm.experiments.protocol import check_classes, make_folds
from npreslstm.experiments.store import corpus_digest, open_examples, store_examples
from npreslstm.layers.activations import softmax
from npreslstm.parallel import check_cluster, run_all
from npreslstm.schema import ModelConfig
from npreslstm.training.calibration import expected_calibration_error, negative_log_likelihood
from npreslstm.training.conditioned import digest_of
from npreslstm.training.fit import Split, fit
from npreslstm.training.metrics import bootstrap_uar, confusion_matrix, recalls, uar
from npreslstm.training.recipe import Recipe
from npreslstm.training.trainer import predict


def fold_seed(seed, run, fold):
    """The seed of one training: another one for every run and fold."""
    return int(np.random.SeedSequence([seed, run, fold]).generate_state(1)[0])


@dataclass(frozen=True)
class Plan:
    """What is to be cross-validated.

    Attributes
    ----------
    dataset : Dataset
    features : FeatureConfig
    model : ModelConfig
    recipe : Recipe
    folds : tuple of Fold
    seed : int
    inner : bool
        Score the validation speakers in place of the test speakers, who then have no part in anything: for
        choosing between recipes.
    hold_validation : bool
        Keep the validation speakers out of training even if the recipe chooses no epoch by them.
    teachers : sequence of str
        Folders of cross-validations of the same folds, whose networks are the teachers of those of this one,
        fold by fold.
    backgrounds : sequence of str
        Sound files without speech, for conditions with noise; see `conditioned.Draws`.
    start : str, optional
        Folder of a cross-validation of the same folds, from whose networks those of this one go on, fold by
        fold and run by run; runs beyond the last one there begin with its first again.
    """

    dataset: object
    features: object
    model: ModelConfig
    recipe: Recipe
    folds: tuple
    seed: int = 0
    inner: bool = False
    hold_validation: bool = False
    teachers: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    start: str | None = None

    @classmethod
    def make(cls, dataset, folds, features, model, recipe, **options):
        """A plan with folds by name, see `make_folds`, and a model of the sizes of the data."""
        sizes = {
            "input_size": features.n_features,
            "num_classes": len(dataset.classes),
            "dropout": recipe.dropout,
        }
        return cls(dataset, features, replace(model, **sizes), recipe, make_folds(folds, dataset), **options)

    def __post_init__(self):
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more")
        for k, fold in enumerate(self.folds):
            if set(self.dataset.speakers) <= {*fold.test, *self.validation(fold)}:
                more = "take more folds, or give more corpora" if self.dataset.several else "take more folds"
                raise InputError(
                    f"fold {k} leaves nobody to train on beside its test and validation speakers; {more}"
                )
            check_classes(self.dataset, {*fold.test, *self.validation(fold)}, f"fold {k}: ")
            for folder in [*self.teachers, *([self.start] if self.start else [])]:
                if not _networks(folder, k):
                    raise InputError(
                        f"{folder} has no networks of fold {k}: there is no weights/run-*-fold-{k}.npz in it"
                    )

    def start_of(self, run, k):
        """Weights file that a run goes on from in fold k; None for random weights."""
        if self.start is None:
            return None
        there = _networks(self.start, k)
        return there[run % len(there)]

    def teachers_of(self, k):
        """Weights files of the teachers of fold k."""
        return [path for folder in self.teachers for path in _networks(folder, k)]

    @property
    def uses_validation(self):
        """Whether the validation speakers are kept out of training."""
        return self.inner or self.hold_validation or self.recipe.keep == "best"

    def validation(self, fold):
        """The validation speakers of a fold that are kept out of training."""
        return fold.validation if self.uses_validation else ()

    def scored(self, fold):
        """The speakers of a fold whose predictions count."""
        return fold.validation if self.inner else fold.test

    def split(self, fold, speakers):
        """`Split` of clips by their speakers (N,) in a fold."""
        validation, scored = np.isin(speakers, self.validation(fold)), np.isin(speakers, self.scored(fold))
        rest = ~(validation | np.isin(speakers, fold.test))
        return Split(np.flatnonzero(rest), np.flatnonzero(validation), np.flatnonzero(scored))

    def store(self, folder, digest, workers=1, on_clip=None):
        """The stored examples of the plan, see `store_examples`."""
        speeds, conditions = self.recipe.speeds, self.recipe.conditions
        arguments = (
            folder,
            self.dataset,
            digest,
            self.features,
            speeds,
            workers,
            on_clip,
            conditions,
            self.backgrounds,
        )
        return store_examples(*arguments)

    def config(self, digest):
        """All that decides the results, as JSON values; `digest` as of `corpus_digest`."""
        config = {
            "npreslstm": __version__,
            "data": self.dataset.name,
            "digest": digest,
            "classes": list(self.dataset.classes),
            "clips": dict(Counter(clip.speaker for clip in self.dataset.clips)),
            "features": self.features.to_dict(),
            "model": self.model.to_dict(),
            "recipe": self.recipe.to_dict(),
            "folds": [{"test": list(fold.test), "validation": list(fold.validation)} for fold in self.folds],
            "scored speakers": [list(self.scored(fold)) for fold in self.folds],
            "validation speakers": "kept out of training" if self.uses_validation else "trained on",
            "seed": self.seed,
        }
        if self.backgrounds:
            config["backgrounds"] = [digest_of(path).hex() for path in self.backgrounds]
        if self.dataset.several:
            config["corpora"] = corpus_classes(self.dataset.corpora, self.dataset.classes)
        if self.start:
            there = [_networks(self.start, k) for k in range(len(self.folds))]
            config["started from"] = [[load_checkpoint(path).sha256 for path in paths] for paths in there]
        if self.teachers:
            config["teachers"] = [
                [load_checkpoint(path).sha256 for path in self.teachers_of(k)] for k in range(len(self.folds))
            ]
        return config


def _networks(folder, k):
    """Weights files of fold k in a folder of results."""
    return sorted(
        glob.glob(os.path.join(glob.escape(os.path.abspath(folder)), "weights", f"run-*-fold-{k}.npz"))
    )


@dataclass(frozen=True, eq=False)
class FoldTask:
    """One training, as it is sent to a worker."""

    run: int
    fold: int
    seed: int
    store: str
    split: Split
    model: ModelConfig
    recipe: Recipe
    snapshot: str
    teachers: tuple[str, ...] = ()
    start: str | None = None


class FoldResult(NamedTuple):
    """What a training gives; `history` holds JSON values: seed, seconds (of the last attempt) and the curves
    of training.
    """

    predictions: Predictions
    history: dict
    checkpoint: Checkpoint


def run_fold(task, on_epoch=None):
    """Train and predict.

    Parameters
    ----------
    task : FoldTask
    on_epoch : callable, optional
        As of `fit`.

    Returns
    -------
    FoldResult
    """
    started = time.monotonic()
    examples, names = open_examples(task.store)
    teachers = [load_checkpoint(path) for path in task.teachers]
    start = load_checkpoint(task.start) if task.start else None
    arguments = (
        examples,
        task.split,
        task.model,
        task.recipe,
        task.seed,
        on_epoch,
        task.snapshot,
        teachers,
        start,
    )
    try:
        checkpoint = fit(*arguments)
    except (
        SnapshotError
    ):  # of an earlier version, or damaged, as the folder vouches for all else: the fold begins anew
        os.remove(task.snapshot)
        checkpoint = fit(*arguments)
    clips = task.split.test
    scaled = [
        ((examples.variants[n][0] - checkpoint.mean) / checkpoint.std).astype(np.float32) for n in clips
    ]
    logits = predict(checkpoint.model(), scaled, task.recipe.padding)
    files = tuple(names[n] for n in clips)
    predictions = Predictions(
        files, examples.speakers[clips], examples.labels[clips], logits.argmax(axis=1), softmax(logits)
    )
    history = {
        "seed": task.seed,
        "seconds": round(time.monotonic() - started, 1),
        **checkpoint.notes["history"],
    }
    return FoldResult(predictions, history, checkpoint)


def crossval(plan, runs, folder, cache=None, workers=1, dask=None, on_clip=None, on_entry=None):
    """Run what of a plan is not in its journal yet.

    Parameters
    ----------
    plan : Plan
    runs : int
    folder : str
        The journal, made if needed. Work that was interrupted in any way goes on where it was and ends with
        the same bits.
    cache : str, optional
        Folder for features; default: ``features`` in `folder`.
    workers, dask
        As of `open_executor`; `workers` processes also extract the features.
    on_clip : callable, optional
        Called with (extractions done, extractions in all).
    on_entry : callable, optional
        Called with (run, fold, history, entries so far) after each.

    Returns
    -------
    dict
        As of `summarise`.

    Raises
    ------
    InputError
        If clips cannot be read, or the folder holds results of another configuration, or another process
        works on it.
    """
    for name, value in (("runs", runs), ("workers", workers)):
        if value < 1:
            raise InputError(f"{name} is {value}; expected at least 1")
    digest, folder = corpus_digest(plan.dataset), os.path.abspath(folder)
    config = plan.config(digest)
    with lock_folder(folder):
        journal = Journal(folder, config)
        journal.clear()
        entries = journal.entries()
        tasks = [
            (run, fold)
            for run in range(runs)
            for fold in range(len(plan.folds))
            if (run, fold) not in entries
        ]
        if tasks:
            if dask:
                check_cluster(dask)
            cache = os.path.abspath(cache or os.path.join(folder, "features"))
            store = plan.store(cache, digest, workers, on_clip)
            with closing(
                run_all(run_fold, [_task(plan, journal, store, *key) for key in tasks], workers, dask)
            ) as results:
                for task, result in results:
                    journal.add(task.run, task.fold, *result)
                    entries[task.run, task.fold] = result.predictions
                    if on_entry:
                        on_entry(task.run, task.fold, result.history, entries)
        summary = summarise(journal.config, journal.entries())
        journal.write_summary(summary)
    return summary


def _task(plan, journal, store, run, fold):
    speakers = np.array([clip.speaker for clip in plan.dataset.clips])
    split = plan.split(plan.folds[fold], speakers)
    seed, snapshot = fold_seed(plan.seed, run, fold), journal.path("snapshots", run, fold)
    return FoldTask(
        run,
        fold,
        seed,
        store,
        split,
        plan.model,
        plan.recipe,
        snapshot,
        tuple(plan.teachers_of(fold)),
        plan.start_of(run, fold),
    )


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
    runs = [run for run, count in sorted(done.items()) if count == folds]
    if not runs:
        raise InputError(
            f"no run is complete yet: {len(entries)} folds are done, of {folds} a run; start the same command"
            " again to go on"
        )
    by_run = [pooled([entries[run, fold] for fold in range(folds)]) for run in runs]
    # (R, C, C)
    confusions = np.array([confusion_matrix(run.labels, run.predicted, len(classes)) for run in by_run])
    found = np.array([recalls(confusion) for confusion in confusions])  # (R, C)
    by_fold = [[pooled_uar([entries[run, fold]], len(classes)) for fold in range(folds)] for run in runs]
    first, hits = by_run[0], np.array([run.predicted == run.labels for run in by_run])
    together = np.mean([run.probabilities for run in by_run], axis=0).argmax(axis=1)
    several = (
        {"corpora": corpus_scores(config["corpora"], classes, by_run, resamples)}
        if "corpora" in config
        else {}
    )
    return {
        "runs": runs,
        "unfinished": [[run, count] for run, count in sorted(done.items()) if count < folds],
        "clips": len(first.files),
        "UAR by run": [uar(confusion) for confusion in confusions],
        "UAR": _spread([uar(confusion) for confusion in confusions]),
        "UAR interval": bootstrap_uar(
            first.labels, hits, first.speakers, resamples, np.random.default_rng(0)
        ),
        "accuracy": _spread(hits.mean(axis=1)),
        "ECE": _spread([expected_calibration_error(run.probabilities, run.labels) for run in by_run]),
        "NLL": _spread([negative_log_likelihood(run.probabilities, run.labels) for run in by_run]),
        "recalls": {name: _spread(found[:, k]) for k, name in enumerate(classes)},
        "UAR by fold": np.mean(by_fold, axis=0).tolist(),
        "confusion": confusions.sum(axis=0).tolist(),
        "ensemble UAR": (
            uar(confusion_matrix(first.labels, together, len(classes))) if len(runs) > 1 else None
        ),
        **several,
    }


def _spread(values):
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}
