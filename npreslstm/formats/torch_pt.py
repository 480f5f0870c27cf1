"""PyTorch's .pt files without PyTorch: read and written with NumPy alone, no pickle ever executed.

``read_torch`` returns what ``torch.load(path, weights_only=True)`` would, as plain Python and NumPy values;
``read_state_dict`` finds the weights in it. The layers below: `torch_zip` (the container), `closed_pickle`
(the program inside), `torch_tensors` (what it may name).
"""

from typing import Any, BinaryIO

from npreslstm.annotations import Array, StrPath
from npreslstm.errors import InputError
from npreslstm.formats.closed_pickle import MAX_PROGRAM_BYTES, load
from npreslstm.formats.state_dicts import find_state_dict
from npreslstm.formats.torch_pt_write import write_state_dict
from npreslstm.formats.torch_tensors import TensorReader
from npreslstm.formats.torch_zip import TorchArchive

__all__ = ["read_torch", "read_state_dict", "write_state_dict"]

VERSIONS = range(1, 11)  # torch.save writes 3 since 1.6; torch.load of 2.13 reads up to 10
# shared and expanded tensors may take 16 times what the file stores, and 16 MiB besides
EXPANSION, ALLOWANCE = 16, 16 * 2**20

_SAVE_AGAIN = "in PyTorch save it again: torch.save(torch.load(path, map_location='cpu'), new_path)"
_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number 0x1950a86a20f9469cfc6c


def read_torch(path: StrPath) -> Any:
    """Read a file that torch.save wrote (PyTorch 1.6 or newer), without PyTorch and without executing its
    pickle.

    Parameters
    ----------
    path : str or os.PathLike
        The ``.pt`` or ``.pth`` file.

    Returns
    -------
    object
        The saved structure: dict (also for OrderedDict and Counter), list, tuple (also for torch.Size), set,
        str (also for a dtype and a device, as ``'torch.float32'`` and ``'cuda:0'``), bytes, numbers, None,
        and a numpy.ndarray for each tensor and Parameter. Arrays are C-contiguous, writable, in native byte
        order and own their memory, whatever strides or shared storage the tensors had. dtypes are kept;
        **bfloat16, which NumPy lacks, becomes float32** (exact). requires_grad, hooks and Python attributes
        are dropped.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If the file is damaged, of another format, or holds anything but tensors and plain data; the message
        has the remedy.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "weights.pt")
    ...     write_state_dict(path, {"fc.bias": np.zeros(8, np.float32)})
    ...     read_torch(path)["fc.bias"].shape
    (8,)
    """
    with open(path, "rb") as file:
        try:
            return _read(file)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def read_state_dict(path: StrPath, key: str | None = None) -> dict[str, Array]:
    """Read the weights of a model from a state dict or a training checkpoint that torch.save wrote.

    Parameters
    ----------
    path : str or os.PathLike
        The ``.pt`` or ``.pth`` file.
    key : str, optional
        Where in a nested checkpoint the state dict is, with dots (``'ema.model'``); needed only if the file
        holds several.

    Returns
    -------
    dict of str to numpy.ndarray
        Names without the prefixes that ``DataParallel``/``DistributedDataParallel`` (``module.``) and
        ``torch.compile`` (``_orig_mod.``) add. Arrays as of `read_torch`: bfloat16 becomes float32.

    Raises
    ------
    FileNotFoundError, InputError
        As `read_torch`; InputError also if the file holds no state dict, or several of which none is named as
        the model's.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "weights.pt")
    ...     write_state_dict(path, {"module.fc.bias": np.zeros(8, np.float32)})
    ...     list(read_state_dict(path))
    ['fc.bias']
    """
    value = read_torch(path)
    try:
        return find_state_dict(value, key)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read(file: BinaryIO) -> Any:
    _check_magic(file)
    archive = TorchArchive(file)
    version = archive.read("version", limit=20)
    if not version.strip().isdigit() or int(version) not in VERSIONS:
        raise InputError(f"file version {version!r}; expected {VERSIONS[0]} to {VERSIONS[-1]}: {_SAVE_AGAIN}")
    stored = archive.size("data.pkl") + sum(
        archive.size(name) for name in archive.names() if name.startswith("data/")
    )
    reader = TensorReader(archive, _byteorder(archive))
    program = archive.read("data.pkl", limit=MAX_PROGRAM_BYTES)
    return reader.arrays(load(program, reader.vocabulary(), EXPANSION * stored + ALLOWANCE))


def _byteorder(archive: TorchArchive) -> str:
    """Of the storages; files from before PyTorch 2.1 have no such record and are little-endian."""
    order = archive.read("byteorder", limit=20) if "byteorder" in archive else b"little"
    if order not in (b"little", b"big"):
        raise InputError(f"byte order {order!r}; expected b'little' or b'big': the file is damaged")
    return "<" if order == b"little" else ">"


def _check_magic(file: BinaryIO) -> None:
    """Name the formats that people confuse with today's."""
    head = file.read(512)
    if head.startswith(b"PK\x03\x04"):
        return
    if head.startswith(_LEGACY_MAGIC):
        raise InputError(
            "this is the pickle stream of PyTorch before 1.6 (or _use_new_zipfile_serialization=False);"
            f" {_SAVE_AGAIN}"
        )
    if head[257:262] == b"ustar":
        raise InputError(f"this is the tar format of the first PyTorch releases; {_SAVE_AGAIN}")
    if head[:1] == b"\x80":
        raise InputError(
            "this is a bare pickle, not a torch.save file; no pickle is executed: save with"
            " torch.save(model.state_dict(), new_path)"
        )
    if head[8:10] in (b'{"', b"{ ", b"{}"):
        raise InputError("this is a safetensors file: rename it to end in .safetensors")
    raise InputError(
        f"not a torch.save file: it begins with {head[:8]!r}; expected the zip file of"
        " torch.save(model.state_dict(), path)"
    )
