"""What a torch.save pickle may name, and the NumPy values it becomes: storages, tensors, and the few plain types around them.

Nothing here is torch's code, nor called by a name that the file chooses freely: each name below has one function that checks its
arguments before it allocates anything.
"""

import math
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.formats.closed_pickle import MAX_PROGRAM_BYTES, Global, Vocabulary
from npreslstm.formats.state_dicts import widen_bfloat16

MAX_DIMENSIONS = 32  # of NumPy 1.26
BUDGET_FACTOR, BUDGET_BYTES = 16, 16 * 2**20  # weights that are shared or expanded may grow a file by this much

# name in torch -> NumPy dtype of the stored bytes
DTYPES = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "complex64": "c8", "complex128": "c16", "bool": "?",
    "uint8": "u1", "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8", "uint16": "u2", "uint32": "u4", "uint64": "u8",
}  # fmt: skip

# storage class -> dtype of its elements
STORAGES = {
    "torch.DoubleStorage": "float64", "torch.FloatStorage": "float32", "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16", "torch.ComplexFloatStorage": "complex64", "torch.ComplexDoubleStorage": "complex128",
    "torch.BoolStorage": "bool", "torch.ByteStorage": "uint8", "torch.CharStorage": "int8", "torch.ShortStorage": "int16",
    "torch.IntStorage": "int32", "torch.LongStorage": "int64", "torch.storage.UntypedStorage": "uint8",
}  # fmt: skip

_TENSOR_TYPES = ("torch.Tensor", "torch.nn.parameter.Parameter")


class Storage(NamedTuple):
    """A run of elements that tensors are views of."""

    data: bytes
    dtype: str  # torch's name


