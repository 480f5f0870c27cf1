"""From a corpus to a weights file: statistics, training, scores."""

import numpy as np

from npreslstm import __version__
from npreslstm.checkpoint import Checkpoint
from npreslstm.errors import InputError
from npreslstm.integer.calibration import calibrate
from npreslstm.schema import ModelConfig
from npreslstm.training.ancestors import (
    ANCESTORS,
    check_others,
    check_start,
    check_teacher,
    chosen_by,
    further_corpora,
    heard_before,
    opinions_of,
)
from npreslstm.training.batches import pad, predict
from npreslstm.training.examples import length_first, speaker_names
from npreslstm.training.loop import train
from npreslstm.training.metrics import confusion_matrix, recalls, uar
from npreslstm.training.prepare import statistics
from npreslstm.training.trainer import Trainer, View
from npreslstm.training.vocal_tract import vocal_tracts


def fit(
    examples,
    split,
    model_config,
    recipe,
    seed,
    on_epoch=None,
    snapshot=None,
    teachers=(),
    start=None,
    others=(),
):
    """Train on the training speakers and score the others.

    The feature statistics are those of the training speakers, unless ``recipe.statistics`` says otherwise.

    Parameters
    ----------
    examples : Examples
    split : Split
    model_config : ModelConfig
        Its input size and number of classes are replaced by those of the examples.
    recipe : Recipe
    seed : int
    on_epoch : callable, optional
        Called with an `Epoch`.
    snapshot : path, optional
        As in `train`.
    teachers : sequence of Checkpoint, optional
        Networks to learn from, see `Trainer`; of the same training speakers and prior.
    start : Checkpoint, optional
        The network to begin with; of the same features, sizes and classes. Its statistics are kept.
    others : sequence of Examples, optional
        The same clips in the features of teachers that have others than the student.

    Returns
    -------
    Checkpoint
        Its notes say the data, split, seed, recipe, history, scores and calibration of the integer model.

    Raises
    ------
    InputError
        If a teacher or `start` does not fit, or knows of the speakers that are held out.
    """
    if start is not None:
        check_start(start, examples, split, model_config)
    mean, std = _statistics(examples, split, recipe) if start is None else (start.mean, start.std)
    scaled = _scaled(examples.variants, mean, std)
    views = _views(teachers, examples, others, split, recipe, mean, std)
    notes = _origin(examples, split, recipe, seed, teachers, start)
    config = _of_sizes(model_config, len(mean), len(examples.classes), recipe.dropout)
    tracts = _tracts(examples, recipe, mean, std)
    models = [teacher.model() for teacher in teachers]
    labels, corpora = examples.labels[split.train], examples.corpora[split.train]
    clips = [scaled[n] for n in split.train]
    begin = () if start is None else (start.model(), opinions_of(start, examples, split, clips, recipe))
    trainer = Trainer(
        config, recipe, clips, labels, seed, models, tracts, corpora, examples.heard, *begin, views=views
    )
    watched = _plain(scaled, examples, split.validation) if len(split.validation) else None
    model = train(trainer, watched, on_epoch, snapshot)
    notes["history"] = _history(trainer.history, watched is not None)
    notes |= _scores(model, scaled, examples, split, recipe)
    checkpoint = Checkpoint(
        model.config, model.state_dict(), examples.config, mean, std, examples.classes, notes
    )
    seen = [frames for n in split.train for frames in _typical(scaled[n], recipe)]
    notes["calibration"] = _calibration(checkpoint, seen)
    return checkpoint


def _statistics(examples, split, recipe):
    """Mean and standard deviation (D,) of the training clips, or of all if the recipe wants that."""
    seen = split.train if recipe.statistics == "training" else range(len(examples.variants))
    return statistics(frames for n in seen for frames in _typical(examples.variants[n], recipe))


def _scaled(clips, mean, std):
    """All variants of some clips, z-scored."""
    return [[((frames - mean) / std).astype(np.float32) for frames in variants] for variants in clips]


def _views(teachers, examples, others, split, recipe, mean, std):
    """For each teacher the training clips in features of its own, or None where they are the student's.

    InputError if a teacher does not fit.
    """
    check_others(examples, others)
    kinds = {examples.config: (examples, mean, std, None)}
    for data in others:
        its_mean, its_std = _statistics(data, split, recipe)
        clips = _scaled([data.variants[n] for n in split.train], its_mean, its_std)
        view = View(clips, _tracts(data, recipe, its_mean, its_std))
        kinds[data.config] = data, its_mean, its_std, view
    found = [kinds.get(teacher.features, kinds[examples.config]) for teacher in teachers]
    for teacher, (data, its_mean, its_std, _) in zip(teachers, found):
        check_teacher(teacher, data, split, recipe, its_mean, its_std)
    return [view for *_, view in found]


