"""NumPy's .npy and .npz files, read with every size known before memory is taken; nothing in them is
evaluated.

NumPy's own reader evaluates the header as a Python literal and raises whatever that raises. Here a header is
three fields that are matched, the type is one of those below, and the size must be that of the bytes that are
there.
"""

import io
import math
import os
import re
import struct
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError

LARGEST = 1 << 28  # bytes of an .npz; beyond that it is none of this package's
MAX_HEADER = 10_000  # bytes
MAX_DIMENSIONS = 32  # of NumPy 1.26
MEMBER_HEADER = 30  # bytes before the name of a member of a zip file

_MAGIC = b"\x93NUMPY"
_LENGTH = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}  # of the header, by the version of the format
_TYPE = re.compile(r"[<>|=](b1|[iu][1248]|f[248]|c8|c16|U[1-9]\d{0,6})")
_FIELD = re.compile(
    r"""\s*(['"])(descr|fortran_order|shape)\1\s*:"""
    r"""\s*(['"][^'"]*['"]|True|False|\([\d\s,]*\))\s*(?:,|(?=\s*\}))"""
)
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, ValueError, LookupError, ArithmeticError, TypeError,
    EOFError, OSError,
    RuntimeError,  # encrypted, or (NotImplementedError) of a later version of zip
)  # fmt: skip


class _CompressedError(InputError):
    """Compressed arrays, or too many of them."""


class _Layout(NamedTuple):
    """What a header says, and where the numbers begin."""

    dtype: np.dtype
    shape: tuple[int, ...]
    order: str  # C or F
    start: int

    @property
    def nbytes(self):
        return math.prod(self.shape) * self.dtype.itemsize


def parse_npy(data):
    """The array that the bytes of an .npy file are.

    Parameters
    ----------
    data : bytes-like

    Returns
    -------
    numpy.ndarray
        In native byte order, writable, with memory of its own.

    Raises
    ------
    InputError
        If it is not a whole .npy file of numbers or text; says why, without a name.
    """
    layout = _layout(data)
    if len(data) - layout.start != layout.nbytes:
        raise InputError(f"its array takes {layout.nbytes} bytes; {len(data) - layout.start} are there")
    array = np.ndarray(layout.shape, layout.dtype, data, layout.start, order=layout.order)
    array = array.astype(layout.dtype.newbyteorder("="), order="K")
    if array.dtype.kind == "U" and array.size and np.frombuffer(array.tobytes(), np.uint32).max() > 0x10FFFF:
        raise InputError("its text has characters that do not exist")
    return array


def read_npz(path, remedy, inflate=0, kind=".npz file"):
    """{name: array} of an .npz file.

    Parameters
    ----------
    path : str or os.PathLike
    remedy : str
        What the message advises if the file cannot be used.
    inflate : int
        Bytes that compressed arrays may unpack to; 0 refuses them.
    kind : str
        What the message calls it.

    Raises
    ------
    OSError
        If the file cannot be opened or read.
    InputError
        If it is damaged, compressed, too large, or holds anything but arrays of numbers and text; names it.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(min(size, LARGEST) + 1)  # more would be taken of the address space, if not of memory
        if len(data) > size:  # a pipe, whose size is 0
            data += file.read(LARGEST + 1 - len(data))
    if len(data) > LARGEST:
        raise InputError(f"{os.fspath(path)} has {size} bytes; expected at most {LARGEST}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_places(members, archive.start_dir)
            _check_members(members, len(data), inflate)
            return {member.filename.removesuffix(".npy"): _member(archive, member) for member in members}
    except _CompressedError as error:
        raise InputError(f"{os.fspath(path)} is compressed; {error}") from None
    except _BROKEN as error:  # InputError is a ValueError
        raise InputError(f"{os.fspath(path)} is not a readable {kind} ({error}): {remedy}") from None


def map_npy(path, remedy):
    """The array of an .npy file of any size, read from there as it is needed; it cannot be written to.

    Raises
    ------
    OSError
        If the file cannot be opened.
    InputError
        If it is damaged, or of the other byte order; names the file.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            layout = _layout(file.read(len(_MAGIC) + 6 + MAX_HEADER))
            if size - layout.start != layout.nbytes:
                raise InputError(f"its array takes {layout.nbytes} bytes; {size - layout.start} are there")
            if not layout.dtype.isnative:
                raise InputError("it was written on a machine of the other byte order")
        except InputError as error:
            raise InputError(f"{os.fspath(path)} is not a readable .npy file ({error}): {remedy}") from None
        if not layout.nbytes:
            return np.zeros(layout.shape, layout.dtype)
        return np.memmap(file, layout.dtype, "r", layout.start, layout.shape, layout.order).view(np.ndarray)


