"""Print how near the C port comes to NumPy on RAVDESS: MFCC, chroma, logits, integer bits, probabilities of
the integer model.

    python tools/accuracy/c_parity.py RAVDESS [--weights mcu] [--type float32|int8] [--every K]

--type float32 takes every clip (or every K-th) from 16-bit samples to logits in C and compares with NumPy in
float32. --type int8 takes the clips of the speakers that the weights hold out, compares the integer C with
the integer NumPy at every frame, and the probabilities with those of the float model. Needs a C compiler.
"""

import argparse
import glob
import os
import sys
import tempfile
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from npreslstm.audio.features import extract_features
from npreslstm.audio.reader import read_audio
from npreslstm.audio.resampling import resample
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.experiments.evaluate import choose_speakers
from npreslstm.fast.packing import packing
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.layers.activations import softmax
from npreslstm.ports.c_export import export_c
from npreslstm.ports.c_library import CLibrary, build
from npreslstm.training.dataset import load_dataset

# of the differences in float32
TARGETS = {"MFCC": 1e-3, "chroma": 1e-5, "logits from equal features": 1e-5, "logits from samples": 1e-5}


def mono(path, rate):
    """The samples of a file as floats, at another rate."""
    y, from_rate = read_audio(path)
    y = y if y.ndim == 1 else y.mean(axis=1)
    return y if from_rate == rate else resample(y, from_rate, rate)


def compare_float(checkpoint, paths, c):
    """Differences of C from NumPy over the clips: {what: figures}."""
    model, features, rows, answers = checkpoint.model(), checkpoint.features, [], []
    for path in paths:
        pcm = np.clip(np.rint(32768 * mono(path, features.sample_rate)), -32768, 32767).astype(np.int16)
        expected, got = extract_features(pcm, features.sample_rate, features), c.features(pcm)
        z = ((expected - checkpoint.mean) / checkpoint.std).astype(np.float32)
        from_pcm = c.infer(np.array([c.normalise(row) for row in got]))
        logits = model.infer(z[None], [len(z)])[0][0]
        difference = np.abs(got - expected).max(axis=0)
        n = features.n_mfcc
        rows.append(
            (
                difference[:n].max(),
                difference[n:].max(),
                np.abs(c.infer(z) - logits).max(),
                np.abs(from_pcm - logits).max(),
            )
        )
        answers.append((logits, from_pcm))
        show(len(rows), len(paths))
    figures = {"clips": len(rows)}
    for (name, target), differences in zip(TARGETS.items(), np.array(rows).T):
        worst = os.path.basename(paths[differences.argmax()])
        beyond = f"; beyond {target:.0e} in {(differences > target).sum()} clips, worst {worst}"
        figures[name] = (
            f"largest {differences.max():.1e}, median of the clips {np.median(differences):.1e}{beyond}"
        )
    return figures | compare_answers(answers)


def compare_answers(answers):
    """What differences from samples to logits make of labels and probabilities; `answers` are (logits,
    logits) of each clip.
    """
    ours, theirs = softmax(np.array(answers, np.float64)).swapaxes(0, 1)  # (N, C)
    same = ours.argmax(axis=1) == theirs.argmax(axis=1)
    return {
        "clips with the same label": int(same.sum()),
        "largest change of a probability": f"{np.abs(ours - theirs).max():.1e}",
    }


