"""Golden vectors: a folder with every stage of synthetic inputs, for the tests of other implementations.

    manifest.json          what made it, sizes, meaning and tolerance of every tensor, SHA-256 of every file
    weights.npz            the weights, so that the folder needs nothing else
    <case>.npz             the tensors, float64 as computed; `pcm` int16, `lengths` int64
    <case>.json            the same, rounded to float32
    npr_case_<case>.h      the same as C arrays, rounded to float32; clips and frames in one index

The reference computes in float64 from float32 weights. The tolerance for a float32 implementation is ten
times what this package's own float32 arithmetic deviates, tensor by tensor, and at least eight roundings.
"""

import hashlib
import json
import os
import platform
from typing import Any, NamedTuple

import numpy as np

from npreslstm import __version__
from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.errors import InputError, shown
from npreslstm.files import atomic_write
from npreslstm.formats.npy import read_npz
from npreslstm.formats.plain_data import read_json
from npreslstm.ports import c_text
from npreslstm.ports.vector_cases import Case, cases, compute, has_sound
from npreslstm.testing import compare

FORMAT, VERSION = "npreslstm vectors", 1
WEIGHTS, MANIFEST = "weights.npz", "manifest.json"
REMEDY = "export the vectors again"
ABOUT = {  # of a manifest, see `misfit`
    "format": str, "version": int, "weights": {"sha256": str}, "cases": ({str: dict}, [str]),
    "files": {str: str},
}  # fmt: skip
MOST_CASES = 100
# allowed when this package computes a folder again; another NumPy or processor achieves 1e-12
RECOMPUTED = 1e-10
SMALLEST = 8 * float(np.finfo(np.float32).eps)
MEANINGS = {
    "power": "power spectrum of each frame", "mel_db": "mel bands in dB, not below the floor",
    "tuning": "deviation from A440, in pitch classes", "features": "MFCC, then chroma",
    "input": "z-scored features", "i": "input gate", "f": "forget gate", "g": "cell candidate",
    "o": "output gate", "c": "cell state", "h": "hidden state", "residual": "input plus hidden state",
    "normalised": "after the batch norm of frames", "score": "of attention",
    "weight": "of attention, adds up to 1 over a clip", "context": "sum of weight times hidden state",
    "context_normalised": "after the batch norm of contexts", "logit": "before softmax",
    "probability": "after softmax",
}  # fmt: skip


class Vectors(NamedTuple):
    """A folder of vectors as read: `cases` is {case: {tensor: array}}, `lengths` among them, and `pcm` where
    it is sound.
    """

    manifest: dict[str, Any]
    cases: dict[str, dict[str, np.ndarray]]


def write_vectors(checkpoint, folder, progress=None):
    """Write the vectors of some weights.

    Parameters
    ----------
    checkpoint : Checkpoint
        Without features or statistics, all cases begin at z-scored features.
    folder : str or os.PathLike
        Made if it is not there; files of the same names are replaced, the manifest last.
    progress : callable, optional
        Called with the name of each case once it is written.

    Returns
    -------
    dict
        The manifest.
    """
    os.makedirs(folder, exist_ok=True)
    files, described, achieved = {}, {}, {}
    save_checkpoint(os.path.join(folder, WEIGHTS), checkpoint)
    files[WEIGHTS] = _sha256(os.path.join(folder, WEIGHTS))
    for name, case in cases(checkpoint).items():
        lengths, tensors = compute(checkpoint, case)
        _achieved(achieved, tensors, compute(checkpoint, case, np.float32)[1])
        stored = ({"pcm": case.pcm} if case.pcm is not None else {}) | {"lengths": lengths} | tensors
        files |= _write_case(folder, name, stored, checkpoint)
        described[name] = _description(case, stored)
        if progress:
            progress(name)
    manifest = _manifest(checkpoint) | {"tensors": _tensors(achieved), "cases": described, "files": files}
    with atomic_write(os.path.join(folder, MANIFEST), "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(manifest, indent=1) + "\n")
    return manifest


def read_vectors(folder):
    """Read a folder that `write_vectors` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no manifest.
    InputError
        If a file is damaged or of another version.
    """
    manifest = _read_manifest(folder)
    return Vectors(manifest, {name: _read_case(folder, name) for name in manifest["cases"]})


def _read_manifest(folder):
    path = os.path.join(folder, MANIFEST)
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"{folder} holds no golden vectors: there is no {MANIFEST} in it; expected a folder of npreslstm"
            " export vectors"
        )
    manifest = read_json(path, REMEDY, ABOUT)
    if (manifest["format"], manifest["version"]) != (FORMAT, VERSION):
        version = shown(manifest["version"])
        raise InputError(
            f"{folder} has vectors of version {version}; this version of npreslstm reads {VERSION}: export"
            " them again"
        )
    names = [*manifest["cases"], *manifest["files"]]
    if wrong := [
        name for name in names if os.path.basename(name) != name or not name.isprintable() or not name
    ]:
        raise InputError(f"{path} names {shown(wrong[0])}; expected files of the folder itself: {REMEDY}")
    if len(manifest["cases"]) > MOST_CASES:
        found = len(manifest["cases"])
        raise InputError(f"{path} has {found} cases; expected at most {MOST_CASES}: {REMEDY}")
    return manifest


