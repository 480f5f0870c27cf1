"""What a framework or a caller hands over, as a NumPy array of real numbers."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from npreslstm.annotations import Array
from npreslstm.errors import InputError, shown

TYPES = "float64, float32, float16 or integers"


def as_array(value: Any, what: str = "the tensor under test") -> Array:
    """An array of real numbers; bfloat16 becomes float32, exactly.

    Parameters
    ----------
    value : array_like, or a tensor of a framework
    what : str
        How a message names it.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        If it is no array, ragged, or not of real numbers.
    """
    if hasattr(value, "batch_sizes"):
        raise InputError(
            "the output is a PackedSequence; expected a padded batch: pad_packed_sequence(output,"
            " batch_first=True)[0]"
        )
    try:
        if hasattr(value, "detach"):  # a tensor of PyTorch, perhaps on another device
            value = value.detach().cpu()
            value = value.float() if _is_bfloat16(value) else value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # NumPy before 1.24 makes objects of ragged lists
            array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged, or of a type that NumPy does not have
        if getattr(value, "is_meta", False):
            raise InputError(f"{what} is a tensor without data (device meta); expected numbers") from None
        if getattr(value, "is_sparse", False):
            raise InputError(f"{what} is a sparse tensor; expected a dense one: to_dense()") from None
        raise InputError(
            f"{what} is {getattr(value, 'dtype', shown(value))}; expected {TYPES}, of one shape"
        ) from None
    if _is_bfloat16(array):  # of JAX, TensorFlow
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiu":
        raise InputError(
            f"{what} is {shown(value) if array.dtype.kind in 'OUS' else array.dtype}; expected {TYPES}"
        )
    return array


def type_name(value: Any) -> str:
    """'float32', 'bfloat16', ... of what `as_array` takes."""
    return "bfloat16" if _is_bfloat16(value) else as_array(value).dtype.name


def _is_bfloat16(value: Any) -> bool:
    """Whether an array or tensor is of the type that NumPy does not have; frameworks spell it differently."""
    return "bfloat16" in str(getattr(value, "dtype", ""))


def as_arrays(values: Mapping[str, Any], what: str = "the weights") -> dict[str, Array]:
    """{name: array} of a mapping, each as of `as_array`."""
    if not hasattr(values, "items"):
        raise InputError(f"{what} are {shown(values)}; expected a mapping of names to arrays")
    arrays = {name: as_array(value, name) for name, value in values.items() if isinstance(name, str)}
    if len(arrays) != len(values):
        raise InputError(f"{what} have a name that is no text; expected a mapping of names to arrays")
    return arrays
