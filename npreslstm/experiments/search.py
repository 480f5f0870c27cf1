"""Search for a better recipe: Optuna's TPE over the recipe's numbers, judged by validation speakers alone.

The score of a trial is what ``crossval --inner`` with its recipe and the same seed gives: the pooled UAR of
the validation speakers of all folds, each trained without the fold's validation and test speakers. Trials are
asked for in advance and numbered, and every number drawn follows from [seed, trial, parameter] and the trials
that are finished; so a search in one process that is killed and started again ends with the same trials.
"""

import os
import warnings
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from npreslstm.errors import DivergedError, InputError
from npreslstm.experiments.crossval import FoldTask, run_fold
from npreslstm.experiments.journal import lock_folder, settle_config, write_json
from npreslstm.experiments.plan import fold_seed
from npreslstm.experiments.ranges import Range
from npreslstm.experiments.store import corpus_digest
from npreslstm.files import sweep
from npreslstm.parallel import check_cluster, run_all
from npreslstm.training.metrics import confusion_matrix, uar
from npreslstm.training.recipe import Recipe

STARTUP_TRIALS = 10  # drawn at random before TPE has something to go by
PRUNING_TRIALS = 5  # complete before others are stopped early
IMPORTANCE_TRIALS = 5  # complete before importances are computed
LOCK_SECONDS = 10  # that nobody holds the lock of the journal, unless killed


@dataclass(frozen=True, eq=False)
class TrialTask:
    """One trial, as it is sent to a worker."""

    number: int
    trial_id: int
    storage: str
    study: str
    seed: int
    ranges: dict[str, Range]
    recipe: Recipe
    folds: tuple[FoldTask, ...]


class Trial(NamedTuple):
    """What became of a trial; `value` of a pruned one is the last that was seen, `params` the fields that
    were drawn.
    """

    number: int
    state: str
    value: float
    params: dict[str, int | float]


def search(
    plan, ranges, trials, folder, storage=None, cache=None, workers=1, dask=None, on_clip=None, on_trial=None
):
    """Run what of a search has not been run yet.

    Parameters
    ----------
    plan : Plan
        With ``inner=True``; its recipe is what is varied.
    ranges : dict
        {field: Range}.
    trials : int
        In all, those of earlier calls included.
    folder : str
        Made if needed; holds config.json, the study (unless `storage` is given), best.json and snapshots.
    storage : str, optional
        URL of a relational database for Optuna.
    cache, workers, dask, on_clip
        As of `npreslstm.experiments.crossval.crossval`.
    on_trial : callable, optional
        Called with (the Trial that is done, all that are finished) after each.

    Returns
    -------
    trials : list of Trial
        The finished ones, by number.
    importances : dict
        {field: share} of what decides the score, by PED-ANOVA; empty while fewer than `IMPORTANCE_TRIALS` are
        complete.

    Raises
    ------
    InputError
        If Optuna is not installed, or the folder or the study is of another search.
    """
    _check_arguments(plan, trials, workers)
    folder = os.path.abspath(folder)
    digest = corpus_digest(plan.dataset)
    with lock_folder(folder):
        _settle_folder(folder, plan.config(digest), ranges)
        study, storage = _study_of(folder, digest, storage, plan.recipe)
        _check_trials(study, ranges, storage)
        if dask:
            check_cluster(dask)
        cache = os.path.abspath(cache or os.path.join(folder, "features"))
        store = plan.store(cache, digest, workers, on_clip)
        while len(study.trials) < trials:
            study.ask()
        left = [trial for trial in study.trials if not trial.state.is_finished()]
        tasks = [_task(plan, ranges, storage, study, trial, store, folder) for trial in left]
        with closing(run_all(run_trial, tasks, workers, dask)) as results:
            for task, _ in results:
                done = finished_trials(study)
                _write_best(folder, plan.recipe, done)
                if on_trial:
                    on_trial(next(trial for trial in done if trial.number == task.number), done)
    return finished_trials(study), _importances(study)


