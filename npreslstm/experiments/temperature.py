"""Where a temperature comes from: clips of training speakers, heard by networks not trained on them.

Either such networks are trained for it (`calibrate_by_training`), or those of a cross-validation are taken
(`calibrate_by_results`). Nobody whom the network in question holds out has any part in it.
"""

import glob
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npreslstm.checkpoint import Checkpoint, load_checkpoint
from npreslstm.errors import InputError
from npreslstm.experiments.packed import open_results
from npreslstm.experiments.summary import pooled
from npreslstm.formats.plain_data import differences
from npreslstm.schema import ModelConfig
from npreslstm.training.ancestors import chosen_by
from npreslstm.training.batches import predict
from npreslstm.training.calibration import calibrated, fit_temperature, log_probabilities, temperature_scores
from npreslstm.training.examples import Examples, Split
from npreslstm.training.fit import fit
from npreslstm.training.recipe import Recipe


class Heard(NamedTuple):
    """What networks make of clips whose speakers they were not trained on."""

    logits: NDArray  # (N, C)
    labels: NDArray  # (N,) int
    clips: int  # different ones
    speakers: list[str]


def inner_splits(
    speakers: ArrayLike, labels: ArrayLike, classes: tuple[str, ...], split: Split, count: int, recipe: Recipe
) -> list[Split]:
    """Deal training speakers into groups; each split trains without one of them.

    They are dealt in turn from a fixed random order, since neighbouring numbers often are alike (RAVDESS
    alternates men and women).

    Parameters
    ----------
    speakers : (N,) str array
    labels : (N,) int array
    classes : tuple of str
    split : Split
        Of the network to be calibrated.
    count : int
        Groups.
    recipe : Recipe
        Its epoch is chosen by the same validation speakers as that network's, if it chooses one.

    Returns
    -------
    list of Split
        `test` are the group's clips.

    Raises
    ------
    InputError
        If there are too few speakers for the groups, only one group speaks a class, or the recipe takes its
        statistics from all speakers.
    """
    if recipe.statistics != "training":
        expected = "expected 'training', as nobody else may have a part in a temperature"
        raise InputError(f"statistics is {recipe.statistics!r}; {expected}")
    speakers, labels = np.asarray(speakers), np.asarray(labels)
    names = sorted(set(speakers[split.train].tolist()))
    if not 2 <= count <= len(names):
        most = f"at least 2 and at most as many as there are training speakers, {len(names)}"
        raise InputError(f"the groups of speakers to calibrate by are {count}; expected {most}")
    order = np.random.default_rng(0).permutation(len(names))
    validation = split.validation if recipe.keep == "best" else split.validation[:0]
    found = []
    for k in range(count):
        group = [names[n] for n in order[k::count]]
        inside = np.isin(speakers[split.train], group)
        found.append(Split(split.train[~inside], validation, split.train[inside]))
        absent = np.setdiff1d(labels[split.train], labels[found[-1].train])
        if len(absent):
            lost = ", ".join(classes[label] for label in absent)
            who = f"speaker {', '.join(group)}, one of {count} groups to calibrate by"
            raise InputError(f"without {who}, nobody is left who speaks {lost}; take more groups, or none")
    return found


def inner_seed(seed: int, count: int, k: int) -> int:
    """The seed of network k of `count`."""
    return int(np.random.SeedSequence([seed, count, k]).generate_state(1)[0])


def inner_snapshot(snapshot: str, k: int) -> str:
    """State file of network k, beside that of the network to be calibrated."""
    return f"{snapshot}.group-{k}"


def inner_snapshots(snapshot: str) -> list[str]:
    """All state files of that kind that are there."""
    return glob.glob(f"{glob.escape(snapshot)}.group-[0-9]*")


def calibrate_by_training(
    checkpoint: Checkpoint,
    examples: Examples,
    split: Split,
    model: ModelConfig,
    recipe: Recipe,
    seed: int,
    count: int,
    on_network: Callable | None = None,
    on_epoch: Callable | None = None,
    snapshot: str | None = None,
) -> Checkpoint:
    """Calibrate what `fit` returned, by networks that are trained alike without a group of speakers each.

    Parameters
    ----------
    checkpoint : Checkpoint
        Trained without teachers or a network to start from, which would tell the other networks of the groups
        that they must not hear.
    examples, split, model, recipe, seed
        As `fit` was given them.
    count : int
        Groups, see `inner_splits`.
    on_network : callable, optional
        Called with (number of the network from 0, its Split) before each training.
    on_epoch : callable, optional
        As of `fit`.
    snapshot : str, optional
        As of `fit`; every network keeps its state beside it, see `inner_snapshot`. For the caller to delete.

    Returns
    -------
    Checkpoint
        As `calibrated` returns it.

    Raises
    ------
    InputError
        As of `inner_splits`, `fit` and `fit_temperature`; or if the checkpoint has had teachers or a start.
    """
    if earlier := [name for name in ("teachers", "started from") if name in checkpoint.notes]:
        why = f"the network's notes have {' and '.join(earlier)}: networks that heard all its speakers"
        raise InputError(f"{why}; expected one without")
    splits = inner_splits(examples.speakers, examples.labels, examples.classes, split, count, recipe)
    logits = []
    for k, part in enumerate(splits):
        if on_network:
            on_network(k, part)
        state = snapshot and inner_snapshot(snapshot, k)
        inner = fit(examples, part, model, recipe, inner_seed(seed, count, k), on_epoch, state)
        scaled = [((examples.variants[n][0] - inner.mean) / inner.std).astype(np.float32) for n in part.test]
        logits.append(predict(inner.model(), scaled, recipe.padding))
    clips = np.concatenate([part.test for part in splits])
    speakers = checkpoint.notes["speakers trained on"]
    heard = Heard(np.concatenate(logits), examples.labels[clips], len(clips), speakers)
    how = f"cross-validation inside the training speakers: {count} networks, each without a group of them"
    return _calibrated_on(checkpoint, heard, how)


