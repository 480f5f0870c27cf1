"""The native weights file: what it is known by, its header and arrays, and the hash over both.

`checkpoint` says what is in it.
"""

import hashlib
import json
import os
import zipfile
from typing import Any

import numpy as np

from npreslstm.annotations import Array, StrPath
from npreslstm.errors import InputError
from npreslstm.files import atomic_write
from npreslstm.formats.npy import read_npz
from npreslstm.formats.plain_data import parse_json

FORMAT, VERSION = "npreslstm", 1


# files that people take for weights, by how they begin, and what to do
_STRANGERS = {
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: git lfs pull",
    b"<": "a web page or XML: download the file itself",
    b"\x89HDF\r\n": "HDF5: read it where it was written, and save its tensors by np.savez(path, **tensors)",
    b"\x1f\x8b": "packed by gzip: unpack it",
    b"GGUF": "GGUF: convert the .pt or .safetensors that it was made from",
}
_KINDS = {".npz": "native", ".safetensors": "safetensors"}  # of what is damaged, by its ending


def container(path: StrPath) -> str:
    """'native', 'npz' for another NumPy archive, 'safetensors' or 'torch', by the content; by the ending
    where that says nothing.

    Raises
    ------
    InputError
        If it begins as no weights do, but other files that are taken for them.
    """
    with open(path, "rb") as file:
        start = file.read(300)
    for mark, what in _STRANGERS.items():
        if start.startswith(mark):
            raise InputError(f"{os.fspath(path)} holds no weights, it is {what}")
    if start[8:9] == b"{":  # after the length of the header
        return "safetensors"
    length = int.from_bytes(start[26:28], "little")
    # the name of the first member
    first = start[30 : 30 + length] if start.startswith(b"PK\x03\x04") else b""
    if first.endswith(b"/data.pkl"):
        return "torch"
    if not first.endswith(b".npy"):
        return _KINDS.get(os.path.splitext(path)[1].lower(), "torch")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError):
        names = [first.decode("ascii", "replace")]
    return "native" if "header.npy" in names else "npz"


def digest_of(header: dict[str, Any], arrays: dict[str, Array]) -> str:
    """SHA-256 over the header without its own hash, then each array's name, type, shape and bytes in order of
    name.
    """
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {little.dtype.str} {array.shape}".encode() + little.tobytes())
    return digest.hexdigest()


def read_native(path: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a native file whose hash is right; InputError if it is damaged or newer."""
    arrays = read_npz(path, "it is truncated or damaged, fetch it again", kind="weights file")
    try:
        header = parse_json(str(arrays.pop("header")))
        json.dumps(header, ensure_ascii=False).encode()  # half a character could not be written anywhere
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{path} is not a readable weights file ({error}): it is truncated or damaged, fetch it again"
        ) from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InputError(f"{path} is not a weights file of this package: its header lacks format '{FORMAT}'")
    if header.get("version") != VERSION:
        raise InputError(
            f"{path} has format version {header.get('version')}; this version of npreslstm reads {VERSION}:"
            " upgrade npreslstm"
        )
    if header.pop("sha256", None) != digest_of(header, arrays):
        raise InputError(f"{path} does not match its own checksum: it was changed or damaged, fetch it again")
    return header, arrays


def write_native(path: StrPath, header: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Write header and arrays with their hash, whole or not at all."""
    sealed = header | {"sha256": digest_of(header, arrays)}
    content: dict[str, Any] = {"header": np.array(json.dumps(sealed)), **arrays}
    with atomic_write(path) as file:
        np.savez(file, **content)
