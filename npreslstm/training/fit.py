"""From a corpus to a weights file: split by speaker, statistics, training, scores."""

from typing import NamedTuple

import numpy as np

from npreslstm import __version__
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import extract_features
from npreslstm.checkpoint import Checkpoint
from npreslstm.errors import InputError
from npreslstm.formats.plain_data import differences
from npreslstm.integer.quantize import calibrate
from npreslstm.schema import ModelConfig
from npreslstm.training.conditioned import Draws, prepare_conditioned
from npreslstm.training.inspection import warn_of_silence
from npreslstm.training.metrics import confusion_matrix, recalls, uar
from npreslstm.training.prepare import prepare, statistics
from npreslstm.training.trainer import Trainer, pad, predict, train
from npreslstm.training.vocal_tract import vocal_tracts

SIZES = ("kind", "hidden_size", "num_layers", "attention_vectors")  # that a network to start from must have


class _Examples(NamedTuple):
    name: str
    classes: tuple[str, ...]
    config: FeatureConfig | None
    variants: list
    labels: np.ndarray  # (N,) int
    speakers: np.ndarray  # (N,) str
    corpora: np.ndarray  # (N,) int
    heard: np.ndarray | None  # (number of corpora, C) bool
    corpus_names: tuple[str, ...]


class Examples(_Examples):
    """Features of a corpus, clip by clip.

    Attributes
    ----------
    name : str
    classes : tuple of str
    config : FeatureConfig or None
        What the features were made with.
    variants : list
        As `prepare` returns them.
    labels : (N,) int array
    speakers : (N,) str array
    corpora : (N,) int array
        The number of each clip's corpus; all 0 by default.
    heard : (number of corpora, C) bool array or None
        Whether a corpus has clips of a class; None for one corpus.
    corpus_names : tuple of str
        Empty for one corpus.
    """

    __slots__ = ()

    def __new__(
        cls, name, classes, config, variants, labels, speakers, corpora=None, heard=None, corpus_names=()
    ):
        """By default all clips are of one corpus."""
        corpora = np.zeros(len(labels), dtype=int) if corpora is None else corpora
        return super().__new__(
            cls, name, classes, config, variants, labels, speakers, corpora, heard, corpus_names
        )


def prepare_examples(
    dataset, config, speeds=(1.0,), jobs=1, cache=None, progress=None, conditions=0, backgrounds=()
):
    """`Examples` of a `Dataset`.

    Parameters
    ----------
    dataset : Dataset
    config, speeds, jobs, cache, progress
        As of `prepare`.
    conditions : int
        Recording conditions drawn for each clip, whose features come after those of the speeds.
    backgrounds : sequence of str
        As of `conditioned.Draws`.

    Returns
    -------
    Examples
    """
    clips, paths = dataset.clips, [clip.path for clip in dataset.clips]
    total = len(paths) * (len(speeds) + bool(conditions))
    done_before = len(paths) * len(speeds)
    variants = prepare(
        paths, config, speeds, jobs, cache, progress and (lambda done, _: progress(done, total))
    )
    if conditions:
        draws = Draws(config, tuple(speeds), conditions, backgrounds=tuple(backgrounds))
        step = progress and (lambda done, _: progress(done_before + done, total))
        under = prepare_conditioned(paths, [clip.speaker for clip in clips], draws, jobs, cache, step)
        variants = [plain + drawn for plain, drawn in zip(variants, under)]
    warn_of_silence(paths, [frames for frames, *_ in variants])
    labels, speakers = np.array([clip.label for clip in clips]), np.array([clip.speaker for clip in clips])
    corpora = np.array([clip.corpus for clip in clips])
    names = tuple(corpus.name for corpus in dataset.corpora) if dataset.several else ()
    return Examples(
        dataset.name, dataset.classes, config, variants, labels, speakers, corpora, _heard(dataset), names
    )


def _heard(dataset):
    """Which corpus has clips of which class, (number of corpora, C) bool; None for one corpus."""
    if not dataset.several:
        return None
    heard = np.zeros((len(dataset.corpora), len(dataset.classes)), dtype=bool)
    for row, corpus in zip(heard, dataset.corpora):
        row[list(corpus.classes)] = True
    return heard


