"""Time the forward and backward pass of a training step at several commits, in turns, one thread.

    python tools/bench history COMMIT ... [--batch 8 16 32 64] [--rounds 5] [--format table|csv|json]

One row a commit: processor milliseconds (median over rounds of a fresh process's median), and how many times
as fast as the first commit that is. Each commit's package is taken out of git into a temporary folder. The
line "freed memory handed back" is the last commit again, without `keep_freed_memory`, which all others have.
"""

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile

import bench_lib
import numpy as np

PROGRAM = """
import sys, time
import numpy as np
keep, *batches = map(int, sys.argv[1:])
if keep:
    np.empty(31 << 20, dtype=np.uint8)
from npreslstm.model import ResLSTM
for N in batches:
    rng = np.random.default_rng(N)
    lengths = np.clip(rng.normal(87.2, 8.0, N).round().astype(int), 69, 124)
    x = rng.standard_normal((N, lengths.max(), 46), dtype=np.float32)
    model = ResLSTM(rng=rng)
    dlogits = rng.standard_normal((N, 8), dtype=np.float32) / N
    times = []
    for _ in range(9):
        start = time.process_time()
        model.backward(dlogits, model.forward(x, lengths, training=True)[1])
        times.append(time.process_time() - start)
    print(1e3 * float(np.median(times[2:])))
"""


def extract(commit, folder, *what):
    """Put the package of a commit, or `what` of its folders, into a folder; returns the commit's subject."""
    command = ["git", "archive", commit, *(what or ["npreslstm"])]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return subprocess.run(
        ["git", "log", "-1", "--format=%s", commit], capture_output=True, check=True, text=True
    ).stdout.strip()


def milliseconds(folder, keep, batches):
    """One fresh process: a figure for each batch size."""
    command = [sys.executable, "-c", PROGRAM, str(int(keep)), *map(str, batches)]
    # where Python looks first
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True)
    return [float(line) for line in done.stdout.split()]


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commits", nargs="+", help="from old to new")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 16, 32, 64], help="clips a batch")
    parser.add_argument("--rounds", type=int, default=5, help="turns, of which the median is taken")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        contenders = {}
        for commit in args.commits:
            path = os.path.join(folder, commit)
            contenders[commit] = extract(commit, path), path, True
        contenders["same"] = "freed memory handed back", path, False
        rounds = [
            [milliseconds(path, keep, args.batch) for _, path, keep in contenders.values()]
            for _ in range(args.rounds)
        ]
    medians = np.median(rounds, axis=0)  # (contenders, batches)
    rows = []
    for (commit, (subject, _, _)), times in zip(contenders.items(), medians):
        figures = {f"{N}": float(ms) for N, ms in zip(args.batch, times)}
        ratios = {f"{N} x": float(first / ms) for N, first, ms in zip(args.batch, medians[0], times)}
        rows.append({"commit": commit, **figures, **ratios, "subject": subject})
    bench_lib.report(
        rows, {"data": "synthetic features, lengths as RAVDESS", **bench_lib.environment()}, args.format
    )


if __name__ == "__main__":
    sys.exit(main())
