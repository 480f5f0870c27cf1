#!/usr/bin/env python3
"""Score the networks of a cross-validation in other ways than it did: figures of docs/accuracy.md and docs/c-port.md.

    python tools/score_folds.py RAVDESS DIR --cache FEATURES [--workers 2]

DIR is a folder of `npreslstm crossval` with weights/. Prints, for every run whose networks are all there, the UAR of the pooled
predictions: in float32, in the integers of `npreslstm.ports.quantize`, and of the mean of the float32 probabilities over all
speeds of the recipe, which is as many times the computing. Then the share of clips that integers label as float32 does.
"""

import argparse
import os
import sys

import numpy as np

from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import load_checkpoint
from npreslstm.commands.train import ClipLine
from npreslstm.layers.activations import softmax
from npreslstm.parallel import available_cores
from npreslstm.ports.quantize import QuantizedModel
from npreslstm.training.crossval import pooled_uar
from npreslstm.training.dataset import load_dataset
from npreslstm.training.journal import Journal, Predictions
from npreslstm.training.store import corpus_digest, open_examples, store_examples
from npreslstm.training.trainer import pad, predict


def probabilities(path, examples, clips):
    """Of a fold's network: float32 (variants, N, C), and int8 (N, C) of the clips as they are."""
    checkpoint = load_checkpoint(path)
    model, integer = checkpoint.model(), QuantizedModel.from_checkpoint(checkpoint)
    variants = [[((x - checkpoint.mean) / checkpoint.std).astype(np.float32) for x in one] for one in zip(*(examples.variants[n] for n in clips))]
    return np.array([softmax(predict(model, one)) for one in variants]), softmax(integer.infer(*pad(variants[0])))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="the RAVDESS folder")
    parser.add_argument("results", metavar="DIR")
    parser.add_argument("--cache", required=True, help="folder that keeps features")
    parser.add_argument("--workers", type=int, default=available_cores(), help="processes that extract features")
    args = parser.parse_args(argv)
    journal, dataset = Journal(args.results), load_dataset(args.data)
    features, speeds = FeatureConfig.from_dict(journal.config["features"]), journal.config["recipe"]["speeds"]
    store = store_examples(args.cache, dataset, corpus_digest(dataset), features, speeds, args.workers, ClipLine())
    examples, names = open_examples(store)
    folds = range(len(journal.config["folds"]))
    for run in sorted({run for run, _ in journal.entries()}):
        if not all(os.path.exists(journal.path("weights", run, fold)) for fold in folds):
            continue
        ways, same = {}, []
        for fold, scored in enumerate(journal.config["scored speakers"]):
            clips = np.flatnonzero(np.isin(examples.speakers, scored))
            heard, integer = probabilities(journal.path("weights", run, fold), examples, clips)
            same.extend(heard[0].argmax(axis=1) == integer.argmax(axis=1))
            for way, p in (("float32", heard[0]), ("int8", integer), (f"mean over {len(heard)} speeds", heard.mean(axis=0))):
                files = tuple(names[n] for n in clips)
                ways.setdefault(way, []).append(Predictions(files, examples.speakers[clips], examples.labels[clips], p.argmax(axis=1), p))
        scores = ", ".join(f"{way} {pooled_uar(entries, len(dataset.classes)):.4f}" for way, entries in ways.items())
        print(f"run {run}: {scores}; same label {np.mean(same):.1%}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
