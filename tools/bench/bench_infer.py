"""Time the classification of single clips beside PyTorch's and onnxruntime's, in turns, one thread each.

    python tools/bench infer [--clips 16] [--rounds 200] [--turn 1] [--format table|csv|json]

One row a contender: milliseconds a clip of z-scored features (median), and that divided by npreslstm's.
PyTorch runs in inference mode: `packed` as the training bench has it, `padded` and `plain` without packing,
so that it can use oneDNN (`plain` assumes a single clip of full length), `traced` is `plain` through
torch.jit.trace and freeze. onnxruntime runs the model as npreslstm exports it, if it is installed. `products`
are the matrix products of a clip alone, in NumPy.
"""

import argparse
import importlib.util
import os
import sys
import tempfile

import bench_lib
import numpy as np

from npreslstm.checkpoint import load_checkpoint, load_model


def numpy_contenders(model, clips):
    """{name: callable}: infer, and the matrix products alone."""
    D, H = model.config.input_size, model.config.hidden_size
    rng = np.random.default_rng(0)
    W, U = (rng.standard_normal((rows, 4 * (D + H)), dtype=np.float32) for rows in (D, D + H))
    h, a = rng.standard_normal(D + H, dtype=np.float32), np.empty(4 * (D + H), dtype=np.float32)

    def products(k):
        x, lengths = clips[k % len(clips)]
        x[0] @ W
        for _ in range(lengths[0] + 1):
            np.dot(h, U, a)

    return {"npreslstm": lambda k: model.infer(*clips[k % len(clips)]), "products": products}


def torch_contenders(model, clips):
    """{name: callable}: PyTorch in several ways."""
    import torch
    import torch_reslstm

    torch.set_num_threads(1)
    nets = {
        name: torch_reslstm.load(getattr(torch_reslstm, name.title()), model).eval()
        for name in ("packed", "padded", "plain")
    }
    tensors = [(torch.as_tensor(x), torch.as_tensor(lengths)) for x, lengths in clips]
    nets["traced"] = torch.jit.freeze(torch.jit.trace(nets["plain"], tensors[0]))

    def contender(net):
        def run(k):
            with torch.inference_mode():
                return net(*tensors[k % len(tensors)])

        return run

    return {f"torch {name}": contender(net) for name, net in nets.items()}


def onnx_contenders(clips):
    """{name: callable}: the bundled weights in onnxruntime; nothing where it or onnx is missing."""
    if not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        return {}
    import onnxruntime

    from npreslstm.formats.onnx import export_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        export_onnx(load_checkpoint(), path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = [{"features": x, "lengths": lengths.astype(np.int64)} for x, lengths in clips]
    return {"onnxruntime": lambda k: session.run(["logits"], inputs[k % len(inputs)])}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=16, help="clips that are taken in turn")
    parser.add_argument("--rounds", type=int, default=200, help="turns, of which the median is taken")
    parser.add_argument(
        "--turn",
        type=int,
        default=1,
        help="clips in a row; a single one is what a program that classifies now and then does",
    )
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)
    what, features = bench_lib.clips(args.clips)
    clips = [bench_lib.pad([x]) for x in features]
    model = load_model()
    contenders = {
        **numpy_contenders(model, clips),
        **torch_contenders(model, clips),
        **onnx_contenders(clips),
    }
    times = bench_lib.interleave(contenders, args.rounds, turn=args.turn)
    rows = [
        {"contender": name, "ms": ms, "/ npreslstm": ms / times["npreslstm"]} for name, ms in times.items()
    ]
    bench_lib.report(
        rows, {"data": bench_lib.describe(what, features), **bench_lib.environment()}, args.format
    )


if __name__ == "__main__":
    sys.exit(main())
