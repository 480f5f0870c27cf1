"""`export_c`: a folder of C99 that computes what a checkpoint's model computes, with the proof to go with it.

The hand-written sources of ``ports/c`` are copied. Generated beside them are the sizes (``npr_sizes.h``), the
weights (``npr_weights.c``), vectors for the self-test (``npr_vectors.[ch]``) and a README; every one of them
names the weights by their SHA-256.
"""

import dataclasses
import os
import zlib
from pathlib import Path

import numpy as np

from npreslstm.assets import package_folder
from npreslstm.audio.features import FeatureConfig
from npreslstm.errors import InputError
from npreslstm.files import atomic_write
from npreslstm.folding import fold, halve_sigmoids
from npreslstm.integer import fixed_point
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.ports import c_integer, c_readme, c_tables, c_text, c_vectors

SOURCES = package_folder() / "ports" / "c"
COMMON = (
    "npr.h",
    "npr_internal.h",
    "npr_model.c",
    "npr_selftest.c",
    "Makefile",
    "CMakeLists.txt",
)
FLOATS = ("npr_math.h",)
ARITHMETIC = {"float32": "npr_float.c", "int8": "npr_int8.c"}
FRONTEND = ("npr_frontend.h", "npr_spectrum.c", "npr_features.c")
CLIP = ("npr_clip.h", "npr_clip.c")
ACTIVITY = ("npr_activity.h", "npr_activity.c")
FRONTENDS = ("float", "integer")
FORMAT = 1  # NPR_FORMAT in npr.h


