"""`export_c`: a folder of C99 that computes what a checkpoint's model computes, with the proof to go with it.

The hand-written sources of ``ports/c`` are copied: the library (``src/``), its self-test (``extras/``),
examples, and what Arduino, PlatformIO, ESP-IDF, Zephyr and CMake read. Generated are the sizes
(``npr_sizes.h``), the weights (``npr_weights.c``), vectors for the self-test (``npr_vectors.[ch]``) and a
README; every one of them names the weights by their SHA-256.
"""

import dataclasses
import os
import re
from pathlib import Path

from npreslstm import __version__
from npreslstm.assets import package_folder
from npreslstm.audio.features import FeatureConfig
from npreslstm.errors import InputError
from npreslstm.files import atomic_write
from npreslstm.folding import fold, halve_sigmoids
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.ports import c_blob, c_integer, c_pack, c_readme, c_tables, c_vectors, c_weights

SOURCES = package_folder() / "ports" / "c"
# Read by make, CMake and ESP-IDF, Arduino, PlatformIO, Zephyr.
PACKAGING = (
    "Makefile",
    "CMakeLists.txt",
    "idf_component.yml",
    "library.properties",
    "library.json",
    "zephyr/module.yml",
    "zephyr/CMakeLists.txt",
    "zephyr/Kconfig",
)
COMMON = ("npr.h", "npr.hpp", "npr_internal.h", "npr_model.c")
FLOATS = ("npr_math.h",)
ARITHMETIC = {"float32": ("npr_float.c",), "int8": ("npr_int8.c", "npr_core.h", "npr_helium.c")}
FRONTEND = ("npr_frontend.h", "npr_spectrum.c", "npr_features.c")
CLIP = ("npr_clip.h", "npr_clip.c")
ACTIVITY = ("npr_activity.h", "npr_activity.c")
STREAM = ("npr_stream.h", "npr_stream.c", "npr_rate.c")
FRONTENDS = ("float", "integer")
BLOB = ("npr_blob.h", "npr_blob.c")
BLOB_EXAMPLES = ("esp32_i2s", "linux_alsa")
NAME = re.compile(
    "(?<![A-Za-z0-9_])(lib|-D|-l|CONFIG_|)(npr|NPR)(?![A-Za-z0-9])"
)  # what begins with the prefix
NUMBERS = "npr_weights.c", "npr_vectors.c"  # the weights, and what they compute
LIST = "exported.txt"  # names of the exported files
FORMS = {"in C": "Makefile", "for MicroPython": "selftest.py"}  # a file that only exports of this form have


