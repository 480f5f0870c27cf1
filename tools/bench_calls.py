"""Time the calls of NumPy on which the layout of the LSTM rests (docs/speed.md), in turns, one thread.

    python tools/bench_calls.py [--clips 1 8 64] [--rounds 200] [--format table|csv|json]

Microseconds a call (fastest of the rounds) for the gates of n clips with H = 64. Some calls are in groups: the same work done
in several ways, of which the LSTM uses the first.
"""

import argparse
import sys

import bench_lib
import numpy as np

H, K, M = 64, 111, 1000  # hidden, inputs of the gates, rows of a longer array of which one frame is a part
CALLS = 20  # a round, so that the clock's resolution does not matter


def calls(n):
    """{what: callable} for n running clips."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    z, h, c, out = normal(n, K), normal(n, H), normal(n, H), normal(n, H)
    blocks, columns, part = normal(4, n, H), normal(n, 4 * H), normal(4, M, H)[:, 100 : 100 + n]
    W_blocks, W_columns, half = normal(4, K, H), normal(K, 4 * H), np.array(0.5, dtype=np.float32)
    W_hh, W_hh_columns, h_row, gates_row = normal(4, H, H), normal(H, 4 * H), normal(H), normal(4 * H)
    padded, padded_row = normal(H, 448), normal(448)
    i, f, block_copy = *columns[:, : 2 * H].reshape(n, 2, H).swapaxes(0, 1), normal(4, n, H)
    return {
        "gates: one product (n, K) (4, K, H)": lambda: np.matmul(z, W_blocks, out=blocks),
        "gates: one product (n, K) (K, 4H)": lambda: np.matmul(z, W_columns, out=columns),
        "back: one product (4, n, H) (4, H, H)": lambda: np.matmul(blocks, W_hh, out=block_copy),
        "back: one product (n, 4H) (4H, H)": lambda: np.matmul(columns, W_hh_columns.T, out=out),
        "tanh of all gates, one piece of memory": lambda: np.tanh(blocks, out=block_copy),
        "tanh of all gates, part of a longer array": lambda: np.tanh(part, out=block_copy),
        "i * g, blocks": lambda: np.multiply(h, c, out=out),
        "i * g, columns of (n, 4H)": lambda: np.multiply(i, f, out=out),
        "times 0.5, an array": lambda: np.multiply(blocks, half, out=block_copy),
        "times 0.5, a float": lambda: np.multiply(blocks, 0.5, out=block_copy),
        "three blocks by one, in three calls": lambda: [np.multiply(block, c, out=to) for block, to in zip(blocks[:3], block_copy)],
        "three blocks by one, broadcast": lambda: np.multiply(blocks[:3], c, out=block_copy[:3]),
        "sum of four blocks, in two calls": lambda: np.add(*np.add(blocks[:2], blocks[2:], out=block_copy[:2]), out=out),
        "sum of four blocks, np.add.reduce": lambda: np.add.reduce(blocks, axis=0, out=out),
        "a view by iteration": lambda: next(iter(blocks)),
        "a view by a slice": lambda: columns[1:2],
        "one clip: h.dot(W), (H,) (H, 448)": lambda: h_row.dot(padded, padded_row),
        "one clip: h.dot(W), (H,) (H, 4H)": lambda: h_row.dot(W_hh_columns, gates_row),
        "one clip: np.matmul": lambda: np.matmul(h_row, W_hh_columns, out=gates_row),
    }


def measure(n, rounds):
    """{what: microseconds}."""

    def repeated(call):
        def run(_):
            for _ in range(CALLS):
                call()

        return run

    times = bench_lib.interleave({what: repeated(call) for what, call in calls(n).items()}, rounds, statistic=np.min)
    return {what: 1e3 * ms / CALLS for what, ms in times.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 8, 64], help="n, running clips")
    parser.add_argument("--rounds", type=int, default=200, help="turns, of which the fastest counts")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)
    columns = {n: measure(n, args.rounds) for n in args.clips}
    rows = [{"call": what, **{f"n = {n}": columns[n][what] for n in args.clips}} for what in columns[args.clips[0]]]
    bench_lib.report(rows, bench_lib.environment(), args.format)


if __name__ == "__main__":
    sys.exit(main())