def _check_arguments(plan, trials, workers):
    if not plan.inner:
        raise InputError("a search is judged by validation speakers: expected a plan with inner=True")
    for what, value in (("trials", trials), ("workers", workers)):
        if value < 1:
            raise InputError(f"{what} is {value}; expected at least 1")


def _study_of(folder, digest, storage, recipe):
    """(study, where it is stored): in the database that is given, or in a file of the folder."""
    if storage:
        return _open_study(storage, _shared_name(folder, digest), recipe), storage
    storage = os.path.join(folder, "study.log")
    _cut_off_half_a_line(storage)
    return _open_study(storage, "npreslstm", recipe), storage


def _settle_folder(folder, config, ranges):
    """Write config.json, or find that it is of this search, and remove what an interruption has left."""
    settle_config(folder, config | {"ranges": {name: list(values) for name, values in ranges.items()}})
    os.makedirs(os.path.join(folder, "snapshots"), exist_ok=True)
    for name in ("", "snapshots"):
        sweep(os.path.join(folder, name))


def _cut_off_half_a_line(path):
    """Remove what a killed process or a full disk left after the last whole line of Optuna's journal: the
    next line would be written onto it, and neither could be read again.
    """
    with suppress(FileNotFoundError), open(path, "r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


def _shared_name(folder, digest):
    """Name of the study in a database that others use too: one a folder."""
    import hashlib
    import socket

    return (
        "npreslstm-"
        + hashlib.blake2b(
            "\n".join([socket.gethostname(), folder, digest]).encode(), digest_size=8
        ).hexdigest()
    )


def _open_study(storage, name, recipe):
    try:
        import optuna
    except ImportError:
        raise InputError("the search needs Optuna: pip install optuna, or npreslstm[search]") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNING_TRIALS, n_warmup_steps=recipe.epochs // 4)
    try:
        opened = storage if "://" in storage else _journal(storage)
        return optuna.create_study(
            storage=opened, study_name=name, direction="maximize", load_if_exists=True, pruner=pruner
        )
    except Exception as error:  # whatever the database finds wrong
        place = "" if "://" in storage else f" {storage}"  # an address may have a password in it
        raise InputError(f"the storage{place} of the search cannot be opened: {error}") from None


def _check_trials(study, ranges, storage):
    """Raise InputError unless every trial that is complete has a value, and the numbers that were drawn for
    it.
    """
    for trial in study.get_trials(deepcopy=False):
        known = trial.params.keys() <= ranges.keys()
        if trial.state.name == "COMPLETE":
            known = trial.params.keys() == ranges.keys() and trial.value is not None
        if not known:
            place = "" if "://" in storage else f" {storage}"
            raise InputError(
                f"the storage{place} of the search is damaged: trial {trial.number} is not of its ranges"
            )


def _journal(path):
    """Optuna's journal in a file; the lock of a process that was killed while it wrote is broken after
    `LOCK_SECONDS`.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    return JournalStorage(JournalFileBackend(path, JournalFileOpenLock(path, grace_period=LOCK_SECONDS)))


def _task(plan, ranges, storage, study, trial, store, folder):
    speakers = np.array([clip.speaker for clip in plan.dataset.clips])
    snapshots = os.path.join(folder, "snapshots", f"trial-{trial.number:04}-fold")
    folds = tuple(
        FoldTask(
            0,
            k,
            fold_seed(plan.seed, 0, k),
            store,
            plan.split(fold, speakers),
            plan.model,
            plan.recipe,
            f"{snapshots}-{k}.npz",
        )
        for k, fold in enumerate(plan.folds)
    )
    # Optuna has no public way from a frozen trial to its id; its own tools read the same attribute.
    return TrialTask(
        trial.number, trial._trial_id, storage, study.study_name, plan.seed, ranges, plan.recipe, folds
    )


def run_trial(task):
    """Train one trial's folds, or what is left of them, and enter the outcome into the study."""
    import optuna

    study = _open_study(task.storage, task.study, task.recipe)
    if study.trials[task.number].state.is_finished():  # by a worker that was lost right afterwards
        return
    trial = optuna.trial.Trial(study, task.trial_id)
    recipe = replace(task.recipe, **_draw(study, trial, task))
    try:
        study.tell(trial, _pooled_uar(trial, task, recipe), skip_if_finished=True)
    except (optuna.TrialPruned, DivergedError):
        study.tell(trial, state=optuna.trial.TrialState.PRUNED, skip_if_finished=True)
        for fold in task.folds:
            with suppress(FileNotFoundError):
                os.remove(fold.snapshot)


def _draw(study, trial, task):
    """{field: value} of a trial, each drawn by a sampler of its own seed; those that it has
    already are kept.
    """
    import optuna

    drawn = {}
    for k, (name, values) in enumerate(task.ranges.items()):
        seed = int(np.random.SeedSequence([task.seed, task.number, k]).generate_state(1)[0])
        with warnings.catch_warnings():
            # constant_liar, before Optuna 5
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.sampler = optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=False, constant_liar=True
            )
        if values.choices:
            drawn[name] = trial.suggest_categorical(name, values.choices)
        elif isinstance(values.low, int):
            drawn[name] = trial.suggest_int(name, values.low, values.high, log=values.log)
        else:
            drawn[name] = trial.suggest_float(name, values.low, values.high, log=values.log)
    return drawn


