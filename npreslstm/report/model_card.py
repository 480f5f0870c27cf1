"""The model card of the bundled weights, written from what the weights files and the cross-validation of
their recipe say.
"""

from dataclasses import replace

from npreslstm.audio.config import FEATURE_CONFIGS
from npreslstm.training.ancestors import ANCESTORS, corpora_of
from npreslstm.training.dataset import RAVDESS
from npreslstm.training.recipe import Recipe

# Of corpora by their names: RAVDESS's, and those of the manifests that tools/accuracy/manifests.py writes.
TERMS = {
    RAVDESS: "CC BY-NC-SA 4.0 (Livingstone & Russo 2018, PLoS ONE 13(5): e0196391)",
    "nemo.csv": "CC BY-NC-SA 4.0 (Christop, nEMO: Dataset of Emotional Speech in Polish, LREC-COLING 2024)",
    "emospeech.csv": (
        "CC BY-NC-SA 4.0 (Banga et al. 2019, Indian EmoSpeech Command Dataset, arXiv 1910.13801)"
    ),
}

_CARD = """\
# Bundled weights

{overview}

Recall of each class on the held-out speakers:

{recalls}

## The same recipe on all 24 speakers
Five folds, each actor scored by networks that have not heard them, cross-validated from other seeds than the
files':

{crossval}

`npreslstm crossval --report docs/results/NAME` recomputes this; docs/notebook/ says how the recipe was
chosen. The five held-out actors of the files are one of the folds, so a file's own figure is one draw among
those of fold 0.

## What they are
ResLSTM-SA with 64 hidden units (46,772 parameters, float32), trained by this package's own NumPy code on
RAVDESS speech (Livingstone & Russo 2018, PLoS ONE 13(5): e0196391): 1,440 clips of 24 professional actors, 12
female and 12 male, who speak two English sentences in eight emotions. `robust.npz` has also heard clips of
nEMO and EmoSpeech. `npreslstm info NAME` prints everything that a file holds: sizes, feature configuration,
statistics, classes, speakers, recipe and scores.

## How they were made
{commands}

The recipe is the default of `npreslstm.training.recipe.Recipe`{changes}.{teachers}{starts} The speakers that
were held out had no part in training or in the feature statistics, and there is no choice of an epoch: the
weights are the moving average at the last one. docs/notebook/recipe.md says how the recipe was decided on,
and which one choice for `robust` was made on its held-out speakers. The numbers above are those of the very
files; `tests/test_weights.py` computes them again where the corpus is at hand. The same code on the same
machine makes the same bits; where sums are taken in another order, training ends with other weights, as
different as those of another seed.

## Licence
RAVDESS is CC BY-NC-SA 4.0. Weights trained on it are offered under the same terms: attribution, no commercial
use, share alike. The code is MIT.{terms}

## Limits of use
- Acted emotion, two sentences, North American English: expect much less on spontaneous speech and in other
  languages.
- `mcu.npz` and `paper.npz` know studio sound at the corpus's level alone. `robust.npz` is for the
  recordings that people have; docs/accuracy.md has the figures of all three for levels, silence, noise,
  rooms, telephones and codecs.
- {errors} of the held-out clips are labelled wrongly, and {probabilities}.
- What a voice sounds like is not what a person feels. Do not use this to judge people.
"""


def model_card(checkpoints, summaries):
    """Text of the card.

    Parameters
    ----------
    checkpoints : dict
        {name: Checkpoint} with notes as `npreslstm.training.fit.fit` writes them.
    summaries : dict
        {name: summary} of the recipe's cross-validation, as `npreslstm.experiments.crossval.summarise`
        returns them.

    Returns
    -------
    str
        Markdown.
    """
    errors = " / ".join(
        f"{1 - checkpoint.notes['scores held out']['accuracy']:.0%} ({name})"
        for name, checkpoint in checkpoints.items()
    )
    tables = {
        "overview": _overview(checkpoints),
        "recalls": _recalls(checkpoints),
        "crossval": _crossval(summaries),
    }
    words = {"commands": _commands(checkpoints), "changes": _changes(checkpoints), "errors": errors}
    words |= {
        "teachers": _teachers(checkpoints),
        "starts": _starts(checkpoints),
        "terms": _terms(checkpoints),
    }
    return _CARD.format(**tables, **words, probabilities=_probabilities(checkpoints))


def _terms(checkpoints):
    """The terms of every corpus of the weights that learnt from several."""
    text = ""
    for name, checkpoint in checkpoints.items():
        corpora = corpora_of(checkpoint)
        if len(corpora) > 1:
            how = ", some of them through its teachers" if checkpoint.noted(ANCESTORS) else ""
            lines = [f"- {corpus}: {TERMS.get(corpus, 'not stated')}" for corpus in corpora]
            text += f"\n\n`{name}.npz` learnt from several corpora{how}, whose terms hold together:\n"
            text += "\n".join(lines)
    return text


