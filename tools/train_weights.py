#!/usr/bin/env python3
"""Train the bundled weights on RAVDESS and write them with their model card.

    python tools/train_weights.py RAVDESS paper [--jobs 2] [--cache DIR] [--seed 0]
    python tools/train_weights.py RAVDESS mcu --teachers DIR [--teachers DIR ...] --recipe student
        [--set FIELD=VALUE ...]
    python tools/train_weights.py RAVDESS robust --corpus nemo.csv --corpus emospeech.csv --background DIR
        --start mcu --recipe robust [--set FIELD=VALUE ...]

Fold 0's test actors are held out. With --teachers, folders of cross-validations of any features, the networks
of their fold 0 are learnt from. With --start, training goes on from other weights. Run again after an
interruption, it goes on where it was.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from npreslstm.assets import weights_folder
from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.cli import guarded
from npreslstm.commands.arguments import (
    add_background_argument,
    add_corpus_arguments,
    add_recipe_arguments,
    background_files,
    load_training_data,
)
from npreslstm.errors import InputError
from npreslstm.experiments.packed import open_results
from npreslstm.files import atomic_write
from npreslstm.report.model_card import model_card
from npreslstm.schema import ModelConfig
from npreslstm.terminal import ClipLine, EpochLine
from npreslstm.training.ancestors import corpora_of
from npreslstm.training.calibration import calibrated
from npreslstm.training.dataset import RAVDESS
from npreslstm.training.examples import prepare_examples, split_by_speaker
from npreslstm.training.fit import fit
from npreslstm.training.recipe import load_recipe, training_features, with_settings

HELD_OUT = ("2", "5", "14", "15", "16")
FEATURES = {"robust": "mcu", "mcu": "mcu", "paper": "paper"}  # of each file
TEACHERS = "weights/run-*-fold-0.npz"  # trained on the same speakers
RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
LICENCE = "CC BY-NC-SA 4.0: trained on {corpora}; no commercial use"
AUTHORS = {
    RAVDESS: "RAVDESS (Livingstone & Russo 2018)",
    "nemo.csv": "nEMO (Christop 2024)",
    "emospeech.csv": "EmoSpeech (Banga et al. 2019)",
}


def arguments():
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="the RAVDESS folder")
    parser.add_argument("name", choices=FEATURES, help="which weights, and so which features")
    add_corpus_arguments(parser)
    add_background_argument(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--teachers",
        action="append",
        default=[],
        metavar="DIR",
        help="folder of a cross-validation with weights/; repeatable",
    )
    parser.add_argument(
        "--temperature", metavar="FILE", help="calibrate by what tools/accuracy/ladder.py --temperature wrote"
    )
    parser.add_argument(
        "--start", metavar="W", help="weights to go on from: a file, or the name of bundled ones"
    )
    add_recipe_arguments(parser, default="default")
    parser.add_argument("--jobs", type=int, default=1, help="processes that extract features")
    parser.add_argument("--cache", help="folder that keeps extracted features")
    return parser


def main(argv=None):
    parser = arguments()
    args = parser.parse_args(argv)
    recipe = with_settings(load_recipe(args.recipe), args.set)
    features, dataset = training_features(FEATURES[args.name], recipe.trim_db), load_training_data(args)
    how = args.jobs, args.cache, ClipLine(), recipe.conditions, background_files(args, recipe)
    path = weights_folder() / f"{args.name}.npz"
    own = [name for name in dataset.speakers if name.removeprefix(f"{RAVDESS}/") in HELD_OUT]
    for folder in args.teachers:
        if not list(Path(folder).glob(TEACHERS)):
            parser.error(f"there is no {TEACHERS} in {folder}")
    teachers = [
        load_checkpoint(file) for folder in args.teachers for file in sorted(Path(folder).glob(TEACHERS))
    ]
    kinds = dict.fromkeys([features, *(teacher.features for teacher in teachers)])
    examples, *others = [prepare_examples(dataset, kind, recipe.speeds, *how) for kind in kinds]
    split = split_by_speaker(examples.speakers, test=own)
    snapshot = path.with_suffix(".training")
    start = load_checkpoint(args.start) if args.start else None
    learnt = EpochLine(), snapshot, teachers, start, others
    checkpoint = fit(examples, split, ModelConfig(), recipe, args.seed, *learnt)
    if args.temperature:
        checkpoint = with_temperature(checkpoint, args.temperature)
    save_checkpoint(path, with_origin(checkpoint, args))
    snapshot.unlink(missing_ok=True)
    print(
        f"{path.name}: UAR {checkpoint.notes['scores held out']['uar']:.4f} on the held-out speakers",
        file=sys.stderr,
    )
    write_card(path.parent)


def with_temperature(checkpoint, path):
    """The checkpoint calibrated by a record of tools/accuracy/ladder.py, of speakers it was trained on."""
    record = json.loads(Path(path).read_text(encoding="utf-8"))
    if strangers := set(record["speakers"]) - set(checkpoint.notes["speakers trained on"]):
        raise InputError(f"{path} is of speakers that were not trained on: {', '.join(sorted(strangers))}")
    return calibrated(checkpoint, record.pop("value"), record)


def with_origin(checkpoint, args):
    """The checkpoint with the command that makes it, and its licence, in its notes."""
    options = [f"--corpus {Path(corpus).name}" for corpus in args.corpus]
    options += ["--background DIR"] if args.background else []
    options += [f"--start {args.start}"] if args.start else []
    options += ["--temperature FILE"] if args.temperature else []
    options += [f"--recipe {args.recipe}"] if args.recipe != "default" else []
    options += [*(f"--set {setting}" for setting in args.set), *("--teachers DIR" for _ in args.teachers)]
    command = " ".join([f"python tools/train_weights.py RAVDESS {args.name} --seed {args.seed}", *options])
    corpora = ", ".join(AUTHORS.get(name, name) for name in corpora_of(checkpoint))
    licence = LICENCE.format(corpora=corpora)
    return dataclasses.replace(checkpoint, notes=checkpoint.notes | {"command": command, "licence": licence})


def write_card(folder: Path):
    """Write README.md of the weights folder from the weights files in it and docs/results, as far as these
    are of one corpus: figures of several corpora together do not belong in one table with them.
    """
    checkpoints = {
        name: load_checkpoint(folder / f"{name}.npz")
        for name in FEATURES
        if (folder / f"{name}.npz").exists()
    }
    found = {
        name: open_results(str(RESULTS / name)).summary for name in checkpoints if (RESULTS / name).is_dir()
    }
    summaries = {name: summary for name, summary in found.items() if "corpora" not in summary}
    with atomic_write(folder / "README.md", "w", encoding="utf-8") as file:
        file.write(model_card(checkpoints, summaries))


if __name__ == "__main__":
    sys.exit(guarded(main))
