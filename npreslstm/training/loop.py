"""A training from its first epoch to its last: scores, the best epoch, snapshots."""

import os
import time
from typing import NamedTuple

import numpy as np

from npreslstm.errors import DivergedError, InputError
from npreslstm.model import ResLSTM
from npreslstm.training.batches import predict
from npreslstm.training.metrics import confusion_matrix, uar
from npreslstm.training.snapshot import checksum, other_run, require


class Epoch(NamedTuple):
    """What is reported after an epoch; `uar` is None without validation clips."""

    epoch: int
    epochs: int
    loss: float
    uar: float | None
    seconds_left: float


def train(trainer, validation=None, on_epoch=None, snapshot=None, snapshot_seconds=30.0):
    """Run a trainer to the end of its recipe.

    Parameters
    ----------
    trainer : Trainer
    validation : (clips, labels), optional
        Z-scored clips [(T, D)] of other speakers, scored after every epoch.
    on_epoch : callable, optional
        Called with an `Epoch`.
    snapshot : path, optional
        State file: continued from if it is there, written every `snapshot_seconds` and after the last epoch.
        For the caller to delete once the result is safe.

    Returns
    -------
    ResLSTM
        The averaged weights of the last epoch, or of the best one on the validation speakers, for the
        recipe's prior.

    Raises
    ------
    DivergedError
        If the loss is no finite number any more.
    SnapshotError
        If the state file is damaged or of another run.
    InputError
        If there is nobody to choose an epoch by.
    """
    recipe, best = trainer.recipe, _Best(trainer.average)
    if recipe.keep == "best" and validation is None:
        raise InputError("keep is 'best' without validation speakers; expected some to choose the epoch by")
    watched = 0 if validation is None else checksum([*validation[0], np.asarray(validation[1])])
    if snapshot and os.path.isfile(snapshot):
        _go_on(trainer, best, snapshot, watched)
    started, first, saved = time.monotonic(), trainer.epoch, time.monotonic()
    while trainer.epoch < recipe.epochs:
        loss, score = _epoch(trainer, validation)
        if recipe.keep == "last" or score > best.uar:
            best = _Best(trainer.average, score)
        now = time.monotonic()
        if on_epoch:
            left = (now - started) / (trainer.epoch - first) * (recipe.epochs - trainer.epoch)
            on_epoch(Epoch(trainer.epoch, recipe.epochs, loss, score, left))
        if snapshot and (now - saved > snapshot_seconds or trainer.epoch == recipe.epochs):
            trainer.save(snapshot, watched=watched, **best.arrays())
            saved = now
    model = ResLSTM(trainer.model.config)
    model.load_state_dict(best.state)
    model.tensors["fc.bias"] -= trainer.log_prior
    return model


def _go_on(trainer, best, snapshot, watched):
    """Take over the state of a run from its snapshot; `watched` is the checksum of the validation clips."""
    arrays = trainer.restore(snapshot)
    require(snapshot, arrays, {"watched": np.int64(0)})
    if arrays.pop("watched") != watched:
        raise other_run(snapshot)
    best.restore(snapshot, arrays)


def _epoch(trainer, validation):
    """Train an epoch and score it: loss, and the UAR of the validation clips or None."""
    loss = trainer.run_epoch()
    if not np.isfinite(loss):
        raise DivergedError(
            f"the loss is {loss} in epoch {trainer.epoch}; expected a finite number: take a lower lr than"
            f" {trainer.recipe.lr:g}"
        )
    score = _score(trainer, validation)
    trainer.history.append((loss, np.nan if score is None else score))
    return loss, score


class _Best:
    """The weights to keep so far, and their validation UAR."""

    def __init__(self, model, score=None):
        self.state, self.uar = model.state_dict(), -1.0 if score is None else score

    def arrays(self):
        return {"best/" + name: tensor for name, tensor in self.state.items()} | {
            "best_uar": np.float64(self.uar)
        }

    def restore(self, path, arrays):
        require(
            path,
            arrays,
            {"best_uar": np.float64(0)} | {"best/" + name: tensor for name, tensor in self.state.items()},
        )
        self.uar = float(arrays.pop("best_uar"))
        self.state = {name: arrays["best/" + name] for name in self.state}


def _score(trainer, validation):
    if validation is None:
        return None
    clips, labels = validation
    predicted = (predict(trainer.average, clips, trainer.recipe.padding) - trainer.log_prior).argmax(axis=1)
    return uar(confusion_matrix(labels, predicted, len(trainer.log_prior)))
