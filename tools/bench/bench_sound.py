"""Time the way from a sound file at 48 kHz to a label at 16 kHz, stage by stage, in turns, one thread.

    python tools/bench sound [--clips 12] [--rounds 10] [--format table|csv|json]

Milliseconds of processor time a clip (for each clip the least of the rounds, and the mean of these) for
reading, resampling, features and network with the bundled `mcu`, and for `Recognizer.process_file`, which
does it all. Peers, in the same run: `scipy.signal.resample_poly` with its own, shorter filter; soundfile.read
alone. `before` is how resampling was done at first, with the same kernel: np.correlate of every third sample,
in float64. The last ratio is that of the whole way with it to the way as it is. With NPRESLSTM_RAVDESS the
clips are of that corpus, as FLAC; without it synthetic speech of 3.7 s.
"""

import argparse
import glob
import os
import sys
import tempfile
import time

import bench_lib
import numpy as np
from bench_frontend import CLIP_SECONDS, speech_like

from npreslstm import Recognizer
from npreslstm.audio import resampling
from npreslstm.audio.reader import read_audio
from npreslstm.audio.signal import to_mono

FROM, TO = 48000, 16000  # Hz


def files(count, folder):
    """(what they are, paths)."""
    import soundfile

    corpus = os.environ.get("NPRESLSTM_RAVDESS")
    if corpus:
        found = sorted(glob.glob(os.path.join(corpus, "**", "*.flac"), recursive=True))
        return "RAVDESS clips", found[:: max(1, len(found) // count)][:count]
    paths = [os.path.join(folder, f"{k}.flac") for k in range(count)]
    for k, path in enumerate(paths):
        soundfile.write(path, speech_like(CLIP_SECONDS, FROM, k), FROM)
    return "synthetic speech", paths


def decimate(signal):
    """48 to 16 kHz, as it was done at first."""
    down, kernel = FROM // TO, resampling._kernel(1, FROM // TO)
    padded = np.pad(signal.astype(np.float64), len(kernel) // 2)
    parts = [np.correlate(padded[k::down], kernel[k::down], mode="valid") for k in range(down)]
    count = -(-len(signal) // down)
    return sum(part[:count] for part in parts).astype(signal.dtype)


def contenders(paths, recognizer):
    """{name: callable that takes one clip's number}."""
    import soundfile
    from scipy.signal import resample_poly

    signals = [to_mono(read_audio(path)[0]) for path in paths]
    lower = [resampling.resample(y, FROM, TO) for y in signals]
    for y, low in zip(signals, lower):
        np.testing.assert_allclose(decimate(y), low, atol=1e-6)
    features = [recognizer._features(y, TO)[0] for y in lower]
    return {
        "reading": lambda k: read_audio(paths[k]),
        "soundfile": lambda k: soundfile.read(paths[k], dtype="float32"),
        "resampling": lambda k: resampling.resample(signals[k], FROM, TO),
        "scipy": lambda k: resample_poly(signals[k], 1, FROM // TO),
        "before": lambda k: decimate(signals[k]),
        "features": lambda k: recognizer._features(lower[k], TO),
        "network": lambda k: recognizer._infer([features[k]]),
        "file to label": lambda k: recognizer.process_file(paths[k]),
    }


def least(contenders, count, rounds):
    """{name: milliseconds of processor time a clip}: for each clip the least of all rounds, and their
    mean."""
    times = {name: np.full(count, np.inf) for name in contenders}
    for _ in range(rounds):
        for k in range(count):
            for name, run in contenders.items():
                start = time.process_time()
                run(k)
                times[name][k] = min(times[name][k], 1e3 * (time.process_time() - start))
    return {name: float(column.mean()) for name, column in times.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=12, help="clips (default 12)")
    parser.add_argument("--rounds", type=int, default=10, help="times that each clip is taken")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        what, paths = files(args.clips, folder)
        times = least(contenders(paths, Recognizer("mcu")), len(paths), args.rounds)
    whole, gained = times["file to label"], times["before"] - times["resampling"]
    ratios = {
        "before / resampling": times["before"] / times["resampling"],
        "scipy / resampling": times["scipy"] / times["resampling"],
        "reading / soundfile": times["reading"] / times["soundfile"],
        "file to label, before / now": (whole + gained) / whole,
    }
    import scipy

    facts = {"data": what, "scipy": scipy.__version__, **bench_lib.environment()}
    rows = [{"what": name, "ms, or ratio": value} for name, value in [*times.items(), *ratios.items()]]
    bench_lib.report(rows, facts, args.format)


if __name__ == "__main__":
    sys.exit(main())
