"""The vectors bite: every small change of the arithmetic or of a number makes the exported self-test fail."""

import re
import subprocess

import numpy as np
import pytest
from c_models import checkpoint, needs

from npreslstm.ports import c_text
from npreslstm.ports.c_export import export_c

INT8 = {
    "rounding of 32-bit shifts": ("(v + (int32_t)((1u << s) >> 1)) >> s", "v >> s"),
    "rounding of 64-bit shifts": ("(v + (int64_t)((UINT64_C(1) << s) >> 1)) >> s", "v >> s"),
    "tanh, index": ("k = size >> 9, t", "k = size >> 10, t"),
    "tanh, interpolation": ("* t, 9)", "* t, 8)"),
    "tanh, sign": ("return a < 0 ? -value : value", "return value"),
    "tanh, limit": ("limit = (8 << 15) - 1", "limit = (4 << 15) - 1"),
    "sigmoid, rounding": ("+ 32769) >> 1", "+ 32768) >> 1"),
    "gate order i, f": ("i = sigmoid_of(gates[k]), f = sigmoid_of(gates[H + k])", "f = sigmoid_of(gates[k]), i = sigmoid_of(gates[H + k])"),
    "gate order g, o": ("g = gates[2 * H + k], o = sigmoid_of(gates[3 * H + k])", "g = gates[3 * H + k], o = sigmoid_of(gates[2 * H + k])"),
    "cell, shift of i g": ("round_shift(i * g, up)", "round_shift(i * g, up + 1)"),
    "cell, tanh of the old state": ("o * table_tanh(c[k] * (1 << up))", "o * table_tanh(c[k] * (1 << up) / 2)"),
    "recurrent sum not shifted": ("round_shift(sum[k], lstm->recurrent_shift[row + k])", "sum[k]"),
    "one column left out": ("panel_sum(w, x, lstm->inputs, sum)", "panel_sum(w, x, lstm->inputs - 1u, sum)"),
    "residual left out": ("saturate16(x[k] + round_shift(h[k], 15u - model->x_bits))", "x[k]"),
    "residual, shift": ("15u - model->x_bits", "14u - model->x_bits"),
    "saturation of 16 bits": ("v > 32767 ? 32767", "v > 32760 ? 32760"),
    "exp2, index": ("k = f >> 10, t", "k = f >> 11, t"),
    "exp2, interpolation": ("* t, 10)", "* t, 11)"),
    "attention, weight": ("(e & 0xffff) << 9", "(e & 0xffff) << 8 << 0 * 9"),
    "attention, fraction": ("e & 0xffff", "e & 0x7fff"),
    "attention, no rescaling": ("at_most_62((int64_t)maximum - state->maximum)", "0"),
    "attention, maximum": ("|| whole > state->maximum", "|| whole < state->maximum"),
    "context, rounding": ("2 * state->weighted[k] + state->total", "2 * state->weighted[k]"),
    "context, negative quotients": ("v - twice + 1", "v"),
    "head, bias": ("+ model->head_bias[row]", ""),
    "quantisation, rounding": ("+ 0.5f;", ";"),
    "quantisation, negative": ("truncated - 1 : truncated", "truncated : truncated"),
    "quantisation, saturation": ("return -32768;", "return -32767;"),
}
FLOAT = {
    "gate order i, f": ("*i = a, *f = a + H", "*f = a, *i = a + H"),
    "gate order g, o": ("*g = a + 2 * H, *o = a + 3 * H", "*o = a + 2 * H, *g = a + 3 * H"),
    "sigmoid": ("0.5f + 0.5f * o[k]", "0.5f + 0.49f * o[k]"),
    "tanh of the cell": ("* npr_tanh(c[k])", "* c[k]"),
    "residual left out": ("x[k] + h[k]", "x[k]"),
    "columns in fours": ("w3[row] * v3", "w3[row] * v2"),
    "remaining columns": ("a[row] += w[row] * v[k];", "a[row] += 0.0f * w[row] * v[k];"),
    "attention, maximum": ("score > state->maximum ? score : state->maximum", "score"),
    "attention, shrink": ("state->total * shrink + weight", "state->total + weight"),
    "attention, weighted": ("weighted[k] * shrink", "weighted[k]"),
    "head, bias": ("sum = model->head_bias[row]", "sum = 0.0f"),
}
MATH = {
    "tanh, factor": ("2.88539008f) +", "2.8852f) +"),
    "exp2, coefficient": ("1.66666667e-1f", "1.65e-1f"),
    "exp2, nearest": ("x + 126.5f) - 126", "x + 126.0f) - 126"),
}
ARRAYS = {
    "int8": ["weights_0", "weights_1", "bias_0", "multiplier_1", "shift_0", "recurrent_shift_1", "attention", "head_weights", "head_bias"]
    + ["head_multiplier", "head_shift", "npr_tanh_table", "npr_exp2_table", "mean", "inverse_std"],
    "float32": ["weights_0", "weights_1", "bias_1", "attention", "head_weights", "head_bias", "mean", "inverse_std"],
}
CASES = [("int8", "npr_int8.c", name) for name in INT8] + [("float32", "npr_float.c", name) for name in FLOAT]
CASES += [("float32", "npr_math.h", name) for name in MATH]


