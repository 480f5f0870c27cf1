"""The vectors bite: every small change of the arithmetic or of a number, those of c_mutations.py, makes the
exported self-test fail.
"""

import dataclasses
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_models import checkpoint, needs
from c_mutations import ARRAYS, MUTATIONS, TABLES

from npreslstm.ports import c_text
from npreslstm.ports.c_export import export_c


class Folder:
    """An exported folder with every object compiled once; `run` compiles what a changed file concerns and
    runs the self-test.
    """

    def __init__(self, folder, type, features, frontend="float", flags=()):
        self.folder, self.flags = folder, flags
        made = checkpoint("h32", features)
        if features == "paper":
            made = dataclasses.replace(made, features=dataclasses.replace(made.features, trim_db=30.0))
        export_c(made, folder, type, frontend=frontend)
        self.sources = sorted([*folder.glob("src/*.c"), *folder.glob("extras/*.c")])
        for source in self.sources:
            self.compile(source)

    def compile(self, source, *flags):
        subprocess.run(
            [
                "gcc",
                "-std=c99",
                "-O0",
                "-w",
                *self.flags,
                *flags,
                f"-I{self.folder}/src",
                f"-I{self.folder}/extras",
                "-c",
                source,
                "-o",
                source.with_suffix(".o"),
            ],
            check=True,
        )

    def run(self, name, text, tmp_path):
        """The self-test with `text` in place of the file `name`: (exit status, standard output)."""
        (tmp_path / name).write_text(text)
        changed = [
            source for source in self.sources if source.name == name or f'"{name}"' in source.read_text()
        ]
        for source in changed:
            if source.name != name:
                (tmp_path / source.name).write_text(source.read_text())
            self.compile(tmp_path / source.name, f"-I{tmp_path}")
        objects = [
            (tmp_path if source in changed else source.parent) / f"{source.stem}.o" for source in self.sources
        ]
        subprocess.run(["gcc", *objects, "-o", tmp_path / "selftest"], check=True)
        done = subprocess.run([tmp_path / "selftest"], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    needs("gcc")
    exported = {
        "float32": ("float32", "mcu"),
        "int8": ("int8", "mcu"),
        "integer": ("int8", "mcu", "integer"),
        "short": ("int8", "mcu", "integer", ["-DNPR_SHORT_MULTIPLY"]),
        "paper": ("float32", "paper"),
    }
    return {name: Folder(tmp_path_factory.mktemp(name), *what) for name, what in exported.items()}


def mutated(text, old, new):
    """The text with the first `old` replaced, wherever its lines are broken."""
    found = re.search(r"\s+".join(map(re.escape, old.split())), text)
    assert found, "the mutation no longer fits the code"
    return text[: found.start()] + new + text[found.end() :]


def assert_caught(status, output):
    """The exit status is not 0, and it is the vectors that notice, not only the checksum."""
    assert status != 0 and output.endswith("FAIL\n")
    assert (
        any(int(count) > 0 for count in re.findall(r"(\d+) differ", output))
        or "a count is not the model's" in output
    )


@pytest.mark.parametrize("name", ["float32", "int8", "integer", "short", "paper"])
def test_the_unchanged_code_passes(folders, tmp_path, name):
    status, output = folders[name].run(
        "npr_model.c", (folders[name].folder / "src" / "npr_model.c").read_text(), tmp_path
    )
    assert status == 0 and output.endswith("PASS\n")


@pytest.mark.parametrize(
    ("folder", "file", "what"),
    [(*where, what) for where, mutations in MUTATIONS.items() for what in mutations],
)
def test_changed_arithmetic_is_caught(folders, tmp_path, folder, file, what):
    old, new = MUTATIONS[folder, file][what]
    text = (folders[folder].folder / "src" / file).read_text()
    assert_caught(*folders[folder].run(file, mutated(text, old, new), tmp_path))


def run_with_changed_entries(folder, name, array, tmp_path):
    """The self-test with some numbers of an array of the file `name` changed."""
    before, values, after = re.fullmatch(
        rf"(.*\b{array}\[\d+\] = {{)([^}}]*)(}}.*)", (folder.folder / "src" / name).read_text(), re.DOTALL
    ).groups()
    numbers = [number.strip() for number in values.split(",")]
    for k in entries_to_change(array, numbers):
        numbers[k] = changed(numbers[k])
    return folder.run(name, before + ", ".join(numbers) + after, tmp_path)


@pytest.mark.parametrize(
    ("type", "array"), [(type, array) for type, arrays in ARRAYS.items() for array in arrays]
)
def test_a_changed_entry_is_caught(folders, tmp_path, type, array):
    status, output = run_with_changed_entries(folders[type], "npr_weights.c", array, tmp_path)
    assert "checksum: the weights do not match" in output
    assert_caught(status, output)


@pytest.mark.parametrize(
    ("folder", "array"), [(folder, array) for folder, arrays in TABLES.items() for array in arrays]
)
def test_a_changed_entry_of_the_frontend_is_caught(folders, tmp_path, folder, array):
    name = "npr_filters.c" if array.startswith("npr_filter_") else "npr_tables.c"
    assert_caught(*run_with_changed_entries(folders[folder], name, array, tmp_path))


def test_the_page_says_how_many_changes():
    total = sum(map(len, [*MUTATIONS.values(), *ARRAYS.values(), *TABLES.values()]))
    assert f"{total} changes in all" in (Path(__file__).parents[2] / "docs" / "c-port.md").read_text(
        encoding="utf-8"
    )


def entries_to_change(array, numbers):
    """Of weights and indices one in the middle; of the network's tables every second, as 24 frames do not
    come by all; otherwise the largest.
    """
    if array in ("npr_tanh_table", "npr_exp2_table", "npr_log2_table"):
        return range(0, len(numbers), 2)
    if array.startswith("weights_") or array.endswith(("_start", "_count")):
        return [len(numbers) // 2]
    return [max(range(len(numbers)), key=lambda k: abs(float(numbers[k].rstrip("f"))))]


def changed(number):
    """One less in size, or by one part in a hundred: the unit of a bias or multiplier is below that of what
    it makes.
    """
    if number.endswith("f"):
        return c_text.literal(np.float32(float(number[:-1]) * 1.01))
    value = int(number)
    return str(value - (value > 0) * max(1, value // 100) + (value < 0) * max(1, -value // 100))
