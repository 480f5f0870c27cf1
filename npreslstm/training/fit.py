"""From a corpus to a weights file: split by speaker, statistics, training, scores."""

from typing import NamedTuple

import numpy as np

from npreslstm import __version__
from npreslstm.audio.features import extract_features
from npreslstm.checkpoint import Checkpoint
from npreslstm.errors import InputError
from npreslstm.ports.quantize import calibrate
from npreslstm.schema import ModelConfig
from npreslstm.training.journal import differences
from npreslstm.training.metrics import confusion_matrix, recalls, uar
from npreslstm.training.prepare import prepare, statistics
from npreslstm.training.trainer import Trainer, pad, predict, train
from npreslstm.training.vocal_tract import vocal_tracts


class Examples(NamedTuple):
    """Features of a corpus, clip by clip; `variants` are as `prepare` returns them, `config` is what they were made with."""

    name: str
    classes: tuple[str, ...]
    config: object
    variants: list
    labels: np.ndarray  # (N,) int
    speakers: np.ndarray  # (N,) str


def prepare_examples(dataset, config, speeds=(1.0,), jobs=1, cache=None, progress=None):
    """`Examples` of a `Dataset`; see `prepare` for the other arguments."""
    clips = dataset.clips
    variants = prepare([clip.path for clip in clips], config, speeds, jobs, cache, progress)
    labels, speakers = np.array([clip.label for clip in clips]), np.array([clip.speaker for clip in clips])
    return Examples(dataset.name, dataset.classes, config, variants, labels, speakers)


def synthetic_examples(seed):
    """`Examples` of the synthetic corpus."""
    from npreslstm.training import synthetic

    clips = list(synthetic.synthetic_clips(np.random.default_rng(seed)))
    variants = [[extract_features(signal, synthetic.CONFIG.sample_rate, synthetic.CONFIG)] for signal, _, _ in clips]
    labels, speakers = np.array([label for _, label, _ in clips]), np.array([speaker for _, _, speaker in clips])
    return Examples(f"synthetic tones, seed {seed}", synthetic.CLASSES, synthetic.CONFIG, variants, labels, speakers)


class Split(NamedTuple):
    """Clip numbers of three disjoint sets of speakers."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_by_speaker(speakers, validation=(), test=()):
    """Divide clips by who speaks; everybody not named is trained on.

    Parameters
    ----------
    speakers : (N,) str array
    validation, test : sequences of str

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If a speaker is unknown or in both sets, or nobody is left to train on.
    """
    speakers = np.asarray(speakers)
    if unknown := sorted({*validation, *test} - set(speakers.tolist())):
        raise InputError(f"no clips of speaker {', '.join(unknown)}; the corpus has {', '.join(sorted(set(speakers.tolist())))}")
    if both := sorted(set(validation) & set(test)):
        raise InputError(f"speaker {', '.join(both)} is in both validation and test; expected disjoint sets")
    in_validation, in_test = np.isin(speakers, list(validation)), np.isin(speakers, list(test))
    rest = ~(in_validation | in_test)
    if not rest.any():
        raise InputError("no speakers are left to train on: hold out fewer")
    return Split(np.flatnonzero(rest), np.flatnonzero(in_validation), np.flatnonzero(in_test))


def fit(examples, split, model_config, recipe, seed, on_epoch=None, snapshot=None, teachers=()):
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
        Networks to learn from, see `Trainer`; of the same features, training speakers and prior.

    Returns
    -------
    Checkpoint
        Its notes say the data, split, seed, recipe, history, scores and calibration of the integer model.

    Raises
    ------
    InputError
        If a teacher does not fit, or knows of the speakers that are held out.
    """
    seen = split.train if recipe.statistics == "training" else range(len(examples.variants))
    mean, std = statistics(examples.variants[n][0] for n in seen)
    scaled = [[((frames - mean) / std).astype(np.float32) for frames in variants] for variants in examples.variants]
    config = ModelConfig.from_dict(
        model_config.to_dict() | {"input_size": len(mean), "num_classes": len(examples.classes), "dropout": recipe.dropout}
    )
    chosen = {name for teacher in teachers for name in _chosen_by(teacher)}
    for teacher in teachers:
        _check_teacher(teacher, examples, split, recipe, mean, std)
    models = [teacher.model() for teacher in teachers]
    if recipe.warp and examples.config is None:
        raise InputError(f"warp is {recipe.warp} for features without a configuration; expected one, which says which columns are MFCC")
    tracts = vocal_tracts(recipe.warp, examples.config, mean, std) if recipe.warp else ()
    trainer = Trainer(config, recipe, [scaled[n] for n in split.train], examples.labels[split.train], seed, models, tracts)
    watched = _plain(scaled, examples, split.validation) if len(split.validation) else None
    model = train(trainer, watched, on_epoch, snapshot)
    notes = {
        "made by": f"npreslstm {__version__}",
        "data": examples.name,
        "speakers trained on": _names(examples, split.train),
        "speakers of validation": _names(examples, split.validation),
        "speakers held out": _names(examples, split.test),
        "epoch chosen by": sorted({*(_names(examples, split.validation) if recipe.keep == "best" else ()), *chosen}, key=_length_first),
        "seed": seed,
        "recipe": recipe.to_dict(),
        **({"teachers": [teacher.sha256 for teacher in teachers]} if teachers else {}),
        "history": _history(trainer.history, watched is not None),
    }
    for what, clips in (("validation", split.validation), ("held out", split.test)):
        if len(clips):
            notes[f"scores {what}"] = score(model, *_plain(scaled, examples, clips), examples.classes, recipe.padding)
    checkpoint = Checkpoint(model.config, model.state_dict(), examples.config, mean, std, examples.classes, notes)
    notes["calibration"] = _calibration(checkpoint, [scaled[n][0] for n in split.train])
    return checkpoint


