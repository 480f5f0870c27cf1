"""The weights of an exported network as one file, which firmware maps from flash or loads into memory.

All numbers are little-endian and lie at multiples of their size; words have 32 bits.

    words     the bytes "NPRW", 0x01020304, BLOB_FORMAT, bytes of all, CRC-32 of all that follows
    words     1 for int8 or 0, NPR_FORMAT, CRC-32 of npr_model, the fingerprint of the features
    words     inputs, hidden, classes, layers, residual, and what else npr_model has before its arrays
    words     for each layer what npr_lstm has before its arrays
    arrays    in the order of npr_verify, each filled up with zeros to a multiple of 4 bytes
    labels    in UTF-8, each closed by a zero byte; together filled up as well

``npr_blob_open`` reads it.
"""

import dataclasses
import json
import zlib

import numpy as np

from npreslstm.checkpoint import check_class_names

BLOB_FORMAT = 1  # BLOB_FORMAT in npr_blob.c


def blob(checkpoint, type, model_format, weights, integer=False):
    """The bytes of the file; `weights` has ``arrays``, ``crc``, ``numbers`` and ``layers``."""
    words = [int(type == "int8"), model_format, weights.crc, fingerprint(checkpoint.features, integer)]
    words += weights.numbers
    for numbers, _ in weights.layers:
        words += numbers
    labels = b"".join(label.encode() + b"\0" for label in labels_of(checkpoint))
    body = np.array(words, "<u4").tobytes()
    body += b"".join(map(_filled, [*map(little_endian, weights.arrays), labels]))
    head = np.array([0x01020304, BLOB_FORMAT, 20 + len(body), zlib.crc32(body)], "<u4").tobytes()
    return b"NPRW" + head + body


def labels_of(checkpoint):
    """The names of the classes; numbers where there are none. InputError if they have control characters."""
    labels = checkpoint.classes or tuple(f"class {k}" for k in range(checkpoint.config.num_classes))
    check_class_names("the checkpoint has", labels)
    return labels


def fingerprint(features, integer=False):
    """CRC-32 of how the features are made: a network for as many others would be wrong in silence."""
    if features is None:
        return 0
    described = json.dumps(dataclasses.asdict(features), sort_keys=True) + ("integer" if integer else "")
    return zlib.crc32(described.encode())


def little_endian(values):
    """The bytes of an array."""
    return np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()


def _filled(data):
    return data + bytes(-len(data) % 4)
