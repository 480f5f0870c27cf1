"""Weights files: the native .npz, and other projects' formats by their content.

The native file is an uncompressed NumPy archive without pickles:

    header          JSON text: format, version, sha256, model (ModelConfig), features (FeatureConfig),
                    classes, notes
    mean, std       (D,) of the features over the training frames
    state/<name>    the tensors, under PyTorch's names

The hash covers every array and the header itself, so that damage of any kind is found when the file is
loaded.
"""

import json
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npreslstm.annotations import Array, FloatArray, StrPath
from npreslstm.audio.config import FeatureConfig
from npreslstm.errors import InputError, shown
from npreslstm.formats.native import FORMAT, VERSION, container, digest_of, read_native, write_native
from npreslstm.formats.npy import read_npz
from npreslstm.formats.plain_data import misfit
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig
from npreslstm.terminal import UNPRINTABLE

UNPACKED = 1 << 26  # bytes that the compressed tensors of another project may unpack to
_NAMES = [str]
NOTES = {  # what the package itself looks for in notes, and what it must be; any other note is for people
    "data": str, "corpora": {str: _NAMES}, "history": {str: [float]},
    "speakers trained on": _NAMES, "speakers of validation": _NAMES, "speakers held out": _NAMES,
    "epoch chosen by": _NAMES, "corpora of ancestors": _NAMES,
}  # fmt: skip


class CheckpointWarning(UserWarning):
    """Something was done with the tensors of another project's checkpoint before they were this model's.

    Examples
    --------
    >>> import tempfile
    >>> state = load_checkpoint("mcu").state
    >>> with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     path = os.path.join(folder, "theirs.npz")
    ...     np.savez(path, **{f"net.{name}": tensor for name, tensor in state.items()})
    ...     checkpoint = load_checkpoint(path)
    >>> str(caught[0].message).endswith("theirs.npz: the prefix 'net.' is removed from the names")
    True
    """


@dataclass(frozen=True)
class Checkpoint:
    """A model's tensors and all that is needed to use them on audio.

    Attributes
    ----------
    config : ModelConfig
    state : dict of arrays
        As `ResLSTM.state_dict` returns them.
    features : FeatureConfig or None
        How the features were made; None in files of other projects.
    mean, std : (D,) float64 arrays or None
        The z-scoring of the features.
    classes : tuple of str or None
        Names in the order of the logits.
    notes : dict
        Where the weights come from: data, split, seed, recipe, scores, licence. JSON values.

    Examples
    --------
    >>> checkpoint = load_checkpoint("mcu")
    >>> checkpoint.features.sample_rate, checkpoint.mean.shape, checkpoint.classes[:2]
    (16000, (46,), ('neutral', 'calm'))
    >>> checkpoint.noted("speakers held out")
    ['2', '5', '14', '15', '16']
    >>> checkpoint.model().config == checkpoint.config
    True
    """

    config: ModelConfig
    state: dict[str, Array]
    features: FeatureConfig | None = None
    mean: FloatArray | None = None
    std: FloatArray | None = None
    classes: tuple[str, ...] | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def model(self, dtype: DTypeLike = np.float32, backend: str = "fast") -> ResLSTM:
        """A `ResLSTM` with these tensors.

        Examples
        --------
        >>> load_checkpoint("mcu").model(np.float64).dtype
        dtype('float64')
        """
        model = ResLSTM(self.config, dtype=dtype, backend=backend)
        model.load_state_dict(self.state)
        return model

    def noted(self, name: str, default: Any = None) -> Any:
        """The note of a name in `NOTES`, or `default` without one; InputError if it is not what
        it must be.

        Examples
        --------
        >>> load_checkpoint("mcu").noted("speakers held out")
        ['2', '5', '14', '15', '16']
        """
        value = self.notes.get(name)
        if value is not None and misfit(value, NOTES[name]) is not None:
            found = f"the note {name!r} of the weights is {shown(value)}"
            raise InputError(f"{found}, which cannot be made sense of: mend or remove it")
        return default if value is None else value

    @property
    def recipe(self) -> dict[str, Any]:
        """Fields of the recipe that the notes tell of; none where they do not, or only in words.

        Examples
        --------
        >>> "epochs" in load_checkpoint("mcu").recipe
        True
        """
        value = self.notes.get("recipe")
        return value if isinstance(value, dict) else {}

    @property
    def sha256(self) -> str:
        """Hex digest over header and arrays; names the weights wherever they are exported to.

        Examples
        --------
        >>> len(load_checkpoint("mcu").sha256)
        64
        """
        return digest_of(_header(self), _arrays(self))


