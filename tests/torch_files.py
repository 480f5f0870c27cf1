"""Builds .pt files byte by byte, honest and lying, for the tests of the reader: zip records and pickle
opcodes without torch.
"""

import struct
import zlib

PROTO = b"\x80\x02"
FALSE, STOP = b"\x89", b"."


# --- pickle: each function returns the opcodes that leave one value on the stack ---


def name(dotted):
    """GLOBAL"""
    module, _, last = dotted.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def text(value):
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value):
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def group(*items):
    """MARK ... TUPLE"""
    return b"(" + b"".join(items) + b"t"


def integers(values):
    return group(*map(integer, values))


def call(dotted, *arguments):
    """REDUCE"""
    return name(dotted) + group(*arguments) + b"R"


def dictionary(items):
    """EMPTY_DICT MARK ... SETITEMS; keys are str, values opcodes"""
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def storage(key="0", kind="torch.FloatStorage", count=6, word="storage"):
    """BINPERSID"""
    return group(text(word), name(kind), text(key), text("cpu"), integer(count)) + b"Q"


HOOKS = call("collections.OrderedDict")


def tensor(data=None, offset=0, size=(2, 3), stride=(3, 1), flags=FALSE + HOOKS):
    data = storage() if data is None else data
    return (
        name("torch._utils._rebuild_tensor_v2")
        + b"("
        + data
        + integer(offset)
        + integers(size)
        + integers(stride)
        + flags
        + b"tR"
    )


# --- zip ---


def record(path, data=b"", **lies):
    """A record; `lies` may set central_name, local_size, central_size, method, local_method, flags, crc,
    header, packed.
    """
    return {"name": path, "data": data, **lies}


def _encoded(path):
    return path if isinstance(path, bytes) else path.encode()


def zip_bytes(records, count=None, length=None, offset=None, comment=b"", tail=b""):
    """A zip file of stored records; the keywords replace what its end says."""
    body, directory = b"", b""
    for item in records:
        data, local_name = item["data"], _encoded(item["name"])
        size, crc = item.get("central_size", len(data)), item.get("crc", zlib.crc32(data))
        flags, method = item.get("flags", 0), item.get("method", 0)
        header, local_size = item.get("header", len(body)), item.get("local_size", len(data))
        central_name = _encoded(item.get("central_name", local_name))
        packed = item.get("packed", size)
        directory += struct.pack(
            "<4s6H3I5H2I",
            b"PK\x01\x02",
            20,
            20,
            flags,
            method,
            0,
            33,
            crc,
            packed,
            size,
            len(central_name),
            *[0] * 5,
            header,
        )
        directory += central_name
        if "header" not in item:
            local_method = item.get("local_method", method)
            body += struct.pack(
                "<4s5H3I2H",
                b"PK\x03\x04",
                20,
                flags,
                local_method,
                0,
                33,
                crc,
                local_size,
                local_size,
                len(local_name),
                0,
            )
            body += local_name + data
    count, length = len(records) if count is None else count, len(directory) if length is None else length
    offset = len(body) if offset is None else offset
    return (
        body
        + directory
        + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, length, offset, len(comment))
        + comment
        + tail
    )


def torch_records(program, storages=None, version=b"3\n", byteorder=b"little", root="archive"):
    """The records that torch.save writes for a program, {key: bytes} its storages."""
    storages = {"0": struct.pack("<6f", *range(6))} if storages is None else storages
    records = [record(f"{root}/data.pkl", PROTO + program + STOP)]
    records += [record(f"{root}/byteorder", byteorder)] if byteorder is not None else []
    records += [record(f"{root}/data/{key}", data) for key, data in storages.items()]
    return [*records, *([record(f"{root}/version", version)] if version is not None else [])]


def torch_file(program, storages=None, **settings):
    return zip_bytes(torch_records(program, storages, **settings))
