"""Make the golden LSTM files in tests/goldens: lstm_torch.npz, lstm_keras.npz, lstm_onnx.npz; --check makes
them again and compares.

Each holds one unidirectional and one bidirectional layer of a framework: its weights in its own layout, an
input with lengths, and what the framework computes, with the framework's version. Needs torch, keras (any
backend) and onnxruntime with onnx; a framework that is not installed is left out and said so.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")
GOLDENS = Path(__file__).resolve().parents[2] / "tests" / "goldens"
N, T, D, H = 4, 9, 3, 5
LENGTHS = np.array([9, 4, 1, 7])
SAME = 1e-6  # another version or processor may round otherwise; outputs are below 1


def arrays(seed, *shapes):
    """Random float32 arrays."""
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes]


def torch_layer(directions):
    """Outputs, final states and the gradients of a random weighting of the outputs."""
    import torch

    torch.manual_seed(directions)
    net = torch.nn.LSTM(D, H, 2, batch_first=True, bidirectional=directions == 2)
    x, h0, c0, dy = arrays(
        directions, (N, T, D), (2 * directions, N, H), (2 * directions, N, H), (N, T, directions * H)
    )
    given = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        given, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    y, (h_n, c_n) = net(packed, (torch.tensor(h0), torch.tensor(c0)))
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    (y * torch.tensor(dy)).sum().backward()
    made = {"x": x, "h0": h0, "c0": c0, "dy": dy, "y": y, "h_n": h_n, "c_n": c_n, "dx": given.grad}
    made |= {f"state/{name}": p for name, p in net.named_parameters()} | {
        f"grad/{name}": p.grad for name, p in net.named_parameters()
    }
    return {
        name: value.detach().numpy() if hasattr(value, "detach") else value for name, value in made.items()
    }


def keras_layer(directions):
    """Masked by lengths; `y` past a clip's length is what Keras repeats there."""
    import keras

    keras.utils.set_random_seed(directions)
    lstm = keras.layers.LSTM(
        H, return_sequences=True, bias_initializer="random_normal", unit_forget_bias=False
    )
    layer = lstm if directions == 1 else keras.layers.Bidirectional(lstm)
    (x,) = arrays(10 + directions, (N, T, D))
    y = keras.ops.convert_to_numpy(layer(x, mask=np.arange(T) < LENGTHS[:, None]))
    return {"x": x, "y": y} | {f"weights/{k}": np.asarray(w) for k, w in enumerate(layer.get_weights())}


def onnx_layer(directions):
    """The operator LSTM with sequence_lens and initial states in ONNX Runtime."""
    import onnx
    import onnxruntime

    make, kinds = onnx.helper, onnx.TensorProto
    W, R, B = arrays(20 + directions, (directions, 4 * H, D), (directions, 4 * H, H), (directions, 8 * H))
    x, h0, c0 = arrays(30 + directions, (T, N, D), (directions, N, H), (directions, N, H))
    inputs = {
        "X": x,
        "W": W,
        "R": R,
        "B": B,
        "sequence_lens": LENGTHS.astype(np.int32),
        "initial_h": h0,
        "initial_c": c0,
    }
    node = make.make_node(
        "LSTM",
        list(inputs),
        ["Y", "Y_h", "Y_c"],
        hidden_size=H,
        direction=("forward", "bidirectional")[directions - 1],
    )
    types = {np.dtype(np.int32): kinds.INT32, np.dtype(np.float32): kinds.FLOAT}
    values = [
        make.make_tensor_value_info(name, types[value.dtype], value.shape) for name, value in inputs.items()
    ]
    outputs = [make.make_tensor_value_info(name, kinds.FLOAT, None) for name in node.output]
    model = make.make_model(
        make.make_graph([node], "lstm", values, outputs),
        opset_imports=[make.make_opsetid("", 17)],
        ir_version=8,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return inputs | dict(zip(node.output, session.run(None, inputs)))


FRAMEWORKS = {
    "torch": (torch_layer, ("torch",)),
    "keras": (keras_layer, ("keras",)),
    "onnx": (onnx_layer, ("onnxruntime", "onnx")),
}


def make(framework):
    """{name: array} of a golden file; ImportError if the framework is absent."""
    layer, modules = FRAMEWORKS[framework]
    versions = {f"version/{name}": np.array(importlib.import_module(name).__version__) for name in modules}
    made = {
        f"{kind}/{name}": value
        for directions, kind in ((1, "forward"), (2, "bidirectional"))
        for name, value in layer(directions).items()
    }
    return versions | {"lengths": LENGTHS} | made


def differences(made, kept):
    """Names that are not in both, or whose values differ by more than rounding; versions may differ."""
    wrong = sorted(made.keys() ^ kept.keys())
    for name in sorted(made.keys() & kept.keys()):
        same = made[name].shape == kept[name].shape and (
            name.startswith("version/") or np.allclose(made[name], kept[name], rtol=SAME, atol=SAME)
        )
        wrong += [] if same else [name]
    return wrong


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare with the committed files instead of writing them; exit status 1 if they differ",
    )
    check, status = parser.parse_args(argv).check, 0
    for framework in FRAMEWORKS:
        path = GOLDENS / f"lstm_{framework}.npz"
        try:
            made = make(framework)
        except ImportError as error:
            print(f"{path.name}: left out, {error}")
            continue
        if not check:
            np.savez_compressed(path, **made)
            print(f"{path.name}: {len(made)} arrays, {path.stat().st_size:,} bytes")
            continue
        with np.load(path, allow_pickle=False) as file:
            wrong = differences(made, {name: file[name] for name in file.files})
        print(f"{path.name}: " + ("differs in " + ", ".join(wrong) if wrong else "is what this script makes"))
        status |= bool(wrong)
    return status


if __name__ == "__main__":
    sys.exit(main())
