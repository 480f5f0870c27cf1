"""Time the way from a sound file at 48 kHz to a label at 16 kHz, stage by stage, in turns, one thread.

    python tools/bench sound [--clips 12] [--rounds 10] [--before COMMIT] [--whole] [--format table|csv|json]

Milliseconds of processor time a clip (for each clip the least of the rounds, and the mean of these) for
reading, resampling, features and network with the bundled `mcu`, and for `Recognizer.process_file`, which
does it all. Peers, in the same run: `scipy.signal.resample_poly` with its own, shorter filter; soundfile.read
alone. --before COMMIT takes the package of that commit out of git and times its reading and its whole way in
a process of its own, clip by clip in turns with one that runs this package; the ratios are the medians over
all pairs. --whole reads every clip of the corpus once in each of the two instead of a few of them often.
With NPRESLSTM_RAVDESS the clips are of that corpus, as FLAC; without it synthetic speech of 3.7 s.
"""

import argparse
import glob
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_lib
import numpy as np
from bench_frontend import CLIP_SECONDS, speech_like
from bench_history import extract

from npreslstm import Recognizer
from npreslstm.audio import resampling
from npreslstm.audio.reader import read_audio
from npreslstm.audio.signal import to_mono

FROM, TO = 48000, 16000  # Hz
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, time, warnings
warnings.simplefilter("ignore")
from npreslstm import Recognizer
from npreslstm.audio.reader import read_audio
runs = {"reading": read_audio, "file-to-label": Recognizer("mcu").process_file}
for line in sys.stdin:
    name, path = line.rstrip().split(" ", 1)
    start = time.process_time()
    runs[name](path)
    print(1e3 * (time.process_time() - start), flush=True)
"""


def files(count, folder):
    """(what they are, paths); of all clips where `count` is None."""
    import soundfile

    corpus = os.environ.get("NPRESLSTM_RAVDESS")
    if corpus:
        found = sorted(glob.glob(os.path.join(corpus, "**", "*.flac"), recursive=True))
        count = count or len(found)
        return "RAVDESS clips", found[:: max(1, len(found) // count)][:count]
    paths = [os.path.join(folder, f"{k}.flac") for k in range(count or 12)]
    for k, path in enumerate(paths):
        soundfile.write(path, speech_like(CLIP_SECONDS, FROM, k), FROM)
    return "synthetic speech", paths


def contenders(paths, recognizer):
    """{name: callable that takes one clip's number}."""
    import soundfile
    from scipy.signal import resample_poly

    signals = [to_mono(read_audio(path)[0]) for path in paths]
    lower = [resampling.resample(y, FROM, TO) for y in signals]
    features = [recognizer._features(y, TO)[0] for y in lower]
    return {
        "reading": lambda k: read_audio(paths[k]),
        "soundfile": lambda k: soundfile.read(paths[k], dtype="float32"),
        "resampling": lambda k: resampling.resample(signals[k], FROM, TO),
        "scipy": lambda k: resample_poly(signals[k], 1, FROM // TO),
        "features": lambda k: recognizer._features(lower[k], TO),
        "network": lambda k: recognizer._infer([features[k]]),
        "file to label": lambda k: recognizer.process_file(paths[k]),
    }


def least(contenders, count, rounds):
    """{name: milliseconds a clip}: of each clip the least of all rounds, and their mean."""
    times = {name: np.full(count, np.inf) for name in contenders}
    for _ in range(rounds):
        for k in range(count):
            for name, run in contenders.items():
                start = time.process_time()
                run(k)
                times[name][k] = min(times[name][k], 1e3 * (time.process_time() - start))
    return {name: float(column.mean()) for name, column in times.items()}


class Tree:
    """A process that runs the package in a folder."""

    def __init__(self, folder):
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=folder,  # where Python looks first
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def milliseconds(self, name, path):
        """Processor time of one call."""
        self._process.stdin.write(f"{name.replace(' ', '-')} {path}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def beside(before, now, paths, rounds):
    """{name: (milliseconds before, now, median ratio)}, the milliseconds as of `least`."""
    found = {}
    for name in ("reading", "file to label"):
        times = np.array(
            [
                [[tree.milliseconds(name, path) for tree in (before, now)] for path in paths]
                for _ in range(rounds)
            ]
        )  # (rounds, clips, 2)
        ratio = float(np.median(times[..., 0] / times[..., 1]))
        found[name] = (*map(float, times.min(axis=0).mean(axis=0)), ratio)
    return found


def compare(commit, paths, rounds):
    """Rows of the table: this package beside that of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        extract(commit, folder, "npreslstm", "weights")
        before, now = Tree(folder), Tree(ROOT)
        try:
            found = beside(before, now, paths, rounds)
        finally:
            before.close()
            now.close()
    rows = {}
    for name, (old, new, ratio) in found.items():
        rows |= {f"{name}, before": old, f"{name}, now": new, f"{name}, before / now": ratio}
    return rows


def stages(paths, rounds):
    """Rows of the table: each stage, and its peers."""
    times = least(contenders(paths, Recognizer("mcu")), len(paths), rounds)
    return {
        **times,
        "scipy / resampling": times["scipy"] / times["resampling"],
        "reading / soundfile": times["reading"] / times["soundfile"],
    }


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=12, help="clips (default 12)")
    parser.add_argument("--rounds", type=int, default=10, help="times that each clip is taken")
    parser.add_argument("--before", metavar="COMMIT", help="also compare with the package of that commit")
    parser.add_argument(
        "--whole", action="store_true", help="only compare, on the whole corpus, each clip once"
    )
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)
    if args.whole and not args.before:
        parser.error("--whole takes --before COMMIT")
    with tempfile.TemporaryDirectory() as folder:
        what, paths = files(None if args.whole else args.clips, folder)
        rounds = 1 if args.whole else args.rounds
        found = {} if args.whole else stages(paths, rounds)
        if args.before:
            found |= compare(args.before, paths, rounds)
    import scipy

    facts = {"data": f"{len(paths)} {what}", "scipy": scipy.__version__, **bench_lib.environment()}
    rows = [{"what": name, "ms, or ratio": value} for name, value in found.items()]
    bench_lib.report(rows, facts, args.format)


if __name__ == "__main__":
    sys.exit(main())
