#!/usr/bin/env python3
"""Flip single bits of every kind of file that has a checksum, and see that none is taken for another.

    python tools/faults/flips.py --flips 2000

A flip is refused, or changes nothing that is read (a blank of a header, a time in a zip file), or is wrongly
accepted: something else is read, and nobody is told.
"""

import argparse
import os
import sys
import warnings

import numpy as np
from forked import prepared

from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.folder import _load
from npreslstm.checkpoint import load_checkpoint
from npreslstm.errors import InputError
from npreslstm.experiments.store import open_examples
from npreslstm.ports.vectors import changed_files
from npreslstm.training.conditioned import load_entry, store_entry


def weights(path):
    """What weights say."""
    checkpoint = load_checkpoint(path)
    state = {name: tensor.tobytes() for name, tensor in checkpoint.state.items()}
    return (
        state,
        checkpoint.config,
        str(checkpoint.mean),
        str(checkpoint.std),
        checkpoint.classes,
        checkpoint.notes,
    )


def cached(path):
    """The features of a cache entry."""
    features = _load(path, FeatureConfig.named("mcu"))
    return None if features is None else features.tobytes()


def conditioned(path):
    """The features of a clip under conditions."""
    return [frames.tobytes() for frames in load_entry(path)] or None


def stored(path):
    """The features of a corpus, and what is said of them."""
    examples, names = open_examples(os.path.dirname(path))
    rows = [frames.tobytes() for variants in examples.variants for frames in variants]
    return (
        rows,
        names,
        examples.labels.tolist(),
        examples.speakers.tolist(),
        examples.classes,
        examples.config,
    )


def vectors(path):
    """Whether golden vectors are as their manifest says."""
    return None if changed_files(os.path.dirname(path)) else "unchanged"


FILES = {
    "cache entry": ("entry.npy", cached),
    "entry under conditions": ("conditioned.npz", conditioned),
    "rows.npy": ("store/rows.npy", stored),
    "about.json": ("store/about.json", stored),
    "weights .npz": ("small.npz", weights),
    "weights .pt": ("small.pt", weights),
    "vectors": ("vectors/one-frame.npz", vectors),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flips", type=int, default=2000, help="of each kind at most (default 2000)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rng, wrong = np.random.default_rng(args.seed), 0
    with prepared() as folder:
        made = os.path.join(folder, "made")
        rows = rng.normal(size=(5, 46)).astype(np.float32)
        store_entry(os.path.join(made, "conditioned.npz"), [rows[:2], rows[2:]])
        for name, (file, read) in FILES.items():
            counts = flip(os.path.join(made, *file.split("/")), read, args.flips, rng)
            print(
                f"{name:24} {counts['flips']:,} flips: {counts['refused']:,} refused, "
                f"{counts['same']:,} change nothing that is read, {counts['wrong']:,} wrongly accepted",
                flush=True,
            )
            wrong += counts["wrong"]
    print(f"seed {args.seed}: {wrong} wrongly accepted")
    return 1 if wrong else 0


def flip(path, read, most, rng):
    """Flip bits of one file, some or all; counts of what came of it."""
    with open(path, "rb") as file:
        content = file.read()
    whole = read(path)
    places = rng.permutation(8 * len(content))[:most]
    counts = {"flips": len(places), "refused": 0, "same": 0, "wrong": 0}
    for place in places.tolist():
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        with open(path, "wb") as file:
            file.write(flipped)
        try:
            found = read(path)
        except InputError:
            found = None
        counts["refused" if found is None else "same" if found == whole else "wrong"] += 1
    with open(path, "wb") as file:
        file.write(content)
    return counts


if __name__ == "__main__":
    sys.exit(main())