def synthetic_examples(seed):
    """`Examples` of the synthetic corpus."""
    from npreslstm.training import synthetic

    clips = list(synthetic.synthetic_clips(np.random.default_rng(seed)))
    variants = [
        [extract_features(signal, synthetic.CONFIG.sample_rate, synthetic.CONFIG)] for signal, _, _ in clips
    ]
    labels, speakers = (
        np.array([label for _, label, _ in clips]),
        np.array([speaker for _, _, speaker in clips]),
    )
    return Examples(
        f"synthetic tones, seed {seed}", synthetic.CLASSES, synthetic.CONFIG, variants, labels, speakers
    )


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
        raise InputError(
            f"no clips of speaker {', '.join(unknown)}; the corpus has"
            f" {', '.join(sorted(set(speakers.tolist())))}"
        )
    if both := sorted(set(validation) & set(test)):
        raise InputError(f"speaker {', '.join(both)} is in both validation and test; expected disjoint sets")
    in_validation, in_test = np.isin(speakers, list(validation)), np.isin(speakers, list(test))
    rest = ~(in_validation | in_test)
    if not rest.any():
        raise InputError("no speakers are left to train on: hold out fewer")
    return Split(np.flatnonzero(rest), np.flatnonzero(in_validation), np.flatnonzero(in_test))