def _layout(data):
    """The header at the beginning of `data`."""
    version = tuple(data[6:8])
    if bytes(data[:6]) != _MAGIC or version not in _LENGTH:
        raise InputError("it does not begin as an .npy file")
    code = _LENGTH[version]
    begin = 8 + struct.calcsize(code)
    if len(data) < begin:
        raise InputError("its header is cut off")
    (length,) = struct.unpack_from(code, data, 8)
    if length > MAX_HEADER or begin + length > len(data):
        raise InputError("its header is cut off, or too long")
    fields = _fields(bytes(data[begin : begin + length]).decode("latin1").strip())
    dtype, shape = _dtype(fields["descr"]), _shape(fields["shape"])
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize >= 1 << 62:
        raise InputError("its array is larger than any memory")
    if fields["fortran_order"] not in ("True", "False"):
        raise InputError(f"its fortran_order is {fields['fortran_order']:.40}; expected True or False")
    return _Layout(dtype, shape, "F" if fields["fortran_order"] == "True" else "C", begin + length)


def _fields(text):
    """{field: its text} of a header."""
    fields, at = {}, 1
    while match := _FIELD.match(text, at):
        fields[match[2]] = match[3]
        at = match.end()
    if text[:1] != "{" or text[at:].strip() != "}" or len(fields) != 3:
        raise InputError("its header does not say type, order and shape")
    return fields


def _dtype(text):
    if not _TYPE.fullmatch(text[1:-1]):
        what = "Python objects, which are not unpickled" if "O" in text else f"of type {text:.40}"
        raise InputError(f"it is {what}; expected numbers or text")
    return np.dtype(text[1:-1])


def _shape(text):
    numbers = [part.strip() for part in text[1:-1].split(",")]
    if numbers[-1] == "":  # of (), and after the comma of (3,)
        numbers.pop()
    if (
        text[0] != "("
        or len(numbers) > MAX_DIMENSIONS
        or not all(number.isdigit() and len(number) < 19 for number in numbers)
    ):
        raise InputError(f"its shape is {text:.40}; expected at most {MAX_DIMENSIONS} whole numbers")
    return tuple(map(int, numbers))


def _check_places(members, end):
    """Raise InputError unless each member ends before the next begins, the last before `end`. Python itself
    reads others, refuses them or warns of them, each version differently.
    """
    members = sorted(members, key=lambda member: member.header_offset)
    for member, bound in zip(members, [*(other.header_offset for other in members[1:]), end]):
        if member.header_offset + MEMBER_HEADER + member.compress_size > bound:
            raise InputError(f"{member.filename:.80} runs into what follows it")


def _check_members(members, size, inflate):
    """Raise InputError unless the members of a zip file of `size` bytes are arrays of as much as
    they may be.
    """
    names = [member.filename for member in members]
    if len(set(names)) != len(names) or not all(name.endswith(".npy") for name in names):
        raise InputError("it holds something other than arrays of different names")
    stored = [member for member in members if member.compress_type == zipfile.ZIP_STORED]
    deflated = [member for member in members if member.compress_type != zipfile.ZIP_STORED]
    if (
        any(member.compress_type != zipfile.ZIP_DEFLATED for member in deflated)
        or sum(member.file_size for member in deflated) > inflate
    ):
        wanted = (
            f"of at most {inflate} bytes"
            if inflate
            else "that are stored as they are, as npreslstm writes them"
        )
        raise _CompressedError(f"expected arrays {wanted}")
    if (
        any(member.file_size != member.compress_size for member in stored)
        or sum(member.file_size for member in stored) > size
    ):
        raise InputError("its arrays are longer than the file")


def _member(archive, member):
    with archive.open(member) as file:
        data = file.read(member.file_size)  # never more, whatever it would inflate to
    try:
        return parse_npy(data)
    except InputError as error:
        raise InputError(f"{member.filename:.80}: {error}") from None
