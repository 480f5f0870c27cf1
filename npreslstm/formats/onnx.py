"""The model as an ONNX file, through the onnx library (``pip install npreslstm[onnx]``).

    features (clips, frames, D) float32, z-scored; lengths (clips,) int64, 1 <= lengths <= frames
    logits (clips, C) float32; attention (clips, frames) float32, zero past a clip's length

Clips and frames are dynamic. The operator LSTM is told the lengths and attention masks what lies past them,
so that a clip's result does not depend on its neighbours. Batch norms and both biases stay as they are; only
the order of gates changes (i, o, f, c). Statistics, classes and features of the checkpoint go along as
metadata, JSON under "npreslstm".

Letters: N clips, T frames, D inputs, H hidden, C classes, K attention vectors. Inside, time comes first: (T,
N, .).
"""

import json

import numpy as np

from npreslstm import __version__
from npreslstm.errors import InputError
from npreslstm.files import atomic_write
from npreslstm.formats.lstm_layouts import to_onnx
from npreslstm.layers.batchnorm import EPS

OPSET, IR_VERSION = 17, 8  # of 2022, so that runtimes since then take the file


def export_onnx(checkpoint, path):
    """Write a model for inference with ONNX Runtime and the like.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : str or os.PathLike
        The file to write, whole or not at all.

    Raises
    ------
    InputError
        If the onnx library is absent.
    """
    onnx = _library()
    graph = _Graph(onnx)
    _network(graph, checkpoint)
    model = onnx.helper.make_model(
        graph.finish(checkpoint.config), opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION, producer_name="npreslstm", producer_version=__version__,
    )  # fmt: skip
    onnx.helper.set_model_props(model, {"npreslstm": json.dumps(_metadata(checkpoint))})
    onnx.checker.check_model(model, full_check=True)
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


def _library():
    try:
        import onnx
    except ImportError:
        raise InputError("ONNX export needs the onnx library: pip install npreslstm[onnx]") from None
    return onnx


def _metadata(checkpoint):
    return {
        "sha256": checkpoint.sha256,
        "model": checkpoint.config.to_dict(),
        "features": checkpoint.features and checkpoint.features.to_dict(),
        "classes": checkpoint.classes and list(checkpoint.classes),
        "mean": None if checkpoint.mean is None else checkpoint.mean.tolist(),
        "std": None if checkpoint.std is None else checkpoint.std.tolist(),
    }


class _Graph:
    """Collects nodes and constants; every method returns the name of a tensor."""

    def __init__(self, onnx):
        self.onnx, self.nodes, self.constants = onnx, [], []

    def constant(self, name, value):
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator, inputs, output, **attributes):
        """One operator, of which the first output is wanted."""
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def finish(self, config):
        kinds, value = self.onnx.TensorProto, self.onnx.helper.make_tensor_value_info
        inputs = [
            value("features", kinds.FLOAT, ["clips", "frames", config.input_size]),
            value("lengths", kinds.INT64, ["clips"]),
        ]
        outputs = [
            value("logits", kinds.FLOAT, ["clips", config.num_classes]),
            value("attention", kinds.FLOAT, ["clips", "frames"]),
        ]
        return self.onnx.helper.make_graph(self.nodes, "reslstm_sa", inputs, outputs, self.constants)


def _network(graph, checkpoint):
    """Equations (R1) to (R4) of the model."""
    state = {name: np.asarray(tensor, np.float32) for name, tensor in checkpoint.state.items()}
    layers = checkpoint.config.num_layers
    graph.node("Cast", ["lengths"], "lengths_int32", to=graph.onnx.TensorProto.INT32)
    rows, last = graph.node("Transpose", ["features"], "x", perm=[1, 0, 2]), "lstm"  # (T, N, D)
    if checkpoint.config.kind == "reslstm-sa":
        hidden, last = _lstm(graph, state, "lstm1", layers, rows), "lstm2"
        residual = graph.node("Add", [rows, hidden], "residual")  # (R1)
        rows = _frames_normalised(graph, state, residual)
    hidden = _lstm(graph, state, last, layers, rows)  # (T, N, H)  (R2)
    context = _attention(graph, state, graph.node("Transpose", [hidden], "h", perm=[1, 0, 2]))  # (N, H)  (R3)
    head = _batchnorm(graph, state, "bn", context, "context_normalised")
    weights = [graph.constant(name, state[name]) for name in ("fc.weight", "fc.bias")]
    graph.node("Gemm", [head, *weights], "logits", transB=1)  # (R4)


