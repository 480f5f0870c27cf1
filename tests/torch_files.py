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
        directory += _directory_entry(item, at=len(body))
        if "header" not in item:
            body += _local_header(item) + item["data"]
    count, length = len(records) if count is None else count, len(directory) if length is None else length
    offset = len(body) if offset is None else offset
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, length, offset, len(comment))
    return body + directory + end + comment + tail


def _directory_entry(item, at):
    """What the central directory says of a record whose header is the byte `at`, or what `item` says."""
    data, name = item["data"], _encoded(item.get("central_name", item["name"]))
    size, crc = item.get("central_size", len(data)), item.get("crc", zlib.crc32(data))
    flags, method, packed = item.get("flags", 0), item.get("method", 0), item.get("packed", size)
    versions_to_crc = 20, 20, flags, method, 0, 33, crc
    places = [0] * 5 + [item.get("header", at)]
    numbers = *versions_to_crc, packed, size, len(name), *places
    return struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *numbers) + name


def _local_header(item):
    """What a record says of itself."""
    data, name = item["data"], _encoded(item["name"])
    size, crc = item.get("local_size", len(data)), item.get("crc", zlib.crc32(data))
    method = item.get("local_method", item.get("method", 0))
    version_to_crc = 20, item.get("flags", 0), method, 0, 33, crc
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", *version_to_crc, size, size, len(name), 0) + name


def torch_records(program, storages=None, version=b"3\n", byteorder=b"little", root="archive"):
    """The records that torch.save writes for a program, {key: bytes} its storages."""
    storages = {"0": struct.pack("<6f", *range(6))} if storages is None else storages
    records = [record(f"{root}/data.pkl", PROTO + program + STOP)]
    records += [record(f"{root}/byteorder", byteorder)] if byteorder is not None else []
    records += [record(f"{root}/data/{key}", data) for key, data in storages.items()]
    return [*records, *([record(f"{root}/version", version)] if version is not None else [])]


def torch_file(program, storages=None, **settings):
    return zip_bytes(torch_records(program, storages, **settings))