def fit(examples, split, model_config, recipe, seed, on_epoch=None, snapshot=None, teachers=(), start=None):
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
    start : Checkpoint, optional
        The network to begin with; of the same features, sizes and classes. Its statistics are kept.

    Returns
    -------
    Checkpoint
        Its notes say the data, split, seed, recipe, history, scores and calibration of the integer model.

    Raises
    ------
    InputError
        If a teacher or `start` does not fit, or knows of the speakers that are held out.
    """
    if start is None:
        seen = split.train if recipe.statistics == "training" else range(len(examples.variants))
        mean, std = statistics(frames for n in seen for frames in _typical(examples.variants[n], recipe))
    else:
        check_start(start, examples, split, model_config)
        mean, std = start.mean, start.std
    scaled = [
        [((frames - mean) / std).astype(np.float32) for frames in variants] for variants in examples.variants
    ]
    config = ModelConfig.from_dict(
        model_config.to_dict()
        | {
            "input_size": len(mean),
            "num_classes": len(examples.classes),
            "dropout": recipe.dropout,
        }
    )
    chosen = {name for teacher in teachers for name in chosen_by(teacher)}
    for teacher in teachers:
        _check_teacher(teacher, examples, split, recipe, mean, std)
    models = [teacher.model() for teacher in teachers]
    if recipe.warp and examples.config is None:
        raise InputError(
            f"warp is {recipe.warp} for features without a configuration; expected one, which says which"
            " columns are MFCC"
        )
    tracts = vocal_tracts(recipe.warp, examples.config, mean, std) if recipe.warp else ()
    labels, corpora = examples.labels[split.train], examples.corpora[split.train]
    clips = [scaled[n] for n in split.train]
    begin = () if start is None else (start.model(), _opinions(start, examples, split, clips, recipe))
    trainer = Trainer(config, recipe, clips, labels, seed, models, tracts, corpora, examples.heard, *begin)
    watched = _plain(scaled, examples, split.validation) if len(split.validation) else None
    model = train(trainer, watched, on_epoch, snapshot)
    notes = {
        "made by": f"npreslstm {__version__}",
        "data": examples.name,
        **({"corpora": _classes_by_corpus(examples)} if examples.corpus_names else {}),
        "speakers trained on": _names(examples, split.train, heard_before(start, examples) if start else ()),
        "speakers of validation": _names(examples, split.validation),
        "speakers held out": _names(examples, split.test),
        "epoch chosen by": sorted(
            {*(_names(examples, split.validation) if recipe.keep == "best" else ()), *chosen},
            key=_length_first,
        ),
        "seed": seed,
        "recipe": recipe.to_dict(),
        **({"teachers": [teacher.sha256 for teacher in teachers]} if teachers else {}),
        **({"started from": start.sha256} if start is not None else {}),
        "history": _history(trainer.history, watched is not None),
    }
    for what, clips in (("validation", split.validation), ("held out", split.test)):
        if len(clips):
            corpora = (
                [examples.corpus_names[n] for n in examples.corpora[clips]] if examples.corpus_names else None
            )
            found = score(model, *_plain(scaled, examples, clips), examples.classes, recipe.padding, corpora)
            notes[f"scores {what}"] = found
    checkpoint = Checkpoint(
        model.config, model.state_dict(), examples.config, mean, std, examples.classes, notes
    )
    notes["calibration"] = _calibration(
        checkpoint, [frames for n in split.train for frames in _typical(scaled[n], recipe)]
    )
    return checkpoint


def check_start(start, examples, split, model_config):
    """Raise InputError if a network cannot be gone on from, or knows speakers that are held out."""
    which = f"the network to start from ({start.sha256[:16]})"
    theirs = {"features": start.features and start.features.to_dict(), "classes": start.classes}
    theirs |= {name: getattr(start.config, name) for name in SIZES}
    ours = {"features": examples.config and examples.config.to_dict(), "classes": examples.classes}
    ours |= {name: getattr(model_config, name) for name in SIZES}
    if found := differences(theirs, ours):
        raise InputError(f"{which} does not fit the training: {'; '.join(found)}")
    if start.mean is None:
        raise InputError(
            f"{which} has no statistics; expected mean and std: npreslstm convert --mean-std adds them"
        )
    held_out = _names(examples, np.concatenate([split.validation, split.test]))
    heard = heard_before(start, examples)
    if known := [name for name in held_out if name in heard]:
        raise InputError(
            f"{which} was trained on speaker {', '.join(known)}, held out here; expected one that has not"
            " heard them"
        )


def heard_before(start, examples):
    """Speakers of the examples' corpora whom a network to start from was trained on or chosen by, as they are
    called there.
    """
    names = {*start.noted("speakers trained on", ()), *chosen_by(start)}
    corpus, several = start.noted("data"), start.noted("corpora") is not None
    if examples.corpus_names:
        names = names if several else {f"{corpus}/{name}" for name in names}
        return {name for name in names if name.partition("/")[0] in examples.corpus_names}
    if several:
        return {
            name.removeprefix(f"{examples.name}/") for name in names if name.startswith(f"{examples.name}/")
        }
    return names if corpus == examples.name else set()


def _opinions(start, examples, split, clips, recipe):
    """Logits (N, C) of `start` for training clips, on average over the speeds; NaN for corpora it does not
    know, None without anchor.
    """
    if not recipe.anchor:
        return None
    model, speeds = start.model(), len(recipe.speeds)
    logits = np.mean(
        [predict(model, [variants[k] for variants in clips], recipe.padding) for k in range(speeds)], axis=0
    )
    names = examples.corpus_names or (examples.name,)
    known = np.array([name in start.notes.get("corpora", [start.notes.get("data")]) for name in names])
    logits[~known[examples.corpora[split.train]]] = np.nan
    return logits


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


def _check_teacher(teacher, examples, split, recipe, mean, std):
    """Raise InputError if a teacher heard other speakers, which it could tell the student about, or does not
    fit otherwise.
    """
    which = f"a teacher ({teacher.sha256[:16]})"
    theirs = {"features": teacher.features and teacher.features.to_dict(), "classes": teacher.classes}
    theirs |= {
        "speakers trained on": teacher.noted("speakers trained on"),
        "prior": teacher.recipe.get("prior", "training"),
    }
    theirs |= {"statistics": teacher.recipe.get("statistics")}
    ours = {"features": examples.config and examples.config.to_dict(), "classes": examples.classes}
    ours |= {
        "speakers trained on": _names(examples, split.train),
        "prior": recipe.prior,
        "statistics": recipe.statistics,
    }
    if found := differences(theirs, ours):
        raise InputError(f"{which} does not fit the training: {'; '.join(found)}")
    if any(
        (np.abs(its - here) > 1e-3 * std).any() for its, here in ((teacher.mean, mean), (teacher.std, std))
    ):
        raise InputError(
            f"{which} has heard another corpus, with speakers of the same names: its mean and std are not"
            " those of the speakers here"
        )
    if held_out := [name for name in _names(examples, split.test) if name in chosen_by(teacher)]:
        raise InputError(
            f"{which} owes its epoch to speaker {', '.join(held_out)}, held out here; expected one that keeps"
            " its last epoch"
        )


def chosen_by(checkpoint):
    """Speakers by whom an epoch was chosen, of a network or of those that it learnt from; earlier versions
    noted its own alone.
    """
    chose = checkpoint.recipe.get("keep") == "best"
    return checkpoint.noted(
        "epoch chosen by", checkpoint.noted("speakers of validation", []) if chose else []
    )


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


def _names(examples, clips, others=()):
    return sorted({*examples.speakers[clips].tolist(), *others}, key=_length_first)


def _length_first(name):
    """Sort key by which speaker 2 comes before speaker 10."""
    return len(name), name
