#!/usr/bin/env python3
"""Score weights on clips as other microphones and rooms would give them: a table of docs/accuracy.md.

    python tools/robustness.py RAVDESS [--weights mcu --weights paper] [--seed 0]

The clips are those of the speakers that the weights hold out. Each condition changes the samples before anything else does.
"""

import argparse
import sys
import warnings

import numpy as np

from npreslstm.audio.reader import read_audio
from npreslstm.audio.resampling import ResamplingWarning
from npreslstm.audio.signal import to_mono
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.recognizer import Recognizer
from npreslstm.training.dataset import load_dataset
from npreslstm.training.metrics import confusion_matrix, uar


def louder(decibels):
    """Scale by a factor, and saturate at full scale."""
    return lambda y, rate, rng: np.clip(y * 10 ** (decibels / 20), -1, 1)


def noisy(decibels):
    """Add white noise so many decibels below the clip's power."""
    return lambda y, rate, rng: y + rng.normal(size=len(y)) * np.sqrt(np.mean(y**2)) * 10 ** (-decibels / 20)


def surrounded(seconds):
    """Put digital silence before and after."""
    return lambda y, rate, rng: np.pad(y, int(seconds * rate))


CONDITIONS = {
    "as recorded": louder(0),
    "6 dB louder": louder(6),
    "6 dB fainter": louder(-6),
    "12 dB fainter": louder(-12),
    "20 dB fainter": louder(-20),
    "white noise 30 dB below": noisy(30),
    "white noise 20 dB below": noisy(20),
    "1 s of silence on both sides": surrounded(1),
}


def score(recognizer, clips, classes, change, seed):
    """UAR of clips [(samples, rate, label)] that `change` was applied to."""
    rng = np.random.default_rng(seed)
    predicted = [classes.index(recognizer.process_signal(change(y, rate, rng), rate).label) for y, rate, _ in clips]
    return uar(confusion_matrix([label for *_, label in clips], predicted, len(classes)))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="the RAVDESS folder")
    parser.add_argument("--weights", action="append", help="bundled name or file; repeatable (default: mcu and paper)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore", ResamplingWarning)
    dataset, columns = load_dataset(args.data), {}
    for weights in args.weights or ["mcu", "paper"]:
        recognizer = Recognizer(weights)
        held_out = dataset.of(recognizer.checkpoint.notes.get("speakers held out", ()))
        if not held_out:
            raise InputError(f"{args.data} has no clips of speakers that {weights} holds out")
        clips = [(to_mono(y), rate, clip.label) for clip in held_out for y, rate in [read_audio(clip.path)]]
        peaks = np.percentile([np.abs(y).max() for y, *_ in clips], [10, 50, 90])
        columns[weights] = {name: score(recognizer, clips, dataset.classes, change, args.seed) for name, change in CONDITIONS.items()}
    print(f"| UAR, noise of seed {args.seed} | " + " | ".join(f"`{weights}`" for weights in columns) + " |\n|---|" + "---|" * len(columns))
    for name in CONDITIONS:
        print(f"| {name} | " + " | ".join(f"{column[name]:.4f}" for column in columns.values()) + " |")
    print("peaks of full scale, of the last weights' clips: a tenth below {:.2f}, half below {:.2f}, nine tenths below {:.2f}".format(*peaks))


if __name__ == "__main__":
    sys.exit(guarded(main))
