"""What a snapshot of a training must hold, and of which run it is."""

import os
import zlib

import numpy as np

from npreslstm.errors import SnapshotError


def checksum(arrays):
    """CRC-32 of the shapes and numbers of some arrays."""
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array), zlib.crc32(repr(array.shape).encode(), crc))
    return crc


def require(path, arrays, expected):
    """Raise SnapshotError unless `arrays` has all of `expected`, of the same shapes and types."""
    for name, like in expected.items():
        found = arrays.get(name)
        if found is None or found.shape != like.shape or found.dtype.kind != like.dtype.kind:
            raise SnapshotError(
                f"{os.fspath(path)} is damaged ({name} is missing, or not what it should be): delete it"
            )


def other_run(path):
    """The error for a snapshot that does not belong to this run."""
    return SnapshotError(
        f"{path} is the state of a different run, or of an earlier version; delete it, or train with the same"
        " data, recipe and seed"
    )
