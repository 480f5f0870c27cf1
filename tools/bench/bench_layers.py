"""Time npreslstm.fast against the reference, npreslstm.layers, in turns, one thread.

    python tools/bench layers [--rounds 9] [--format table|csv|json]

Milliseconds (medians of the rounds), and how many times as fast: each layer at the sizes of LSTM2, on 32
clips of 100 frames; the whole model on 32 clips of 69 to 124 frames, forward and backward in training, and on
one in inference.
"""

import argparse
import sys

import bench_lib
import numpy as np

from npreslstm.fast import attention, batchnorm, lstm
from npreslstm.fast.packing import packing
from npreslstm.layers import attention as reference_attention
from npreslstm.layers import batchnorm as reference_batchnorm
from npreslstm.layers import lstm as reference_lstm
from npreslstm.model import ResLSTM

N, T, D, H = 32, 100, 46, 64


def contenders():
    """{what: (fast, reference)}, each a function without arguments."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    weights = 0.3 * normal(4 * H, D), 0.1 * normal(4 * H, H)
    params = reference_lstm.LSTMParams(*weights, normal(4 * H), normal(4 * H))
    x, dy, dcontext, V = normal(T, N, D), normal(T, N, H), normal(N, H), normal(H, 1)
    gamma, beta = normal(D), normal(D)
    layout, rows, drows = packing(np.full(N, T)), x.reshape(-1, D), dy.reshape(-1, H)
    by_clip = np.ascontiguousarray(dy.swapaxes(0, 1))
    cache = lstm.lstm_forward(rows, params, layout)[2]
    reference_cache = reference_lstm.lstm_forward(x, params)[2]

    def both_ways(forward, backward, h):
        return lambda: backward(dcontext, forward(h, V)[1])

    def normalise(module):
        return lambda: module.batchnorm_backward(rows, module.batchnorm_forward(rows, gamma, beta)[2])

    return {
        "LSTM, forward": (
            lambda: lstm.lstm_forward(rows, params, layout),
            lambda: reference_lstm.lstm_forward(x, params),
        ),
        "LSTM, backward": (
            lambda: lstm.lstm_backward(drows, cache),
            lambda: reference_lstm.lstm_backward(dy, reference_cache),
        ),
        "attention, both ways": (
            both_ways(attention.attention_forward, attention.attention_backward, by_clip),
            both_ways(reference_attention.attention_forward, reference_attention.attention_backward, dy),
        ),
        "batch norm, both ways": (normalise(batchnorm), normalise(reference_batchnorm)),
        **_models(),
    }


def _models():
    _, clips = bench_lib.clips(N)
    x, lengths = bench_lib.pad(clips)
    fast = ResLSTM(rng=np.random.default_rng(0))
    reference = ResLSTM(rng=np.random.default_rng(0), backend="reference")
    one, frames = x[:1, : lengths[0]], lengths[:1]

    def step(model):
        logits, cache = model.forward(x, lengths, training=True)
        model.backward(logits, cache)

    return {
        "model, 32 clips, both ways": (lambda: step(fast), lambda: step(reference)),
        "model, one clip, inference": (lambda: fast.infer(one, frames), lambda: reference.infer(one, frames)),
    }


def main(argv=None):
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--rounds", type=int, default=9, help="turns, of which the median counts (default 9)")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)
    rows = []
    for what, pair in contenders().items():
        runs = {name: lambda _, run=run: run() for name, run in zip(("fast", "reference"), pair)}
        times = bench_lib.interleave(runs, args.rounds)
        rows.append({"what": what, **times, "times as fast": times["reference"] / times["fast"]})
    bench_lib.report(rows, bench_lib.environment(), args.format)


if __name__ == "__main__":
    sys.exit(main())
