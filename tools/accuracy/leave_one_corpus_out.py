#!/usr/bin/env python3
"""Does it help on a corpus that nobody trained on to have heard two others in place of one? A table of
docs/accuracy.md.

    python tools/accuracy/leave_one_corpus_out.py --corpus RAVDESS --corpus nemo.csv --corpus emospeech.csv
        --out DIR [--seeds 2] [--set FIELD=VALUE ...] [--workers 2] [--cache FEATURES] [--background DIR]

For every corpus that is left out: a network for each of the others alone, and one for all of them together,
by the same recipe and from the same seed. Two networks are compared over the classes that both of them and
the left-out corpus know: every other output is left out of both. Intervals are of a bootstrap over the
speakers of the left-out corpus, of the mean over seeds. The networks are kept in DIR: run again after an
interruption, it goes on where it was.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npreslstm.audio.reader import find_audio
from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.cli import guarded
from npreslstm.experiments.store import corpus_digest, open_examples, store_examples
from npreslstm.files import atomic_write, check_folder
from npreslstm.parallel import available_cores, run_all
from npreslstm.report.text import table
from npreslstm.schema import ModelConfig
from npreslstm.terminal import ClipLine
from npreslstm.training.batches import predict
from npreslstm.training.dataset import Dataset, load_dataset
from npreslstm.training.examples import Split
from npreslstm.training.fit import fit
from npreslstm.training.merging import merge
from npreslstm.training.metrics import bootstrap_difference, confusion_matrix, uar
from npreslstm.training.recipe import load_recipe, training_features, with_settings


class Training(NamedTuple):
    """One network: the names of the corpora that it hears, where their features are, and where it goes."""

    corpora: tuple[str, ...]
    seed: int
    store: str
    settings: tuple[str, ...]
    recipe: str
    path: str


def train_network(training: Training) -> str:
    """Train and save; returns the path."""
    path = Path(training.path)
    if not path.exists():
        examples, _ = open_examples(training.store)
        recipe = with_settings(load_recipe(training.recipe), list(training.settings))
        nobody = np.array([], int)
        split = Split(np.arange(len(examples.labels)), nobody, nobody)
        snapshot = path.with_suffix(".training")
        checkpoint = fit(examples, split, ModelConfig(), recipe, training.seed, snapshot=snapshot)
        save_checkpoint(path, checkpoint)
        snapshot.unlink(missing_ok=True)
    return training.path


def arguments():
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--corpus",
        action="append",
        required=True,
        metavar="DATA",
        help="RAVDESS folder or manifest; three or more",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the networks and of the table")
    parser.add_argument("--features", default="mcu", help="mcu (default), paper or a JSON file")
    parser.add_argument("--recipe", default="default", metavar="R")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the recipe; repeatable",
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="networks of each kind (default 1)")
    parser.add_argument("--background", metavar="DIR", help="sounds without speech, for conditions")
    parser.add_argument("--workers", type=int, default=available_cores(), help="processes")
    parser.add_argument("--cache", metavar="DIR", help="folder of features (default: inside --out)")
    return parser


def main(argv=None):
    args = arguments().parse_args(argv)
    check_folder("--out", args.out)
    corpora = {dataset.name: dataset for dataset in map(load_dataset, args.corpus)}
    stores = _stores(args, corpora)
    trainings = _trainings(args, stores)
    for training, _ in run_all(train_network, trainings, args.workers):
        print(f"trained on {' + '.join(training.corpora)}, seed {training.seed}", file=sys.stderr, flush=True)
    rows = [row for name in corpora for row in compare(args, name, corpora, stores)]
    with atomic_write(Path(args.out, "table.json"), "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
    header = ("left out", "classes", "heard alone", "UAR", "heard together", "UAR")
    header += ("difference", "95 % over speakers")
    print(table(header, [_line(row) for row in rows]))


def _stores(args, corpora):
    """{names of corpora: folder of their features}, for each by itself and for all but one."""
    recipe = with_settings(load_recipe(args.recipe), args.set)
    features = training_features(args.features, recipe.trim_db)
    backgrounds = find_audio([args.background]) if args.background else ()
    cache = args.cache or str(Path(args.out, "features"))
    wanted = {(name,): dataset for name, dataset in corpora.items()}
    # equal names mean the same
    labels = {label: label for dataset in corpora.values() for label in dataset.classes}
    for names in itertools.combinations(corpora, len(corpora) - 1):
        chosen = [corpora[name] for name in names]
        wanted[names] = merge(
            chosen, {label: label for label in labels if any(label in dataset.classes for dataset in chosen)}
        )
    arguments = args.workers, ClipLine(), recipe.conditions, backgrounds
    return {
        names: store_examples(cache, dataset, corpus_digest(dataset), features, recipe.speeds, *arguments)
        for names, dataset in wanted.items()
    }


def _trainings(args, stores):
    return [
        Training(names, seed, store, tuple(args.set), args.recipe, _path(args.out, names, seed))
        for seed in range(args.seeds)
        for names, store in stores.items()
    ]


def _path(folder, names, seed):
    return str(
        Path(folder, f"{'+'.join(Path(name).stem.replace(' ', '-') for name in names)}-seed-{seed}.npz")
    )


def compare(args, left_out: str, corpora: dict[str, Dataset], stores: dict) -> list[dict]:
    """A row for each corpus heard alone: its UAR on the left-out corpus, that of all others together, and the
    difference.
    """
    others = tuple(name for name in corpora if name != left_out)
    examples, _ = open_examples(stores[(left_out,)])
    together = [load_checkpoint(_path(args.out, others, seed)) for seed in range(args.seeds)]
    rows = []
    for alone_name in others:
        alone = [load_checkpoint(_path(args.out, (alone_name,), seed)) for seed in range(args.seeds)]
        classes = [
            name for name in examples.classes if name in alone[0].classes and name in together[0].classes
        ]
        known = np.isin(examples.labels, [examples.classes.index(name) for name in classes])
        labels = np.array([classes.index(examples.classes[k]) for k in examples.labels[known]])
        clips = [examples.variants[n][0] for n in np.flatnonzero(known)]
        hits = [
            np.array([_choose(c, clips, classes) == labels for c in networks])
            for networks in (alone, together)
        ]
        first, second = (
            float(np.mean([_uar_of_hits(row, labels, len(classes)) for row in networks])) for networks in hits
        )
        speakers = examples.speakers[known]
        interval = bootstrap_difference(labels, *hits, speakers, 10_000, np.random.default_rng(0))
        row = {"left out": left_out, "classes": classes, "alone": alone_name, "UAR alone": first}
        rows.append(row | {"together": others, "UAR together": second, "interval": interval})
    return rows


def _choose(checkpoint, clips, classes):
    """The most probable of some classes for each clip: (N,) numbers in `classes`."""
    z = [((frames - checkpoint.mean) / checkpoint.std).astype(np.float32) for frames in clips]
    columns = [checkpoint.classes.index(name) for name in classes]
    return predict(checkpoint.model(), z)[:, columns].argmax(axis=1)


def _uar_of_hits(hits, labels, C):
    return uar(confusion_matrix(labels, np.where(hits, labels, (labels + 1) % C), C))


def _line(row):
    low, high = row["interval"]
    difference = row["UAR together"] - row["UAR alone"]
    first = [row["left out"], str(len(row["classes"])), row["alone"], f"{row['UAR alone']:.4f}"]
    return [
        *first,
        " + ".join(row["together"]),
        f"{row['UAR together']:.4f}",
        f"{difference:+.4f}",
        f"{low:+.3f} to {high:+.3f}",
    ]


if __name__ == "__main__":
    sys.exit(guarded(main))
