"""The operands of a pickle's opcodes: of (program, position) they give (operand, position after it)."""

import struct

from npreslstm.errors import InputError

MAX_NAME_BYTES = 200

_ALIASES = {"__builtin__": "builtins", "torch.tensor": "torch._tensor"}  # modules that were renamed


def number(code):
    """The reader of a number of one layout of `struct`."""
    layout = struct.Struct(code)
    return lambda program, at: (layout.unpack_from(program, at)[0], at + layout.size)


def text(program, at):
    """A text behind its length in four bytes."""
    end = at + 4 + struct.unpack_from("<I", program, at)[0]
    if end > len(program):
        raise InputError(
            f"a text in the pickle claims {end - at - 4} bytes, {len(program) - at - 4} are left: the file is"
            " damaged"
        )
    return program[at + 4 : end].decode("utf-8", "surrogatepass"), end


def long(program, at):
    """An integer of any size behind its length in one byte."""
    end = at + 1 + program[at]
    return int.from_bytes(program[at + 1 : end], "little", signed=True), end


def name(program, at):
    """Module and name, a line each."""
    middle = program.find(b"\n", at, at + MAX_NAME_BYTES)
    end = program.find(b"\n", middle + 1, middle + 1 + MAX_NAME_BYTES)
    if middle < 0 or end < 0:
        raise InputError(
            f"the pickle names something longer than {MAX_NAME_BYTES} bytes: the file was made to do harm"
        )
    module, name = program[at:middle].decode("utf-8"), program[middle + 1 : end].decode("utf-8")
    return f"{_ALIASES.get(module, module)}.{name}", end + 1
