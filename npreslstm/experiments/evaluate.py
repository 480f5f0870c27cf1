"""Scores of a weights file on a corpus: as a whole, by class, by speaker, and on RAVDESS by sex and
intensity.
"""

from dataclasses import dataclass

import numpy as np

from npreslstm.checkpoint import Checkpoint
from npreslstm.errors import InputError
from npreslstm.experiments.corpora import corpus_classes, corpus_scores
from npreslstm.experiments.journal import Predictions
from npreslstm.experiments.store import clip_names
from npreslstm.layers.activations import softmax
from npreslstm.training.ancestors import ANCESTORS
from npreslstm.training.batches import pad, predict
from npreslstm.training.calibration import expected_calibration_error, negative_log_likelihood
from npreslstm.training.dataset import LEFT_OUT, RAVDESS, Dataset, bare_name, speaker_names
from npreslstm.training.inspection import warn_of_silence
from npreslstm.training.metrics import bootstrap_uar, confusion_matrix, recalls, uar
from npreslstm.training.prepare import prepare

TYPES = ("float32", "int8")
BATCH = 64  # clips


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model made of N clips.

    Attributes
    ----------
    checkpoint : Checkpoint
    dataset : Dataset
        Of the clips that were evaluated; labels are those of the checkpoint.
    predictions : Predictions
        In the order of the dataset's clips.
    agreement : float
        Share of clips with the label of the float32 model; 1 for that model itself.
    averages : (N, D) float array
        Mean of each clip's z-scored features.
    contexts : (N, H) float array
        Output of the float32 model's attention: the embedding of each clip.
    attention : list of (T,) arrays
        Weights of the frames of each clip in the float32 model.
    """

    checkpoint: Checkpoint
    dataset: Dataset
    predictions: Predictions
    agreement: float
    averages: np.ndarray
    contexts: np.ndarray
    attention: list[np.ndarray]


def choose_speakers(checkpoint, dataset, wanted="held-out"):
    """Whom to evaluate.

    Parameters
    ----------
    checkpoint : Checkpoint
    dataset : Dataset
    wanted : str
        'held-out': those that the notes of the weights call so, or all of a corpus that the weights were not
        trained on; 'all'; or names with commas.

    Returns
    -------
    list of str
    """
    if wanted == "all":
        return dataset.speakers
    if wanted != "held-out":
        names = speaker_names(wanted)
        if not names:
            raise InputError(f"speakers are {wanted!r}; expected held-out, all, or names with commas")
        if unknown := [name for name in names if name not in dataset.speakers]:
            raise InputError(
                f"no clips of speaker {', '.join(unknown)}; the corpus has {', '.join(dataset.speakers)}"
            )
        return names
    chosen = [name for part in dataset.parts for name in _in(dataset, part, _held_out(checkpoint, part))]
    if not chosen:
        said = checkpoint.noted("speakers trained on") is not None
        what = f"hold out nobody of {dataset.name}" if said else "do not say which speakers were held out"
        raise InputError(f"the weights {what}; name some with --speakers, or take --speakers all")
    return chosen


def _in(dataset, part, speakers):
    """Names of the speakers of a corpus in a dataset that it is part of."""
    return [f"{part.name}/{speaker}" for speaker in speakers] if dataset.several else list(speakers)


def _held_out(checkpoint, part):
    """Speakers of a single corpus that the weights did not hear: those held out, or all if the corpus is
    another one; nobody if teachers of the weights heard it, since the notes do not say whom.
    """
    if part.name in checkpoint.noted(ANCESTORS, ()):
        return []
    if not knows_corpus(checkpoint, part.name):
        return part.speakers
    held_out = _noted(checkpoint, "speakers held out", part.name)
    if absent := [name for name in held_out if name not in part.speakers]:
        raise InputError(
            f"no clips of the held-out speaker {', '.join(absent)}; the corpus has {', '.join(part.speakers)}"
        )
    return held_out


def knows_corpus(checkpoint: Checkpoint, name: str) -> bool:
    """Whether weights learnt from a corpus, as far as their notes say."""
    corpora = checkpoint.noted("corpora")
    return checkpoint.noted("data", name) == name if corpora is None else name in corpora


def _noted(checkpoint, key, corpus):
    """The speakers of a corpus in a list of the notes; those of several corpora begin with the name of
    theirs.
    """
    names = checkpoint.noted(key, [])
    if checkpoint.noted("corpora") is None:
        return list(names)
    return [name.removeprefix(f"{corpus}/") for name in names if name.startswith(f"{corpus}/")]


def seen_speakers(checkpoint, dataset):
    """Speakers of a corpus that the weights were trained on or chosen by; None if their notes do not say."""
    trained_on = checkpoint.noted("speakers trained on")
    if trained_on is None:
        return None
    seen = [name for part in dataset.parts for name in _in(dataset, part, _heard_of(checkpoint, part))]
    return [speaker for speaker in dataset.speakers if speaker in seen]


def _heard_of(checkpoint, part):
    if checkpoint.noted("data") is None or not knows_corpus(checkpoint, part.name):
        return []
    return [
        name
        for key in ("speakers trained on", "speakers of validation")
        for name in _noted(checkpoint, key, part.name)
    ]


def evaluate(
    checkpoint, dataset, speakers, number_type="float32", speeds=(1.0,), jobs=1, cache=None, progress=None
):
    """Run a model over clips.

    Parameters
    ----------
    checkpoint : Checkpoint
        With features, statistics and classes.
    dataset : Dataset
    speakers : list of str
    number_type : {'float32', 'int8'}
        'int8' is the integer model of `npreslstm.integer.quantize`.
    speeds : sequence of float
        As of `Recognizer`: probabilities are the mean of those at each; what else is seen is of the clips as
        they are.
    jobs, cache, progress
        As of `prepare`.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If the corpus has labels that the model does not know, or clips cannot be read.
    """
    if number_type not in TYPES:
        raise InputError(f"type is {number_type!r}; expected {' or '.join(TYPES)}")
    dataset = in_classes_of(checkpoint, dataset._replace(clips=tuple(dataset.of(set(speakers)))))
    variants = prepare(
        [clip.path for clip in dataset.clips], checkpoint.features, speeds, jobs, cache, progress
    )
    warn_of_silence([clip.path for clip in dataset.clips], [frames for frames, *_ in variants])
    by_speed = z_scored(checkpoint, variants)
    contexts, attention = _run(checkpoint.model(), by_speed[0])
    probabilities = class_probabilities(checkpoint, by_speed).mean(axis=0)  # (N, C)
    expected = probabilities.argmax(axis=1)
    if number_type == "int8":
        probabilities = np.mean([softmax(_run_integer(checkpoint, clips)) for clips in by_speed], axis=0)
    predicted = probabilities.argmax(axis=1)
    labels, who = (
        np.array([clip.label for clip in dataset.clips]),
        np.array([clip.speaker for clip in dataset.clips]),
    )
    predictions = Predictions(tuple(clip_names(dataset)), who, labels, predicted, probabilities)
    averages = np.array([frames.mean(axis=0) for frames in by_speed[0]])  # (N, D)
    return Evaluation(
        checkpoint, dataset, predictions, float((predicted == expected).mean()), averages, contexts, attention
    )


def z_scored(checkpoint, variants):
    """What `prepare` returns for N clips at S speeds, as S lists of N z-scored clips (T, D)."""
    return [
        [((frames - checkpoint.mean) / checkpoint.std).astype(np.float32) for frames in clips]
        for clips in zip(*variants)
    ]


def class_probabilities(checkpoint, by_speed):
    """Class probabilities (S, N, C) of what `z_scored` returns, with padding as in training."""
    model, padding = checkpoint.model(), checkpoint.recipe.get("padding", "masked")
    return np.array([softmax(predict(model, clips, padding)) for clips in by_speed])


def in_classes_of(checkpoint, dataset):
    """The dataset with its labels numbered as the model's."""
    if unknown := [name for name in dataset.classes if name not in checkpoint.classes]:
        known = f"the model knows {', '.join(checkpoint.classes)}"
        raise InputError(
            f"{dataset.name} has the labels {', '.join(unknown)}; {known};"
            f" {_remedy(unknown, checkpoint.classes)}"
        )
    number = [checkpoint.classes.index(name) for name in dataset.classes]
    clips = tuple(clip._replace(label=number[clip.label]) for clip in dataset.clips)
    corpora = tuple(
        corpus._replace(classes=tuple(sorted(number[k] for k in corpus.classes)))
        for corpus in dataset.corpora
    )
    return dataset._replace(classes=checkpoint.classes, clips=clips, corpora=corpora)


