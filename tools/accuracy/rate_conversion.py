"""Print what the rate conversion of `Listener` and ``npr_stream`` changes on RAVDESS.

    python tools/accuracy/rate_conversion.py RAVDESS [--weights mcu] [--every K]

Takes the clips of the speakers that the weights hold out, at 48 and at 44.1 kHz, to 16 kHz by `Decimator`, and
compares the network's labels with those of the package's resampler: how many agree, and UAR.
"""

import argparse
import glob
import os
import sys
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np

from npreslstm.audio.decimation import Decimator
from npreslstm.audio.features import extract_features
from npreslstm.audio.reader import read_audio
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import to_mono
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.experiments.evaluate import choose_speakers
from npreslstm.training.dataset import load_dataset

WAYS = ("resampled", "from 48000 Hz", "from 44100 Hz")


def versions(path, rate):
    """int16 samples of a clip at the rate of the features, by each of WAYS."""
    y, from_rate = read_audio(path)
    y = to_mono(y)
    yield as_pcm(y if from_rate == rate else resample(y, from_rate, rate))
    for other in (48_000, 44_100):
        yield Decimator(other).push(as_pcm(y if from_rate == other else resample(y, from_rate, other)))


def as_pcm(y):
    return np.clip(np.rint(32768 * y), -32768, 32767).astype(np.int16)


def predicted(checkpoint, model, pcm):
    """The number of the class that the network gives a clip."""
    raw = extract_features(pcm, checkpoint.features.sample_rate, checkpoint.features)
    z = ((raw - checkpoint.mean) / checkpoint.std).astype(np.float32)
    return model.infer(z[None], [len(z)])[0][0].argmax()


def uar(labels, hits):
    """Mean recall over the classes that occur."""
    return np.mean([hits[labels == k].mean() for k in set(labels.tolist())])


def main(argv=None):
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("ravdess")
    parser.add_argument("--weights", default="mcu")
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args(argv)
    if args.every < 1:
        raise InputError(f"--every is {args.every}; expected at least 1")
    checkpoint = load_checkpoint(args.weights)
    if checkpoint.features is None or checkpoint.features.sample_rate != 16_000:
        raise InputError(f"{args.weights} hears another rate than 16000 Hz; expected weights as mcu")
    model = checkpoint.model()
    held_out = {int(actor) for actor in choose_speakers(checkpoint, load_dataset(args.ravdess))}
    paths = sorted(glob.glob(os.path.join(args.ravdess, "Actor_*", "*.flac")))
    paths = [path for path in paths if int(path.split("-")[-1].split(".")[0]) in held_out][:: args.every]
    labels = np.array([int(os.path.basename(path).split("-")[2]) - 1 for path in paths])
    rows = [[predicted(checkpoint, model, pcm) for pcm in versions(path, 16_000)] for path in paths]
    for way, given in zip(WAYS, np.array(rows).T):
        same = 100 * (given == np.array(rows)[:, 0]).mean()
        print(
            f"{way}: {len(paths)} clips, {same:.1f} % the label of {WAYS[0]}, UAR {uar(labels, given == labels):.4f}"
        )


if __name__ == "__main__":
    sys.exit(guarded(main))