def _pooled_uar(trial, task, recipe):
    """UAR of the validation speakers of all folds; raises TrialPruned if the trial falls behind."""
    attributes, confusions, scores = trial.user_attrs, [], []
    for k, fold in enumerate(task.folds):
        if f"fold {k}" not in attributes:
            report = _reporter(trial, scores, k * recipe.epochs)
            predictions = run_fold(replace(fold, recipe=recipe), report).predictions
            confusion = confusion_matrix(predictions.labels, predictions.predicted, fold.model.num_classes)
            trial.set_user_attr(f"fold {k}", confusion.tolist())
            with suppress(FileNotFoundError):
                os.remove(fold.snapshot)
        confusions.append(np.array(trial.user_attrs[f"fold {k}"]))
        scores.append(uar(confusions[-1]))
    return uar(sum(confusions))


def _reporter(trial, scores, first_step):
    """An `on_epoch` that reports the mean UAR of the folds so far, the present one included, and prunes."""
    import optuna

    reported = trial.study.trials[trial.number].intermediate_values

    def report(epoch):
        step = first_step + epoch.epoch
        if step not in reported:
            trial.report(float(np.mean([*scores, epoch.uar])), step)
        if step >= max(reported, default=0) and trial.should_prune():
            raise optuna.TrialPruned

    return report


def finished_trials(study):
    """`Trial`s of an Optuna study that are complete or pruned, by number."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name in ("COMPLETE", "PRUNED"):
            last = trial.intermediate_values[trial.last_step] if trial.intermediate_values else float("nan")
            value = trial.value if trial.state.name == "COMPLETE" else last
            found.append(Trial(trial.number, trial.state.name.lower(), value, dict(trial.params)))
    return found


def best_trial(trials):
    """The complete trial of the highest UAR, the first of several; None if none is complete."""
    return max(
        (trial for trial in trials if trial.state == "complete"), key=lambda trial: trial.value, default=None
    )


def _write_best(folder, recipe, trials):
    if best := best_trial(trials):
        write_json(os.path.join(folder, "best.json"), replace(recipe, **best.params).to_dict())


def _importances(study):
    import optuna

    if sum(trial.state == "complete" for trial in finished_trials(study)) < IMPORTANCE_TRIALS:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # before Optuna 4
        return optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