def _remedy(unknown, classes):
    """What to do about labels that a model does not know."""
    spelt = [
        f"--label '{label}={name}'"
        for label in unknown
        for name in classes
        if bare_name(name) == bare_name(label)
    ]
    if spelt:
        return f"only the spelling differs: {' '.join(spelt)}"
    return (
        f"say what they mean, e.g. --label '{unknown[0]}={classes[0]}', or '{unknown[0]}={LEFT_OUT}' to leave"
        " the clips out"
    )


def _run(model, clips):
    """Contexts (N, H) and attention [(T,)] of z-scored clips."""
    contexts, attention = [], []
    for batch in _batches(clips):
        _, cache = model.forward(*pad(batch, model.dtype))
        alpha = cache.attention.alpha  # (N, T)
        contexts.append((alpha[:, None] @ cache.attention.h)[:, 0])  # (N, H)
        attention += [row[: len(frames)] for row, frames in zip(alpha, batch)]
    return np.concatenate(contexts), attention


def _run_integer(checkpoint, clips):
    from npreslstm.integer.quantize import QuantizedModel

    model = QuantizedModel.from_checkpoint(checkpoint)
    return np.concatenate([model.infer(*pad(batch)) for batch in _batches(clips)])


def _batches(clips):
    return [clips[start : start + BATCH] for start in range(0, len(clips), BATCH)]