def calibrate_by_results(checkpoint: Checkpoint, folder: str) -> Checkpoint:
    """Calibrate a network by a cross-validation of its recipe that heard nobody but its training speakers.

    Parameters
    ----------
    checkpoint : Checkpoint
        With the notes that `fit` writes.
    folder : str
        What `npreslstm crossval --out` wrote. All of its predictions for the network's training speakers are
        taken, of every run.

    Returns
    -------
    Checkpoint
        As `calibrated` returns it.

    Raises
    ------
    FileNotFoundError
        If there are no results in the folder.
    InputError
        If the notes do not say whom the network was trained on, or the results are of another recipe, model,
        corpus or other features, or have heard somebody whom the network has not, which cannot be told where
        they go on from others; or as of `fit_temperature`.
    """
    trained, journal = _trained_on(checkpoint), open_results(folder)
    if found := differences(_made_of(journal.config), _made_by(checkpoint)):
        raise InputError(f"{folder} is of other networks than the weights are (here): {'; '.join(found[:5])}")
    entries = {key: entry for key, entry in journal.entries().items() if {*entry.speakers} & {*trained}}
    if not entries:
        expected = f"expected results of some of {', '.join(trained)}"
        raise InputError(f"{folder} has no results of speakers whom the weights were trained on; {expected}")
    if "started from" in journal.config:
        why = "and do not say whom those had heard; expected a cross-validation without --start"
        raise InputError(f"{folder} is of networks that go on from others, {why}")
    for run, fold in entries:
        _check_fold(journal, run, fold, {*trained, *chosen_by(checkpoint)})
    rows = pooled(list(entries.values()))
    own = np.isin(rows.speakers, trained)
    clips = len({name for name, taken in zip(rows.files, own) if taken})
    speakers = [name for name in trained if name in rows.speakers]
    heard = Heard(log_probabilities(rows.probabilities[own]), rows.labels[own], clips, speakers)
    runs = len({run for run, _ in entries})
    how = "predictions of a cross-validation of the recipe on training speakers: "
    how += f"{runs} run{'s' * (runs > 1)} from seed {journal.config['seed']}"
    return _calibrated_on(checkpoint, heard, how)


def _trained_on(checkpoint):
    """Names of the speakers whom the notes say that the network was trained on."""
    notes = checkpoint.notes
    names = notes.get("speakers trained on")
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not known or not isinstance(notes.get("recipe"), dict):
        expected = "expected a file that npreslstm train wrote"
        raise InputError(f"the weights do not say whom they were trained on, and how; {expected}")
    return names


def _made_by(checkpoint):
    """What must be alike in a network and in the results that it is calibrated by."""
    notes = checkpoint.notes
    return {
        "data": notes.get("data"),
        "classes": list(checkpoint.classes or ()),
        "features": checkpoint.features and checkpoint.features.to_dict(),
        "model": checkpoint.config.to_dict(),
        "recipe": notes["recipe"],
        "learnt from teachers": "teachers" in notes,
        "heard at": None,
    }


def _made_of(config):
    """The same of results, by their configuration."""
    own = {name: config[name] for name in ("data", "classes", "features", "model", "recipe")}
    return own | {"learnt from teachers": "teachers" in config, "heard at": config.get("heard at")}


def _check_fold(journal, run, fold, known):
    """Raise InputError if a fold's network has heard whom it scores, or somebody not among the known."""
    scored, heard = journal.config["scored speakers"][fold], _heard_in(journal, run, fold)
    where = f"{journal.folder}: the network of run {run}, fold {fold} has heard speaker"
    if others := sorted(heard - known, key=lambda name: (len(name), name)):
        expected = "expected a cross-validation of the weights' training speakers alone"
        raise InputError(f"{where} {', '.join(others)}, whom the weights have not; {expected}")
    if again := [name for name in scored if name in heard]:
        expected = "expected a recipe that tells it nothing of them"
        raise InputError(f"{where} {', '.join(again)}, whom it scores; {expected}")


def _heard_in(journal, run, fold):
    """Speakers that had a part in a network: in training, in the statistics or in the choice of an epoch."""
    config, who = journal.config, journal.config["folds"][fold]
    everybody = set(config["clips"])
    if config["recipe"].get("statistics") == "all":
        return everybody
    unheard = {*who["test"]}
    if config["validation speakers"] == "kept out of training" and config["recipe"].get("keep") != "best":
        unheard |= {*who["validation"]}
    return (everybody - unheard) | _chosen_by_teachers(journal, run, fold)


def _chosen_by_teachers(journal, run, fold):
    """Speakers by whom the epochs of a network's teachers were chosen, as the notes of the network say."""
    if "teachers" not in journal.config:
        return set()
    path = journal.path("weights", run, fold)
    if not os.path.exists(path):
        why = "which alone says by whom the epochs of its teachers were chosen"
        raise InputError(f"{path} is not there, {why}; expected the whole folder of results")
    return {*chosen_by(load_checkpoint(path))}


def _calibrated_on(checkpoint, heard, how):
    temperature = fit_temperature(heard.logits, heard.labels)
    scores = temperature_scores(heard.logits, heard.labels, temperature)
    record = {"clips": heard.clips, "speakers": heard.speakers, **scores, "how": how}
    return calibrated(checkpoint, temperature, record)
