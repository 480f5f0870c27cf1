"""Cross-validation over speakers: every fold of every run a training of its own, entered into a journal when
done.
"""

import os
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from npreslstm.checkpoint import Checkpoint, load_checkpoint
from npreslstm.errors import InputError, SnapshotError
from npreslstm.experiments.journal import Journal, Predictions, lock_folder
from npreslstm.experiments.plan import fold_seed
from npreslstm.experiments.store import corpus_digest, open_examples
from npreslstm.experiments.summary import summarise
from npreslstm.layers.activations import softmax
from npreslstm.parallel import check_cluster, run_all
from npreslstm.schema import ModelConfig
from npreslstm.training.batches import predict
from npreslstm.training.examples import Split
from npreslstm.training.fit import fit
from npreslstm.training.recipe import Recipe


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
    others: tuple[str, ...] = ()  # stores of the features of teachers that have others


class FoldResult(NamedTuple):
    """What a training gives; `history` holds JSON values: seed, seconds (of the last attempt) and the curves
    of training.
    """

    predictions: Predictions
    history: dict[str, Any]
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
    checkpoint = _trained(task, examples, on_epoch)
    predictions = _predictions(task, examples, names, checkpoint)
    seconds = round(time.monotonic() - started, 1)
    history = {"seed": task.seed, "seconds": seconds, **checkpoint.notes["history"]}
    return FoldResult(predictions, history, checkpoint)


def _trained(task, examples, on_epoch):
    """The network of a fold, as a `Checkpoint`."""
    teachers = [load_checkpoint(path) for path in task.teachers]
    start = load_checkpoint(task.start) if task.start else None
    others = [open_examples(store)[0] for store in task.others]
    data = examples, task.split, task.model, task.recipe, task.seed
    try:
        return fit(*data, on_epoch, task.snapshot, teachers, start, others)
    except SnapshotError:
        # of an earlier version, or damaged, as the folder vouches for all else: the fold begins anew
        os.remove(task.snapshot)
        return fit(*data, on_epoch, task.snapshot, teachers, start, others)


def _predictions(task, examples, names, checkpoint):
    """What a network makes of the speakers that are scored in a fold."""
    clips = task.split.test
    scaled = [
        ((examples.variants[n][0] - checkpoint.mean) / checkpoint.std).astype(np.float32) for n in clips
    ]
    logits = predict(checkpoint.model(), scaled, task.recipe.padding)
    files = tuple(names[n] for n in clips)
    return Predictions(
        files, examples.speakers[clips], examples.labels[clips], logits.argmax(axis=1), softmax(logits)
    )


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
        keys = [(run, fold) for run in range(runs) for fold in range(len(plan.folds))]
        if missing := [key for key in keys if key not in entries]:
            if dask:
                check_cluster(dask)
            cache = os.path.abspath(cache or os.path.join(folder, "features"))
            how = cache, digest, workers, on_clip
            store = plan.store(*how)
            others = tuple(plan.store(*how, features) for features in plan.features_of_teachers())
            tasks = [_task(plan, journal, store, *key, others) for key in missing]
            with closing(run_all(run_fold, tasks, workers, dask)) as results:
                for task, result in results:
                    journal.add(task.run, task.fold, *result)
                    entries[task.run, task.fold] = result.predictions
                    if on_entry:
                        on_entry(task.run, task.fold, result.history, entries)
        summary = summarise(journal.config, journal.entries())
        journal.write_summary(summary)
    return summary


def _task(plan, journal, store, run, fold, others=()):
    speakers = np.array([clip.speaker for clip in plan.dataset.clips])
    split = plan.split(plan.folds[fold], speakers)
    seed, snapshot = fold_seed(plan.seed, run, fold), journal.path("snapshots", run, fold)
    teachers, start = tuple(plan.teachers_of(run, fold)), plan.start_of(run, fold)
    return FoldTask(run, fold, seed, store, split, plan.model, plan.recipe, snapshot, teachers, start, others)
