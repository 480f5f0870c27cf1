"""What a torch.save pickle may name, and the NumPy values it becomes: storages, tensors, and the few plain
types around them.

Nothing here is torch's code, nor called by a name that the file chooses freely: each name below has one
function, which checks its arguments. Tensors are only described while the pickle runs; storages are read and
arrays made once all of it has been accepted.
"""

import math
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.formats.closed_pickle import MAX_PROGRAM_BYTES, Global, Vocabulary
from npreslstm.formats.plain_data import checked_key
from npreslstm.formats.state_dicts import widen_bfloat16

MAX_DIMENSIONS = 32  # of NumPy 1.26
_HARM = "the file is damaged or was made to do harm"

# name in torch -> NumPy dtype of the stored bytes
DTYPES = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "complex64": "c8",
    "complex128": "c16", "bool": "?", "uint8": "u1", "int8": "i1", "int16": "i2", "int32": "i4",
    "int64": "i8", "uint16": "u2", "uint32": "u4", "uint64": "u8",
}  # fmt: skip

# storage class -> dtype of its elements
STORAGES = {
    "torch.DoubleStorage": "float64", "torch.FloatStorage": "float32", "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16", "torch.ComplexFloatStorage": "complex64",
    "torch.ComplexDoubleStorage": "complex128", "torch.BoolStorage": "bool", "torch.ByteStorage": "uint8",
    "torch.CharStorage": "int8", "torch.ShortStorage": "int16", "torch.IntStorage": "int32",
    "torch.LongStorage": "int64", "torch.storage.UntypedStorage": "uint8",
}  # fmt: skip

_TENSOR_TYPES = ("torch.Tensor", "torch.nn.parameter.Parameter")


class Storage(NamedTuple):
    """A run of elements that tensors are views of: a record of the file, not read yet."""

    key: str
    dtype: str  # torch's name
    nbytes: int


class Tensor(NamedTuple):
    """A view of a storage, known to lie inside it; it becomes an array once the whole pickle has been found
    harmless.
    """

    key: str
    dtype: str  # torch's name
    offset: int  # this and the strides in elements
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def final(self):
        """NumPy dtype of the array: bfloat16 is widened."""
        return np.dtype("f4" if self.dtype == "bfloat16" else DTYPES[self.dtype])

    @property
    def nbytes(self):
        """Of the array; sizes of 0 count as 1, so that no size is too large for NumPy."""
        return math.prod(max(n, 1) for n in self.size) * self.final.itemsize


