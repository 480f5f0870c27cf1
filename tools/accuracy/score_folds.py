#!/usr/bin/env python3
"""Score the networks of a cross-validation in other ways than it did: figures of docs/accuracy.md,
docs/notebook/ and docs/c-port.md.

    python tools/accuracy/score_folds.py RAVDESS DIR --cache FEATURES [--speeds 1,0.85,1.15 [--keep OUT]]
        [--workers 2]

DIR is a folder of `npreslstm crossval` with weights/. Prints, for every run whose networks are all there, the
UAR of the pooled predictions: in float32, in the integers of `npreslstm.integer.quantize`, and of the mean of
the float32 probabilities over several speeds of the recipe, which is as many times the computing. Then the
share of clips that integers label as float32 does. --keep writes the predictions of several speeds to a
folder that `npreslstm crossval --report` reads.
"""

import argparse
import os
import sys

import numpy as np

from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.commands.arguments import parse_speeds
from npreslstm.errors import InputError
from npreslstm.experiments.evaluate import class_probabilities, z_scored
from npreslstm.experiments.journal import Journal, Predictions
from npreslstm.experiments.store import corpus_digest, open_examples, store_examples
from npreslstm.experiments.summary import pooled_uar, summarise
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.layers.activations import softmax
from npreslstm.parallel import available_cores
from npreslstm.terminal import ClipLine
from npreslstm.training.batches import pad
from npreslstm.training.dataset import load_dataset


def probabilities(path, examples, clips, chosen):
    """Of a fold's network: float32 (S, N, C) at the chosen speeds, and int8 (N, C) of the clips
    as they are.
    """
    checkpoint = load_checkpoint(path)
    by_speed = z_scored(checkpoint, [[examples.variants[n][k] for k in chosen] for n in clips])
    return class_probabilities(checkpoint, by_speed), softmax(
        QuantizedModel.from_checkpoint(checkpoint).infer(*pad(by_speed[0]))
    )


def arguments():
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="the RAVDESS folder")
    parser.add_argument("results", metavar="DIR")
    parser.add_argument("--cache", required=True, help="folder that keeps features")
    parser.add_argument(
        "--speeds", metavar="S", help="of the recipe, with commas, 1 first (default: all of them)"
    )
    parser.add_argument("--keep", metavar="OUT", help="write the predictions at several speeds there")
    parser.add_argument(
        "--workers", type=int, default=available_cores(), help="processes that extract features"
    )
    return parser


def predictions_of_run(journal, run, examples, names, chosen):
    """{way: Predictions of each fold}, and for each clip whether int8 gives it the label of float32."""
    ways, same = {}, []
    for fold, scored in enumerate(journal.config["scored speakers"]):
        clips = np.flatnonzero(np.isin(examples.speakers, scored))
        at_speeds, integer = probabilities(journal.path("weights", run, fold), examples, clips, chosen)
        same.extend(at_speeds[0].argmax(axis=1) == integer.argmax(axis=1))
        mean = f"mean over {len(chosen)} speeds"
        files = tuple(names[n] for n in clips)
        for way, p in (("float32", at_speeds[0]), ("int8", integer), (mean, at_speeds.mean(axis=0))):
            ways.setdefault(way, []).append(
                Predictions(files, examples.speakers[clips], examples.labels[clips], p.argmax(axis=1), p)
            )
    return ways, same


def main(argv=None):
    parser = arguments()
    args = parser.parse_args(argv)
    journal, dataset = Journal(args.results), load_dataset(args.data)
    features, speeds = FeatureConfig.from_dict(journal.config["features"]), journal.config["recipe"]["speeds"]
    heard_at = parse_speeds(args.speeds) if args.speeds else tuple(speeds)
    if absent := [speed for speed in heard_at if speed not in speeds]:
        parser.error(f"--speeds has {absent[0]}, which the recipe lacks: {speeds}")
    if not os.path.isdir(os.path.join(args.results, "weights")):
        raise InputError(
            f"{args.results} has no weights/; expected a folder that npreslstm crossval --out wrote, networks"
            " and all"
        )
    if (digest := corpus_digest(dataset)) != journal.config["digest"]:
        raise InputError(f"{args.data} is not the corpus of {args.results}: its clips have another checksum")
    store = store_examples(args.cache, dataset, digest, features, speeds, args.workers, ClipLine())
    examples, names = open_examples(store)
    chosen = [speeds.index(speed) for speed in heard_at]
    kept = Journal(args.keep, journal.config | {"heard at": heard_at}) if args.keep else None
    folds = range(len(journal.config["folds"]))
    for run in sorted({run for run, _ in journal.entries()}):
        if not all(os.path.exists(journal.path("weights", run, fold)) for fold in folds):
            continue
        ways, same = predictions_of_run(journal, run, examples, names, chosen)
        if kept:
            for fold, entry in enumerate(ways[f"mean over {len(chosen)} speeds"]):
                kept.enter(run, fold, entry)
        scores = ", ".join(
            f"{way} {pooled_uar(entries, len(dataset.classes)):.4f}" for way, entries in ways.items()
        )
        print(f"run {run}: {scores}; same label {np.mean(same):.1%}", flush=True)
    if kept:
        kept.write_summary(summarise(kept.config, kept.entries()))


if __name__ == "__main__":
    sys.exit(guarded(main))
