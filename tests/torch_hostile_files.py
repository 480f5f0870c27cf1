"""A catalogue of hostile .pt files, each with one lie, for test_torch_pt_hostile.py: FILES, and in SAYS what
their refusal must say.
"""

import struct
import zlib

from torch_files import (
    FALSE,
    HOOKS,
    PROTO,
    call,
    dictionary,
    group,
    integer,
    integers,
    name,
    record,
    storage,
    tensor,
    text,
    torch_file,
    torch_records,
    zip_bytes,
)

from npreslstm.formats.closed_pickle import MAX_OPCODES, MAX_PROGRAM_BYTES
from npreslstm.formats.torch_zip import MAX_RECORDS


def w(**parts):
    """A file whose state dict has one tensor made with the given arguments of `tensor`."""
    return torch_file(dictionary({"w": tensor(**parts)}))


def v2(*arguments):
    return torch_file(call("torch._utils._rebuild_tensor_v2", *arguments))


def put(index):
    return b"r" + struct.pack("<I", index)


def get(index):
    return b"j" + struct.pack("<I", index)


FROM_TYPE = "torch._tensor._rebuild_from_type_v2"
SHAPE, STRIDE = integers([2, 3]), integers([3, 1])
SIX = storage()
CALLS = {
    "os.system": call("posix.system", text("true")),
    "eval": call("builtins.eval", text("1")),
    "eval of Python 2": call("__builtin__.eval", text("1")),
    "exec": call("builtins.exec", text("1")),
    "getattr": call("builtins.getattr", text("x"), text("upper")),
    "import": call("builtins.__import__", text("os")),
    "a name in the memo": (
        name("posix.system") + put(7) + dictionary({"w": tensor()}) + get(7) + group(text("true")) + b"R"
    ),
    "a name made on the stack": text("posix") + text("system") + b"\x93" + group(text("true")) + b"R",
    "a name with dots": b"cbuiltins\neval.__class__\n" + group() + b"R",
    "a name of bytes": b"c\xff\xfe\nx\n",
    "a name with terminal codes": b"c\x1b[2Jos\nsystem\n",
    "an endless name": b"c" + b"a" * 2**20,
    "torch.hub": call("torch.hub.load", text("x"), text("y")),
    "torch.load": call("torch.load", text("x")),
    "a rebuilder of NumPy": call(
        "numpy._core.multiarray._reconstruct", name("numpy.ndarray"), group(), text("b")
    ),
    "an inner rebuilder": call(
        FROM_TYPE, name("posix.system"), name("torch.Tensor"), group(text("true")), b"}"
    ),
}
OPCODES = {
    "INST": b"(" + text("true") + b"iposix\nsystem\n", "OBJ": b"(" + name("collections.OrderedDict") + b"o",
    "NEWOBJ": name("torch.nn.parameter.Parameter") + b")\x81",
    "NEWOBJ_EX": name("collections.OrderedDict") + b")}\x92",
    "EXT1": b"\x82\x01", "EXT2": b"\x83\x01\x00", "EXT4": b"\x84\x01\x00\x00\x00",
    "PERSID": b"Pposix.system\n",
    "POP": b"N0", "DUP": b"N2", "FRAME": b"\x95" + bytes(8), "LONG4": b"\x8b" + struct.pack("<i", 2**30),
    "PUT": b"Np1\n", "PROTO": b"\x80\x04",
    "0x53": b"S'text'\n", "0x8f": b"\x8f", "0x8e": b"\x8e" + struct.pack("<Q", 2**62),
    "0x96": b"\x96" + struct.pack("<Q", 2**62),
}  # fmt: skip
ARGUMENTS = {
    "no arguments": v2(),
    "texts for numbers": v2(SIX, text("0"), SHAPE, STRIDE, FALSE, HOOKS),
    "a text for a storage": v2(text("0"), integer(0), SHAPE, STRIDE, FALSE, HOOKS),
    "True for an offset": v2(SIX, b"\x88", SHAPE, STRIDE, FALSE, HOOKS),
    "True for a size": v2(SIX, integer(0), group(b"\x88", integer(3)), STRIDE, FALSE, HOOKS),
    "a float for a size": v2(SIX, integer(0), group(b"G" + struct.pack(">d", 2), integer(3)), STRIDE, FALSE,
    HOOKS),
    "a list for a size": v2(SIX, integer(0), b"](" + integer(6) + b"e", STRIDE, FALSE, HOOKS),
    "a tensor for hooks": v2(SIX, integer(0), SHAPE, STRIDE, FALSE, tensor()),
    "a tensor among the bits": v2(SIX, integer(0), SHAPE, STRIDE, FALSE, HOOKS,
    dictionary({"conj": tensor()})),
    "eight arguments": v2(SIX, integer(0), SHAPE, STRIDE, FALSE, HOOKS, b"}", b"}"),
    "no tuple of arguments": torch_file(name("torch._utils._rebuild_tensor_v2") + SIX + b"R"),
    "a list of arguments": torch_file(name("collections.OrderedDict") + b"]R"),
    "a call of a storage class": torch_file(call("torch.FloatStorage", integer(2**40))),
    "a call of Tensor": torch_file(call("torch.Tensor", integer(2**40))),
    "a call of a text": torch_file(text("posix.system") + group(text("true")) + b"R"),
    "a call of a result": torch_file(HOOKS + group() + b"R"),
    "a dtype as a function": torch_file(call("torch.float32", integer(1))),
    "an unknown dtype": torch_file(call("torch._utils._rebuild_tensor_v3", SIX, integer(0), SHAPE, STRIDE,
    FALSE, HOOKS, text("torch.object"))),
    "a rebuilder of itself": torch_file(call(FROM_TYPE, name(FROM_TYPE), name("torch.Tensor"), group(),
    b"}")),
    "a rebuilder of a Size": torch_file(call(FROM_TYPE, name("torch.Size"), name("torch.Tensor"),
    group(group()), b"}")),
    "an OrderedDict of pairs": torch_file(call("collections.OrderedDict", b"]")),
    "a Counter of a number": torch_file(call("collections.Counter", integer(10**9))),
    "bytes of a number": torch_file(call("builtins.bytes", integer(10**9))),
    "a bytearray of a number": torch_file(call("builtins.bytearray", integer(10**9))),
    "a set of a list": torch_file(call("builtins.set", b"]]a")),
    "a complex of a text": torch_file(call("builtins.complex", text("1" * 100))),
    "a Size of a number": torch_file(call("torch.Size", integer(3))),
    "an encoding that unpacks": torch_file(call("_codecs.encode", text("x"), text("zlib_codec"))),
    "a Parameter of a text": torch_file(call("torch._utils._rebuild_parameter", text("x"), FALSE, HOOKS)),
    "the state of a list": torch_file(b"]}b"),
    "the state of a tensor": torch_file(tensor() + b"}b"),
    "a state of tuples": torch_file(b"}" + group(b"}", b"}") + b"b"),
    "an append to a tuple": torch_file(b")Na"),
    "a key in a list": torch_file(b"]NNs"),
    "a tuple as key": torch_file(b"})Ns"),
    "an enormous key": torch_file(b"}" + integer(2**61 - 1) + b"Ns"),
    "a key without a value": torch_file(b"}(Nu"),
    "a function as a value": torch_file(name("collections.OrderedDict")),
    "an unopened group": torch_file(b"Nt"),
    "an unclosed group": torch_file(b"(N"),
    "a pop across a mark": torch_file(b"N(a"),
    "nothing": torch_file(b""),
    "an unknown memo": torch_file(b"h\x07"),
    "a memo of nothing": torch_file(b"q\x07N"),
    "bytes after STOP": torch_file(b"N." + b"N" * 1000),
}  # fmt: skip
STORAGES = {
    "a path for a key": w(data=storage("../../etc/passwd")),
    "a path with NUL": w(data=storage("0\0.txt")),
    "an empty key": w(data=storage("")),
    "a key that is not there": w(data=storage("1")),
    "another record": w(data=storage("0/../../data.pkl")),
    "a module id": w(data=storage(word="module")),
    "a text id": torch_file(text("0") + b"Q"),
    "a list id": torch_file(b"](" + text("storage") + b"eQ"),
    "a class for a storage": w(data=storage(kind="collections.OrderedDict")),
    "a text for a class": torch_file(
        group(text("storage"), text("FloatStorage"), text("0"), text("cpu"), integer(6)) + b"Q"
    ),
    "more elements than bytes": w(data=storage(count=7)),
    "an enormous count": w(data=storage(count=2**62)),
    "a count that overflows": w(data=storage(count=2**64 + 6)),
    "a count of 255 bytes": w(data=storage(count=-(2**2000))),
    "an endless key": w(data=storage("7" * 2**20)),
    "a negative count": w(data=storage(count=-6)),
    "fewer elements than bytes": w(data=storage(count=5)),
    "an offset past the end": w(offset=1),
    "an enormous offset": w(offset=2**63),
    "an offset of 255 bytes": w(offset=2**2000),
    "a negative offset": w(offset=-1),
    "a stride past the end": w(stride=(3, 2)),
    "a negative stride": w(stride=(-3, 1), offset=3),
    "a stride that overflows": w(stride=(2**62, 1)),
    "a size past the end": w(size=(3, 3)),
    "a negative size": w(size=(-2, -3)),
    "sizes that overflow": w(size=(2**32, 2**32), stride=(0, 0)),
    "sizes that overflow to a fit": w(size=(2**63, 2), stride=(0, 0)),
    "an expanded giant": w(size=(10**6, 10**6), stride=(0, 0)),
    "an empty giant": w(size=(0, 2**62), stride=(1, 1)),
    "more strides than sizes": w(stride=(3, 1, 1)),
    "forty dimensions": w(size=(1,) * 40, stride=(1,) * 40),
    "an empty storage": torch_file(dictionary({"w": tensor(storage(count=0))}), {"0": b""}),
}


