"""Latency of one clip: the exported C as a shared library beside onnxruntime, PyTorch and NumPy, one thread,
in turns.

    python tools/bench c [--weights NAME] [--rounds N] [--format table|csv|json]

Features are z-scored and, for int8, quantised beforehand; every contender gives logits. Needs a C compiler,
torch and onnxruntime.
"""

import argparse
import io
import tempfile
import warnings
from pathlib import Path

import bench_lib
import numpy as np

FRAMES = 87  # RAVDESS's mean at 48 kHz with a hop of 2048


def contenders(checkpoint, clips, folder):
    """{name: callable taking the number of a clip}."""
    from npreslstm.integer.quantize import QuantizedModel
    from npreslstm.ports.c_export import export_c
    from npreslstm.ports.c_library import CLibrary, build

    libraries = {}
    for type in ("float32", "int8"):
        export_c(checkpoint, folder / type, type)
        build(folder / type)
        libraries[type] = CLibrary(folder / type)
    quantized = [QuantizedModel.from_checkpoint(checkpoint).quantize(x) for x in clips]
    model = checkpoint.model()
    run_torch, run_onnx = peers(model, clips[0])
    return {
        "C float32": lambda k: libraries["float32"].infer(clips[k % len(clips)]),
        "C int8": lambda k: libraries["int8"].infer(quantized[k % len(clips)]),
        "onnxruntime": lambda k: run_onnx(clips[k % len(clips)][None]),
        "PyTorch": lambda k: run_torch(clips[k % len(clips)][None]),
        "npreslstm (NumPy)": lambda k: model.infer(clips[k % len(clips)][None], [len(clips[k % len(clips)])])[
            0
        ],
    }


def peers(model, example):
    """The same network in PyTorch and, exported from there, in onnxruntime: functions of (1, T, D) that give
    (1, C).
    """
    import onnxruntime
    import torch
    from torch_reslstm import Packed, load

    class OneClip(Packed):
        def forward(self, x):
            rows = self.bn_residual((x + self.lstm1(x)[0])[0])[None]
            hidden, _ = self.lstm2(rows)
            alpha = torch.softmax(hidden @ self.attention_vector, dim=1)
            return self.fc(self.bn((alpha * hidden).sum(dim=1)))

    torch.set_num_threads(1)
    net = load(OneClip, model).eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's plans, not of this model
        options = {
            "input_names": ["x"],
            "dynamic_axes": {"x": {1: "T"}},
            "opset_version": 17,
            "dynamo": False,
        }
        torch.onnx.export(net, (torch.as_tensor(example[None]),), file, **options)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options)

    def run_torch(x):
        with torch.inference_mode():
            return net(torch.as_tensor(x)).numpy()

    return run_torch, lambda x: session.run(None, {"x": x})[0]


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="bench c", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="mcu")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)

    from npreslstm.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(args.weights)
    clips = list(
        np.random.default_rng(0).standard_normal((8, FRAMES, checkpoint.config.input_size)).astype(np.float32)
    )
    with tempfile.TemporaryDirectory() as folder:
        runs = contenders(checkpoint, clips, Path(folder))
        logits = {name: np.ravel(run(0)) / (65536 if name == "C int8" else 1) for name, run in runs.items()}
        milliseconds = bench_lib.interleave(runs, args.rounds, warm_up=20)
    rows = [
        {
            "contender": name,
            "ms a clip": time,
            "times C float32": time / milliseconds["C float32"],
            "largest logit difference from NumPy": (
                f"{np.abs(logits[name] - logits['npreslstm (NumPy)']).max():.1e}"
            ),
        }
        for name, time in milliseconds.items()
    ]
    bench_lib.report(rows, bench_lib.environment() | {"frames a clip": FRAMES}, args.format)


if __name__ == "__main__":
    main()