def compare_int8(checkpoint, paths, c):
    """Bits that differ between integer C and NumPy, and the integer model's probabilities beside the float
    model's.
    """
    quantized, features = QuantizedModel.from_checkpoint(checkpoint), checkpoint.features
    clips, traces = [], []
    for path in paths:
        raw = extract_features(mono(path, features.sample_rate), features.sample_rate, features)
        clips.append(((raw - checkpoint.mean) / checkpoint.std).astype(np.float32))
        traces.append(c_trace(c, quantized.quantize(clips[-1])))
        show(len(clips), len(paths))
    lengths = np.array([len(z) for z in clips])
    x = np.zeros((len(clips), lengths.max(), clips[0].shape[1]), np.float32)
    for row, z in zip(x, clips):
        row[: len(z)] = z
    values, differing = count_differences(quantized, quantized.quantize(x), lengths, traces)
    exact = softmax(checkpoint.model().infer(x, lengths)[0].astype(np.float64))
    integer = softmax(quantized.infer(x, lengths).astype(np.float64))
    change = np.abs(integer - exact).max(axis=1)
    labels = np.array([int(os.path.basename(path).split("-")[2]) - 1 for path in paths])
    return {
        "clips": len(paths),
        "values compared (h, c, total, context, logits at every frame)": f"{values:,}",
        "of them different": differing,
        "largest change of a clip's probabilities, median": f"{np.median(change):.1e}",
        "largest change of a clip's probabilities, maximum": f"{change.max():.1e}",
        "clips with the same label": f"{100 * (exact.argmax(1) == integer.argmax(1)).mean():.1f} %",
        "UAR, float32": f"{uar(exact, labels):.4f}",
        "UAR, int8": f"{uar(integer, labels):.4f}",
    }


def count_differences(quantized, x, lengths, traces):
    """(values, how many of them differ) between NumPy, all clips side by side, and the traces of C, frame by
    frame.
    """
    layout, values, differing = packing(lengths), 0, 0
    rows, state = layout.pack(x), quantized.start(len(lengths))
    for t, (start, n) in enumerate(zip(layout.offsets.tolist(), layout.batch_sizes.tolist())):
        quantized.step(rows[start : start + n], state, n)
        context = quantized.context(state)
        ours = np.concatenate(
            [*state.h, *state.c, state.total[:, None], context, quantized.logits(context)], axis=1
        )[:n]
        theirs = np.array([traces[k][t] for k in layout.order[:n]])
        values += ours.size
        differing += int((ours != theirs).sum())
    return values, differing


def c_trace(c, x):
    """h, c, attention's total, context and logits that C has after every frame: (T, values) int64."""
    rows = []
    c.call("npr_init")
    for frame in x:
        c.push(frame)
        logits, context = c.logits()
        rows.append(
            np.concatenate(
                [np.array(c.state.h), np.array(c.state.c), [c.state.total], context, logits]
            ).astype(np.int64)
        )
    return np.array(rows)


def uar(probabilities, labels):
    """Mean recall over the classes that occur."""
    hit = probabilities.argmax(axis=1) == labels
    return np.mean([hit[labels == k].mean() for k in set(labels.tolist())])


def show(done, total):
    if sys.stderr.isatty():
        print(f"\r{done}/{total}", end="" if done < total else "\n", file=sys.stderr)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ravdess")
    parser.add_argument("--weights", default="mcu")
    parser.add_argument("--type", choices=("float32", "int8"), default="float32")
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args(argv)
    if args.every < 1:
        raise InputError(f"--every is {args.every}; expected at least 1")
    checkpoint = load_checkpoint(args.weights)
    paths = sorted(glob.glob(os.path.join(args.ravdess, "Actor_*", "*.flac")))
    if args.type == "int8":
        held_out = {
            f"Actor_{int(actor):02d}" for actor in choose_speakers(checkpoint, load_dataset(args.ravdess))
        }
        paths = [path for path in paths if os.path.basename(os.path.dirname(path)) in held_out]
    if not paths:
        raise InputError(
            f"{args.ravdess} has no clips to compare; expected the RAVDESS folder, with Actor_*/*.flac"
        )
    with tempfile.TemporaryDirectory() as folder:
        export_c(checkpoint, folder, args.type)
        build(folder)
        compare = compare_int8 if args.type == "int8" else compare_float
        for name, figure in compare(checkpoint, paths[:: args.every], CLibrary(folder)).items():
            print(f"{name}: {figure}")


if __name__ == "__main__":
    sys.exit(guarded(main))
