#!/usr/bin/env python3
"""Train the bundled weights on RAVDESS and write them with their model card.

    python tools/train_weights.py RAVDESS paper [--jobs 2] [--cache DIR] [--seed 0]

Fold 0's test actors are held out. Run again after an interruption, it goes on where it was.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np

from npreslstm.assets import weights_folder
from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.commands.train import ClipLine, EpochLine
from npreslstm.files import atomic_write
from npreslstm.ports.quantize import with_calibration
from npreslstm.report.model_card import model_card
from npreslstm.schema import ModelConfig
from npreslstm.training.dataset import load_dataset
from npreslstm.training.fit import fit, prepare_examples, split_by_speaker
from npreslstm.training.recipe import Recipe, training_features
from npreslstm.training.trainer import pad

HELD_OUT = ("2", "5", "14", "15", "16")
NAMES = ("paper", "mcu")
RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
LICENCE = "CC BY-NC-SA 4.0: trained on RAVDESS (Livingstone & Russo 2018); no commercial use"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="the RAVDESS folder")
    parser.add_argument("name", choices=NAMES, help="which weights, and so which features")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes that extract features")
    parser.add_argument("--cache", help="folder that keeps extracted features")
    args = parser.parse_args(argv)
    recipe = Recipe()
    examples = prepare_examples(load_dataset(args.data), training_features(args.name), recipe.speeds, args.jobs, args.cache, ClipLine())
    path = weights_folder() / f"{args.name}.npz"
    split = split_by_speaker(examples.speakers, test=HELD_OUT)
    checkpoint = fit(examples, split, ModelConfig(), recipe, args.seed, EpochLine(), path.with_suffix(".training"))
    checkpoint = with_calibration(checkpoint, *training_batch(examples, split, checkpoint))
    notes = checkpoint.notes | {"command": f"python tools/train_weights.py RAVDESS {args.name} --seed {args.seed}", "licence": LICENCE}
    save_checkpoint(path, dataclasses.replace(checkpoint, notes=notes))
    print(f"{path.name}: UAR {notes['scores held out']['uar']:.4f} on the held-out speakers", file=sys.stderr)
    write_card(path.parent)


def training_batch(examples, split, checkpoint):
    """The clips trained on, z-scored and padded: what the integer model's ranges are measured on."""
    return pad([((examples.variants[n][0] - checkpoint.mean) / checkpoint.std).astype(np.float32) for n in split.train])


def write_card(folder: Path):
    """Write README.md of the weights folder from the weights files in it and docs/results."""
    checkpoints = {name: load_checkpoint(folder / f"{name}.npz") for name in NAMES if (folder / f"{name}.npz").exists()}
    summaries = {name: json.loads((RESULTS / name / "summary.json").read_text(encoding="utf-8")) for name in checkpoints}
    with atomic_write(folder / "README.md", "w", encoding="utf-8") as file:
        file.write(model_card(checkpoints, summaries))


if __name__ == "__main__":
    main()