def save_checkpoint(path: StrPath, checkpoint: Checkpoint) -> None:
    """Write the native format, whole or not at all.

    Parameters
    ----------
    path : str or os.PathLike
    checkpoint : Checkpoint

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    InputError
        If a name of a class cannot be kept.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "copy.npz")
    ...     save_checkpoint(path, load_checkpoint("mcu"))
    ...     load_checkpoint(path).sha256 == load_checkpoint("mcu").sha256
    True
    """
    if checkpoint.classes is not None:
        check_class_names(f"{path}, to be written, has", checkpoint.classes)
    write_native(path, _header(checkpoint), _arrays(checkpoint))


def load_checkpoint(path: StrPath | None = None, key: str | None = None) -> Checkpoint:
    """Read weights in any known format.

    Parameters
    ----------
    path : str or os.PathLike, optional
        A native .npz; a file of torch.save (.pt, .pth, .ckpt, .bin), a .safetensors, or an .npz with a state
        dict of this model; or the name of bundled weights ('robust', the default).
    key : str, optional
        Which of several networks in a file of another project, as the error that lists them calls it
        (``'ema'``).

    Returns
    -------
    Checkpoint
        `features`, `mean`, `std` and `classes` are None for formats that do not carry them.

    Warns
    -----
    CheckpointWarning
        Once for a file whose tensors were not simply taken as they are: what was done with them, or left
        aside.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If the file is damaged, newer than this version, or not weights of this model, or if a key is given
        for a file that holds one network.

    Examples
    --------
    >>> load_checkpoint("paper").config.num_parameters
    46772
    """
    path = find_weights(path)
    if is_native(path):
        if key is not None:
            raise InputError(
                f"{path} is a native weights file and holds one network; leave out the key {key!a:.80}"
            )
        return _load_native(path)
    from npreslstm.formats.network_state import network_state

    value = _read_foreign(path)
    try:
        state, remarks = network_state(value, key)
        config = ModelConfig.from_state(state)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if remarks:
        warnings.warn(f"{path}: {'; '.join(remarks)}", CheckpointWarning, stacklevel=2)
    for name, (shape, initialiser) in config.schema.items():
        # of batches, which no result depends on; old versions of PyTorch have none
        if initialiser == "counter":
            state.setdefault(name, np.zeros(shape, np.int64))
    complete = checked(path, Checkpoint(config, state))
    # in one order, whatever the file's: see `sha256`
    return replace(complete, state={name: complete.state[name] for name in config.schema})


def _read_foreign(path: str) -> Any:
    """What a file of another project holds; InputError names it."""
    from npreslstm.formats import safetensors, torch_pt

    kind = container(path)
    if kind == "safetensors":
        return safetensors.read_state_dict(path)
    if kind == "npz":
        remedy = "fetch it again, or save the tensors by np.savez(path, **state_dict)"
        return read_npz(path, remedy, inflate=UNPACKED)
    return torch_pt.read_torch(path)


def load_model(path: StrPath | None = None, dtype: DTypeLike = np.float32, backend: str = "fast") -> ResLSTM:
    """The model of a weights file; see `load_checkpoint` for `path`.

    Parameters
    ----------
    path : str or os.PathLike, optional
    dtype : float32 or float64
    backend : {'fast', 'reference'}
        As of `ResLSTM`.

    Returns
    -------
    ResLSTM

    Examples
    --------
    >>> load_model("mcu", np.float64).tensors["fc.weight"].dtype
    dtype('float64')
    """
    return load_checkpoint(path).model(dtype, backend)