MEGABYTE = text("a" * 2**20)
MEGA = storage(count=2**18)
BFLOATS = storage(kind="torch.BFloat16Storage", count=2**19)
DEEP = MAX_OPCODES - 10


def laughs(level, depth):
    """A value made of the one before it, `depth` times."""
    return torch_file(b"(" + text("lol") + (put(0) + level) * depth + b"t")


def repeated(value, part, count, data=bytes(2**20)):
    """A value, then a list of `count` values made by the same opcodes, which may recall the first
    by get(0).
    """
    return torch_file(value + put(0) + b"](" + part * count + b"e\x86", {"0": data})


BOMBS = {
    "billion laughs in lists": laughs(b"](" + get(0) * 10 + b"e", 12),
    "billion laughs in tuples": laughs(get(0) * 2 + b"\x86", 90),
    "billion laughs in dictionaries": laughs(dictionary({key: get(0) for key in "abcdefgh"}), 12),
    "billion laughs in arguments": torch_file(
        b")" + b"q\x00h\x00\x86" * 90 + b"q\x01c_codecs\nencode\nh\x01R"
    ),
    "billion laughs in keys": torch_file(b"}" + text("lol") + b"q\x00h\x00\x86" * 90 + b"Ns"),
    "a text a thousand times": repeated(MEGABYTE, get(0), 1000),
    "a tensor a thousand times": repeated(tensor(MEGA, 0, (2**18,), (1,)), get(0), 1000),
    "a storage a thousand times": repeated(
        tensor(MEGA + put(1), 0, (2**18,), (1,)), tensor(get(1), 0, (2**18,), (1,)), 1000
    ),
    "bfloat16 of a shared storage": repeated(
        tensor(BFLOATS + put(1), 0, (2**19,), (1,)), tensor(get(1), 0, (2**19,), (1,)), 100
    ),
    "bytes a thousand times": repeated(MEGABYTE, call("_codecs.encode", get(0), text("latin1")), 1000),
    "sets a thousand times": repeated(
        b"](" + b"".join(map(integer, range(20_000))) + b"e", call("builtins.set", get(0)), 1000
    ),
    "a list in itself": torch_file(b"]" + put(0) + get(0) + b"a"),
    "a dictionary in itself": torch_file(b"}" + put(0) + text("x") + get(0) + b"s"),
    "lists in lists": torch_file(b"]" * (DEEP // 2) + b"a" * (DEEP // 2 - 1)),
    "tuples in tuples": torch_file(b")" + b"\x85" * DEEP),
    "marks": torch_file(b"(" * DEEP),
    "opcodes": torch_file(b"(" + b"N" * 5_000_000 + b"t"),
    "dictionaries": torch_file(b"(" + b"}" * DEEP + b"tb"),
    "memo entries": torch_file(
        b"(" + b"".join(b"]" + put(k * 40503 % 2**32) for k in range(DEEP // 2)) + b"tb"
    ),
    "large numbers": torch_file(b"(" + b"".join(integer(-(2**500) + k) for k in range(DEEP)) + b"tb"),
    "wide characters": torch_file(b"(" + text("\U0001f3a4" + "a" * 2**20) * 7 + b"tb"),
    "colliding keys": torch_file(
        b"}(" + b"".join(integer(k * (2**61 - 1)) + b"N" for k in range(DEEP // 2)) + b"u"
    ),
    "a large pickle": torch_file(text("a" * (MAX_PROGRAM_BYTES + 1))),
    "a text longer than the file": torch_file(b"X\xff\xff\xff\xff"),
    "a number longer than the file": torch_file(b"\x8a\xff"),
}


def deflated(data):
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packed.compress(data) + packed.flush()


HONEST = torch_records(dictionary({"w": tensor()}))
BOMB = deflated(bytes(2**26))


def with_record(*extra):
    return zip_bytes([*HONEST, *extra])


def instead(index, **lies):
    return zip_bytes([item | lies if k == index else item for k, item in enumerate(HONEST)])


ZIPS = {
    "a compressed bomb": with_record(
        record("archive/data/1", BOMB, method=8, central_size=2**26, local_size=2**26, packed=len(BOMB))
    ),
    "a compressed pickle": instead(0, data=BOMB, method=8, central_size=2**26, packed=len(BOMB)),
    "a record stored and larger than packed": instead(2, central_size=2**31),
    "a record that claims 4 GB": instead(2, central_size=2**32 - 1, local_size=2**32 - 1),
    "a record of another size in front": instead(2, local_size=12),
    "a record compressed in front only": instead(2, local_method=8),
    "an encrypted record": instead(2, flags=1),
    "another name in front": instead(2, central_name="archive/data/7"),
    "a header past the end": instead(2, header=2**31),
    "a header inside another record": with_record(record("archive/data/1", header=20)),
    "two records in one place": with_record(
        record("archive/data/0", struct.pack("<6f", *range(6)), header=0)
    ),
    "overlapping records": zip_bytes(
        [*HONEST[:2], HONEST[2] | {"central_size": 24 + 40, "local_size": 24 + 40}, *HONEST[3:]]
    ),
    "a record twice": with_record(HONEST[0]),
    "a wrong checksum": instead(2, crc=1),
    "a name above": with_record(record("archive/../../x")),
    "an absolute name": with_record(record("/etc/passwd")),
    "a name outside the folder": with_record(record("other/data/0")),
    "no folder": zip_bytes([record("data.pkl", PROTO + b"N.")]),
    "a backslash": with_record(record("archive/..\\..\\x")),
    "a drive": with_record(record("C:\\x")),
    "an empty part": with_record(record("archive//data.pkl")),
    "a folder": with_record(record("archive/data/")),
    "a NUL": with_record(record("archive/data/1\0.txt")),
    "a name that is not UTF-8": with_record(record(b"archive/\xff\xfe")),
    "a long name": with_record(record("archive/" + "x" * 600)),
    "a root above": zip_bytes(torch_records(dictionary({"w": tensor()}), root="..")),
    "more records than allowed": zip_bytes(
        [*HONEST, *(record(f"archive/data/x{k}") for k in range(MAX_RECORDS))]
    ),
    "more records than there are": zip_bytes(HONEST, count=100),
    "fewer records than there are": zip_bytes(HONEST, count=1),
    "no records": zip_bytes(HONEST, count=0),
    "a directory longer than the file": zip_bytes(HONEST, length=2**32 - 1),
    "a directory past the end": zip_bytes(HONEST, offset=2**32 - 1),
    "a directory at the beginning": zip_bytes(HONEST, offset=0),
    "a directory of another zip": zip_bytes(HONEST, comment=b"x" * 100),
    "something appended": zip_bytes(HONEST, tail=b"#!/bin/sh"),
    "an end alone": b"PK\x03\x04" + zip_bytes([], count=1),
    "an unknown byte order": torch_file(dictionary({"w": tensor()}), byteorder=b"middle"),
    "a long version": torch_file(dictionary({"w": tensor()}), version=b"3" * 10**6),
    "a long byte order": torch_file(dictionary({"w": tensor()}), byteorder=b"little" * 10**6),
}

FILES = {kind: torch_file(program) for kind, program in CALLS.items()} | ARGUMENTS | STORAGES | BOMBS | ZIPS
FILES |= {f"opcode {kind}": torch_file(program) for kind, program in OPCODES.items()}

# what the message must say, where it is not enough that there is one
SAYS = {f"opcode {kind}": f"opcode {kind}," for kind in OPCODES}
SAYS |= dict.fromkeys(["os.system", "a name in the memo", "an inner rebuilder"], "names 'posix.system'")
SAYS |= dict.fromkeys(["eval", "eval of Python 2"], "names 'builtins.eval'")
SAYS |= dict.fromkeys(
    ["billion laughs in lists", "billion laughs in tuples", "billion laughs in dictionaries"],
    "out of shared parts",
)
SAYS |= dict.fromkeys(
    ["a tensor a thousand times", "a storage a thousand times", "bfloat16 of a shared storage"],
    "out of shared parts",
)
SAYS |= dict.fromkeys(["lists in lists", "tuples in tuples"], "nests deeper")
SAYS |= dict.fromkeys(["a compressed bomb", "a compressed pickle"], "is compressed")
SAYS |= dict.fromkeys(
    ["an expanded giant", "an empty giant", "sizes that overflow", "sizes that overflow to a fit"],
    "out of shared parts",
)
SAYS |= {
    "a name made on the stack": "opcode STACK_GLOBAL",
    "a name with terminal codes": "names '\\x1b[2Jos.system'",
    "an encoding that unpacks": "_codecs.encode to 'zlib_codec'",
    "a list in itself": "contains itself",
    "opcodes": "more than 100000 opcodes",
    "a path for a key": "'../../etc/passwd'",
    "more elements than bytes": "claims 7 elements of float32; its record has 24 bytes",
    "an offset past the end": "reaches element 6 of a storage of 6",
    "a negative stride": "none negative",
    "a record twice": "is there twice",
    "overlapping records": "overlaps",
    "two records in one place": "disagree",
    "a name above": "'..'",
    "a wrong checksum": "fails its checksum",
    "something appended": "appended",
}
