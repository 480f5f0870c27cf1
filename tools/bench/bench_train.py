"""Time one training step (forward, backward, Adam with coupled L2) beside PyTorch's, in turns, one thread
each.

    python tools/bench train [--batch 8 16 32 64] [--rounds 15] [--turn 4] [--format table|csv|json]

A turn is four steps, on up to four batches, since in training a step follows a step; `--turn 1` makes each of
them the first after the others'. Columns: milliseconds a step (medians). npreslstm; torch with nn.LSTM on
packed sequences and its default Adam; the same with its fused Adam; torch on padded sequences (oneDNN's LSTM)
with fused Adam; the step's matrix products alone in NumPy. Then torch / npreslstm for each of the three, and
products / npreslstm, the share of the matrix-product limit. `floats / MH` is the most memory that the forward
and backward pass hold, in float32 numbers a frame and hidden unit of the last layer.
"""

import argparse
import sys
import tracemalloc

import bench_lib
import numpy as np

from npreslstm.fast.lstm import PIECE
from npreslstm.fast.packing import packing
from npreslstm.layers.loss import cross_entropy, one_hot
from npreslstm.memory import keep_freed_memory
from npreslstm.model import ResLSTM
from npreslstm.training.optimizer import Adam

LR, WEIGHT_DECAY = 1e-4, 1.6e-3
PEERS = ("torch", "torch fused", "torch padded")


def numpy_step(model, batches):
    keep_freed_memory()  # as the trainer does
    optimizer = Adam(len(model.vector), WEIGHT_DECAY)
    gradient = np.empty_like(model.vector)
    rng = np.random.default_rng(0)

    def step(k):
        x, lengths, labels = batches[k % len(batches)]
        logits, cache = model.forward(x, lengths, training=True, rng=rng)
        _, dlogits = cross_entropy(logits, one_hot(labels, model.config.num_classes))
        model.backward(dlogits, cache, out=gradient)
        optimizer.update(model.vector, gradient, LR)

    return step


def floats_held(model, batch):
    """Largest number of float32 values that one forward and backward pass hold at a time."""
    x, lengths, labels = batch
    gradient, rng = np.empty_like(model.vector), np.random.default_rng(0)
    dlogits = one_hot(labels, model.config.num_classes) / len(x)
    tracemalloc.start()
    _, cache = model.forward(x, lengths, training=True, rng=rng)
    model.backward(dlogits, cache, out=gradient)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 4


def torch_step(kind, model, batches, fused):
    import torch
    import torch_reslstm

    torch.set_num_threads(1)
    net = torch_reslstm.load(getattr(torch_reslstm, kind), model).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=LR, weight_decay=WEIGHT_DECAY, fused=fused or None)
    loss = torch.nn.CrossEntropyLoss()
    tensors = [tuple(map(torch.as_tensor, batch)) for batch in batches]

    def step(k):
        x, lengths, labels = tensors[k % len(tensors)]
        optimizer.zero_grad()
        loss(net(x, lengths), labels).backward()
        optimizer.step()

    return step


def products(config, batches):
    """The matrix products of a step and nothing else: operands as in `lstm_forward` and `lstm_backward`,
    results of one shape into one array.
    """
    rng = np.random.default_rng(0)
    D, H = config.input_size, config.hidden_size
    results = {}

    def operand(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    def calls(lengths, hidden, need_dx):
        layout = packing(lengths)
        K, M = D + 1 + hidden, layout.rows
        z, da, W, W_hh, W_ih = (
            operand(*shape)
            for shape in ((M, K), (4, M, hidden), (4, K, hidden), (4, hidden, hidden), (4, hidden, D))
        )
        frames = [slice(*ends) for ends in zip(layout.offsets, layout.offsets[1:])]
        pieces = [slice(start, start + PIECE) for start in range(0, M, PIECE)]
        pairs = [(z[rows], W) for rows in frames] + [(da[:, rows], W_hh) for rows in frames]
        pairs += [(z[rows].T, da[:, rows]) for rows in pieces] + [
            (da[:, rows], W_ih) for rows in pieces
        ] * need_dx
        shapes = [(4, left.shape[-2], right.shape[-1]) for left, right in pairs]
        return [
            (left, right, results.setdefault(shape, np.empty(shape, dtype=np.float32)))
            for (left, right), shape in zip(pairs, shapes)
        ]

    prepared = [calls(lengths, D, False) + calls(lengths, H, True) for _, lengths, _ in batches]

    def step(k):
        for left, right, result in prepared[k % len(prepared)]:
            np.matmul(left, right, out=result)

    return step


def measure(N, features, rounds, turn):
    """One row of the table."""
    rng = np.random.default_rng(N)
    batches = []
    for _ in range(max(1, min(4, len(features) // N))):
        chosen = rng.choice(len(features), N, replace=False)
        batches.append((*bench_lib.pad([features[k] for k in chosen]), rng.integers(8, size=N)))
    model = ResLSTM(rng=np.random.default_rng(1))
    times = bench_lib.interleave(
        {
            "npreslstm": numpy_step(model, batches),
            "torch": torch_step("Packed", model, batches, False),
            "torch fused": torch_step("Packed", model, batches, True),
            "torch padded": torch_step("Padded", model, batches, True),
            "products": products(model.config, batches),
        },
        rounds,
        turn=turn,
    )
    ours = times["npreslstm"]
    ratios = {f"{peer} /": times[peer] / ours for peer in PEERS}
    memory = floats_held(model, batches[0]) / (batches[0][1].sum() * model.config.hidden_size)
    return {"batch": N, **times, **ratios, "share": times["products"] / ours, "floats / MH": float(memory)}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 16, 32, 64], help="clips a batch")
    parser.add_argument("--rounds", type=int, default=15, help="turns, of which the median is taken")
    parser.add_argument("--turn", type=int, default=4, help="steps in a row")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)
    what, features = bench_lib.clips(2 * max(args.batch))
    rows = [measure(N, features, args.rounds, args.turn) for N in args.batch]
    bench_lib.report(
        rows, {"data": bench_lib.describe(what, features), **bench_lib.environment()}, args.format
    )


if __name__ == "__main__":
    sys.exit(main())