def scores(evaluation, resamples=10_000):
    """Scores as JSON values.

    Parameters
    ----------
    evaluation : Evaluation
    resamples : int
        Of the bootstrap.

    Returns
    -------
    dict
        'clips', 'UAR', 'accuracy', 'UAR interval' (95 %, over speakers: `bootstrap_uar`), 'ECE' and 'NLL'
        (`expected_calibration_error`, `negative_log_likelihood`), 'recalls' {class: recall or None},
        'confusion' (rows the true classes), 'groups' {group: {member: {'clips', 'UAR', 'accuracy'}}},
        'agreement with float32'. Of several corpora also 'corpora', as of `corpus_scores`.
    """
    files, who, labels, predicted, probabilities = evaluation.predictions
    classes = evaluation.checkpoint.classes
    confusion = confusion_matrix(labels, predicted, len(classes))
    corpora, several = evaluation.dataset.corpora, {}
    if evaluation.dataset.several:
        several["corpora"] = corpus_scores(
            corpus_classes(corpora, classes), classes, [evaluation.predictions], resamples
        )
    interval = bootstrap_uar(labels, predicted[None] == labels, who, resamples, np.random.default_rng(0))
    return {
        **_score(labels, predicted, len(classes)),
        "UAR interval": interval,
        "ECE": expected_calibration_error(probabilities, labels),
        "NLL": negative_log_likelihood(probabilities, labels),
        "recalls": {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(classes, recalls(confusion))
        },
        "confusion": confusion.tolist(),
        "groups": _scores_of_groups(evaluation),
        "agreement with float32": evaluation.agreement,
        **several,
    }


def _scores_of_groups(evaluation):
    """{group: {member: scores}} of every way to group the clips."""
    _, _, labels, predicted, _ = evaluation.predictions
    C = len(evaluation.checkpoint.classes)
    return {
        group: {member: _score(labels[of == member], predicted[of == member], C) for member in members}
        for group, members, of in _groups(evaluation)
    }


def _groups(evaluation):
    """(name, members, member of each clip (N,)) of every way to group the clips."""
    files, who, *_ = evaluation.predictions
    groups = [("speaker", [name for name in evaluation.dataset.speakers], who)]
    if evaluation.dataset.name != RAVDESS:
        return groups
    sex = np.where(who.astype(int) % 2 == 1, "male", "female")  # odd actors are men
    intensity = np.array(["normal" if name.split("-")[3] == "01" else "strong" for name in files])
    return [("sex", sorted(set(sex)), sex), ("intensity", sorted(set(intensity)), intensity), *groups]


def _score(labels, predicted, C):
    return {
        "clips": len(labels),
        "UAR": uar(confusion_matrix(labels, predicted, C)),
        "accuracy": float((labels == predicted).mean()),
    }
