"""The zip files that torch.save writes, read strictly.

Records are stored, never compressed, so nothing can inflate; every byte range is checked against the file
before it is read, and no record name ever reaches the file system. Python's zipfile is not used for reading:
it builds an object for every entry before anyone can count them, inflates compressed entries, lets records
overlap (before 3.12), and refuses the files that ``torch.serialization.set_crc32_options(False)`` makes,
whose checksums are all zero.
"""

import os
import struct
import zlib
from typing import NamedTuple

from npreslstm.errors import InputError

MAX_FILE_BYTES = 2**32 - 1  # larger files need zip64 fields
MAX_RECORDS = 20_000
MAX_NAME_BYTES = 512

_END = struct.Struct("<4s4H2IH")  # end of central directory: the last 22 bytes of the file
_CENTRAL = struct.Struct("<4s6H3I5H2I")  # one entry of the central directory
_LOCAL = struct.Struct("<4s5H3I2H")  # the header in front of a record's data

_TORCHSCRIPT = (
    "this is a TorchScript archive (torch.jit.save), which holds code; "
    "in PyTorch save its weights: torch.save(torch.jit.load(path).state_dict(), new_path)"
)


class _Entry(NamedTuple):
    """What the central directory says of a record."""

    name: str
    flags: int
    method: int
    crc: int  # 0: not computed
    packed: int
    size: int
    header: int  # offset of the local header


class _Record(NamedTuple):
    start: int
    size: int
    crc: int


class TorchArchive:
    """The records of an open torch.save file, by their names without the archive's own folder.

    Parameters
    ----------
    file : binary file
        Open for reading, seekable.

    Raises
    ------
    InputError
        If the file is not a whole zip file, is a TorchScript archive, or holds anything that torch.save does
        not write: compressed or encrypted records, records that overlap or lie outside the file, names twice
        or with path tricks.
    """

    def __init__(self, file):
        self._file = file
        size = file.seek(0, os.SEEK_END)
        entries, directory = _central_directory(file, size)
        root = entries[0].name.split("/", 1)[0] + "/"
        self._records = {}
        _check_torchscript(entries, root)
        end = 0
        for entry in sorted(entries, key=lambda entry: entry.header):
            name = _inner_name(entry.name, root)
            if name in self._records:
                raise InputError(
                    f"the record {name!a:.80} is there twice; torch.save writes each once: the file was made"
                    " by something else"
                )
            record = _record(file, entry, directory)
            if entry.header < end:
                raise InputError(
                    f"the record {name!a:.80} overlaps the one before it; torch.save never writes that: the"
                    " file was made to do harm"
                )
            end = record.start + record.size
            self._records[name] = record

    def __contains__(self, name):
        return name in self._records

    def names(self):
        """All record names."""
        return list(self._records)

    def size(self, name):
        """Bytes of a record, known to lie inside the file; InputError if there is no such record."""
        if name not in self._records:
            raise InputError(
                f"there is no record {name!a:.80}; found {_some(self._records)}: the file is damaged or not"
                " from torch.save"
            )
        return self._records[name].size

    def read(self, name, limit=MAX_FILE_BYTES):
        """The bytes of a record of at most `limit` bytes, its checksum verified unless the file
        carries none.
        """
        size = self.size(name)
        if size > limit:
            raise InputError(
                f"the record {name!a:.80} has {size} bytes; at most {limit} are read: save the state dict"
                " alone"
            )
        start, _, crc = self._records[name]
        data = _exactly(self._file, start, size)
        if crc and zlib.crc32(data) != crc:
            raise InputError(
                f"the record {name!a:.80} fails its checksum: the file is damaged, fetch or save it again"
            )
        return data