def _overview(checkpoints):
    rows = [
        "| file | features | held-out actors | clips | UAR | accuracy | seed | SHA-256 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, checkpoint in checkpoints.items():
        notes, scores = checkpoint.notes, checkpoint.notes["scores held out"]
        rate = f"{checkpoint.features.sample_rate / 1000:g} kHz"
        held_out = ", ".join(notes["speakers held out"])
        figures = f"{scores['clips']} | {scores['uar']:.4f} | {scores['accuracy']:.4f} | {notes['seed']}"
        held_out = held_out.replace(f"{RAVDESS}/", "")
        rows.append(
            f"| `{name}.npz` | {_features(checkpoint)}, {rate} | {held_out} | {figures} |"
            f" `{checkpoint.sha256[:16]}` |"
        )
    return "\n".join(rows)


def _features(checkpoint):
    """The name of the features; trimming belongs to the recipe."""
    plain = replace(checkpoint.features, trim_db=None)
    return next((f"`{name}`" for name, config in FEATURE_CONFIGS.items() if config == plain), "of their own")


def _recalls(checkpoints):
    names = list(checkpoints)
    rows = ["| class | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for label in checkpoints[names[0]].classes:
        found = " | ".join(
            f"{checkpoints[name].notes['scores held out']['recalls'][label]:.3f}" for name in names
        )
        rows.append(f"| {label} | {found} |")
    return "\n".join(rows)


def _crossval(summaries):
    rows = [
        "| features | runs | UAR | standard deviation of a run | 95 % over speakers | UAR of fold 0 |",
        "|---|---|---|---|---|---|",
    ]
    for name, summary in summaries.items():
        mean, std, (low, high) = summary["UAR"]["mean"], summary["UAR"]["std"], summary["UAR interval"]
        spread = "" if std is None else f"{std:.4f}"
        fold = summary["UAR by fold"][0]
        rows.append(
            f"| `{name}` | {len(summary['runs'])} | {mean:.4f} | {spread} | {low:.4f} to {high:.4f} |"
            f" {fold:.4f} |"
        )
    return "\n".join(rows)


def _teachers(checkpoints):
    """How many networks taught which files, and what else these had heard."""
    found = {
        name: (len(checkpoint.notes["teachers"]), tuple(checkpoint.noted(ANCESTORS, ())))
        for name, checkpoint in checkpoints.items()
        if "teachers" in checkpoint.notes
    }
    text = ""
    for (count, corpora), names in _by_value(found).items():
        further = f", some of them also on {' and '.join(corpora)}" if corpora else ""
        text += (
            f"\n{_files(names)} learnt not from labels but from the answers that {count} networks give to"
            "\nthe distorted clips (distillation; docs/notebook/recipe.md says what that gives). All of these"
            f" were\ntrained on the same speakers{further}."
        )
    return text


def _starts(checkpoints):
    """Which files went on from which."""
    by_digest = {checkpoint.sha256: name for name, checkpoint in checkpoints.items()}
    found = {
        name: checkpoint.notes["started from"]
        for name, checkpoint in checkpoints.items()
        if "started from" in checkpoint.notes
    }
    return "".join(
        f"\n`{name}.npz` goes on from `{by_digest.get(digest, digest[:16])}.npz`, under recording conditions"
        " (docs/conditions.md), and its targets\nare in part what that network makes of the clips as they"
        " were recorded."
        for name, digest in found.items()
    )


def _probabilities(checkpoints):
    """Whose probabilities are calibrated, as a clause."""
    temperatures = {name: checkpoint.notes.get("temperature") for name, checkpoint in checkpoints.items()}
    plain = [name for name, temperature in temperatures.items() if temperature is None]
    if len(plain) == len(temperatures):
        return "probabilities are not calibrated"
    said = []
    for name, found in temperatures.items():
        if found is not None:
            change = f"{found['ECE before']:.3f} before, {found['ECE after']:.3f} after"
            whom = f"{found['clips']:,} clips of {len(found['speakers'])} training speakers"
            how = f"are calibrated by the temperature {found['value']:.3f}, fitted on {whom}"
            said.append(f"of {_files([name])} {how} (expected calibration error {change})")
    others = f"; those of {_files(plain)} are as trained" if plain else ""
    return f"the probabilities {', those '.join(said)}{others}"


def _changes(checkpoints):
    """What differs from the default recipe, as the rest of a sentence."""
    default, changes = Recipe().to_dict().items(), {}
    for name, checkpoint in checkpoints.items():
        changes[name] = ", ".join(
            f"{field}={value}"
            for field, value in checkpoint.notes["recipe"].items()
            if (field, value) not in default
        )
    listed = "; ".join(
        f"for {_files(names)} {changed}" for changed, names in _by_value(changes).items() if changed
    )
    return f" with these changes: {listed}" if listed else ""


def _files(names):
    return " and ".join(f"`{name}.npz`" for name in names)


def _by_value(mapping):
    """{value: [keys]}."""
    keys = {}
    for key, value in mapping.items():
        keys.setdefault(value, []).append(key)
    return keys


def _commands(checkpoints):
    return "\n".join(f"    {checkpoint.notes['command']}" for checkpoint in checkpoints.values())