def _calibration(checkpoint, clips):
    """As `calibrate`, of many clips."""
    limits = [calibrate(checkpoint, *pad(clips[n : n + 64])) for n in range(0, len(clips), 64)]
    return {"input": max(limit["input"] for limit in limits), "cell": np.max([limit["cell"] for limit in limits], axis=0).tolist()}


def _check_teacher(teacher, examples, split, recipe, mean, std):
    """Raise InputError if a teacher heard other speakers, which it could tell the student about, or does not fit otherwise."""
    which = f"a teacher ({teacher.sha256[:16]})"
    theirs = {"features": teacher.features and teacher.features.to_dict(), "classes": teacher.classes}
    theirs |= {"speakers trained on": teacher.noted("speakers trained on"), "prior": teacher.recipe.get("prior", "training")}
    theirs |= {"statistics": teacher.recipe.get("statistics")}
    ours = {"features": examples.config and examples.config.to_dict(), "classes": examples.classes}
    ours |= {"speakers trained on": _names(examples, split.train), "prior": recipe.prior, "statistics": recipe.statistics}
    if found := differences(theirs, ours):
        raise InputError(f"{which} does not fit the training: {'; '.join(found)}")
    if any((np.abs(its - here) > 1e-3 * std).any() for its, here in ((teacher.mean, mean), (teacher.std, std))):
        raise InputError(f"{which} has heard another corpus, with speakers of the same names: its mean and std are not those of the speakers here")
    if held_out := [name for name in _names(examples, split.test) if name in _chosen_by(teacher)]:
        raise InputError(f"{which} owes its epoch to speaker {', '.join(held_out)}, held out here; expected one that keeps its last epoch")


def _chosen_by(checkpoint):
    """Speakers by whom an epoch was chosen, of a network or of those that it learnt from; earlier versions noted its own alone."""
    chose = checkpoint.recipe.get("keep") == "best"
    return checkpoint.noted("epoch chosen by", checkpoint.noted("speakers of validation", []) if chose else [])


def _history(epochs, watched):
    """The curves of training: {'loss': [...], 'validation UAR': [...]}, one number an epoch."""
    curves = {"loss": [round(float(loss), 6) for loss, _ in epochs]}
    return curves | {"validation UAR": [round(float(value), 6) for _, value in epochs]} if watched else curves


def score(model, clips, labels, classes, padding="masked"):
    """{'clips', 'uar', 'accuracy', 'recalls': {class: recall}, 'confusion': rows} of z-scored clips."""
    predicted = predict(model, clips, padding).argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, len(classes))
    by_class = {name: None if np.isnan(value) else float(value) for name, value in zip(classes, recalls(confusion))}
    accuracy = float((predicted == labels).mean())
    return {"clips": len(clips), "uar": uar(confusion), "accuracy": accuracy, "recalls": by_class, "confusion": confusion.tolist()}


def _plain(scaled, examples, clips):
    return [scaled[n][0] for n in clips], examples.labels[clips]


def _names(examples, clips):
    return sorted(set(examples.speakers[clips].tolist()), key=_length_first)


def _length_first(name):
    """Sort key by which speaker 2 comes before speaker 10."""
    return len(name), name