class TensorReader:
    """Turns storages and tensor rebuilders into NumPy arrays.

    Parameters
    ----------
    archive : npreslstm.formats.torch_zip.TorchArchive
        Where the storages are.
    byteorder : {'<', '>'}
        Of the stored elements.
    limit : int
        Bytes that all tensors together may take.
    """

    def __init__(self, archive, byteorder, limit):
        self._archive = archive
        self._byteorder = byteorder
        self._limit = limit
        self._spent = 0  # bytes of tensors
        self._spent_plain = 0  # bytes of byte strings and sets
        self._data = {}  # storage key -> bytes

    def vocabulary(self):
        """The `Vocabulary` of torch.save files."""
        utils = "torch._utils."
        constructors = {
            utils + "_rebuild_tensor_v2": self._tensor_v2,
            utils + "_rebuild_tensor_v3": self._tensor_v3,
            utils + "_rebuild_parameter": _parameter,
            utils + "_rebuild_parameter_with_state": _parameter,
            "torch._tensor._rebuild_from_type_v2": self._tensor_subclass,
            "torch.Size": _size,
            "torch.device": _device,
            "collections.OrderedDict": _ordered_dict,
            "collections.Counter": _counter,
            "_codecs.encode": self._encoded,
            "builtins.bytes": _empty_bytes,
            "builtins.bytearray": _bytearray,
            "builtins.set": self._set,
            "builtins.complex": _complex,
        }
        constructors.update(dict.fromkeys([*STORAGES, *_TENSOR_TYPES]))  # may be mentioned, not called
        constants = {f"torch.{name}": f"torch.{name}" for name in DTYPES}  # a dtype is its name
        return Vocabulary(constructors, constants, explain, self._storage, (np.ndarray,))

    def _storage(self, persistent_id):
        """('storage', class, key, location, number of elements) -> Storage; the size is checked before a byte is read."""
        _, kind, key, _, count = _checked("a storage", persistent_id, [str, Global, str, str, int])
        if persistent_id[0] != "storage" or kind.name not in STORAGES or not (key.isascii() and key.isalnum()):
            raise InputError(f"the pickle asks for something other than a storage of tensor elements: {persistent_id[0]!a:.40} {key!a:.40}")
        name, itemsize = f"data/{key}", np.dtype(DTYPES[STORAGES[kind.name]]).itemsize
        if count != self._archive.size(name) // itemsize:
            raise InputError(f"storage {key} claims {_short(count)} elements of {itemsize} bytes; its record has {self._archive.size(name)} bytes")
        if key not in self._data:
            self._data[key] = self._archive.read(name)
        return Storage(self._data[key], STORAGES[kind.name])

    def _tensor_v2(self, arguments):
        storage, offset, size, stride = _checked("_rebuild_tensor_v2", arguments[:4], [Storage, int, tuple, tuple])
        _checked("_rebuild_tensor_v2", arguments[4:], [bool, _HOOKS], [dict])
        _check_bits(arguments[6:])
        return self._array(storage.data, storage.dtype, offset, size, stride)

    def _tensor_v3(self, arguments):
        storage, offset, size, stride = _checked("_rebuild_tensor_v3", arguments[:4], [Storage, int, tuple, tuple])
        dtype = _checked("_rebuild_tensor_v3", arguments[4:], [bool, _HOOKS, str], [dict])[2].removeprefix("torch.")
        _check_bits(arguments[7:])
        if dtype not in DTYPES:
            raise InputError(f"_rebuild_tensor_v3 with the dtype {dtype!a:.40}; expected one of {', '.join(DTYPES)}")
        return self._array(storage.data, dtype, offset, size, stride)

    def _tensor_subclass(self, arguments):
        """A tensor or Parameter with Python attributes: (rebuilder, type, its arguments, attributes); the attributes are dropped."""
        rebuilder, kind, inner, _ = _checked("_rebuild_from_type_v2", arguments, [Global, Global, tuple, (dict, tuple)])
        constructor = self.vocabulary().constructors[rebuilder.name]
        if kind.name not in _TENSOR_TYPES or not rebuilder.name.startswith("torch._utils."):
            raise InputError(f"_rebuild_from_type_v2 of {kind.name} by {rebuilder.name}; expected a tensor: save x.detach().clone()")
        return constructor(inner)

    def _array(self, data, dtype, offset, size, stride):
        """A C-contiguous array in native byte order that owns its memory; every element is known to lie in `data`."""
        stored = np.dtype(DTYPES[dtype]).newbyteorder(self._byteorder)
        if len(size) != len(stride) or len(size) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
            raise InputError(f"a tensor of {len(size)} sizes, {len(stride)} strides; expected at most {MAX_DIMENSIONS} of each, none negative")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride))  # meaningless if some n is 0
        if 0 not in size and last >= len(data) // stored.itemsize:
            raise InputError(f"a tensor reaches element {_short(last)} of a storage with {len(data) // stored.itemsize}: the file was tampered with")
        final = np.dtype("f4") if dtype == "bfloat16" else stored.newbyteorder("=")
        self._spent += math.prod(max(n, 1) for n in size) * final.itemsize
        if self._spent > self._limit:
            raise InputError(f"the tensors take {_short(self._spent)} bytes in all; this file may make at most {self._limit}")
        if 0 in size:
            return np.empty(size, final)
        view = np.ndarray(size, stored, data, offset * stored.itemsize, [step * stored.itemsize for step in stride])
        return widen_bfloat16(view) if dtype == "bfloat16" else view.astype(final, order="C")

    def _encoded(self, arguments):
        """How protocol 2 writes bytes: _codecs.encode(text, 'latin1')."""
        text, codec = _checked("_codecs.encode", arguments, [str, str])
        if codec not in ("latin1", "latin-1"):
            raise InputError(f"_codecs.encode to {codec!a:.40}; expected 'latin1'")
        self._spend_plain(len(text))
        try:
            return text.encode("latin1")
        except UnicodeEncodeError:
            raise InputError("_codecs.encode of characters beyond latin1: the file is damaged") from None

    def _set(self, arguments):
        (items,) = _checked("set", arguments, [list])
        if not all(type(item) in (str, bytes, bool, float, type(None)) or type(item) is int and abs(item) < 2**60 for item in items):
            raise InputError("a set of something other than texts and numbers; save a list instead")
        self._spend_plain(64 * len(items))
        return set(items)

    def _spend_plain(self, count):
        self._spent_plain += count
        if self._spent_plain > MAX_PROGRAM_BYTES:
            raise InputError(f"the byte strings and sets take more than {MAX_PROGRAM_BYTES} bytes: save the state dict alone")


