"""An exported folder as a shared library, called from Python through ctypes: for tests, and for speed on a
host.
"""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npreslstm.annotations import Array, BoolArray, StrPath
from npreslstm.errors import InputError

UNDECIDED = -1  # of npr_decision
Argument: TypeAlias = "Array | int | ctypes._SimpleCData[Any] | ctypes._CArgObject"  # of a function in C
HOST_FLAGS = "-O3 -march=native -ffp-contract=fast"


def build(folder: StrPath, cc: str = "cc", cflags: str = HOST_FLAGS) -> Path:
    """Compile ``libnpr.so`` in an exported folder.

    Parameters
    ----------
    folder : str or os.PathLike
        As `export_c` writes it.
    cc, cflags : str
        Compiler and flags; what the Makefile always adds makes every warning an error.

    Returns
    -------
    pathlib.Path
        The library.

    Raises
    ------
    InputError
        With the compiler's first line if it fails.

    Examples
    --------
    >>> from npreslstm.checkpoint import load_checkpoint
    >>> from npreslstm.ports.c_export import export_c
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = export_c(load_checkpoint("mcu"), folder, "int8")
    ...     build(folder, cflags="-O1").name
    'libnpr.so'
    """
    done = subprocess.run(
        ["make", "-s", "-C", os.fspath(folder), "libnpr.so", f"CC={cc}", f"CFLAGS={cflags}"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise InputError(
            f"{folder} does not compile with {cc}: {(done.stderr or done.stdout).strip().splitlines()[0]}"
        )
    return Path(folder) / "libnpr.so"


class CLibrary:
    """The functions of an exported folder on NumPy arrays. One object is one clip at a time.

    Parameters
    ----------
    folder : str or os.PathLike
        With ``npr_sizes.h`` and ``libnpr.so``.

    Attributes
    ----------
    sizes : dict
        The macros of ``npr_sizes.h`` that are integers.
    state : ctypes.Structure
        ``npr_state``; its fields can be read after every frame.

    Examples
    --------
    >>> from npreslstm.checkpoint import load_checkpoint
    >>> from npreslstm.ports.c_export import export_c
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = export_c(load_checkpoint("mcu"), folder, "float32")
    ...     library = CLibrary(build(folder, cflags="-O1").parent)
    >>> pcm = np.zeros(16000, np.int16)
    >>> frames = np.array([library.normalise(row) for row in library.features(pcm)])
    >>> library.push(frames[:10])
    >>> library.push(frames[10:])
    >>> probabilities, label = library.result()
    >>> logits, context = library.logits()
    >>> bool((library.infer(frames) == logits).all())  # which begins anew
    True
    >>> probabilities.shape, bool(library.activity(pcm).any())
    ((8,), False)
    >>> library.call("npr_init")  # any other function of the model and its state
    >>> library.check(library.lib.npr_reset(library.model, None))  # any function at all, by its status
    Traceback (most recent call last):
    ...
    npreslstm.errors.InputError: a pointer is NULL
    """

    def __init__(self, folder: StrPath) -> None:
        self.sizes = _sizes(Path(folder) / "src" / "npr_sizes.h")
        self.lib = _load(Path(folder) / "libnpr.so")
        self.lib.npr_status_text.restype = ctypes.c_char_p
        self.model = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(self.lib, "npr_weights")))
        self.value = np.dtype(np.int16 if self.sizes["NPR_INT8"] else np.float32)
        self.logit = np.dtype(np.int32 if self.sizes["NPR_INT8"] else np.float32)
        integer = self.sizes.get("NPR_INTEGER", 0)
        self.feature = np.dtype(np.int32 if integer else np.float32)
        self.probability = np.dtype(np.uint16 if integer else np.float32)
        self.state = _state_type(self.sizes)()
        self.call("npr_init")

    def call(self, name: str, *arguments: Argument, state: bool = True) -> None:
        """Call ``name(model, state, arguments...)``; arrays become pointers, integers size_t.

        Raises
        ------
        InputError
            If the status is not NPR_OK.
        """
        first = (self.model, ctypes.byref(self.state)) if state else (self.model,)
        self.check(getattr(self.lib, name)(*first, *_arguments(*arguments)))

    def check(self, status: int) -> None:
        """Raise InputError with the text of a status other than NPR_OK."""
        if status:
            raise InputError(self.lib.npr_status_text(status).decode())

    def normalise(self, features: ArrayLike) -> Array:
        """``npr_normalise``: raw features (D,) -> z-scored, and quantised in int8 models."""
        x = np.empty(self.sizes["NPR_INPUTS"], self.value)
        features = np.ascontiguousarray(features, None if self.feature == np.int32 else np.float32)
        features = _of_type("features", features, self.feature)
        self.call("npr_normalise", features, len(features), x, state=False)
        return x

    def push(self, x: ArrayLike) -> None:
        """``npr_push_values``: one frame (D,), or several (T, D), as `normalise` gives them; InputError for
        another type of number.
        """
        x = _of_type("normalised frames", x, self.value)
        self.call("npr_push_values", x, x.size)

    def logits(self) -> tuple[Array, Array]:
        """``npr_logits``: (logits (C,), context (H,)) of the frames so far."""
        logits, context = (
            np.empty(self.sizes["NPR_CLASSES"], self.logit),
            np.empty(self.sizes["NPR_HIDDEN"], self.value),
        )
        self.call("npr_logits", logits, context)
        return logits, context

    def result(self) -> tuple[Array, int]:
        """``npr_result``: (probabilities (C,), number of the largest); of the integer frontend in Q15."""
        probabilities, label = np.empty(self.sizes["NPR_CLASSES"], self.probability), ctypes.c_size_t()
        self.call("npr_result", probabilities, len(probabilities), ctypes.byref(label))
        return probabilities, label.value

    def infer(self, x: ArrayLike) -> Array:
        """Logits (C,) of one clip of normalised frames x (T, D)."""
        self.call("npr_init")
        self.push(x)
        return self.logits()[0]

    def features(self, pcm: ArrayLike) -> Array:
        """Raw features (T, D) of mono int16 samples at the rate of the model, by the frontend that was
        exported: float32, or int32 of the integer one.
        """
        pcm = _of_type("samples", pcm, np.dtype(np.int16))
        return self._stream(pcm) if "NPR_TUNING_FIXED" in self.sizes else self._clip(pcm)

    def activity(self, pcm: ArrayLike, piece: int = 512) -> BoolArray:
        """Decisions (hops,) bool of the voice-activity gate about mono int16 samples at 16 kHz, in pieces of
        up to 512.
        """
        pcm = _of_type("samples", pcm, np.dtype(np.int16))
        gate, decision, decisions = ctypes.create_string_buffer(256), ctypes.c_int(), []
        self.check(self.lib.npr_activity_init(gate))
        for start in range(0, len(pcm), piece):
            part = pcm[start : start + piece]
            self.check(self.lib.npr_activity_push(gate, *_arguments(part, len(part), ctypes.byref(decision))))
            decisions.append(decision.value)
        decision.value = 0
        while decision.value != UNDECIDED:
            self.check(self.lib.npr_activity_flush(gate, ctypes.byref(decision)))
            decisions.append(decision.value)
        return np.array([value for value in decisions if value != UNDECIDED], bool)

    def _stream(self, pcm: Array) -> Array:
        hop = self.sizes["NPR_HOP"]
        frontend = ctypes.create_string_buffer(4 * (self.sizes["NPR_FFT"] * 2 + 4 + self.sizes["NPR_MELS"]))
        rows = np.empty((-(-len(pcm) // hop), self.sizes["NPR_INPUTS"]), self.feature)
        self.check(self.lib.npr_frontend_init(frontend))
        for t, row in enumerate(rows):
            piece = pcm[t * hop : (t + 1) * hop]
            self.check(self.lib.npr_frontend_push(frontend, *_arguments(piece, len(piece), row, len(row))))
        return rows

    def _clip(self, pcm: Array) -> NDArray[np.float32]:
        frames, floats = ctypes.c_size_t(), ctypes.c_size_t()
        self.check(
            self.lib.npr_clip_size(ctypes.c_size_t(len(pcm)), ctypes.byref(frames), ctypes.byref(floats))
        )
        spectrum = np.empty(2 * self.sizes["NPR_FFT"] + self.sizes["NPR_MELS"], np.float32)
        workspace = np.empty(floats.value, np.float32)
        rows = np.empty((frames.value, self.sizes["NPR_INPUTS"]), np.float32)
        arguments = pcm, len(pcm), spectrum, workspace, len(workspace), rows, len(rows), ctypes.byref(frames)
        self.check(self.lib.npr_clip_features(*_arguments(*arguments)))
        return rows[: frames.value]


def _load(path: Path) -> ctypes.CDLL:
    """The library under a name of its own: the loader would take one of the same name that is loaded already,
    even if it was built anew.
    """
    with tempfile.NamedTemporaryFile(suffix=".so", dir=path.parent) as copy:
        shutil.copyfile(path, copy.name)
        return ctypes.CDLL(os.path.abspath(copy.name))


def _of_type(what: str, values: ArrayLike, dtype: "np.dtype[Any]") -> Array:
    """`values` in one piece of memory, if they are of the type that C takes: a conversion would change them
    beyond recognition.
    """
    values = np.ascontiguousarray(values)
    if values.dtype != dtype:
        raise InputError(f"{what} are {values.dtype}; expected {dtype}")
    return values


def _arguments(*values: Argument) -> list[Argument]:
    return [_argument(value) for value in values]


def _argument(value: Argument) -> Argument:
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_size_t(value) if isinstance(value, int) else value


def _sizes(path: Path) -> dict[str, int]:
    found = re.findall(r"^#define (NPR_\w+) (\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(value) for name, value in found}


def _state_type(sizes: dict[str, int]) -> type[ctypes.Structure]:
    """``npr_state`` of npr.h."""
    units, hidden = sizes["NPR_UNITS"], sizes["NPR_HIDDEN"]
    if sizes["NPR_INT8"]:
        fields = [
            ("total", ctypes.c_int64),
            ("weighted", ctypes.c_int64 * hidden),
            ("model", ctypes.c_uint32),
            ("frames", ctypes.c_uint32),
        ]
        fields += [("maximum", ctypes.c_int32), ("h", ctypes.c_int16 * units), ("c", ctypes.c_int16 * units)]
    else:
        fields = [
            ("model", ctypes.c_uint32),
            ("frames", ctypes.c_uint32),
            ("maximum", ctypes.c_float),
            ("total", ctypes.c_float),
        ]
        fields += [
            ("weighted", ctypes.c_float * hidden),
            ("h", ctypes.c_float * units),
            ("c", ctypes.c_float * units),
        ]
    return type("npr_state", (ctypes.Structure,), {"_fields_": fields})