def export_c(checkpoint, folder, type="float32", config=None, frontend="float"):
    """Write the C sources of a model.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or os.PathLike
        Made if it is not there. Files of an earlier export are replaced, and removed where they have no place
        any more.
    type : {'float32', 'int8'}
        'int8' is the integer model of `quantize`.
    config : {'paper', 'mcu'}, optional
        The features, for a checkpoint that does not say how they are made; without either only the network is
        written.
    frontend : {'float', 'integer'}
        'integer' is that of `IntegerFrontend`, for cores without a floating point unit: then nothing from
        samples to probabilities is a float. It goes with type 'int8'.

    Returns
    -------
    list of str
        Names of the files, sorted.

    Raises
    ------
    InputError
        If the type is another, `config` contradicts the checkpoint, the model cannot be quantised, the C
        frontend cannot compute its features, or there are no statistics to z-score them with.
    """
    if type not in ARITHMETIC:
        raise InputError(f"type is {type!r}; expected {' or '.join(ARITHMETIC)}")
    if frontend not in FRONTENDS:
        raise InputError(f"frontend is {frontend!r}; expected {' or '.join(FRONTENDS)}")
    checkpoint = _with_features(checkpoint, config)
    integer = frontend == "integer"
    if integer:
        c_integer.check(checkpoint, type)
    if checkpoint.features is not None and (checkpoint.mean is None or checkpoint.std is None):
        raise InputError(
            "the weights have no statistics; expected mean and std to z-score the features with: npreslstm"
            " convert --mean-std adds them"
        )
    files = generated_files(checkpoint, type, integer)
    emulated = [f"qemu/{path.name}" for path in (SOURCES / "qemu").iterdir() if path.is_file()]
    frontend_sources = _frontend_sources(checkpoint.features, integer)
    floats = () if integer else FLOATS
    for name in (*COMMON, *emulated, ARITHMETIC[type], *floats, *frontend_sources):
        files[name] = (SOURCES / name).read_text(encoding="utf-8")
    os.makedirs(os.path.join(folder, "qemu"), exist_ok=True)
    for name in {
        *ARITHMETIC.values(),
        *FLOATS,
        *FRONTEND,
        *CLIP,
        *ACTIVITY,
        *c_integer.SOURCES,
        "npr_tables.c",
    } - files.keys():
        Path(folder, name).unlink(missing_ok=True)
    for name, text in files.items():
        with atomic_write(os.path.join(folder, name), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    return sorted(files)


def _with_features(checkpoint, config):
    if config is None:
        return checkpoint
    named = FeatureConfig.named(config)
    if checkpoint.features and dataclasses.replace(checkpoint.features, trim_db=named.trim_db) == named:
        return checkpoint  # `paper` may be trained with silence trimmed: it stays as the weights have it
    if checkpoint.features:
        raise InputError(
            f"the weights are for other features than {config!r}; expected the configuration they carry:"
            " leave config out"
        )
    if named.n_features != checkpoint.config.input_size:
        raise InputError(
            f"{config!r} has {named.n_features} features; the model takes {checkpoint.config.input_size}"
        )
    return dataclasses.replace(checkpoint, features=named)


def _frontend_sources(features, integer):
    if features is None:
        return ()
    if integer:
        return (*c_integer.SOURCES, *(ACTIVITY if c_tables.has_activity(features) else ()))
    c_tables.check_supported(features)
    if not c_tables.is_streaming(features):
        return (*FRONTEND, *CLIP)
    return (*FRONTEND, *ACTIVITY) if c_tables.has_activity(features) else FRONTEND


def generated_files(checkpoint, type, integer=False):
    """{file name: text} of what is generated for a model, with the integer frontend or that of floats."""
    tables = c_integer if integer else c_tables
    folded = halve_sigmoids(fold(checkpoint.config, checkpoint.state))
    quantized = QuantizedModel.from_checkpoint(checkpoint) if type == "int8" else None
    statistics = _statistics(checkpoint, quantized if integer else None)
    weights = (_int8_weights if quantized else _float_weights)(checkpoint, quantized or folded, statistics)
    bodies = {
        "npr_sizes.h": _sizes(checkpoint, folded, type, integer),
        "npr_weights.c": weights.text,
        **c_vectors.files(checkpoint, quantized, integer),
    }
    ledger = {
        "weights and tables of the network, const": weights.bytes,
        "`npr_state`": _state_bytes(folded, type),
    }
    if checkpoint.features is not None:
        bodies["npr_tables.c"] = tables.definitions(checkpoint.features)
        ledger |= tables.ledger(checkpoint.features)
    head = c_readme.notice(checkpoint, type)
    prose = {
        "README.md": c_readme.readme(checkpoint, type, weights.crc, ledger, integer),
        "LICENSE": c_readme.licence(),
    }
    return {name: head + body for name, body in bodies.items()} | prose


def _labels(checkpoint):
    return checkpoint.classes or tuple(f"class {k}" for k in range(checkpoint.config.num_classes))


def _statistics(checkpoint, quantized):
    """{field of npr_model: array}; `quantized` is given where features are integers."""
    if quantized:
        return c_integer.statistics(checkpoint, quantized)
    return dict(zip(("mean", "inverse_std"), c_vectors.statistics(checkpoint)))


def _sizes(checkpoint, folded, type, integer):
    hidden = [lstm.W_h.shape[1] for lstm in folded.lstms]
    values = {
        "NPR_INT8": int(type == "int8"),
        "NPR_INTEGER": int(integer),
        "NPR_INPUTS": folded.lstms[0].W_x.shape[1],
        "NPR_HIDDEN": hidden[-1],
        "NPR_CLASSES": len(folded.head_b),
        "NPR_LAYERS": len(hidden),
        "NPR_RESIDUAL": folded.residual,
        "NPR_UNITS": sum(hidden),
        "NPR_WIDEST": max(hidden),
    }
    if checkpoint.features is not None:
        values |= (c_integer if integer else c_tables).sizes(checkpoint.features)
    lines = [
        "#ifndef NPR_SIZES_H",
        "#define NPR_SIZES_H",
        "",
        *(f"#define {name} {value}" for name, value in values.items()),
    ]
    lines += [f'#define NPR_TYPE "{type}"', f'#define NPR_SHA256 "{checkpoint.sha256}"', "", "#endif", ""]
    return "\n".join(lines)


def _state_bytes(folded, type):
    """sizeof(npr_state) where int64_t is aligned to 8 bytes."""
    units, hidden = sum(lstm.W_h.shape[1] for lstm in folded.lstms), len(folded.attention)
    if type == "float32":
        return 16 + 4 * hidden + 8 * units
    return -(-(20 + 8 * hidden + 4 * units) // 8) * 8


def _panels(W_h, W_x):
    """Weights in the order that integer C reads them: four rows side by side, first of h, then of x."""
    both = np.concatenate([W_h, W_x], axis=1)  # (4H, H + D)
    return both.reshape(-1, 4, both.shape[1]).transpose(0, 2, 1).reshape(-1)


class _Weights:
    """Collects the text of npr_weights.c, and the checksum and size of the arrays in the order that
    npr_verify reads them.
    """

    def __init__(self, checkpoint, statistics):
        self.text = '#include "npr.h"\n\n'
        self.crc = self.bytes = 0
        self.statistics = ", ".join(statistics)
        for name, values in statistics.items():
            self.add(name, values)
        self.text += (
            "static const char *const labels[] = {"
            + ", ".join(map(c_text.string, _labels(checkpoint)))
            + "};\n\n"
        )

    def add(self, name, values, storage="static const"):
        self.text += c_text.array(name, values, storage) + "\n"
        self.crc = zlib.crc32(
            np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes(), self.crc
        )
        self.bytes += values.nbytes

    def lstms(self, rows):
        self.text += (
            "static const npr_lstm lstms[] = {\n" + ",\n".join("    {" + row + "}" for row in rows) + "};\n\n"
        )

    def model(self, checkpoint, folded_residual, layers, fields):
        config = checkpoint.config
        head = (
            f"{FORMAT}u, {self.crc:#010x}u, {config.input_size}, {config.hidden_size}, {config.num_classes},"
            f" {layers}, {folded_residual}"
        )
        self.text += f"const npr_model npr_weights = {{\n    {head},\n    {fields}, labels}};\n"


def _float_weights(checkpoint, folded, statistics):
    out, rows = _Weights(checkpoint, statistics), []
    for k, lstm in enumerate(folded.lstms):
        out.add(f"weights_{k}", np.concatenate([lstm.W_h, lstm.W_x], axis=1).T.astype(np.float32).reshape(-1))
        out.add(f"bias_{k}", lstm.b.astype(np.float32))
        rows.append(f"{lstm.W_x.shape[1]}, {lstm.W_h.shape[1]}, weights_{k}, bias_{k}")
    out.add("attention", folded.attention.astype(np.float32))
    out.add("head_weights", folded.head_W.astype(np.float32).reshape(-1))
    out.add("head_bias", folded.head_b.astype(np.float32))
    out.lstms(rows)
    fields = f"{out.statistics}, lstms, attention, head_weights, head_bias"
    out.model(checkpoint, folded.residual, len(rows), fields)
    return out


def _int8_weights(checkpoint, quantized, statistics):
    out, rows = _Weights(checkpoint, statistics), []
    for k, lstm in enumerate(quantized.lstms):
        out.add(f"weights_{k}", _panels(lstm.W_h, lstm.W_x))
        for name in ("bias", "multiplier", "shift", "recurrent_shift"):
            out.add(f"{name}_{k}", getattr(lstm, name))
        arrays = ", ".join(
            f"{name}_{k}" for name in ("weights", "bias", "multiplier", "shift", "recurrent_shift")
        )
        rows.append(f"{lstm.W_x.shape[1]}, {lstm.W_h.shape[1]}, {lstm.c_bits}, {arrays}")
    head = quantized.head
    out.add("attention", head.attention)
    out.add("head_weights", head.W.reshape(-1))
    for name in ("bias", "multiplier", "shift"):
        out.add(f"head_{name}", getattr(head, name))
    for name, table in (
        ("npr_tanh_table", fixed_point.TANH_TABLE),
        ("npr_exp2_table", fixed_point.EXP2_TABLE),
    ):
        declared = f"extern const {c_text.C_TYPES[table.dtype.name]} {name}[{len(table)}];\n"
        out.text += declared
        out.add(name, table, "const")
    out.lstms(rows)
    fields = f"{quantized.x_bits}, {head.score_shift}, {head.score_multiplier}, {out.statistics}, lstms"
    out.model(
        checkpoint,
        quantized.residual,
        len(rows),
        fields + ", attention, head_weights, head_bias, head_multiplier, head_shift",
    )
    return out