def _lstm(graph, state, prefix, layers, rows):
    """A stack of LSTM layers: (T, N, D) -> (T, N, H)."""
    for k in range(layers):
        tensors = [
            state[f"{prefix}.{name}_l{k}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        inputs = [
            graph.constant(f"{prefix}.{name}_l{k}", tensor) for name, tensor in zip("WRB", to_onnx(*tensors))
        ]
        # (T, 1, N, H)
        hidden = graph.node(
            "LSTM",
            [rows, *inputs, "lengths_int32"],
            f"{prefix}.l{k}.directions",
            hidden_size=tensors[1].shape[1],
        )
        axis = graph.constant(f"{prefix}.l{k}.axis", np.array([1], np.int64))
        rows = graph.node("Squeeze", [hidden, axis], f"{prefix}.l{k}.h")
    return rows


def _frames_normalised(graph, state, rows):
    """The batch norm of frames; the operator wants features second: (T, N, D) -> (T, D, N) -> (T, N, D)."""
    turned = graph.node("Transpose", [rows], "residual_turned", perm=[0, 2, 1])
    normalised = _batchnorm(graph, state, "bn_residual", turned, "normalised_turned")
    return graph.node("Transpose", [normalised], "normalised", perm=[0, 2, 1])


def _batchnorm(graph, state, prefix, x, output):
    names = ("weight", "bias", "running_mean", "running_var")
    return graph.node(
        "BatchNormalization",
        [x, *(graph.constant(f"{prefix}.{n}", state[f"{prefix}.{n}"]) for n in names)],
        output,
        epsilon=EPS,
    )


def _attention(graph, state, h):
    """Masked soft attention (A1)-(A3): (N, T, H) -> (N, H)."""
    # (N, T, K)
    projections = graph.node(
        "MatMul", [h, graph.constant("attention_vector", state["attention_vector"])], "projections"
    )
    if "head_combine.weight" in state:
        combine = graph.constant("head_combine.weight", state["head_combine.weight"].T)  # (K, 1)
        projections = graph.node("MatMul", [projections, combine], "combined")
    last = graph.constant("axis_2", np.array([2], np.int64))
    scores = graph.node("Squeeze", [projections, last], "scores")  # (N, T)  (A1)
    minus_infinity = graph.constant("minus_infinity", np.array(-np.inf, np.float32))
    masked = graph.node("Where", [_mask(graph), scores, minus_infinity], "scores_masked")
    weights = graph.node("Softmax", [masked], "attention", axis=1)  # (A2)
    # (N, 1, T)
    row = graph.node(
        "Unsqueeze", [weights, graph.constant("axis_1", np.array([1], np.int64))], "attention_rows"
    )
    # (A3)
    return graph.node("Squeeze", [graph.node("MatMul", [row, h], "context_rows"), "axis_1"], "context")


def _mask(graph):
    """Valid frames (N, T): 0, 1, ... T - 1 < length."""
    frames = graph.node(
        "Gather",
        [graph.node("Shape", ["features"], "shape"), graph.constant("one", np.array(1, np.int64))],
        "frames",
    )
    # (T,)
    numbers = graph.node(
        "Range", [graph.constant("zero", np.array(0, np.int64)), frames, "one"], "frame_numbers"
    )
    # (N, 1)
    column = graph.node(
        "Unsqueeze", ["lengths", graph.constant("axis_last", np.array([-1], np.int64))], "lengths_column"
    )
    return graph.node("Less", [numbers, column], "mask")
