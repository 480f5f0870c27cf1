"""safetensors files, through the safetensors library (``pip install npreslstm[safetensors]``)."""

import numpy as np

from npreslstm.errors import InputError, shown
from npreslstm.files import atomic_write
from npreslstm.formats.state_dicts import widen_bfloat16, writable_arrays

# the format's dtype names -> NumPy dtype of the stored, little-endian bytes; BF16 is widened after
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2",
    "U8": "u1",
}  # fmt: skip
_WRITABLE = {np.dtype(code).name for name, code in _DTYPES.items() if name != "BF16"}


def read_state_dict(path):
    """Read all tensors of a safetensors file.

    Parameters
    ----------
    path : str or os.PathLike
        The ``.safetensors`` file.

    Returns
    -------
    dict of str to numpy.ndarray
        C-contiguous, writable arrays in native byte order; dtypes are kept, except **bfloat16, which becomes
        float32** (exact).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If the safetensors library is absent, the file is damaged, or a dtype is not read (float8, complex).
    """
    library = require_library()
    with open(path, "rb") as file:
        data = file.read()
    try:
        tensors = library.deserialize(data)
    except library.SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}): fetch or save it again") from None
    return {name: _array(path, name, tensor) for name, tensor in tensors}


def read_metadata(path):
    """Read the text metadata of a safetensors file.

    Parameters
    ----------
    path : str or os.PathLike
        The ``.safetensors`` file.

    Returns
    -------
    dict of str to str
        Empty if the file has none.

    Raises
    ------
    FileNotFoundError, InputError
        As `read_state_dict`.
    """
    library = require_library()
    try:
        with library.safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except library.SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}): fetch or save it again") from None


def write_state_dict(path, state, metadata=None):
    """Write arrays as a safetensors file, whole or not at all.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write; its folder must exist.
    state : mapping of str to numpy.ndarray
        Float16/32/64, integer or bool arrays of any shape, strides and byte order.
    metadata : mapping of str to str, optional
        Texts kept in the header.

    Raises
    ------
    InputError
        If the safetensors library is absent, or a name, an array or the metadata cannot be stored.
    """
    library = require_library()
    arrays = writable_arrays(state, _WRITABLE, "safetensors")
    if metadata is not None and not all(type(text) is str for item in metadata.items() for text in item):
        raise InputError(
            "safetensors metadata holds texts only; encode other values, for example with json.dumps"
        )
    with atomic_write(path) as file:
        file.write(library.numpy.save(arrays, metadata=dict(metadata) if metadata else None))


def require_library():
    """The safetensors library; InputError with the remedy where it is not installed."""
    try:
        import safetensors.numpy
    except ImportError:
        raise InputError(
            "safetensors files need the safetensors library: pip install npreslstm[safetensors]"
        ) from None
    return safetensors


def _array(path, name, tensor):
    if tensor["dtype"] not in _DTYPES:
        raise InputError(
            f"{path}: {name!a} has the dtype {tensor['dtype']}; expected one of {', '.join(_DTYPES)}: convert"
            " it before saving"
        )
    try:
        stored = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
    except (ValueError, OverflowError, MemoryError):
        shape = f"{shown(tensor['shape'])} of {len(tensor['shape'])} axes"
        raise InputError(
            f"{path}: {name!a:.80} has the shape {shape}, which NumPy cannot hold: fetch or save it again"
        ) from None
    if tensor["dtype"] == "BF16":
        return widen_bfloat16(stored)
    return stored.astype(stored.dtype.newbyteorder("="))
