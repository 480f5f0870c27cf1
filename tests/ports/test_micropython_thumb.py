"""The Thumb kernels of the MicroPython port on stock firmware: MicroPython 1.9.2 of the micro:bit, emulated.

That firmware has the inline assembler and a Cortex-M0, no viper, and 9 KB of heap. So it gets one function
after the other, and the gates and the cell in plain Python.
"""

import ast
import importlib.util
import shutil
from array import array
from pathlib import Path

import numpy as np
import pytest
from c_models import checkpoint
from viper_words import model

from npreslstm.integer.quantize import QuantizedModel
from npreslstm.ports.micropython_weights import weights_file
from tools.release.micropython_emulated import Board

PORT = Path(__file__).resolve().parents[2] / "npreslstm" / "ports" / "micropython"
FIRMWARE = Path("/usr/share/firmware-microbit-micropython/firmware.hex")  # of Debian's package of that name


@pytest.fixture
def board():
    if shutil.which("qemu-system-arm") is None or not FIRMWARE.exists():
        pytest.skip("qemu-system-arm and Debian's firmware-microbit-micropython are not installed")
    with Board(["qemu-system-arm", "-M", "microbit", "-device", f"loader,file={FIRMWARE}"]) as board:
        assert board.run("import gc, micropython\nfrom array import array") == ""
        yield board


def functions(module, *names):
    """The text of functions and classes of a module of the port, without docstrings and comments."""
    tree = ast.parse((PORT / f"{module}.py").read_text(encoding="utf-8"))
    found = {node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for name in names:
        for node in ast.walk(found[name]):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
                del node.body[0]
    return [ast.unparse(found[name]) for name in names]


def plain():
    """The module npr_plain."""
    spec = importlib.util.spec_from_file_location("npr_plain", PORT / "npr_plain.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def say(board, *sources):
    """Have code executed that prints nothing."""
    for source in sources:
        assert board.run(source + "\ngc.collect()") == ""


def load(board, name, typecode, numbers):
    """Make an array of numbers on the board, a few at a time."""
    numbers = list(map(int, numbers))
    say(board, f"{name} = array('{typecode}')")
    for k in range(0, len(numbers), 32):
        say(board, f"{name}.extend(array('{typecode}', {numbers[k : k + 32]}))")


@pytest.mark.parametrize(("rows", "blocks_h", "blocks_x"), [(1, 1, 1), (3, 2, 1), (2, 1, 16), (2, 16, 6)])
def test_row_sums(board, rows, blocks_h, blocks_x):
    """Random numbers, but the last row, whose weights are as large as they can be; so are some values."""
    rng = np.random.default_rng(rows)
    w = rng.integers(0, 256, (rows, 8 * (blocks_h + blocks_x)))
    v = rng.integers(0, 65536, w.shape[1])
    w[-1] = 255
    v[::3] = 65535
    say(board, *functions("npr_thumb", "products", "row_sums"), "class layer: pass")
    say(board, f"layer.rows, layer.blocks_h, layer.blocks_x = {rows}, {blocks_h}, {blocks_x}")
    load(board, "w", "B", w.ravel())
    load(board, "v", "H", v)
    say(board, f"sums = array('I', bytes({8 * rows}))", "row_sums(w, v, 0, sums, layer)")
    h, x = w[:, : 8 * blocks_h] @ v[: 8 * blocks_h], w[:, 8 * blocks_h :] @ v[8 * blocks_h :]
    assert board.run("print(list(sums))") == f"{np.stack([h, x], axis=1).ravel().tolist()}\n"


def test_the_transform(board):
    """Of every size, at both ends of the range and between."""
    H = 32
    rng = np.random.default_rng(3)
    z = array("i", rng.integers(-(1 << 30), 1 << 30, 2 * H).tolist())
    z[:4] = array("i", [(1 << 30) - 1, -(1 << 30), 0, -1])
    cosine = array("H", (32768 - np.rint(32767 * np.cos(np.pi * np.arange(H) / H))).astype(int).tolist())
    say(board, *functions("npr_thumb", "butterflies", "stage"))
    load(board, "z", "i", z)
    load(board, "cosine", "H", cosine)
    size = 1
    while size < H:
        plain().stage(z, z, H, size, cosine, 0)
        say(board, f"stage(z, z, {H}, {size}, cosine, 0)")
        assert board.run("print(z)") == f"array('i', {z.tolist()})\n"
        for k in range(2 * H):
            z[k] >>= 1
        say(board, f"for k in range({2 * H}):\n    z[k] >>= 1\n")
        size *= 2


def test_a_step_of_a_small_lstm(board):
    """h and c are NumPy's after each of three frames, two of them at the ends of the range."""
    made = checkpoint("two layers, two vectors")
    quantized = QuantizedModel.from_checkpoint(made)
    layer = model(weights_file(made, quantized), 32).layers[0]
    x = np.random.default_rng(2).integers(-32768, 32768, (3, layer.inputs)).astype(np.int16)
    x[1], x[2] = 32767, -32768
    say(board, *functions("npr_thumb", "products", "row_sums"))
    say(board, *functions("npr_plain", "interpolated", "gates", "cell"), "class layer: pass")
    for name in ("inputs", "hidden", "rows", "blocks_h", "blocks_x", "up", "h_total"):
        say(board, f"layer.{name} = {getattr(layer, name)}")
    for name in ("tanh", "h_offset", "x_offset", "multiplier", "recurrent_shift", "v", "c", "sums", "g"):
        load(board, f"layer.{name}", getattr(layer, name).typecode, getattr(layer, name))
    load(board, "layer.w", "B", layer.w)
    say(board, STEP)
    state = quantized.start(1)
    for row in x:
        quantized.step(row[None], state)
        expected = np.concatenate([state.h[0][0], state.c[0][0]]).astype(int) + 32768
        say(board, f"step({(row.astype(int) + 32768).tolist()})")
        found = board.run("print(list(layer.v)[: layer.hidden] + list(layer.c))")
        assert found == f"{expected.tolist()}\n"


# _Layer.step of npr.py, which sets x too.
STEP = """
def step(x):
    for k in range(layer.inputs):
        layer.v[8 * layer.blocks_h + k] = x[k]
    layer.x_total = 128 * sum(x) + (1 << 30)
    row_sums(layer.w, layer.v, 0, layer.sums, layer)
    gates(layer.sums, layer.g, layer)
    layer.h_total = 128 * cell(layer.g, layer.c, layer.v, layer) + (1 << 30)
"""


def test_firmware_that_does_not_take_bytes_is_noticed(board):
    """As this one, whose assembler has the address of bytes only if they can be written."""
    say(board, *functions("npr_thumb", "products", "check"))
    message = "ValueError: the inline assembler does not take bytes: the firmware is too old"
    assert message in board.run("check()")
