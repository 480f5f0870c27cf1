"""Time the calls of NumPy on which the layout of the LSTM rests (docs/speed.md), in turns, one thread.

    python tools/bench calls [--clips 1 8 64] [--rounds 200] [--format table|csv|json]

Microseconds a call (fastest of the rounds) for the gates of n clips with H = 64. Some calls are in groups:
the same work done in several ways, of which the LSTM uses the first.
"""

import argparse
import sys

import bench_lib
import numpy as np

from npreslstm.fast.lstm_pair import zeros_in_lines

H, K, M = 64, 111, 1000  # hidden, inputs of the gates, rows of a longer array of which one frame is a part
S = 110  # cells of both layers together
CALLS = 20  # a round, so that the clock's resolution does not matter


def calls(n):
    """{what: callable} for n running clips."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    return _products(n, normal) | _elementwise(n, normal) | _one_clip(normal)


def _products(n, normal):
    """The products with the weights, in blocks a gate and in columns."""
    z, out, product, blocks, columns = (
        normal(n, K),
        normal(n, H),
        normal(4, n, H),
        normal(4, n, H),
        normal(n, 4 * H),
    )
    W_blocks, W_columns = normal(4, K, H), normal(K, 4 * H)
    W_hh, W_hh_rows = normal(4, H, H), normal(4 * H, H)
    return {
        "gates: one product (n, K) (4, K, H)": lambda: np.matmul(z, W_blocks, out=product),
        "gates: one product (n, K) (K, 4H)": lambda: np.matmul(z, W_columns, out=columns),
        "back: one product (4, n, H) (4, H, H)": lambda: np.matmul(blocks, W_hh, out=product),
        "back: one product (n, 4H) (4H, H)": lambda: np.matmul(columns, W_hh_rows, out=out),
    }


def _elementwise(n, normal):
    """What is done to the gates of a frame."""
    h, c, out, product = normal(n, H), normal(n, H), normal(n, H), normal(4, n, H)
    blocks, columns, part = normal(4, n, H), normal(n, 4 * H), normal(4, M, H)[:, 100 : 100 + n]
    i, f, half = columns[:, :H], columns[:, H : 2 * H], np.array(0.5, dtype=np.float32)
    three, to_three = blocks[:3], product[:3]
    i_block, f_block, g_block = three
    to_i, to_f, to_g = to_three
    pair, (first, second), lower, upper = product[:2], product[:2], blocks[:2], blocks[2:]

    def three_calls():
        np.multiply(i_block, c, out=to_i)
        np.multiply(f_block, c, out=to_f)
        np.multiply(g_block, c, out=to_g)

    def two_sums():
        np.add(lower, upper, out=pair)
        np.add(first, second, out=out)

    return {
        "tanh of all gates, one piece of memory": lambda: np.tanh(blocks, out=product),
        "tanh of all gates, part of a longer array": lambda: np.tanh(part, out=product),
        "i * g, blocks": lambda: np.multiply(h, c, out=out),
        "i * g, columns of (n, 4H)": lambda: np.multiply(i, f, out=out),
        "times 0.5, an array": lambda: np.multiply(blocks, half, out=product),
        "times 0.5, a float": lambda: np.multiply(blocks, 0.5, out=product),
        "three blocks by one, broadcast": lambda: np.multiply(three, c, out=to_three),
        "three blocks by one, three calls, views at hand": three_calls,
        "sum of four blocks, two calls, views at hand": two_sums,
        "sum of four blocks, np.add.reduce": lambda: np.add.reduce(blocks, axis=0, out=out),
        "a view by iteration": lambda: next(iter(blocks)),
        "a view by a slice": lambda: columns[1:2],
    }


def _one_clip(normal):
    """What a frame of a single clip takes, both layers at once."""
    h_row, a_row = normal(S), normal(4 * S)
    U, longer = zeros_in_lines((S, 4 * S), a_row.dtype), zeros_in_lines((4 + S * 4 * S,), a_row.dtype)
    mix, block, c_o, terms, half_of_two = normal(2, 9), normal(9, S), normal(2, S), normal(2, S), normal(2)
    sigmoids, ones, c_row = normal(3 * S), np.ones(3 * S, dtype=np.float32), normal(S)
    # begins 16 bytes after a line of the cache, as NumPy's large arrays do
    U_between = longer[4:].reshape(S, 4 * S)

    def one_and_half():
        np.add(sigmoids, ones, sigmoids)
        half_of_two.dot(terms, c_row)

    return {
        "one clip: h.dot(U) of both layers": lambda: h_row.dot(U, a_row),
        "one clip: h.dot(U), U between two lines": lambda: h_row.dot(U_between, a_row),
        "one clip: np.matmul of both layers": lambda: np.matmul(h_row, U, out=a_row),
        "one clip: c and 2o as one product": lambda: mix.dot(block, c_o),
        "one clip: 1 + o, i, f, then half a sum": one_and_half,
    }


def measure(n, rounds):
    """{what: microseconds}."""

    def repeated(call):
        def run(_):
            for _ in range(CALLS):
                call()

        return run

    times = bench_lib.interleave(
        {what: repeated(call) for what, call in calls(n).items()}, rounds, statistic=np.min
    )
    return {what: 1e3 * ms / CALLS for what, ms in times.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 8, 64], help="n, running clips")
    parser.add_argument("--rounds", type=int, default=200, help="turns, of which the fastest counts")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)
    columns = {n: measure(n, args.rounds) for n in args.clips}
    rows = [
        {"call": what, **{f"n = {n}": columns[n][what] for n in args.clips}}
        for what in columns[args.clips[0]]
    ]
    bench_lib.report(rows, bench_lib.environment(), args.format)


if __name__ == "__main__":
    sys.exit(main())