def explain(name):
    """What a refused name probably is, and the remedy, in one line."""
    for prefix, what in _REMEDIES.items():
        if name.startswith(prefix):
            return what
    return "refused, since only tensors and plain data are read and no code is run; in PyTorch: torch.save(model.state_dict(), new_path)"


_REMEDIES = {
    "torch.nn.": "the file holds a whole module, not its weights; in PyTorch: torch.save(model.state_dict(), new_path)",
    "torch._utils._rebuild_qtensor": "a quantized tensor; in PyTorch save x.dequantize() instead",
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor; in PyTorch save x.to_dense() instead",
    "torch.serialization._get_layout": "a sparse tensor; in PyTorch save x.to_dense() instead",
    "torch._utils._rebuild_nested_tensor": "a nested tensor; in PyTorch save x.to_padded_tensor(0.0) instead",
    "torch._utils._rebuild_meta_tensor": "a tensor on the 'meta' device, which has no data; give the model weights before saving it",
    "torch._utils._rebuild_device_tensor": "a tensor of a device of its own kind; in PyTorch save x.cpu() instead",
    "torch.float8": "a dtype that NumPy lacks; in PyTorch save x.float() instead",
    "torch.ComplexHalf": "a dtype that NumPy lacks; in PyTorch save x.to(torch.complex64) instead",
    "torch.QInt": "a quantized tensor; in PyTorch save x.dequantize() instead",
    "torch.QUInt": "a quantized tensor; in PyTorch save x.dequantize() instead",
    "numpy.": "a NumPy value; save float(x), x.tolist() or torch.from_numpy(x) instead",
}


# --- checked constructors: the argument tuple of REDUCE -> a plain value ---

_HOOKS = (dict, type(None))


def _checked(name, arguments, kinds, optional=()):
    """The arguments, if they are as many as `kinds` (and any leading `optional` ones) and exactly of those types."""
    wanted = [*kinds, *optional]
    kinds_given = [type(argument) for argument in arguments] if type(arguments) is tuple else [type(arguments)]
    fits = len(kinds) <= len(kinds_given) <= len(wanted) and type(arguments) is tuple
    if not fits or not all(kind in (want if type(want) is tuple else (want,)) for kind, want in zip(kinds_given, wanted)):
        given = ", ".join(kind.__name__ for kind in kinds_given[:8])
        raise InputError(f"{name} is given ({given}), which PyTorch never writes: the file is damaged or made to do harm")
    return arguments


def _check_bits(metadata):
    if metadata and any(bit is not False for bit in metadata[0].values()):
        raise InputError("a tensor with a pending conjugation or negation; in PyTorch save x.resolve_conj().resolve_neg() instead")


def _parameter(arguments):
    """(data, requires_grad, hooks[, attributes]) -> data"""
    return _checked("_rebuild_parameter", arguments, [np.ndarray, bool, _HOOKS], [(dict, tuple)])[0]


def _size(arguments):
    return _checked("torch.Size", arguments, [tuple])[0]


def _device(arguments):
    """('cuda', 0) -> 'cuda:0'"""
    return ":".join(str(part) for part in _checked("torch.device", arguments, [str], [int]))


def _ordered_dict(arguments):
    _checked("OrderedDict", arguments, [])
    return {}


def _counter(arguments):
    return _checked("Counter", arguments, [dict])[0]


def _empty_bytes(arguments):
    _checked("bytes", arguments, [])
    return b""


def _bytearray(arguments):
    return _checked("bytearray", arguments, [], [bytes])[0] if arguments else b""


def _complex(arguments):
    return complex(*_checked("complex", arguments, [float, float]))


def _short(number):
    """A number that a hostile file may have made thousands of digits long."""
    return str(number) if number < 10**20 else "more than 10**20"