def _case(stored, checkpoint):
    """What a case computes from: its sound, or where the weights do not say how features are made of it, what
    they hear of it.
    """
    if "pcm" in stored and has_sound(checkpoint):
        return Case("", stored["pcm"])
    return Case("", x=stored["input"], lengths=stored["lengths"])


def check_vectors(folder, checkpoint=None):
    """Compute a folder's vectors again and compare.

    Parameters
    ----------
    folder : str or os.PathLike
    checkpoint : Checkpoint, optional
        Default: the weights in the folder.

    Returns
    -------
    list of str
        What is wrong: files that changed, other weights, and for each case the first tensor that deviates.
        Empty if all is well.

    Raises
    ------
    FileNotFoundError, InputError
        If the folder cannot be read at all.
    """
    problems = changed_files(folder)
    vectors = read_vectors(folder)
    if checkpoint is None:
        checkpoint = load_checkpoint(os.path.join(folder, WEIGHTS))
    if checkpoint.sha256 != vectors.manifest["weights"]["sha256"]:
        problems.append(
            f"the weights have SHA-256 {checkpoint.sha256}; the vectors were made with"
            f" {vectors.manifest['weights']['sha256']}"
        )
    for name, stored in vectors.cases.items():
        try:
            case = _case(stored, checkpoint)
            problem = first_deviation(compute(checkpoint, case)[1], stored, RECOMPUTED)
        except InputError as error:  # weights for other features, or of other sizes
            problem = error
        if problem:
            problems.append(f"{name}: {problem}")
    return problems


def changed_files(folder):
    """Files that are missing or have another SHA-256 than the manifest says, one sentence each."""
    problems = []
    for name, digest in _read_manifest(folder)["files"].items():
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            problems.append(f"{name} is missing")
        elif _sha256(path) != digest:
            problems.append(f"{name} was changed: its SHA-256 is not the manifest's")
    return problems


def first_deviation(found, stored, tolerance):
    """Where the tensors of a case first deviate, in the order of computation; None if nowhere.

    Parameters
    ----------
    found : mapping of str to array
        Any part of the case's tensors.
    stored : mapping of str to array
        The case, of `read_vectors`.
    tolerance : float, or mapping of str to float
        Allowed deviation, times max(1, |value|); a mapping has one for each tensor.
    """
    expected = {name: array for name, array in stored.items() if name not in ("pcm", "lengths")}
    return compare.first_deviation(found, expected, stored["lengths"], tolerance, "the vector")


def _achieved(achieved, exact, rounded):
    """Take in the deviation of float32 arithmetic, tensor by tensor."""
    for name, expected in exact.items():
        found = np.abs(rounded[name] - expected) / np.maximum(1, np.abs(expected))
        achieved[name] = max(achieved.get(name, 0.0), float(found.max()))


def _tensors(achieved):
    described = {}
    for name, worst in achieved.items():
        meaning = MEANINGS[name.rpartition(".")[2]]
        tolerances = {"float32_tolerance": max(10 * worst, SMALLEST), "float64_tolerance": RECOMPUTED}
        described[name] = {"meaning": meaning, "float32_achieved": worst} | tolerances
    return described