def find_weights(path: StrPath | None = None) -> str:
    """The file meant by `path` in `load_checkpoint`: bundled weights go by name, without folder or ending;
    None is 'robust'.

    Examples
    --------
    >>> os.path.basename(find_weights())
    'robust.npz'
    """
    from npreslstm.assets import DEFAULT_WEIGHTS, weights_path

    if path is None:
        return os.fspath(weights_path(DEFAULT_WEIGHTS))
    path = os.fspath(path)
    if not os.path.isfile(path) and not os.path.splitext(path)[1] and os.path.basename(path) == path:
        return os.fspath(weights_path(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{path} is not a file; expected weights (.npz, .pt or .safetensors) or the name of bundled ones"
        )
    return path


def is_native(path: StrPath) -> bool:
    """Whether a file is a native archive, whatever it is called, or an .npz so damaged that it may have been
    one.

    Examples
    --------
    >>> is_native(find_weights("mcu"))
    True
    """
    return container(path) == "native"


def _load_native(path: str) -> Checkpoint:
    header, arrays = read_native(path)
    try:
        checkpoint = _from_parts(header, arrays)
    except (KeyError, TypeError, InputError) as error:
        raise InputError(f"{path} contradicts itself: {error}") from None
    return checked(path, checkpoint)


def _from_parts(header: dict[str, Any], arrays: dict[str, Array]) -> Checkpoint:
    state = {
        name.removeprefix("state/"): array for name, array in arrays.items() if name.startswith("state/")
    }
    features = None if header["features"] is None else FeatureConfig.from_dict(header["features"])
    for name, kind in (("model", dict), ("classes", (list, type(None))), ("notes", dict)):
        if not isinstance(header[name], kind):
            raise InputError(f"{name} in its header is {shown(header[name])}")
    classes = None if header["classes"] is None else tuple(header["classes"])
    config = ModelConfig.from_dict(header["model"])
    return Checkpoint(
        config, state, features, arrays.get("mean"), arrays.get("std"), classes, header["notes"]
    )


def checked(path: StrPath, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint, if tensors, statistics and classes agree with its configuration; else an InputError
    that names `path`.

    Examples
    --------
    >>> checkpoint = load_checkpoint("mcu")
    >>> checked("mine.npz", replace(checkpoint, classes=("yes", "no")))
    Traceback (most recent call last):
        ...
    npreslstm.errors.InputError: mine.npz names 2 classes; its model has 8
    """
    config = checkpoint.config
    try:
        _check_sizes(checkpoint)
        model = checkpoint.model()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not all(np.isfinite(tensor).all() for tensor in model.tensors.values()):
        raise InputError(
            f"{path} holds weights that are NaN, infinite or too large for float32; expected finite ones"
        )
    if wrong := [
        name for name, tensor in model.tensors.items() if name.endswith(".running_var") and (tensor < 0).any()
    ]:
        raise InputError(f"{path}: {wrong[0]} has a negative variance")
    _check_statistics(path, checkpoint)
    if checkpoint.classes is not None:
        _check_classes(path, checkpoint.classes, config.num_classes)
    if checkpoint.features is not None and checkpoint.features.n_features != config.input_size:
        raise InputError(
            f"{path}: the features have {checkpoint.features.n_features} columns; its model takes"
            f" {config.input_size}"
        )
    return checkpoint


def check_class_names(which: str, classes: Sequence[str]) -> None:
    """Raise InputError, which says `which`, unless classes are different names that can be shown anywhere.

    They are shown where nothing makes them harmless: by exported C and MicroPython on a serial line.

    Examples
    --------
    >>> check_class_names("mine.npz has", ("calm", "\\x1b[2J"))
    Traceback (most recent call last):
        ...
    npreslstm.errors.InputError: mine.npz has the class '\\x1b[2J'; expected names without control characters
    """
    if not all(isinstance(name, str) and name for name in classes) or len(set(classes)) != len(classes):
        raise InputError(f"{which} classes {classes!r:.100}; expected different names, none of them empty")
    if wrong := [name for name in classes if UNPRINTABLE.search(name)]:
        raise InputError(f"{which} the class {wrong[0][:80]!r}; expected names without control characters")


def _check_sizes(checkpoint: Checkpoint) -> None:
    """Compare configuration and tensors before anything of the configured size is made."""
    for name, array in _arrays(checkpoint).items():
        if array.dtype.kind not in "fiu":
            raise InputError(f"{name} is of type {array.dtype}; expected real numbers")
    said = checkpoint.config.to_dict()
    found = ModelConfig.from_state(checkpoint.state, checkpoint.config.dropout).to_dict()
    if wrong := [f"{name} {said[name]} against {found[name]}" for name in said if said[name] != found[name]]:
        raise InputError(f"its configuration contradicts its tensors: {', '.join(wrong)}")


def _check_statistics(path: StrPath, checkpoint: Checkpoint) -> None:
    D = checkpoint.config.input_size
    for name, value in (("mean", checkpoint.mean), ("std", checkpoint.std)):
        if value is None:
            continue
        usable = value.shape == (D,) and np.isfinite(value).all()
        if not usable or (name == "std" and not (value > 0).all()):
            raise InputError(f"{path}: {name} is not a finite vector of {D} numbers (positive for std)")


def _check_classes(path: StrPath, classes: tuple[str, ...], expected: int) -> None:
    if len(classes) != expected:
        raise InputError(f"{path} names {len(classes)} classes; its model has {expected}")
    check_class_names(f"{path} has", classes)


def _header(checkpoint: Checkpoint) -> dict[str, Any]:
    header = {
        "format": FORMAT,
        "version": VERSION,
        "model": checkpoint.config.to_dict(),
        "features": None if checkpoint.features is None else checkpoint.features.to_dict(),
        "classes": None if checkpoint.classes is None else list(checkpoint.classes),
        "notes": checkpoint.notes,
    }
    # halves of characters, as names of files that are no UTF-8 have: no reader takes them
    return json.loads(re.sub("[\ud800-\udfff]", "\ufffd", json.dumps(header, ensure_ascii=False)))


def _arrays(checkpoint: Checkpoint) -> dict[str, Array]:
    statistics = {name: value for name in ("mean", "std") if (value := getattr(checkpoint, name)) is not None}
    return statistics | {f"state/{name}": np.asarray(tensor) for name, tensor in checkpoint.state.items()}
