"""Networks that a training learns from: the one that it begins with, and teachers.

None of them may know the speakers that are held out, nor be of other features or classes.
"""

import numpy as np

from npreslstm.errors import InputError
from npreslstm.formats.plain_data import differences
from npreslstm.training.batches import predict
from npreslstm.training.examples import speaker_names

ANCESTORS = "corpora of ancestors"  # the note of the corpora that only teachers and beginnings heard
SIZES = ("kind", "hidden_size", "num_layers", "attention_vectors")  # that a network to start from must have


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
    held_out = speaker_names(examples, np.concatenate([split.validation, split.test]))
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


def opinions_of(start, examples, split, clips, recipe):
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


def check_others(examples, others):
    """Raise InputError unless `others` are the same clips, variant by variant, in other features."""
    for data in others:
        same = np.array_equal(data.labels, examples.labels)
        same = same and np.array_equal(data.speakers, examples.speakers)
        if not same or [*map(len, data.variants)] != [*map(len, examples.variants)]:
            raise InputError(
                "the clips of a teacher's features are not those of the student's, in that order"
            )


def check_teacher(teacher, examples, split, recipe, mean, std):
    """Raise InputError if a teacher heard other speakers of these corpora, which it could tell the student
    about, or does not fit otherwise; `examples` are in its features, of `mean` and `std`.

    It may have heard further corpora, whose names `further_corpora` keeps.
    """
    which = f"a teacher ({teacher.sha256[:16]})"
    theirs = {"features": teacher.features and teacher.features.to_dict(), "classes": teacher.classes}
    theirs |= {
        "speakers trained on": _heard_here(teacher, examples),
        "prior": teacher.recipe.get("prior", "training"),
    }
    theirs |= {"statistics": teacher.recipe.get("statistics")}
    ours = {"features": examples.config and examples.config.to_dict(), "classes": examples.classes}
    ours |= {
        "speakers trained on": speaker_names(examples, split.train),
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
    if held_out := [name for name in speaker_names(examples, split.test) if name in chosen_by(teacher)]:
        raise InputError(
            f"{which} owes its epoch to speaker {', '.join(held_out)}, held out here; expected one that keeps"
            " its last epoch"
        )


def _heard_here(teacher, examples):
    """Speakers that a teacher was trained on; those of the examples' corpus alone if it heard several and the
    student hears one.
    """
    names = teacher.noted("speakers trained on")
    if teacher.noted("corpora") is None or examples.corpus_names:
        return names
    own = f"{examples.name}/"
    return [name.removeprefix(own) for name in names or () if name.startswith(own)]


def corpora_of(checkpoint):
    """Names of the corpora that a network learnt from, itself or through its teachers and beginnings."""
    data = checkpoint.noted("data")
    own = checkpoint.noted("corpora", [] if data is None else [data])
    return [*own, *checkpoint.noted(ANCESTORS, ())]


def further_corpora(ancestors, examples):
    """Sorted names of corpora that ancestors of a network learnt from and that it does not hear itself."""
    heard = {name for network in ancestors for name in corpora_of(network)}
    return sorted(heard - {*(examples.corpus_names or [examples.name])})


def chosen_by(checkpoint):
    """Speakers by whom an epoch was chosen, of a network or of those that it learnt from; earlier versions
    noted its own alone.
    """
    chose = checkpoint.recipe.get("keep") == "best"
    return checkpoint.noted(
        "epoch chosen by", checkpoint.noted("speakers of validation", []) if chose else []
    )
