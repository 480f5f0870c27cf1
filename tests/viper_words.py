"""The viper kernels of the MicroPython port under CPython, as a machine of 32 or 64 bits would run them.

Loads of memory have no sign, but those of 32 bits on a machine of 32; stores keep the lower bits; and every
result of an operation must fit 31 bits and a sign on a machine of 32, so that none need wrap around.
"""

import ast
import importlib.util
import sys
import types
from pathlib import Path

PORT = Path(__file__).resolve().parents[1] / "npreslstm" / "ports" / "micropython"


class Overflow(AssertionError):
    """A result that a word does not hold."""


class Machine:
    """Memory: every buffer that a kernel is given has an address."""

    def __init__(self, bits):
        self.bits = bits
        self.buffers = []  # of (address, view of bytes)
        self.views = {}  # of id(object), which the object is kept with

    def word(self, value):
        """The result of an operation; the shift that widens a number on 64 bits drops its upper ones."""
        if self.bits == 64:
            return (value + (1 << 63)) % (1 << 64) - (1 << 63)
        if not -(1 << 31) <= value < 1 << 31:
            raise Overflow(f"{value} has more than 31 bits and a sign")
        return value

    def pointer(self, size):
        """The type ptr8, ptr16 or ptr32, of as many bytes."""

        def made(where):
            if isinstance(where, Pointer):
                where = where.address
            return Pointer(self, size, where if isinstance(where, int) else self.address(where))

        return made

    def address(self, buffer):
        """Where an array, bytes or a memoryview lies."""
        if id(buffer) not in self.views:
            address = (len(self.buffers) + 1) << 20
            view = memoryview(buffer).cast("B")
            self.buffers.append(view)
            self.views[id(buffer)] = address, buffer
        return self.views[id(buffer)][0]

    def span(self, address, size):
        view, at = self.buffers[(address >> 20) - 1], address & 0xFFFFF
        assert at + size <= len(view), f"{size} bytes at {at} of a buffer of {len(view)}"
        return view, slice(at, at + size)


class Pointer:
    def __init__(self, machine, size, address):
        self.machine, self.size, self.address = machine, size, address

    def __int__(self):
        return self.address

    def __getitem__(self, k):
        view, span = self.machine.span(self.address + k * self.size, self.size)
        signed = self.size == 4 and self.machine.bits == 32
        return int.from_bytes(view[span], "little", signed=signed)

    def __setitem__(self, k, value):
        view, span = self.machine.span(self.address + k * self.size, self.size)
        view[span] = (value & ((1 << 8 * self.size) - 1)).to_bytes(self.size, "little")


class Checked(ast.NodeTransformer):
    """Puts `word` around every operation, and the pointers' types around the arguments."""

    def visit_BinOp(self, node):
        self.generic_visit(node)
        return ast.Call(ast.Name("word", ast.Load()), [node], [])

    def visit_AugAssign(self, node):
        value = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
        return ast.Assign([node.target], self.visit_BinOp(value))

    def visit_FunctionDef(self, node):
        pointers = [a for a in node.args.args if a.annotation and a.annotation.id.startswith("ptr")]
        self.generic_visit(node)
        node.decorator_list = []
        for a in reversed(pointers):
            call = ast.Call(ast.Name(a.annotation.id, ast.Load()), [ast.Name(a.arg, ast.Load())], [])
            node.body.insert(1, ast.Assign([ast.Name(a.arg, ast.Store())], call))
        for a in node.args.args:
            a.annotation = None
        return node


def kernels(machine, change=None):
    """The module npr_viper for a machine; `change` is an operation to alter, (old, new)."""
    text = (PORT / "npr_viper.py").read_text(encoding="utf-8")
    if change:
        assert change[0] in text
        text = text.replace(*change)
    tree = Checked().visit(ast.parse(text.replace("import micropython\n", "")))
    module = types.ModuleType("npr_viper")
    module.word = machine.word
    module.ptr8, module.ptr16, module.ptr32 = map(machine.pointer, (1, 2, 4))
    exec(compile(ast.fix_missing_locations(tree), "npr_viper.py", "exec"), vars(module))
    return module


def model(weights, bits, change=None):
    """npr.Model of the bytes of a weights file."""
    modules = {"npr_viper": kernels(Machine(bits), change)}
    for name in ("npr_frontend", "npr"):
        spec = importlib.util.spec_from_file_location(name, PORT / f"{name}.py")
        modules[name] = importlib.util.module_from_spec(spec)
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        for name in ("npr_frontend", "npr"):
            modules[name].__spec__.loader.exec_module(modules[name])
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    made = modules["npr"].Model(weights)
    if made.frontend:
        made.frontend.sign = bits - 32
    return made
