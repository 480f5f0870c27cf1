"""Writing the .pt files that ``torch.load(path, weights_only=True)`` reads.

The pickle is assembled opcode by opcode: Python's pickler would want to import torch for the names it writes.
"""

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from npreslstm.annotations import Array, StrPath
from npreslstm.files import atomic_write
from npreslstm.formats.state_dicts import writable_arrays
from npreslstm.formats.torch_tensors import STORAGES

ALIGNMENT = 64  # of every storage in the file, as PyTorch does, so that it can be memory-mapped

_STORAGE_OF = {dtype: name for name, dtype in STORAGES.items() if not name.endswith("UntypedStorage")}
# dtypes newer than storage classes: untyped storage plus dtype
_WITHOUT_STORAGE = ("uint16", "uint32", "uint64")


def write_state_dict(path: StrPath, state: Mapping[str, Array]) -> None:
    """Write a state dict as a .pt file that PyTorch 1.6 and newer read with ``torch.load(path,
    weights_only=True)``.

    The file depends on `state` alone (no times, no random numbers): equal weights give equal files. It
    appears whole or not at all.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write; its folder must exist.
    state : mapping of str to numpy.ndarray
        Float, integer, bool or complex arrays of any shape and byte order; each becomes a contiguous tensor
        of its own. uint16, uint32 and uint64 need PyTorch 2.3 or newer to read.

    Raises
    ------
    InputError
        If a name is not a str, a value not an array, or a dtype one that PyTorch lacks.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "weights.pt")
    ...     write_state_dict(path, {"fc.bias": np.zeros(8, np.float32)})
    ...     os.path.getsize(path) < 2000
    True
    """
    arrays = writable_arrays(state, [*_STORAGE_OF, *_WITHOUT_STORAGE], "PyTorch")
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write_record(file, archive, "data.pkl", _program(arrays))
        _write_record(file, archive, "byteorder", b"little")
        for number, array in enumerate(arrays.values()):
            _write_record(file, archive, f"data/{number}", array.tobytes())
        _write_record(file, archive, "version", b"3\n")


def _write_record(file: BinaryIO, archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(f"archive/{name}", date_time=(1980, 1, 1, 0, 0, 0))
    start = file.tell() + 30 + len(info.filename) + 4  # local header, name, head of the padding field
    padding = -start % ALIGNMENT
    info.extra = struct.pack("<2sH", b"FB", padding) + b"F" * padding
    archive.writestr(info, data)


# --- pickle, protocol 2 ---


def _program(arrays: dict[str, Array]) -> bytes:
    out = io.BytesIO()
    out.write(b"\x80\x02" + _ordered_dict() + b"(")  # PROTO 2, the dict, MARK
    for number, (name, array) in enumerate(arrays.items()):
        out.write(_text(name) + _tensor(array, str(number)))
    out.write(b"u.")  # SETITEMS, STOP
    return out.getvalue()


def _tensor(array: Array, key: str) -> bytes:
    """_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks), or v3, which has the dtype as
    well.
    """
    name = array.dtype.name
    stride = [step // array.itemsize for step in array.strides]
    # NEWFALSE
    arguments = (
        _storage(array, key) + _int(0) + _ints(array.shape) + _ints(stride) + b"\x89" + _ordered_dict()
    )
    if name in _WITHOUT_STORAGE:
        return _call("torch._utils", "_rebuild_tensor_v3", arguments + _global("torch", name))
    return _call("torch._utils", "_rebuild_tensor_v2", arguments)


def _storage(array: Array, key: str) -> bytes:
    if array.dtype.name in _WITHOUT_STORAGE:
        kind, count = _global("torch.storage", "UntypedStorage"), array.nbytes
    else:
        kind, count = _global("torch", _STORAGE_OF[array.dtype.name].removeprefix("torch.")), array.size
    # TUPLE, BINPERSID
    return b"(" + _text("storage") + kind + _text(key) + _text("cpu") + _int(count) + b"tQ"


def _call(module: str, name: str, arguments: bytes) -> bytes:
    return _global(module, name) + b"(" + arguments + b"tR"  # MARK, TUPLE, REDUCE


def _ordered_dict() -> bytes:
    return _global("collections", "OrderedDict") + b")R"  # EMPTY_TUPLE, REDUCE


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def _ints(numbers: Iterable[int]) -> bytes:
    return b"(" + b"".join(_int(number) for number in numbers) + b"t"


def _int(number: int) -> bytes:
    if number < 2**31:
        return b"J" + struct.pack("<i", number)
    data = number.to_bytes(9, "little")
    return b"\x8a" + bytes([len(data)]) + data  # LONG1