def _manifest(checkpoint):
    return {
        "format": FORMAT,
        "version": VERSION,
        "weights": {"file": WEIGHTS, "sha256": checkpoint.sha256},
        "made_with": {"npreslstm": __version__, "numpy": np.__version__, "python": platform.python_version()},
        "model": checkpoint.config.to_dict(),
        "features": checkpoint.features.to_dict() if has_sound(checkpoint) else None,
        "classes": checkpoint.classes and list(checkpoint.classes),
        "tolerance": (
            "a value may deviate by the tolerance times max(1, |value|); entries past a clip's length are"
            " zero and need not be compared"
        ),
    }


def _description(case, stored):
    shapes = {name: list(array.shape) for name, array in stored.items()}
    begins_at = "input" if case.pcm is None else "pcm"
    return {
        "description": case.description,
        "begins_at": begins_at,
        "lengths": stored["lengths"].tolist(),
        "shapes": shapes,
    }


def _write_case(folder, name, stored, checkpoint):
    """Write one case in its three forms; returns {file: SHA-256}."""
    header = f"npr_case_{name.replace('-', '_')}.h"
    rounded = {
        key: array if array.dtype.kind == "i" else array.astype(np.float32) for key, array in stored.items()
    }
    texts = {f"{name}.json": _json(name, rounded), header: _c_header(name, rounded, checkpoint)}
    with atomic_write(os.path.join(folder, f"{name}.npz")) as file:
        np.savez(file, **stored)
    for file_name, text in texts.items():
        with atomic_write(os.path.join(folder, file_name), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    return {file_name: _sha256(os.path.join(folder, file_name)) for file_name in (f"{name}.npz", *texts)}


def _read_case(folder, name):
    path = os.path.join(folder, f"{name}.npz")
    stored = read_npz(path, REMEDY)
    missing = np.zeros(0)
    lengths, x, pcm = (stored.get(key, missing) for key in ("lengths", "input", "pcm"))
    fits = lengths.ndim == 1 and lengths.size and lengths.dtype.kind == "i" and lengths.min() >= 1
    fits = fits and x.ndim == 3 and x.dtype.kind == "f"
    fits = fits and len(x) == len(lengths) and lengths.max() <= x.shape[1]
    fits = fits and ("pcm" not in stored or (pcm.dtype == np.int16 and pcm.ndim == 1 and pcm.size))
    if not fits or any(array.dtype.kind not in "fi" for array in stored.values()):
        raise InputError(f"{path} does not hold a case: {REMEDY}")
    return stored


def _json(name, stored):
    """Nine digits give a float32 back exactly."""
    rows = []
    for key, array in stored.items():
        values = ",".join(
            map(str, array.ravel().tolist())
            if array.dtype.kind == "i"
            else (f"{v:.9g}" for v in array.ravel().tolist())
        )
        rows.append(
            f'  "{key}": {{"type": "{array.dtype.name}", "shape": {list(array.shape)}, "values": [{values}]}}'
        )
    return f'{{"case": "{name}", "tensors": {{\n' + ",\n".join(rows) + "\n}}\n"


def _c_header(name, stored, checkpoint):
    prefix = f"npr_{name.replace('-', '_')}"
    guard, clips = prefix.upper() + "_H", len(stored["lengths"])
    lines = [
        f"/* Golden vectors by npreslstm {__version__}: case {name}. Weights: SHA-256 {checkpoint.sha256}",
        " * Tensors of several clips have the frames of the first clip, then those of the second,"
        " and so on. */",
        f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", "",
        f"#define {prefix.upper()}_CLIPS {clips}",
        f"#define {prefix.upper()}_FRAMES {stored['input'].shape[1]}", "",
    ]  # fmt: skip
    for key, array in stored.items():
        flat = array.astype(np.int32) if key == "lengths" else array
        flat = flat.reshape(-1, flat.shape[-1]) if flat.ndim > 1 else flat
        lines.append(c_text.array(f"{prefix}_{key.replace('.', '_')}", flat, "static const"))
    return "\n".join([*lines, "#endif", ""])


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
