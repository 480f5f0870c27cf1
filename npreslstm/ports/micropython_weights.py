"""The weights file of the MicroPython port: the integer model and its frontend, as npr.py reads them.

All numbers are little-endian. Those with a sign are stored without one where viper loads them: int8 as
value + 128, int16 as value + 32768, sums as value + 2^30.

    words     the bytes "NPRM", FORMAT, bytes of all, CRC-32 of all that follows
    words     inputs, classes, layers, residual, x_bits, multiplier and shift of the score, bytes of the
              labels and of the licence
    labels    in UTF-8 with zero bytes between them; licence
    tanh      (513,) and exp2 (65,), uint16
    layers    each inputs, hidden, c_bits (words); the offsets of h and x and the multiplier (4H,) uint32, the
              recurrent shift (4H,) uint8, the weights of h and x (4H, columns) uint8
    head      attention (H,) uint16, weights (C, H) int16, bias and multiplier (C,) int32, shift (C,) uint8
    frontend  a word, 0 without one; else what `FRONTEND_WORDS` names, and the arrays of `FRONTEND_ARRAYS`

The columns of h and of x are each filled up with zeros to a multiple of 8. With stored weights u = w + 128
and stored values z = v + 32768, a row's sum of products is

    W v = sum u z - 128 sum z + (128 * 32768 n - 32768 sum u)

of which the last part is the row's offset.
"""

import zlib

import numpy as np

from npreslstm.errors import InputError
from npreslstm.integer import fixed_point, frontend_tables
from npreslstm.ports.c_blob import labels_of

FORMAT = 1  # FORMAT in npr.py
BLOCK = 8  # columns are multiplied eight at a time
BIAS = 1 << 30  # of the offsets
MOST_COLUMNS = 128  # 255 * 65535 * 128 < 2^31
FRONTEND_WORDS = ("sample_rate", "n_fft", "hop_length", "n_mels", "n_mfcc", "n_chroma")  # then floor and unit
SIGNED = ("cosine", "chroma_weights")  # stored as value + 32768
FRONTEND_ARRAYS = (
    *("cosine", "mel_start", "mel_count", "mel_weights", "mel_offset"),
    *("chroma_start", "chroma_count", "chroma_weights", "chroma_down", "log2"),
)


def weights_file(checkpoint, quantized):
    """The bytes of the file.

    Parameters
    ----------
    checkpoint : Checkpoint
    quantized : QuantizedModel
        Of the same checkpoint.

    Raises
    ------
    InputError
        If a layer is too wide for sums of 32 bits, or the frontend cannot compute the features.
    """
    head = quantized.head
    labels = "\0".join(labels_of(checkpoint)).encode()
    licence = str(
        checkpoint.notes.get("licence", "the terms of the weights file that they come from")
    ).encode()
    first = quantized.lstms[0]
    sizes = [first.W_x.shape[1], len(head.bias), len(quantized.lstms), quantized.residual, quantized.x_bits]
    body = (
        _words(*sizes, head.score_multiplier, head.score_shift, len(labels), len(licence)) + labels + licence
    )
    body += _bytes(fixed_point.TANH_TABLE, "<u2") + _bytes(fixed_point.EXP2_TABLE, "<u2")
    body += b"".join(map(_layer, quantized.lstms))
    body += _bytes(head.attention.astype(int) + 32768, "<u2") + _bytes(head.W, "<i2")
    body += _bytes(head.bias, "<i4") + _bytes(head.multiplier, "<i4") + _bytes(head.shift, "u1")
    body += _frontend(checkpoint, quantized.x_bits)
    return b"NPRM" + _words(FORMAT, 16 + len(body), zlib.crc32(body)) + body


def _layer(lstm):
    rows = len(lstm.bias)
    columns = max(lstm.W_h.shape[1], lstm.W_x.shape[1])
    if columns > MOST_COLUMNS:
        raise InputError(
            f"an LSTM layer has {columns} inputs or hidden units; expected up to {MOST_COLUMNS} for"
            " MicroPython, whose sums have 31 bits: npreslstm export c has no such limit"
        )
    weights = np.concatenate([_stored_weights(lstm.W_h), _stored_weights(lstm.W_x)], axis=1)
    offsets = _offset(lstm.W_h), _offset(lstm.W_x) + lstm.bias
    body = _words(lstm.W_x.shape[1], rows // 4, lstm.c_bits)
    body += b"".join(_bytes(offset + BIAS, "<u4") for offset in offsets)
    return body + _bytes(lstm.multiplier, "<u4") + lstm.recurrent_shift.tobytes() + weights.tobytes()


def _stored_weights(W):
    """(rows, n) int8 -> (rows, n filled up to a multiple of BLOCK) uint8."""
    n = W.shape[1]
    stored = np.zeros((len(W), -(-n // BLOCK) * BLOCK), np.uint8)
    stored[:, :n] = W.astype(int) + 128
    return stored


def _offset(W):
    """What a row's sum of stored numbers is too large by, but for the part that depends on the values."""
    stored = W.astype(np.int64) + 128
    return 128 * 32768 * W.shape[1] - 32768 * stored.sum(axis=1)


def _frontend(checkpoint, x_bits):
    config = checkpoint.features
    if config is None:
        return _words(0)
    tables = frontend_tables.tables(config)
    statistics = frontend_tables.statistics(checkpoint, x_bits)
    body = _words(1, *(getattr(config, name) for name in FRONTEND_WORDS), tables.floor, tables.unit)
    for name in FRONTEND_ARRAYS:
        values = getattr(tables, name)
        body += _words(len(values))
        body += _bytes(values.astype(int) + 32768, "<u2") if name in SIGNED else _little_endian(values)
    body += _bytes(statistics.multiplier.astype(int) + 32768, "<u2")
    return body + _little_endian(statistics.offset) + _little_endian(statistics.shift)


def _words(*values):
    return b"".join(int(value).to_bytes(4, "little", signed=value < 0) for value in values)


def _bytes(values, dtype):
    return np.asarray(values).astype(dtype).tobytes()


def _little_endian(values):
    return values.astype(values.dtype.newbyteorder("<")).tobytes()