def export_c(checkpoint, folder, type="float32", config=None, frontend="float", prefix="npr", weights="c"):
    """Write the C sources of a model.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or os.PathLike
        Made if it is not there. Files of an earlier export in C are replaced, and removed where they have no
        place any more; files of others are never replaced.
    type : {'float32', 'int8'}
        'int8' is the integer model of `quantize`.
    config : {'paper', 'mcu'}, optional
        The features, for a checkpoint that does not say how they are made; without either only the network is
        written.
    frontend : {'float', 'integer'}
        'integer' is that of `IntegerFrontend`, for cores without a floating point unit: then nothing from
        samples to probabilities is a float. It goes with type 'int8'.
    prefix : str
        What every symbol, macro and file name begins with, so that several models fit into one program; in
        macros its letters are capitals.
    weights : {'c', 'blob'}
        'blob': not in the program but in a file, ``npr_weights.bin``, which `npr_blob_open` checks and reads.

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
    _check_options(type, frontend, weights, prefix)
    checkpoint = with_features(checkpoint, config)
    integer = frontend == "integer"
    if integer:
        c_integer.check(checkpoint, type)
    _check_statistics(checkpoint)
    files = generated_files(checkpoint, type, integer, weights)
    files |= _copied_files(checkpoint.features, type, integer, weights)
    package = "npreslstm" if prefix == "npr" else f"npreslstm_{prefix}"
    licence = c_readme.package_licence(checkpoint)
    files = {
        _prefixed(name, prefix): _filled(content, prefix, package, licence) for name, content in files.items()
    }
    files[c_pack.file_name(package)] = c_pack.description(package, files)
    return write_files(folder, files)


def _check_options(type, frontend, weights, prefix):
    if type not in ARITHMETIC:
        raise InputError(f"type is {type!r}; expected {' or '.join(ARITHMETIC)}")
    if frontend not in FRONTENDS:
        raise InputError(f"frontend is {frontend!r}; expected {' or '.join(FRONTENDS)}")
    if weights not in ("c", "blob"):
        raise InputError(f"weights are {weights!r}; expected c or blob")
    if not re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", prefix):
        raise InputError(
            f"prefix is {prefix!r}; expected small letters, digits and single underscores, as in voice_1"
        )


def _check_statistics(checkpoint):
    if checkpoint.features is not None and (checkpoint.mean is None or checkpoint.std is None):
        raise InputError(
            "the weights have no statistics; expected mean and std to z-score the features with: npreslstm"
            " convert --mean-std adds them"
        )


def _copied_files(features, type, integer, weights):
    """{file name: text} of the sources that are written by hand and belong to an export."""
    library = {*COMMON, *ARITHMETIC[type], *_frontend_sources(features, integer)}
    library |= set(() if integer else FLOATS) | set(BLOB if weights == "blob" else ())
    examples = _examples(weights) if "npr_stream.h" in library else ()
    names = (*PACKAGING, *(f"src/{name}" for name in library), *_names("extras"), *examples)
    return {name: (SOURCES / name).read_text(encoding="utf-8") for name in names}


def _names(part):
    """Names of all files under a folder of `SOURCES`, which may lie in a zip file."""
    names = []
    for entry in (SOURCES / part).iterdir():
        name = f"{part}/{entry.name}"
        names += _names(name) if entry.is_dir() else [name]
    return names


def _examples(weights):
    """Names of the examples' files; those that open a blob, where the weights are one."""
    names = _names("examples")
    return names if weights == "c" else [name for name in names if name.split("/")[1] in BLOB_EXAMPLES]


def _filled(content, prefix, package, licence):
    """A file with the package's name, version and licence, and with the prefix."""
    if isinstance(content, bytes):
        return content
    if "LicenseRef" in licence:  # package managers refuse what is not on the list of SPDX
        content = "".join(line for line in content.splitlines(True) if "@LICENCE@" not in line)
    for mark, text in (("@VERSION@", __version__), ("@NAME@", package), ("@LICENCE@", licence)):
        content = content.replace(mark, text)
    return _prefixed(content, prefix)


def _prefixed(text, prefix):
    """Text with other prefixes of names; npreslstm keeps its name."""
    if prefix == "npr":
        return text
    return NAME.sub(lambda m: m[1] + (prefix if m[2] == "npr" else prefix.upper()), text)


def write_files(folder, files):
    """Write {name: text or bytes}, and remove what an earlier export wrote and this one does not.

    Raises
    ------
    InputError
        If that would replace a file that no export has written, or an export of another form.
    """
    listed = "\n".join(sorted({*files, LIST})) + "\n"
    files = {LIST: listed, **files}  # first, so that an export that was killed may be repeated
    before = Path(_folder_to_write(folder), LIST)
    old = before.read_text(encoding="utf-8").splitlines() if before.is_file() else ()
    _check_replaced(folder, files, old)
    for name in set(old) - files.keys():
        if re.fullmatch(r"[\w/.-]+", name) and not {"..", ""} & set(name.split("/")):
            Path(folder, name).unlink(missing_ok=True)
    for name, content in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        with atomic_write(path, "wb") as file:
            file.write(content)
    return sorted(files)


