"""The exported self-test on emulated Cortex-M cores: what NumPy computed, within the cores' flash and RAM."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_models import checkpoint, needs

from npreslstm.checkpoint import load_checkpoint
from npreslstm.ports import c_ledger
from npreslstm.ports.c_export import export_c

PAGE = Path(__file__).parents[2] / "docs" / "c-port.md"
SOUND = ["MFCC", "chroma", "probabilities"]  # what the self-test reports of a piece of sound
TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "make")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """{type: exported folder} of the default model."""
    needs(*TOOLS)
    made = {type: tmp_path_factory.mktemp(type) for type in ("float32", "int8")}
    for type, folder in made.items():
        export_c(checkpoint("h64"), folder, type)
    return made


def emulate(folder, core, what, *variables):
    command = ["make", "-s", "-C", folder / "qemu", f"CORE={core}", *variables, what]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("core", "type"),
    [("m0", "int8"), ("m3", "int8"), ("m4f", "int8"), ("m7", "int8"), ("m3", "float32"), ("m4f", "float32")],
)
def test_the_selftest_passes(folders, core, type):
    stages = ["network"] if core == "m0" else [*SOUND, "network", "activity"]
    assert_passes(emulate(folders[type], core, "test"), stages)


def test_the_selftest_of_whole_clips_passes(tmp_path):
    needs(*TOOLS)
    export_c(checkpoint("h64", "paper"), tmp_path, "float32")
    assert_passes(emulate(tmp_path, "m7", "test"), [*SOUND, "network"])


def test_the_page_shows_what_the_bundled_weights_print(tmp_path):
    needs(*TOOLS)
    export_c(load_checkpoint("mcu"), tmp_path, "int8")
    printed = emulate(tmp_path, "m4f", "test").stdout.splitlines()
    shown = (
        PAGE.read_text(encoding="utf-8")
        .partition("make -C mcu_c/qemu CORE=m4f test\n    sound")[2]
        .partition("\n\n")[0]
    )
    shown = [line.strip() for line in ("sound" + shown).splitlines()]
    words, figures = zip(*map(without_largest, shown))
    found, largest = zip(*map(without_largest, printed[-7:]))
    assert words == found
    # NumPy's own features, which C is compared with, round as its BLAS does: chroma 7.7e-07 with one kernel,
    # 8.9e-07 with another.
    np.testing.assert_allclose(largest, figures, rtol=0.5)


def without_largest(line):
    """A line of the self-test, and the largest difference that it ends with; 0 where it ends otherwise."""
    text, _, largest = line.partition(", at most by ")
    return text, float(largest or 0)


def assert_passes(done, stages):
    """Exit status 0, and every stage compared something."""
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"^(\w+): ok, (\d+) values, 0 differ", done.stdout, re.MULTILINE)
    assert [name for name, _ in counts] == stages and all(int(values) > 0 for _, values in counts)
    assert done.stdout.endswith("PASS\n")


def test_a_failure_is_an_exit_status(folders, tmp_path):
    export_c(checkpoint("h64"), tmp_path, "int8")
    source = tmp_path / "npr_int8.c"
    source.write_text(source.read_text().replace("+ 32769) >> 1", "+ 32768) >> 1"))
    done = emulate(tmp_path, "m3", "test")
    assert done.returncode != 0 and done.stdout.endswith("FAIL\n")


# Instructions for 87 frames of the network and one frame of the frontend; what is achieved stands in
# docs/c-port.md.
BUDGETS = [("m3", "int8", 25e6, None), ("m4f", "int8", 25e6, 0.3e6), ("m4f", "float32", 23e6, 0.3e6)]


@pytest.mark.parametrize(("core", "type", "clip", "frontend"), BUDGETS)
def test_costs_stay_within_budget_and_within_the_ledger(folders, core, type, clip, frontend):
    figures = c_ledger.measure(folders[type], core, type)
    assert figures["clip"] <= clip
    assert figures["code"] <= 8192
    assert figures["constants"] <= (53_000 if type == "int8" else 185_000)
    assert figures["state"] <= (1024 if type == "int8" else 1228)
    assert type == "float32" or figures["stack"] <= 1024
    assert figures["frontend_ram"] <= 16384 and figures["frontend_tables"] <= 40960
    assert frontend is None or figures["frontend"] <= frontend
    page = PAGE.read_text(encoding="utf-8")
    rows = c_ledger.read_markdown(page, c_ledger.COLUMNS)
    row = next(row for row in rows if row["core"] == c_ledger.CORES[core] and row["type"] == type)
    for name in ("constants", "state"):  # the same with any compiler
        assert figures[name] == row[name]
    # other compilers differ a little
    for name in ("code", "stack", "clip", "lstm1", "lstm2", "attention", "result"):
        assert figures[name] <= 1.1 * row[name], name
    row = next(
        row
        for row in c_ledger.read_markdown(page, c_ledger.FRONTEND_COLUMNS)
        if row["core"] == c_ledger.CORES[core]
    )
    for name in list(c_ledger.FRONTEND_COLUMNS)[1:]:
        assert figures[name] <= 1.1 * row[name], name


def test_the_smallest_core_has_room_when_code_is_compiled_for_size(tmp_path, monkeypatch):
    needs(*TOOLS)
    monkeypatch.setenv("CFLAGS", "-Os")
    export_c(load_checkpoint("mcu"), tmp_path, "int8")
    figures = c_ledger.measure(tmp_path, "m0", "int8")
    assert figures["code"] <= 8192
    assert f"{figures['code']:,} bytes and {figures['clip'] / 1e6:.1f} million" in PAGE.read_text(
        encoding="utf-8"
    ).replace("\n", " ")


def test_tables_are_read_back_as_they_were_written():
    rows = [{name: (k + 1) * 1000 if k > 1 else "Cortex-M3" for k, name in enumerate(c_ledger.COLUMNS)}]
    assert (
        c_ledger.read_markdown("x\n" + c_ledger.markdown(rows, c_ledger.COLUMNS) + "\ny", c_ledger.COLUMNS)
        == rows
    )
