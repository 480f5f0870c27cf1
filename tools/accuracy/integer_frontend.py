"""Print how the integer frontend does on RAVDESS: bits of C that are not NumPy's, and labels beside those of
the float frontend, the integer network behind both.

    python tools/accuracy/integer_frontend.py RAVDESS [--weights mcu robust] [--every K]

Every clip (or every K-th) goes from 16-bit samples to probabilities in C and in NumPy. Compared are the raw
features and the input of the network at every frame, the logits, and the probabilities. Needs a C compiler.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from npreslstm.audio.activity import as_pcm
from npreslstm.audio.features import extract_features
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.experiments.evaluate import choose_speakers
from npreslstm.integer import fixed_point
from npreslstm.integer.frontend import features_of_clip, z_score
from npreslstm.integer.frontend_tables import statistics
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.ports.c_export import export_c
from npreslstm.ports.c_library import CLibrary, build
from npreslstm.training.dataset import load_dataset
from tools.accuracy.c_parity import mono, show, uar

CLIPS_AT_ONCE = 64


class Model:
    """The integer network of some weights, in NumPy and in C, and what came of the clips so far."""

    def __init__(self, name, folder):
        self.name, self.checkpoint = name, load_checkpoint(name)
        self.quantized = QuantizedModel.from_checkpoint(self.checkpoint)
        self.statistics = statistics(self.checkpoint, self.quantized.x_bits)
        export_c(self.checkpoint, folder, "int8", frontend="integer")
        build(folder)
        self.c = CLibrary(folder)
        self.values = self.differing = 0
        self.floats, self.integers = [], []  # the network's input, (T, D) int16 a clip
        self.results = []  # of C: logits and probabilities a clip
        self.steps = []  # between both inputs, mean and largest of each clip

    def hear(self, pcm, by_float, by_integer):
        """Take in a clip: its samples, and its features by both frontends in NumPy."""
        z = ((by_float - self.checkpoint.mean) / self.checkpoint.std).astype(np.float32)
        x = z_score(by_integer, self.statistics)
        features = self.c.features(pcm)
        normalised = np.array([self.c.normalise(row) for row in features])
        self.count(features, by_integer)
        self.count(normalised, x)
        logits = self.c.infer(normalised)
        self.results.append((logits, self.c.result()[0]))
        self.floats.append(self.quantized.quantize(z))
        self.integers.append(x)
        step = np.abs(x.astype(int) - self.floats[-1])
        self.steps.append((step.mean(), step.max()))

    def count(self, ours, theirs):
        self.values += theirs.size
        self.differing += int((ours != theirs).sum())

    def figures(self, labels, held_out):
        """{what: figure} of the clips with these labels, of which some are of speakers held out."""
        by_float, by_integer = (self.logits(rows) for rows in (self.floats, self.integers))
        logits, probabilities = map(np.array, zip(*self.results))
        self.count(logits, by_integer)
        self.count(probabilities, fixed_point.softmax(by_integer))
        same = by_float.argmax(axis=1) == by_integer.argmax(axis=1)
        change = fixed_point.softmax(by_float) - fixed_point.softmax(by_integer).astype(int)
        change = np.abs(change).max(axis=1) / 32768
        mean, largest = np.array(self.steps).T
        figures = {
            "clips": len(labels),
            "values compared, C and NumPy": f"{self.values:,}",
            "of them different": self.differing,
            "steps between the inputs by both frontends, mean": f"{mean.mean():.2f}",
            "steps, largest": int(largest.max()),
            "clips with the same label": f"{same.sum()} ({100 * same.mean():.2f} %)",
            "change of a clip's probabilities, median": f"{np.median(change):.1e}",
            "change of a clip's probabilities, largest": f"{change.max():.1e}",
            "UAR, float frontend": f"{uar(by_float, labels):.4f}",
            "UAR, integer frontend": f"{uar(by_integer, labels):.4f}",
        }
        if held_out.any():
            for kind, logits in (("float", by_float), ("integer", by_integer)):
                score = uar(logits[held_out], labels[held_out])
                figures[f"UAR of the speakers held out, {kind} frontend"] = f"{score:.4f}"
        return figures

    def logits(self, clips):
        """(N, C) Q16 of clips of the network's input, in NumPy."""
        return np.concatenate(
            [self.batch(clips[k : k + CLIPS_AT_ONCE]) for k in range(0, len(clips), CLIPS_AT_ONCE)]
        )

    def batch(self, clips):
        lengths = np.array([len(clip) for clip in clips])
        x = np.zeros((len(clips), lengths.max(), clips[0].shape[1]), np.int16)
        for row, clip in zip(x, clips):
            row[: len(clip)] = clip
        return self.quantized.infer_integer(x, lengths)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ravdess")
    parser.add_argument("--weights", nargs="+", default=["mcu", "robust"])
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args(argv)
    if args.every < 1:
        raise InputError(f"--every is {args.every}; expected at least 1")
    dataset = load_dataset(args.ravdess)
    paths = sorted(Path(args.ravdess).glob("Actor_*/*.flac"))[:: args.every]
    if not paths:
        raise InputError(f"{args.ravdess} has no clips; expected the RAVDESS folder, with Actor_*/*.flac")
    labels = np.array([int(path.name.split("-")[2]) - 1 for path in paths])
    speakers = np.array([int(path.parent.name[-2:]) for path in paths])
    with tempfile.TemporaryDirectory() as folder:
        models = [Model(name, Path(folder, name)) for name in args.weights]
        for k, path in enumerate(paths):
            by_config = {}
            for model in models:
                config = model.checkpoint.features
                if config not in by_config:
                    pcm = as_pcm(mono(path, config.sample_rate))
                    by_float = extract_features(pcm, config.sample_rate, config)
                    by_config[config] = pcm, by_float, features_of_clip(pcm, config)
                model.hear(*by_config[config])
            show(k + 1, len(paths))
        for model in models:
            held_out = {int(speaker) for speaker in choose_speakers(model.checkpoint, dataset)}
            print(model.name)
            for name, figure in model.figures(labels, np.isin(speakers, list(held_out))).items():
                print(f"  {name}: {figure}")


if __name__ == "__main__":
    sys.exit(guarded(main))