def _folder_to_write(folder):
    """`folder`, if it is one or can become one."""
    path = os.fspath(folder)
    if not path:
        raise InputError(f"the folder to write is {path!r}; expected its name")
    if os.path.lexists(path) and not os.path.isdir(path):
        raise InputError(f"{path} is no folder; expected one to write, or a name that is not there yet")
    return folder


def _check_replaced(folder, files, old):
    """Raise InputError if files that no earlier export has listed are in the way, or one of another form."""
    foreign = sorted(name for name in files.keys() - {*old} if os.path.lexists(os.path.join(folder, name)))
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise InputError(
            f"{folder} has {', '.join(foreign[:3])}{more}, which no export has written; choose another folder"
        )
    for form, name in FORMS.items():
        if name in old and name not in files:
            raise InputError(f"{folder} holds an export {form}; choose another folder, or delete it first")


def with_features(checkpoint, config):
    """The checkpoint with the features of a configuration, where it does not say how they are made."""
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
    behind = (
        *(ACTIVITY if c_tables.has_activity(features) else ()),
        *(STREAM if c_tables.has_stream(features) else ()),
    )
    if integer:
        return (*c_integer.SOURCES, *behind)
    c_tables.check_supported(features)
    return (*FRONTEND, *behind) if c_tables.is_streaming(features) else (*FRONTEND, *CLIP)


def generated_files(checkpoint, type, integer=False, where="c"):
    """{file name: text or bytes} of what is generated for a model, with the integer frontend or that of
    floats; `where` its weights are: 'c' or 'blob'.
    """
    tables = c_integer if integer else c_tables
    folded = halve_sigmoids(fold(checkpoint.config, checkpoint.state))
    quantized = QuantizedModel.from_checkpoint(checkpoint) if type == "int8" else None
    statistics = _statistics(checkpoint, quantized if integer else None)
    if quantized:
        weights = c_weights.int8_weights(checkpoint, quantized, statistics)
    else:
        weights = c_weights.float_weights(checkpoint, folded, statistics)
    arrays = {"npr_weights.c": weights.text} if where == "c" else weights.curves
    library = {"npr_sizes.h": _sizes(checkpoint, folded, type, integer, where)} | arrays
    proof = c_vectors.files(checkpoint, quantized, integer)
    bodies = {f"src/{name}": text for name, text in library.items()}
    bodies |= {f"extras/{name}": text for name, text in proof.items()}
    ledger = {
        "weights and tables of the network, const": weights.bytes,
        "`npr_state`": _state_bytes(folded, type),
    }
    if checkpoint.features is not None:
        bodies["src/npr_tables.c"] = tables.definitions(checkpoint.features)
        ledger |= tables.ledger(checkpoint.features)
    if c_tables.has_stream(checkpoint.features):
        bodies["src/npr_filters.c"] = c_tables.filters()
    prose = {
        "README.md": c_readme.readme(checkpoint, type, weights.crc, ledger, where, integer),
        "LICENSE": c_readme.licence(),
    }
    blob = {}
    if where == "blob":
        blob["npr_weights.bin"] = c_blob.blob(checkpoint, type, c_weights.FORMAT, weights, integer)
    notices = {name: c_readme.notice(checkpoint, type, name.endswith(NUMBERS)) for name in bodies}
    return {name: notices[name] + body for name, body in bodies.items()} | prose | blob


def _statistics(checkpoint, quantized):
    """{field of npr_model: array}; `quantized` is given where features are integers."""
    if quantized:
        return c_integer.statistics(checkpoint, quantized)
    return dict(zip(("mean", "inverse_std"), c_vectors.statistics(checkpoint)))


def _sizes(checkpoint, folded, type, integer, where):
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
        "NPR_STATE_BYTES": _state_bytes(folded, type),
        "NPR_BLOB": int(where == "blob"),
        "NPR_FEATURES": f"{c_blob.fingerprint(checkpoint.features, integer)}u",
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
