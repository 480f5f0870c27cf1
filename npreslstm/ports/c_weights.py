"""npr_weights.c: the arrays of a model, with the checksum that `npr_verify` computes again."""

import zlib

import numpy as np

from npreslstm.integer import fixed_point
from npreslstm.ports import c_blob, c_text

FORMAT = 3  # NPR_FORMAT in npr.h


class Weights:
    """Collects the text of npr_weights.c, and the checksum, size and bytes of the arrays in the order that
    npr_verify reads them.
    """

    def __init__(self, checkpoint, statistics):
        self.text = '#include "npr.h"\n\n'
        self.crc = self.bytes = 0
        self.arrays, self.layers = [], []
        self.curves = {}  # {file name: text} of what stays in the program when the rest is a blob
        self.statistics = list(statistics)
        for name, values in statistics.items():
            self.add(name, values)
        self.text += (
            "static const char *const labels[] = {"
            + ", ".join(map(c_text.string, c_blob.labels_of(checkpoint)))
            + "};\n\n"
        )

    def add(self, name, values, storage="static NPR_CONST"):
        """An array of the weights."""
        self.text += c_text.array(name, values, storage) + "\n"
        self.arrays.append(values)
        self._count(values)

    def add_curve(self, name, values):
        """A table that is the same for all weights."""
        text = f"extern const {c_text.C_TYPES[values.dtype.name]} {name}[{len(values)}];\n"
        text += c_text.array(name, values) + "\n"
        self.text += text
        self.curves["npr_curves.c"] = self.curves.get("npr_curves.c", '#include "npr.h"\n\n') + text
        self._count(values)

    def _count(self, values):
        self.crc = zlib.crc32(c_blob.little_endian(values), self.crc)
        self.bytes += values.nbytes

    def layer(self, numbers, names):
        """One LSTM layer: what its struct begins with, and the arrays that follow."""
        self.layers.append((numbers, names))

    def model(self, checkpoint, residual, numbers, names):
        """The model: the numbers of its struct before the statistics, and the arrays after the layers."""
        config = checkpoint.config
        sizes = [config.input_size, config.hidden_size, config.num_classes, len(self.layers), residual]
        self.numbers = [*sizes, *numbers]
        rows = ",\n".join(
            "    {" + ", ".join([*map(str, numbers), *names]) + "}" for numbers, names in self.layers
        )
        self.text += f"static const npr_lstm lstms[] = {{\n{rows}}};\n\n"
        fields = ", ".join(map(str, [f"{FORMAT}u", f"{self.crc:#010x}u", *self.numbers]))
        arrays = ", ".join([*self.statistics, "lstms", *names, "labels"])
        self.text += f"const npr_model npr_weights = {{\n    {fields},\n    {arrays}}};\n"


def float_weights(checkpoint, folded, statistics):
    """The `Weights` of a model in single precision."""
    out = Weights(checkpoint, statistics)
    for k, lstm in enumerate(folded.lstms):
        out.add(f"weights_{k}", np.concatenate([lstm.W_h, lstm.W_x], axis=1).T.astype(np.float32).reshape(-1))
        out.add(f"bias_{k}", lstm.b.astype(np.float32))
        out.layer([lstm.W_x.shape[1], lstm.W_h.shape[1]], [f"weights_{k}", f"bias_{k}"])
    out.add("attention", folded.attention.astype(np.float32))
    out.add("head_weights", folded.head_W.astype(np.float32).reshape(-1))
    out.add("head_bias", folded.head_b.astype(np.float32))
    out.model(checkpoint, folded.residual, [], ["attention", "head_weights", "head_bias"])
    return out


def int8_weights(checkpoint, quantized, statistics):
    """The `Weights` of an integer model."""
    out = Weights(checkpoint, statistics)
    for k, lstm in enumerate(quantized.lstms):
        out.add(f"weights_{k}", _panels(lstm.W_h, lstm.W_x), "static NPR_CONST NPR_ALIGNED")
        names = ["bias", "multiplier", "recurrent_shift"]
        for name in names:
            out.add(f"{name}_{k}", getattr(lstm, name))
        arrays = [f"{name}_{k}" for name in ("weights", *names)]
        out.layer([lstm.W_x.shape[1], lstm.W_h.shape[1], lstm.c_bits], arrays)
    head = quantized.head
    out.add("attention", head.attention)
    out.add("head_weights", head.W.reshape(-1))
    for name in ("bias", "multiplier", "shift"):
        out.add(f"head_{name}", getattr(head, name))
    out.add_curve("npr_tanh_table", fixed_point.TANH_TABLE)
    out.add_curve("npr_exp2_table", fixed_point.EXP2_TABLE)
    numbers = [quantized.x_bits, head.score_shift, head.score_multiplier]
    names = ["attention", "head_weights", "head_bias", "head_multiplier", "head_shift"]
    out.model(checkpoint, quantized.residual, numbers, names)
    return out


def _panels(W_h, W_x):
    """Weights in the order that integer C reads them (npr_core.h): four rows a panel, first of h, then of x;
    of each two columns after two columns, and of those two rows after two rows.
    """

    def paired(W):  # (4H, n) -> (H, 4 n)
        H, n = len(W) // 4, W.shape[1]
        columns = W.reshape(H, 4, n)
        pairs = columns[:, :, : n - n % 2].reshape(H, 2, 2, n // 2, 2)  # panel, rows, columns
        ordered = pairs.transpose(0, 3, 1, 4, 2).reshape(H, 4 * (n - n % 2))
        return np.concatenate([ordered, columns[:, :, n - n % 2 :].reshape(H, -1)], axis=1)

    return np.concatenate([paired(W_h), paired(W_x)], axis=1).reshape(-1)
