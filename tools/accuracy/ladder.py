#!/usr/bin/env python3
"""Score a recipe without the speakers that the bundled weights are tested on: one line of the ladder in
docs/notebook/ladder.md.

    python tools/accuracy/ladder.py RAVDESS --cache FEATURES [OPTION ...]

    --features mcu --recipe R --set FIELD=VALUE --seed 0
    --seed 1 --keep T                               keep the networks in the folder T,
    --recipe student --teachers T                   to be the teachers of others
    --speeds 1,0.85,1.15                            and a line for clips that are heard at these speeds
    --set conditions=12                             and a line for clips under drawn conditions
    --recipe robust --start T --temperature FILE    go on from networks, calibrate by them
    --corpus RAVDESS --corpus nemo.csv              in place of RAVDESS: trained on another corpus too

The 19 actors that fold 0 trains on are dealt to four groups in turn; each group is scored by a network that
was trained on the other three, and on all of the other corpora. Actors 2, 5, 14, 15 and 16 have no part in
anything. Prints the UAR of the four groups' pooled predictions, that of each group, and the mean
cross-entropy in nats a clip.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.cli import guarded
from npreslstm.commands.arguments import (
    add_background_argument,
    add_corpus_arguments,
    add_recipe_arguments,
    background_files,
    load_training_data,
    parse_speeds,
)
from npreslstm.errors import InputError
from npreslstm.experiments.crossval import FoldTask, run_fold
from npreslstm.experiments.evaluate import class_probabilities, z_scored
from npreslstm.experiments.protocol import PAPER_TEST
from npreslstm.experiments.store import corpus_digest, open_examples, store_examples
from npreslstm.experiments.summary import pooled_uar
from npreslstm.files import atomic_write
from npreslstm.parallel import available_cores, run_all
from npreslstm.schema import ModelConfig
from npreslstm.terminal import ClipLine
from npreslstm.training.calibration import fit_temperature, temperature_scores
from npreslstm.training.dataset import RAVDESS
from npreslstm.training.examples import Split
from npreslstm.training.recipe import load_recipe, training_features, with_settings

GROUPS = 4


def tasks(speakers, store, model, recipe, seed, teachers=(), start=None, others=()):
    """A training for each group; `speakers` (N,) str, `teachers` and `start` folders of --keep, `others`
    stores of the features of teachers.
    """
    actors = np.array([name.removeprefix(f"{RAVDESS}/") for name in speakers])
    of_others = np.char.find(speakers.astype(str), "/") >= 0
    of_others &= actors == speakers  # of another corpus, by its name
    if strangers := set(actors[~of_others].tolist()) - set(sum(PAPER_TEST, ())):
        raise InputError(
            f"the ladder is of RAVDESS's actors 1 to 24; the corpus has {', '.join(sorted(strangers))}"
        )
    allowed = sorted(set(actors[~of_others].tolist()) - set(PAPER_TEST[0]), key=int)
    if len(allowed) < GROUPS:
        raise InputError(
            f"the ladder needs at least {GROUPS} actors but {', '.join(PAPER_TEST[0])}; the corpus has"
            f" {len(allowed)}"
        )
    nobody = np.array([], dtype=int)
    for k in range(GROUPS):
        scored = np.isin(actors, allowed[k::GROUPS]) & ~of_others
        train = (np.isin(actors, allowed) | of_others) & ~scored
        split = Split(np.flatnonzero(train), nobody, np.flatnonzero(scored))
        begun = kept(start, k)[0] if start else None
        taught = tuple(path for folder in teachers for path in kept(folder, k))
        yield FoldTask(0, k, seed, store, split, model, recipe, None, taught, begun, others)


def kept(folder, k):
    """Paths of the networks of a group that --keep saved in a folder."""
    found = tuple(sorted(map(str, Path(folder).glob(f"group-{k}-seed-*.npz"))))
    if not found:
        raise InputError(f"{folder} has no group-{k}-seed-*.npz; expected a folder that --keep wrote")
    return found


def arguments():
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", help="the RAVDESS folder")
    add_corpus_arguments(parser)
    add_background_argument(parser)
    parser.add_argument(
        "--hidden", type=int, default=64, metavar="H", help="hidden units of the last LSTM (default 64)"
    )
    parser.add_argument("--features", default="mcu", help="mcu (default), paper or a JSON file")
    add_recipe_arguments(parser, default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=available_cores(), help="processes")
    parser.add_argument("--cache", required=True, help="folder that keeps features")
    parser.add_argument("--keep", metavar="DIR", help="save the networks there")
    parser.add_argument(
        "--speeds",
        action="append",
        default=[],
        metavar="S",
        help="speeds of the recipe with commas, 1 first; repeatable",
    )
    parser.add_argument(
        "--teachers",
        action="append",
        default=[],
        metavar="DIR",
        help="learn from the networks that --keep saved there, in place of the labels; repeatable, and of any"
        " features",
    )
    parser.add_argument("--start", metavar="DIR", help="go on from the networks that --keep saved there")
    temperature = "write the temperature that fits the groups best there, for tools/train_weights.py"
    parser.add_argument("--temperature", metavar="FILE", help=temperature)
    return parser


def of_all_variants(results, store):
    """Probabilities (S, N, C) of the clips of each group, in all their variants, by the network that did not
    hear them.
    """
    examples, names = open_examples(store)
    found = []
    for k in range(GROUPS):
        checkpoint = results[k].checkpoint
        clips = [names.index(name) for name in results[k].predictions.files]
        rows = z_scored(checkpoint, [examples.variants[n] for n in clips])
        found.append(class_probabilities(checkpoint, rows))
    return found


def main(argv=None):
    parser = arguments()
    args = parser.parse_args(argv)
    recipe = with_settings(load_recipe(args.recipe), args.set)
    heard_at = {text: parse_speeds(text) for text in args.speeds}
    if absent := {speed for speeds in heard_at.values() for speed in speeds} - set(recipe.speeds):
        parser.error(f"--speeds has {min(absent)}, which the recipe lacks: {recipe.speeds}")
    dataset, features = load_training_data(args), training_features(args.features, recipe.trim_db)
    how = args.workers, ClipLine(), recipe.conditions, background_files(args, recipe)
    digest = corpus_digest(dataset)
    store = store_examples(args.cache, dataset, digest, features, recipe.speeds, *how)
    heard = {load_checkpoint(path).features for folder in args.teachers for path in kept(folder, 0)}
    others = tuple(
        store_examples(args.cache, dataset, digest, other, recipe.speeds, *how)
        for other in heard - {features}
    )
    model = ModelConfig(
        hidden_size=args.hidden, num_classes=len(dataset.classes), input_size=features.n_features
    )
    speakers = np.array([clip.speaker for clip in dataset.clips])
    trainings = list(tasks(speakers, store, model, recipe, args.seed, args.teachers, args.start, others))
    results = {task.fold: result for task, result in run_all(run_fold, trainings, args.workers)}
    if args.keep:
        keep(args.keep, results, args.seed)
    entries = [results[k].predictions for k in range(GROUPS)]
    settings, classes = settings_text(args, dataset), len(dataset.classes)
    print(line(entries, classes, settings), flush=True)
    if heard_at or recipe.conditions:
        p = of_all_variants(results, store)
    for text, speeds in heard_at.items():
        chosen = [recipe.speeds.index(speed) for speed in speeds]
        averaged = [_averaged(entry, q[chosen]) for entry, q in zip(entries, p)]
        print(line(averaged, classes, f"{settings} at {text}"), flush=True)
    drawn = []
    if recipe.conditions:
        drawn = p_of_conditions(entries, p, len(recipe.speeds))
        print(line(drawn, classes, f"{settings} under drawn conditions"), flush=True)
    if args.temperature:
        write_temperature(args.temperature, temperature_record(entries, drawn, max(recipe.conditions, 1)))


def keep(folder, results, seed):
    """Save the network of each group, see `kept`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for k, result in results.items():
        save_checkpoint(Path(folder, f"group-{k}-seed-{seed}.npz"), result.checkpoint)


