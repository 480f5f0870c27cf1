"""What the speed benches share: one thread, real batches, measurements in turns, tables.

Import it before NumPy: it holds every library to one thread, and BLAS reads that at import.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import csv
import glob
import json
import platform
import sys
import time

import numpy as np

RAVDESS_LENGTHS = (69, 87.2, 124)  # frames: fewest, mean, most, of RAVDESS at 48 kHz with a hop of 2048


def clips(count, seed=0):
    """(what they are, [features (T, 46) float32, z-scored]): real ones where NPRESLSTM_RAVDESS leads to the
    corpus.
    """
    rng = np.random.default_rng(seed)
    folder = os.environ.get("NPRESLSTM_RAVDESS")
    if not folder:
        low, mean, high = RAVDESS_LENGTHS
        lengths = np.clip(rng.normal(mean, 8.0, count).round().astype(int), low, high)
        return "synthetic features, lengths as RAVDESS", [
            rng.standard_normal((T, 46)).astype(np.float32) for T in lengths
        ]
    from npreslstm import extract_features
    from npreslstm.audio.reader import read_audio

    paths = sorted(
        glob.glob(os.path.join(folder, "**", "*.flac"), recursive=True)
        + glob.glob(os.path.join(folder, "**", "*.wav"), recursive=True)
    )
    chosen = rng.choice(paths, size=count, replace=len(paths) < count)
    features = [extract_features(*read_audio(path)) for path in chosen]
    frames = np.concatenate(features)
    mean, std = frames.mean(axis=0), frames.std(axis=0)
    return "RAVDESS clips", [(x - mean) / std for x in features]


def describe(what, features):
    """One line on the clips of a bench."""
    frames = [len(x) for x in features]
    return f"{what}, {min(frames)} to {max(frames)} frames, mean {np.mean(frames):.1f}"


def pad(features):
    """(x (N, T, D) zero padded, lengths (N,)) of a list of clips."""
    lengths = np.array([len(x) for x in features])
    x = np.zeros((len(features), lengths.max(), features[0].shape[1]), dtype=np.float32)
    for row, clip in zip(x, features):
        row[: len(clip)] = clip
    return x, lengths


def interleave(contenders, rounds, warm_up=2, statistic=np.median, turn=1):
    """Run each of {name: callable taking the call's number} `turn` times in a row, once a round; return
    {name: milliseconds a call}.

    By default medians over the rounds. In turns, and in processor time, so that what else the machine does
    matters little and falls on all of them alike. A turn of one call finds the caches full of what the others
    left there; in a longer one only the first does.
    """
    times = {name: [] for name in contenders}
    for k in range(-warm_up, rounds):
        for name, run in contenders.items():
            start = time.process_time()
            for call in range(k * turn, (k + 1) * turn):
                run(call % (rounds * turn))
            if k >= 0:
                times[name].append(1e3 * (time.process_time() - start) / turn)
    return {name: float(statistic(column)) for name, column in times.items()}


def environment():
    """{what: version or setting} that the figures hold for."""
    found = {"cpu": _cpu(), "threads": 1, "python": platform.python_version(), "numpy": np.__version__}
    for name in ("torch", "onnxruntime"):
        if name in sys.modules:
            found[name] = sys.modules[name].__version__
    return found


def report(rows, facts, form):
    """Print a list of {column: value} dictionaries as a table, CSV or JSON."""
    if form == "json":
        print(json.dumps({"environment": facts, "rows": rows}, indent=2))
        return
    columns = list(rows[0])
    text = [[f"{row[c]:.2f}" if isinstance(row[c], float) else str(row[c]) for c in columns] for row in rows]
    if form == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *text])
        return
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    widths = [max(map(len, column)) for column in zip(columns, *text)]
    for line in [columns, *text]:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))


def _cpu():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
