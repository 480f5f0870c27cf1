#!/usr/bin/env python3
"""Score the networks of a cross-validation on clips heard once, and heard at all speeds of the recipe: a figure of docs/accuracy.md.

    python tools/average_speeds.py RAVDESS DIR --cache FEATURES [--workers 2]

DIR is a folder of `npreslstm crossval` with weights/. Prints, for every run whose networks are all there, the UAR of the pooled
predictions of the clips as they are, and of the mean of the probabilities over all speeds: as many times the computing.
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
from npreslstm.training.crossval import pooled_uar
from npreslstm.training.dataset import load_dataset
from npreslstm.training.journal import Journal, Predictions
from npreslstm.training.store import corpus_digest, open_examples, store_examples
from npreslstm.training.trainer import predict


def probabilities(path, examples, clips):
    """(variants, N, C) of a fold's network."""
    checkpoint = load_checkpoint(path)
    model = checkpoint.model()
    variants = zip(*(examples.variants[n] for n in clips))
    return np.array([softmax(predict(model, [((x - checkpoint.mean) / checkpoint.std).astype(np.float32) for x in one])) for one in variants])


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
        once, averaged = [], []
        for fold, scored in enumerate(journal.config["scored speakers"]):
            clips = np.flatnonzero(np.isin(examples.speakers, scored))
            found = probabilities(journal.path("weights", run, fold), examples, clips)
            for kept, p in ((once, found[0]), (averaged, found.mean(axis=0))):
                kept.append(Predictions(tuple(names[n] for n in clips), examples.speakers[clips], examples.labels[clips], p.argmax(axis=1), p))
        C = len(dataset.classes)
        print(f"run {run}: once {pooled_uar(once, C):.4f}, mean over {len(found)} speeds {pooled_uar(averaged, C):.4f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