def settings_text(args, dataset):
    """The settings of a run in a few words."""
    settings = [args.features, f"seed {args.seed}", args.recipe, *args.set]
    settings += ["teachers"] if args.teachers else []
    settings += ["start"] if args.start else []
    settings += [f"H={args.hidden}"] if args.hidden != 64 else []
    settings += [dataset.name] if dataset.several else []
    return " ".join(settings)


def write_temperature(path, record):
    """Write a record of `temperature_record`, and print its errors."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
    errors = [f"{record[f'ECE {when}']:.4f} {when}" for when in ("before", "after")]
    print(f"temperature {record['value']:.3f}: expected calibration error {', '.join(errors)}", flush=True)


def temperature_record(entries, drawn, times):
    """The temperature of clips as recorded, and as often under conditions: what `calibrated` keeps of it, and
    its value.
    """
    pool = entries * times + drawn
    labels = np.concatenate([entry.labels for entry in pool])
    logits = np.log(np.maximum(np.concatenate([entry.probabilities for entry in pool]), 1e-30))
    T = fit_temperature(logits, labels)
    speakers = sorted(
        {name for entry in entries for name in entry.speakers.tolist()}, key=lambda name: (len(name), name)
    )
    about = {"value": T, "clips": sum(len(entry.labels) for entry in entries), "speakers": speakers}
    how = (
        "tools/accuracy/ladder.py: each clip as recorded and under conditions, by networks that have not"
        " heard its speaker"
    )
    return about | temperature_scores(logits, labels, T) | {"how": how}


def p_of_conditions(entries, p, speeds):
    """The `Predictions` of each group for its clips under all of the drawn conditions, one after
    the other.
    """
    joined = []
    for entry, q in zip(entries, p):
        under = q[speeds:]  # (conditions, N, C)
        times = len(under)
        probabilities = under.reshape(-1, under.shape[2])
        columns = entry.files * times, np.tile(entry.speakers, times), np.tile(entry.labels, times)
        joined.append(type(entry)(*columns, probabilities.argmax(axis=1), probabilities))
    return joined


def _averaged(entry, p):
    """`Predictions` by the mean of probabilities (S, N, C)."""
    return entry._replace(predicted=p.mean(axis=0).argmax(axis=1), probabilities=p.mean(axis=0))


def line(entries, C, settings):
    """What is printed of the predictions of the four groups."""
    of_the_truth = np.concatenate(
        [entry.probabilities[np.arange(len(entry.labels)), entry.labels] for entry in entries]
    )
    groups = " ".join(f"{pooled_uar([entry], C):.4f}" for entry in entries)
    return f"{pooled_uar(entries, C):.4f}  ({groups})  {-np.log(of_the_truth).mean():.4f} nats  {settings}"


if __name__ == "__main__":
    sys.exit(guarded(main))