class TensorReader:
    """Turns storages and tensor rebuilders into `Tensor` views, and those into NumPy arrays.

    Parameters
    ----------
    archive : npreslstm.formats.torch_zip.TorchArchive
        Where the storages are.
    byteorder : {'<', '>'}
        Of the stored elements.
    """

    def __init__(self, archive, byteorder):
        self._archive = archive
        self._byteorder = byteorder
        self._spent = 0  # bytes of byte strings and sets
        self._data = {}  # storage key -> bytes

    def vocabulary(self):
        """The `Vocabulary` of torch.save files."""
        utils = "torch._utils."
        constructors = {
            utils + "_rebuild_tensor_v2": self._tensor_v2,
            utils + "_rebuild_tensor_v3": self._tensor_v3,
            utils + "_rebuild_parameter": _parameter,
            utils + "_rebuild_parameter_with_state": _parameter,
            "torch._tensor._rebuild_from_type_v2": self._tensor_with_attributes,
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
        return Vocabulary(constructors, constants, explain, self._storage, (Tensor,))

    def arrays(self, value, done=None):
        """The structure that the pickle built, with arrays for `Tensor` views. What was one object stays one
        object.
        """
        # id -> its replacement; the ids stay valid while `value` holds the originals
        done = {} if done is None else done
        if type(value) not in (Tensor, dict, list, tuple):
            return value
        if id(value) not in done:
            if type(value) is Tensor:
                done[id(value)] = self._array(value)
            elif type(value) is dict:
                done[id(value)] = {key: self.arrays(item, done) for key, item in value.items()}
            else:
                done[id(value)] = type(value)(self.arrays(item, done) for item in value)
        return done[id(value)]

    def _array(self, tensor):
        """A C-contiguous array in native byte order that owns its memory."""
        if 0 in tensor.size:
            return np.empty(tensor.size, tensor.final)
        if tensor.key not in self._data:
            self._data[tensor.key] = self._archive.read(f"data/{tensor.key}")
        stored = np.dtype(DTYPES[tensor.dtype]).newbyteorder(self._byteorder)
        # that of a single one is any number
        strides = [step * stored.itemsize if n > 1 else 0 for n, step in zip(tensor.size, tensor.stride)]
        view = np.ndarray(
            tensor.size, stored, self._data[tensor.key], tensor.offset * stored.itemsize, strides
        )
        return widen_bfloat16(view) if tensor.dtype == "bfloat16" else view.astype(tensor.final, order="C")

    def _storage(self, persistent_id):
        """('storage', class, key, location, number of elements) -> Storage; the number must be what the
        record holds.
        """
        word, kind, key, _, count = _checked("a storage", persistent_id, [str, Global, str, str, int])
        if word != "storage" or kind.name not in STORAGES or not (key.isascii() and key.isalnum()):
            raise InputError(
                f"the pickle asks for something other than a storage of tensor elements: {word!a:.40}"
                f" {key!a:.40}; {_HARM}"
            )
        dtype, nbytes = STORAGES[kind.name], self._archive.size(f"data/{key}")
        if count != nbytes // np.dtype(DTYPES[dtype]).itemsize:
            raise InputError(
                f"storage {key:.40} claims {_short(count)} elements of {dtype}; its record has {nbytes}"
                f" bytes: {_HARM}"
            )
        return Storage(key, dtype, nbytes)

    def _tensor_v2(self, arguments):
        storage, offset, size, stride = _checked(
            "_rebuild_tensor_v2", arguments[:4], [Storage, int, tuple, tuple]
        )
        _checked("_rebuild_tensor_v2", arguments[4:], [bool, _HOOKS], [dict])
        _check_bits(arguments[6:])
        return _view(storage, storage.dtype, offset, size, stride)

    def _tensor_v3(self, arguments):
        storage, offset, size, stride = _checked(
            "_rebuild_tensor_v3", arguments[:4], [Storage, int, tuple, tuple]
        )
        dtype = _checked("_rebuild_tensor_v3", arguments[4:], [bool, _HOOKS, str], [dict])[2].removeprefix(
            "torch."
        )
        _check_bits(arguments[7:])
        if dtype not in DTYPES:
            raise InputError(
                f"_rebuild_tensor_v3 with the dtype {dtype!a:.40}; expected one of {', '.join(DTYPES)}:"
                f" {_HARM}"
            )
        return _view(storage, dtype, offset, size, stride)

    def _tensor_with_attributes(self, arguments):
        """(rebuilder, type, its arguments, Python attributes) -> Tensor; the attributes are dropped."""
        rebuilder, kind, inner, _ = _checked(
            "_rebuild_from_type_v2", arguments, [Global, Global, tuple, (dict, tuple)]
        )
        if kind.name not in _TENSOR_TYPES or not rebuilder.name.startswith("torch._utils."):
            raise InputError(
                f"_rebuild_from_type_v2 of {kind.name} by {rebuilder.name}; expected a tensor: {_HARM}"
            )
        return self.vocabulary().constructors[rebuilder.name](inner)

    def _encoded(self, arguments):
        """How protocol 2 writes bytes: _codecs.encode(text, 'latin1')."""
        text, codec = _checked("_codecs.encode", arguments, [str, str])
        if codec not in ("latin1", "latin-1"):
            raise InputError(f"_codecs.encode to {codec!a:.40}; expected 'latin1': {_HARM}")
        self._spend(len(text))
        try:
            return text.encode("latin1")
        except UnicodeEncodeError:
            raise InputError(f"_codecs.encode of characters beyond latin1: {_HARM}") from None

    def _set(self, arguments):
        (items,) = _checked("set", arguments, [list])
        self._spend(64 * len(items))
        return {checked_key(item) for item in items}

    def _spend(self, count):
        """Bound what copying one part of the pickle over and over can take."""
        self._spent += count
        if self._spent > MAX_PROGRAM_BYTES:
            raise InputError(
                f"the byte strings and sets take more than {MAX_PROGRAM_BYTES} bytes: save the state dict"
                " alone"
            )


def explain(name):
    """What a refused name probably is, and the remedy, in one line."""
    for prefix, what in _REMEDIES.items():
        if name.startswith(prefix):
            return what
    return (
        "refused, since only tensors and plain data are read and no code is run; in PyTorch:"
        " torch.save(model.state_dict(), new_path)"
    )


_BEFORE_QUANTISATION = "use the network as it was before quantisation"
_REMEDIES = {
    "torch.nn.": (
        "the file holds a whole module, not its weights; in PyTorch: torch.save(model.state_dict(), new_path)"
    ),
    "torch._utils._rebuild_qtensor": (
        f"a quantised tensor; {_BEFORE_QUANTISATION}, or in PyTorch save x.dequantize() instead"
    ),
    "torch.ScriptObject": f"an object of compiled code, as quantised layers have; {_BEFORE_QUANTISATION}",
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor; in PyTorch save x.to_dense() instead",
    "torch.serialization._get_layout": "a sparse tensor; in PyTorch save x.to_dense() instead",
    "torch._utils._rebuild_nested_tensor": "a nested tensor; in PyTorch save x.to_padded_tensor(0.0) instead",
    "torch._utils._rebuild_meta_tensor": (
        "a tensor on the 'meta' device, which has no data; give the model weights before saving it"
    ),
    "torch._utils._rebuild_device_tensor": (
        "a tensor of a device of its own kind; in PyTorch save x.cpu() instead"
    ),
    "torch.float8": "a dtype that NumPy lacks; in PyTorch save x.float() instead",
    "torch.ComplexHalf": "a dtype that NumPy lacks; in PyTorch save x.to(torch.complex64) instead",
    **dict.fromkeys(
        ("torch.qint", "torch.quint", "torch.QInt", "torch.QUInt"),
        f"a type of quantised numbers; {_BEFORE_QUANTISATION}",
    ),
    **dict.fromkeys(
        ("torch.ao.", "torch.quantization.", "torchao."), f"a part of quantisation; {_BEFORE_QUANTISATION}"
    ),
    "numpy.": "a NumPy value; save float(x), x.tolist() or torch.from_numpy(x) instead",
}


# --- checked constructors: the argument tuple of REDUCE -> a plain value ---

_HOOKS = (dict, type(None))


def _checked(name, arguments, kinds, optional=()):
    """The arguments, if they are as many as `kinds` (and any leading `optional` ones) and exactly of those
    types.
    """
    wanted = [*kinds, *optional]
    kinds_given = (
        [type(argument) for argument in arguments] if type(arguments) is tuple else [type(arguments)]
    )
    fits = len(kinds) <= len(kinds_given) <= len(wanted) and type(arguments) is tuple
    if not fits or not all(
        kind in (want if type(want) is tuple else (want,)) for kind, want in zip(kinds_given, wanted)
    ):
        given = ", ".join(kind.__name__ for kind in kinds_given[:8])
        raise InputError(f"{name} is given ({given}), which PyTorch never writes: {_HARM}")
    return arguments


def _view(storage, dtype, offset, size, stride):
    """A Tensor, if it has sane dimensions and its last element lies in the storage."""
    numbers = (offset, *size, *stride)
    if (
        len(size) != len(stride)
        or len(size) > MAX_DIMENSIONS
        or not all(type(number) is int and number >= 0 for number in numbers)
    ):
        found = f"{len(size)} sizes and {len(stride)} strides"
        raise InputError(
            f"a tensor of {found}; expected as many, at most {MAX_DIMENSIONS}, whole numbers, none negative:"
            f" {_HARM}"
        )
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))  # meaningless if some n is 0
    available = storage.nbytes // np.dtype(DTYPES[dtype]).itemsize
    if 0 not in size and last >= available:
        raise InputError(f"a tensor reaches element {_short(last)} of a storage of {available}: {_HARM}")
    return Tensor(storage.key, dtype, offset, size, stride)


def _check_bits(metadata):
    if metadata and any(bit is not False for bit in metadata[0].values()):
        raise InputError(
            "it holds a tensor with a pending conjugation or negation; in PyTorch save"
            " x.resolve_conj().resolve_neg() instead"
        )


def _parameter(arguments):
    """(data, requires_grad, hooks[, attributes]) -> data"""
    return _checked("_rebuild_parameter", arguments, [Tensor, bool, _HOOKS], [(dict, tuple)])[0]


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
    return str(number) if abs(number) < 10**20 else "beyond 10**20"
