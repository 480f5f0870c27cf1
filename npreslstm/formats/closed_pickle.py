"""A closed interpreter for the pickles inside torch.save files.

A pickle is a program for a stack machine, and Python's own machine lets that program import and call
anything. This one knows 31 of the 68 opcodes, imports nothing and calls nothing but the constructors it is
given. It works in two passes over the program:

1. the whole program is decoded without executing anything: an unknown opcode, a name outside the vocabulary,
   a truncated operand or too many opcodes refuse the file;
2. the opcodes are executed; each costs a bounded amount of memory, since only constructors can make something
   large, and those have budgets of their own.

Last, `plain_data.check_plain` walks what was built: cycles, deep nesting and structures that are small only
because they share parts with themselves ("billion laughs") are refused, so that whoever walks the result
cannot be caught by it.

Protocol 2 only, the one torch.save has always used.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from npreslstm.errors import InputError
from npreslstm.formats import pickle_operands as read
from npreslstm.formats.plain_data import check_plain, checked_key

MAX_PROGRAM_BYTES = 8 * 2**20
MAX_OPCODES = 100_000


class Global(NamedTuple):
    """A name the pickle mentioned and the vocabulary knows; it stands for the object, which is never
    imported.
    """

    name: str


class Vocabulary(NamedTuple):
    """What a pickle may say.

    Parameters
    ----------
    constructors : mapping of str to callable or None
        Qualified names; a callable is applied to the argument tuple on REDUCE, None may be mentioned but not
        called.
    constants : mapping of str to object
        Qualified names that stand for a plain value.
    explain : callable
        Given a refused name, returns what it probably is and the remedy.
    persistent_load : callable
        Turns a persistent id into a value.
    leaves : tuple of type
        Types of finished values besides Python's plain ones; they have `nbytes`.
    """

    constructors: Mapping[str, Callable[..., Any] | None]
    constants: Mapping[str, Any]
    explain: Callable[[str], str]
    persistent_load: Callable[[Any], Any]
    leaves: tuple[type, ...]


def load(program, vocabulary, limit):
    """Run a pickle program.

    Parameters
    ----------
    program : bytes
        A protocol-2 pickle; the caller keeps it to `MAX_PROGRAM_BYTES`, which all other bounds rest on.
    vocabulary : Vocabulary
        The names it may use.
    limit : int
        Bytes that the result may occupy if every shared part were written out.

    Returns
    -------
    object
        dict, list, tuple, set, str, bytes, bool, int, float, complex, None and `vocabulary.leaves`, nested.

    Raises
    ------
    InputError
        If the program is damaged, or does anything but build plain data.
    """
    if program[:2] != b"\x80\x02":
        found = (
            f"protocol {program[1]}"
            if program[:1] == b"\x80" and len(program) > 1
            else f"the bytes {program[:2]!r}"
        )
        raise InputError(
            f"the pickle starts with {found}; torch.save writes protocol 2: save again without"
            " pickle_protocol"
        )
    instructions = _decode(program, vocabulary)
    machine = _Machine(vocabulary)
    for action, operand in instructions:
        action(machine, operand)
    return check_plain(machine.result(), vocabulary.leaves, limit)


class _Machine:
    """The stack, the marks in it and the memo."""

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary
        self.stack = []
        self.marks = []
        self.memo = {}

    def pop(self):
        self.need(1)
        return self.stack.pop()

    def top(self, *types):
        """The topmost item, which must be of one of the types (any, if none is given)."""
        self.need(1)
        if types and type(self.stack[-1]) not in types:
            raise InputError(
                f"the pickle treats a {type(self.stack[-1]).__name__} as a {types[0].__name__}: it is damaged"
                " or was made to do harm"
            )
        return self.stack[-1]

    def need(self, count):
        """Refuse to reach below the last mark."""
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise InputError("the pickle takes more from its stack than it put there: the file is damaged")

    def pop_mark(self):
        if not self.marks:
            raise InputError("the pickle closes a group that it never opened: the file is damaged")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def result(self):
        if len(self.stack) != 1 or self.marks:
            raise InputError(
                f"the pickle leaves {len(self.stack)} values on its stack; expected 1: the file is damaged"
            )
        return self.stack[0]


# --- actions: one for each opcode, (machine, operand) -> None ---


def _push(machine, operand):
    machine.stack.append(operand)


def _push_new(machine, operand):
    machine.stack.append(operand())


def _mark(machine, _):
    machine.marks.append(len(machine.stack))


def _tuple_from_mark(machine, _):
    machine.stack.append(tuple(machine.pop_mark()))


def _tuple(machine, count):
    machine.need(count)
    machine.stack[-count:] = [tuple(machine.stack[-count:])]


def _append(machine, _):
    item = machine.pop()
    machine.top(list).append(item)


def _appends(machine, _):
    items = machine.pop_mark()
    machine.top(list).extend(items)


def _setitem(machine, _):
    value, key = machine.pop(), machine.pop()
    machine.top(dict)[checked_key(key)] = value


def _setitems(machine, _):
    items = machine.pop_mark()
    if len(items) % 2:
        raise InputError("the pickle sets a key without a value: the file is damaged")
    target = machine.top(dict)
    for key, value in zip(items[::2], items[1::2]):
        target[checked_key(key)] = value


def _put(machine, index):
    machine.memo[index] = machine.top()


def _get(machine, index):
    if index not in machine.memo:
        raise InputError(f"the pickle recalls value {index}, which it never stored: the file is damaged")
    machine.stack.append(machine.memo[index])


def _global(machine, name):
    constants = machine.vocabulary.constants
    machine.stack.append(constants[name] if name in constants else Global(name))


def _reduce(machine, _):
    arguments = machine.pop()
    name = machine.top(Global).name
    constructor = machine.vocabulary.constructors[name]
    if constructor is None or type(arguments) is not tuple:
        raise InputError(
            f"the pickle calls {name} with a {type(arguments).__name__}; only named constructors with an"
            " argument tuple are called"
        )
    machine.stack[-1] = constructor(arguments)


def _build(machine, _):
    # state_dict() carries its modules' version numbers as an attribute of the OrderedDict: read, checked and
    # dropped
    state = machine.pop()
    machine.top(dict)
    if type(state) is not dict:
        raise InputError(
            f"the pickle sets the state of a dict to a {type(state).__name__}; expected a dict: the file was"
            " made to do harm"
        )


def _persistent(machine, _):
    machine.stack.append(machine.vocabulary.persistent_load(machine.pop()))


def _stop(machine, _):
    pass


_OPCODES = {  # byte: (action, decoder of the operand or None, the operand if there is no decoder)
    ord(code): row
    for code, *row in [
        (b"N", _push, None, None),  # NONE
        (b"\x88", _push, None, True),  # NEWTRUE
        (b"\x89", _push, None, False),  # NEWFALSE
        (b"K", _push, read.number("<B"), None),  # BININT1
        (b"M", _push, read.number("<H"), None),  # BININT2
        (b"J", _push, read.number("<i"), None),  # BININT
        (b"\x8a", _push, read.long, None),  # LONG1
        (b"G", _push, read.number(">d"), None),  # BINFLOAT
        (b"X", _push, read.text, None),  # BINUNICODE
        (b")", _push, None, ()),  # EMPTY_TUPLE
        (b"]", _push_new, None, list),  # EMPTY_LIST
        (b"}", _push_new, None, dict),  # EMPTY_DICT
        (b"(", _mark, None, None),  # MARK
        (b"t", _tuple_from_mark, None, None),  # TUPLE
        (b"\x85", _tuple, None, 1),  # TUPLE1
        (b"\x86", _tuple, None, 2),  # TUPLE2
        (b"\x87", _tuple, None, 3),  # TUPLE3
        (b"a", _append, None, None),  # APPEND
        (b"e", _appends, None, None),  # APPENDS
        (b"s", _setitem, None, None),  # SETITEM
        (b"u", _setitems, None, None),  # SETITEMS
        (b"q", _put, read.number("<B"), None),  # BINPUT
        (b"r", _put, read.number("<I"), None),  # LONG_BINPUT
        (b"h", _get, read.number("<B"), None),  # BINGET
        (b"j", _get, read.number("<I"), None),  # LONG_BINGET
        (b"c", _global, read.name, None),  # GLOBAL
        (b"R", _reduce, None, None),  # REDUCE
        (b"b", _build, None, None),  # BUILD
        (b"Q", _persistent, None, None),  # BINPERSID
        (b".", _stop, None, None),  # STOP
    ]
}

_REFUSED = {  # names for the message; any other opcode is shown as its number
    ord("P"): "PERSID", ord("i"): "INST", ord("o"): "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX",
    0x93: "STACK_GLOBAL", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x80: "PROTO", 0x8B: "LONG4",
    0x94: "MEMOIZE", 0x95: "FRAME", ord("2"): "DUP", ord("0"): "POP", ord("1"): "POP_MARK", ord("p"): "PUT",
    ord("g"): "GET",
}  # fmt: skip


def _check_name(name, vocabulary):
    if name not in vocabulary.constructors and name not in vocabulary.constants:
        raise InputError(f"the pickle names {name!a}: {vocabulary.explain(name)}")


def _decode(program, vocabulary):
    """(action, operand) of the whole program, up to and with STOP, which must be its last byte."""
    actions, operands = [], []
    at, action = 2, None  # after PROTO
    try:
        while action is not _stop:
            action, decode, operand = _OPCODES[program[at]]
            at += 1
            if decode:
                operand, at = decode(program, at)
            if action is _global:
                _check_name(operand, vocabulary)
            actions.append(action)
            operands.append(operand)
            if len(actions) > MAX_OPCODES:
                raise InputError(
                    f"the pickle has more than {MAX_OPCODES} opcodes: save the state dict alone, without"
                    " histories"
                )
    except KeyError as error:
        name = _REFUSED.get(error.args[0], hex(error.args[0]))
        raise InputError(
            f"the pickle uses the opcode {name}, which plain data does not need: refused; save the state dict"
            " alone"
        ) from None
    except (struct.error, IndexError, UnicodeDecodeError):
        raise InputError(
            f"the pickle breaks off or is garbled near byte {min(at, len(program))} of {len(program)}: the"
            " file is damaged"
        ) from None
    if at != len(program):
        raise InputError(
            f"the pickle goes on for {len(program) - at} bytes after its STOP: the file was made to do harm"
        )
    return zip(actions, operands)