class Folder:
    """An exported folder with every object compiled once; `run` compiles one changed file and runs the self-test."""

    def __init__(self, folder, type):
        self.folder, self.arithmetic = folder, "npr_int8" if type == "int8" else "npr_float"
        export_c(checkpoint("h32"), folder, type)
        for source in ("npr_model", self.arithmetic, "npr_weights", "npr_vectors", "npr_selftest"):
            self.compile(folder / f"{source}.c")

    def compile(self, source, *flags):
        subprocess.run(["gcc", "-std=c99", "-O0", "-w", *flags, f"-I{self.folder}", "-c", source, "-o", source.with_suffix(".o")], check=True)

    def run(self, name, text, tmp_path):
        """The self-test with `text` in place of the file `name`: (exit status, standard output)."""
        (tmp_path / name).write_text(text)
        changed = f"{self.arithmetic}.c" if name.endswith(".h") else name
        if name.endswith(".h"):
            (tmp_path / changed).write_text((self.folder / changed).read_text())
        self.compile(tmp_path / changed, f"-I{tmp_path}")
        objects = [p for p in self.folder.glob("*.o") if p.stem != changed.removesuffix(".c")]
        subprocess.run(["gcc", *objects, tmp_path / f"{changed[:-2]}.o", "-o", tmp_path / "selftest"], check=True)
        done = subprocess.run([tmp_path / "selftest"], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    needs("gcc")
    return {type: Folder(tmp_path_factory.mktemp(type), type) for type in ("float32", "int8")}


def assert_caught(status, output):
    """The exit status is not 0, and it is the vectors that notice, not only the checksum."""
    assert status != 0 and output.endswith("FAIL\n")
    assert int(re.search(r"(\d+) differ", output)[1]) > 0


@pytest.mark.parametrize("type", ["float32", "int8"])
def test_the_unchanged_code_passes(folders, tmp_path, type):
    folder = folders[type]
    name = f"{folder.arithmetic}.c"
    status, output = folder.run(name, (folder.folder / name).read_text(), tmp_path)
    assert status == 0 and output.endswith("PASS\n")


@pytest.mark.parametrize(("type", "file", "name"), CASES)
def test_changed_arithmetic_is_caught(folders, tmp_path, type, file, name):
    old, new = (INT8 if file == "npr_int8.c" else FLOAT if file == "npr_float.c" else MATH)[name]
    text = (folders[type].folder / file).read_text()
    assert old in text, "the mutation no longer fits the code"
    assert_caught(*folders[type].run(file, text.replace(old, new, 1), tmp_path))


@pytest.mark.parametrize(("type", "array"), [(type, array) for type, arrays in ARRAYS.items() for array in arrays])
def test_a_changed_entry_is_caught(folders, tmp_path, type, array):
    text = (folders[type].folder / "npr_weights.c").read_text()
    before, values, after = re.fullmatch(rf"(.*\b{array}\[\d+\] = {{)([^}}]*)(}}.*)", text, re.DOTALL).groups()
    numbers = [number.strip() for number in values.split(",")]
    for k in entries_to_change(array, numbers):
        numbers[k] = changed(numbers[k])
    status, output = folders[type].run("npr_weights.c", before + ", ".join(numbers) + after, tmp_path)
    assert "checksum: the weights do not match" in output
    assert_caught(status, output)


def entries_to_change(array, numbers):
    """Of the weights one in the middle; of a table every second, as 24 frames do not come by every entry; otherwise the largest."""
    if array.startswith("npr_"):
        return range(0, len(numbers), 2)
    if array.startswith("weights_"):
        return [len(numbers) // 2]
    return [max(range(len(numbers)), key=lambda k: abs(float(numbers[k].rstrip("f"))))]


def changed(number):
    """One less in size, or by one part in a hundred: the unit of a bias or multiplier is below that of what it makes."""
    if number.endswith("f"):
        return c_text.literal(np.float32(float(number[:-1]) * 1.01))
    value = int(number)
    return str(value - (value > 0) * max(1, value // 100) + (value < 0) * max(1, -value // 100))