def _central_directory(file, size):
    """All entries, and the offset where the directory begins: no record reaches further."""
    if size > MAX_FILE_BYTES:
        raise InputError(
            f"{size} bytes; at most {MAX_FILE_BYTES} are read: save the state dict without the optimizer's"
            " state"
        )
    if size < _END.size:
        raise InputError(f"{size} bytes is too short for a torch.save file: it is cut off")
    signature, disk, start_disk, here, count, length, offset, comment = _END.unpack(
        _exactly(file, size - _END.size, _END.size)
    )
    if signature != b"PK\x05\x06" or disk or start_disk or here != count or comment:
        raise InputError(
            "the zip directory at the end is missing: the file is cut off or has something appended; fetch or"
            " save it again"
        )
    if not 0 < count <= MAX_RECORDS:
        raise InputError(f"the zip directory names {count} records; expected 1 to {MAX_RECORDS}")
    if offset + length > size - _END.size or length > count * (_CENTRAL.size + MAX_NAME_BYTES + 512):
        raise InputError(
            f"the zip directory claims {length} bytes at {offset} in a file of {size}: the file is damaged"
        )
    return _entries(_exactly(file, offset, length), count), offset


def _entries(directory, count):
    entries, at = [], 0
    for _ in range(count):
        if at + _CENTRAL.size > len(directory):
            raise InputError(
                f"the zip directory ends after {len(entries)} of {count} records: the file is damaged"
            )
        fields = _CENTRAL.unpack_from(directory, at)
        flags, method, crc, packed, size, name_length, extra, comment, header = (
            *fields[3:5],
            *fields[7:13],
            fields[16],
        )
        if fields[0] != b"PK\x01\x02" or not 0 < name_length <= MAX_NAME_BYTES:
            raise InputError(f"entry {len(entries)} of the zip directory is not one: the file is damaged")
        name = directory[at + _CENTRAL.size : at + _CENTRAL.size + name_length]
        entries.append(_Entry(_decoded(name), flags, method, crc, packed, size, header))
        at += _CENTRAL.size + name_length + extra + comment
    return entries


def _check_torchscript(entries, root):
    """TorchScript is told apart before its compressed code records are refused."""
    if any(
        entry.name == root + "constants.pkl" or entry.name.startswith(root + "code/") for entry in entries
    ):
        raise InputError(_TORCHSCRIPT)


def _record(file, entry, directory):
    """Where a record's data lies, after its two headers have been found to agree."""
    if entry.method or entry.packed != entry.size:
        raise InputError(
            f"the record {entry.name!a:.80} is compressed; torch.save stores records as they are: save the"
            " file again in PyTorch"
        )
    if entry.flags & 1:
        raise InputError(
            f"the record {entry.name!a:.80} is encrypted; torch.save does not encrypt: save the file again in"
            " PyTorch"
        )
    header = _exactly(file, entry.header, _LOCAL.size)
    signature, _, flags, method, _, _, _, packed, size, name_length, extra = _LOCAL.unpack(header)
    sizes = {entry.size, 0} if flags & 8 else {entry.size}  # bit 3: the sizes follow the data
    name = _exactly(file, entry.header + _LOCAL.size, name_length)
    if signature != b"PK\x03\x04" or method or not {packed, size} <= sizes or _decoded(name) != entry.name:
        raise InputError(
            f"the two headers of the record {entry.name!a:.80} disagree: the file is damaged or was made to"
            " do harm"
        )
    start = entry.header + _LOCAL.size + name_length + extra
    if start + entry.size > directory:
        raise InputError(
            f"the record {entry.name!a:.80} claims {entry.size} bytes at {start}, past the end of the data:"
            " the file is damaged"
        )
    return _Record(start, entry.size, entry.crc)


def _inner_name(name, root):
    parts = name.split("/")
    if (
        not name.startswith(root)
        or "\\" in name
        or "\0" in name
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise InputError(
            f"the record name {name!a:.80} is not one that torch.save writes (one folder, no '..'): the file"
            " is not to be trusted"
        )
    return name[len(root) :]


def _decoded(name):
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"the record name {name!r:.80} is not UTF-8: the file is damaged") from None


def _exactly(file, start, count):
    file.seek(start)
    data = file.read(count)
    if len(data) != count:
        raise InputError(f"{count} bytes expected at {start}, {len(data)} found: the file is cut off")
    return data


def _some(names):
    shown = sorted(names)[:5]
    return ", ".join(f"{name!a:.40}" for name in shown) + (
        f" and {len(names) - 5} more" if len(names) > 5 else ""
    )