def _of_sizes(model_config, D, C, dropout):
    """A configuration with the sizes of the data, and the recipe's dropout."""
    sizes = {"input_size": D, "num_classes": C, "dropout": dropout}
    return ModelConfig.from_dict(model_config.to_dict() | sizes)


def _tracts(examples, recipe, mean, std):
    """The vocal tracts that clips are spoken by; none without warp."""
    if not recipe.warp:
        return ()
    if examples.config is None:
        raise InputError(
            f"warp is {recipe.warp} for features without a configuration; expected one, which says which"
            " columns are MFCC"
        )
    return vocal_tracts(recipe.warp, examples.config, mean, std)


def _origin(examples, split, recipe, seed, teachers, start):
    """Notes that say what a network was made of, before it is scored."""
    heard = heard_before(start, examples) if start else ()
    validation = speaker_names(examples, split.validation)
    chose = {name for teacher in teachers for name in chosen_by(teacher)}
    chose |= set(validation) if recipe.keep == "best" else set()
    notes = {"made by": f"npreslstm {__version__}", "data": examples.name}
    if examples.corpus_names:
        notes["corpora"] = _classes_by_corpus(examples)
    notes |= {
        "speakers trained on": speaker_names(examples, split.train, heard),
        "speakers of validation": validation,
        "speakers held out": speaker_names(examples, split.test),
        "epoch chosen by": sorted(chose, key=length_first),
        "seed": seed,
        "recipe": recipe.to_dict(),
    }
    if further := further_corpora([*teachers, *([start] if start else [])], examples):
        notes[ANCESTORS] = further
    if teachers:
        notes["teachers"] = [teacher.sha256 for teacher in teachers]
    if start is not None:
        notes["started from"] = start.sha256
    return notes


def _scores(model, scaled, examples, split, recipe):
    """Notes of how the speakers are heard that were not trained on."""
    notes = {}
    for what, clips in (("validation", split.validation), ("held out", split.test)):
        if not len(clips):
            continue
        corpora = None
        if examples.corpus_names:
            corpora = [examples.corpus_names[n] for n in examples.corpora[clips]]
        x, labels = _plain(scaled, examples, clips)
        notes[f"scores {what}"] = score(model, x, labels, examples.classes, recipe.padding, corpora)
    return notes


def _typical(variants, recipe):
    """The variants of a clip that statistics and ranges are taken of: the clip as it is, and as it is under
    its conditions.
    """
    return [variants[0], *variants[len(recipe.speeds) :]]


def _classes_by_corpus(examples):
    """{corpus: names of the classes that it has clips of}."""
    rows = zip(examples.corpus_names, examples.heard)
    return {name: [label for label, heard in zip(examples.classes, row) if heard] for name, row in rows}


def _calibration(checkpoint, clips):
    """As `calibrate`, of many clips."""
    limits = [calibrate(checkpoint, *pad(clips[n : n + 64])) for n in range(0, len(clips), 64)]
    return {
        "input": max(limit["input"] for limit in limits),
        "cell": np.max([limit["cell"] for limit in limits], axis=0).tolist(),
    }


def _history(epochs, watched):
    """The curves of training: {'loss': [...], 'validation UAR': [...]}, one number an epoch."""
    curves = {"loss": [round(float(loss), 6) for loss, _ in epochs]}
    return curves | {"validation UAR": [round(float(value), 6) for _, value in epochs]} if watched else curves


def score(model, clips, labels, classes, padding="masked", corpora=None):
    """{'clips', 'uar', 'accuracy', 'recalls': {class: recall}, 'confusion': rows} of z-scored clips.

    With the names of the clips' `corpora` (N,), also 'corpora': {name: {'clips', 'uar'}}, of the classes that
    each has.
    """
    predicted = predict(model, clips, padding).argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, len(classes))
    by_class = {
        name: None if np.isnan(value) else float(value) for name, value in zip(classes, recalls(confusion))
    }
    accuracy = float((predicted == labels).mean())
    found = {
        "clips": len(clips),
        "uar": uar(confusion),
        "accuracy": accuracy,
        "recalls": by_class,
        "confusion": confusion.tolist(),
    }
    return (
        found
        if corpora is None
        else found | {"corpora": _by_corpus(labels, predicted, np.asarray(corpora), len(classes))}
    )


def _by_corpus(labels, predicted, corpora, C):
    found = {}
    for name in dict.fromkeys(corpora.tolist()):
        of = corpora == name
        found[name] = {"clips": int(of.sum()), "uar": uar(confusion_matrix(labels[of], predicted[of], C))}
    return found


def _plain(scaled, examples, clips):
    return [scaled[n][0] for n in clips], examples.labels[clips]
