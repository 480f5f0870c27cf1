"""The exported self-test on emulated Cortex-M and RISC-V cores, within their flash and RAM, and on a
big-endian machine: what NumPy computed.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_models import checkpoint, needs

from npreslstm.checkpoint import load_checkpoint
from npreslstm.ports import c_ledger
from npreslstm.ports.c_export import export_c
from tools.release import cycles

PAGE = Path(__file__).parents[2] / "docs" / "c-port.md"
SOUND = ["MFCC", "chroma", "probabilities"]  # what the self-test reports of a piece of sound
TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "make")
RISCV_TOOLS = ("riscv64-unknown-elf-gcc", "qemu-system-riscv32", "make")
POWERPC = "powerpc-linux-gnu-gcc"
CLANG = "clang --target=arm-none-eabi -fshort-enums -isystem /usr/include/newlib"
BARE = Path(__file__).parents[1] / "c" / "bare"
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """{type: exported folder} of the default model; `integer` is int8 with the integer frontend."""
    needs("make")
    made = {type: tmp_path_factory.mktemp(type) for type in ("float32", "int8", "integer")}
    for type in ("float32", "int8"):
        export_c(checkpoint("h64"), made[type], type)
    export_c(checkpoint("h64"), made["integer"], "int8", frontend="integer")
    return made


def emulate(folder, core, what, *variables):
    needs(*(RISCV_TOOLS if core.startswith("rv") else TOOLS))
    command = ["make", "-s", "-C", folder / "extras" / "qemu", f"CORE={core}", *variables, what]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("core", "type"),
    [
        *((core, "int8") for core in ("m0", "m3", "m4f", "m7", "rv32imc", "rv32imafc")),
        *((core, "float32") for core in ("m3", "m4f", "rv32imafc")),
    ],
)
def test_the_selftest_passes(folders, core, type):
    stages = ["network"] if core == "m0" else [*SOUND, "network", "activity", "rates", "stream"]
    assert_passes(emulate(folders[type], core, "test"), stages)


@pytest.mark.parametrize("core", ["m0", "m3", "m4f", "m7", "m55", "rv32imc", "rv32imafc"])
def test_integers_are_numpys_from_samples_to_probabilities(folders, core):
    """On the M0 too: this frontend fits its 16 KB of RAM."""
    assert_all_bits(emulate(folders["integer"], core, "test"), core)


def assert_all_bits(done, core):
    """Every stage that fits the core was compared, and no integer differs."""
    stages = [*SOUND, "network", "activity", "rates", *(["stream"] if core != "m0" else [])]
    assert_passes(done, stages)
    assert done.stdout.count("at most by 0\n") == len(stages)


@pytest.mark.parametrize("core", ["m0", "m3", "m4f", "m33", "m55"])
def test_clang_makes_the_same_bits_of_it(tmp_path, core):
    """Without a warning; what is linked with it is GCC's."""
    needs("clang", *TOOLS)
    export_c(checkpoint("h32"), tmp_path, "int8", frontend="integer")
    assert_all_bits(emulate(tmp_path, core, "test", f"COMPILE={CLANG}"), core)


@pytest.mark.parametrize("march", ["rv32imc", "rv32imac"])
def test_clang_makes_the_same_bits_of_it_on_risc_v(tmp_path, march):
    """With and without atomic instructions, and without any library: `tests/c/bare` has the little that it
    needs.
    """
    clang = shutil.which("clang-14") or shutil.which("clang")  # the one that has a linker beside it
    qemu = shutil.which("qemu-riscv32") or shutil.which("qemu-riscv32-static")
    lld = shutil.which("ld.lld-14") or shutil.which("ld.lld")
    needs(clang or "clang", lld or "lld", qemu or "qemu-riscv32")
    export_c(checkpoint("h32"), tmp_path, "int8", frontend="integer")
    flags = ["--target=riscv32-unknown-elf", f"-march={march}", "-mabi=ilp32", "-mno-relax", "-ffreestanding"]
    flags += ["-nostdlib", "-fuse-ld=lld", *STRICT, f"-I{tmp_path / 'src'}", "-isystem", BARE]
    sources = [*BARE.glob("*.c"), *tmp_path.glob("src/*.c"), *tmp_path.glob("extras/*.c")]
    subprocess.run([clang, *flags, *sources, "-o", tmp_path / "selftest"], check=True)
    done = subprocess.run([qemu, tmp_path / "selftest"], capture_output=True, text=True, timeout=300)
    assert_all_bits(done, march)


@pytest.mark.parametrize("name", ["float32", "int8", "integer"])
def test_bytes_in_the_other_order_are_no_matter(folders, tmp_path, name):
    """Big-endian PowerPC: `npr_verify` and all the rest of the self-test."""
    done = on_powerpc(folders[name], tmp_path)
    assert_passes(done, [*SOUND, "network", "activity", "rates", "stream"])
    assert "checksum: ok\n" in done.stdout


def on_powerpc(folder, tmp_path):
    """The self-test, or another program in its place, compiled and run."""
    qemu = shutil.which("qemu-ppc") or shutil.which("qemu-ppc-static")
    needs(POWERPC, qemu or "qemu-ppc")
    flags = [*STRICT, "-static"]
    blob = f'-DNPR_BLOB_FILE="{folder / "npr_weights.bin"}"'
    sources = [*sorted(folder.glob("src/*.c")), *sorted(folder.glob("extras/*.c"))]
    command = [POWERPC, *flags, blob, f"-I{folder / 'src'}", *sources, "-o", tmp_path / "selftest"]
    subprocess.run(command, check=True)
    return subprocess.run([qemu, tmp_path / "selftest"], capture_output=True, text=True, timeout=300)


OPEN = """
#include <stdio.h>
#include "npr_blob.h"
int main(void) {
    static uint32_t data[1 << 16];
    static npr_blob blob;
    const size_t bytes = fread(data, 1, sizeof data, stdin);
    printf("%d\\n", (int)npr_blob_open(&blob, data, bytes));
    return blob.model.labels != NULL;
}
"""


def test_a_blob_of_the_other_order_is_refused(tmp_path):
    """With the status of another format, and nothing written."""
    qemu = shutil.which("qemu-ppc") or shutil.which("qemu-ppc-static")
    needs(POWERPC, qemu or "qemu-ppc")
    export_c(checkpoint("h32"), tmp_path, "int8", weights="blob")
    (tmp_path / "open.c").write_text(OPEN)
    sources = [tmp_path / "open.c", *sorted(tmp_path.glob("src/*.c"))]
    command = [POWERPC, "-O1", "-static", f"-I{tmp_path / 'src'}", *sources, "-o", tmp_path / "open"]
    subprocess.run(command, check=True)
    with open(tmp_path / "npr_weights.bin", "rb") as file:
        done = subprocess.run([qemu, tmp_path / "open"], stdin=file, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


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
        .partition("make -C mcu_c/extras/qemu CORE=m4f test\n    sound")[2]
        .partition("\n\n")[0]
    )
    shown = [line.strip() for line in ("sound" + shown).splitlines()]
    words, figures = zip(*map(without_largest, shown))
    printed_words, largest = zip(*map(without_largest, printed[-9:]))
    assert words == printed_words
    # NumPy's own features, which C is compared with, round as its BLAS does: chroma 7.7e-07 with one kernel,
    # 8.9e-07 and 3.6e-07 with others; MFCC 3.1e-05 or twice that, one or two roundings of a number near 400.
    found, stated = np.array(largest), np.array(figures)
    room = np.where(stated == 0, 0, stated + 6e-7)  # none for integers, which are exact
    assert (np.abs(found - stated) <= room).all()


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
    source = tmp_path / "src" / "npr_int8.c"
    source.write_text(source.read_text().replace("+ 32769) >> 1", "+ 32768) >> 1"))
    done = emulate(tmp_path, "m3", "test")
    assert done.returncode != 0 and done.stdout.endswith("FAIL\n")


# Instructions for 87 frames of the network and one frame of the frontend; what is achieved stands in
# docs/c-port.md.
BUDGETS = [
    ("m3", "int8", 25e6, None),
    ("m4f", "int8", 25e6, 0.3e6),
    ("m4f", "float32", 15.6e6, 0.3e6),
    ("rv32imafc", "int8", 25e6, 0.4e6),
]


@pytest.mark.parametrize(("core", "type", "clip", "frontend"), BUDGETS)
def test_costs_stay_within_budget_and_within_the_ledger(folders, core, type, clip, frontend):
    needs(*(RISCV_TOOLS if core.startswith("rv") else TOOLS))
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
    if type == "int8":
        assert_within_frontend_ledger(figures)
        rows = c_ledger.read_markdown(page, c_ledger.STREAM_COLUMNS)
        row = next(row for row in rows if row["core"] == c_ledger.CORES[core])
        for name in list(c_ledger.STREAM_COLUMNS)[1:]:
            assert figures[name] <= 1.1 * row[name], name


def assert_within_frontend_ledger(figures):
    """No more than a tenth above the page; tables and RAM are the same with any compiler."""
    rows = c_ledger.read_markdown(PAGE.read_text(encoding="utf-8"), c_ledger.FRONTEND_COLUMNS)
    [row] = [
        row for row in rows if (row["core"], row["arithmetic"]) == (figures["core"], figures["arithmetic"])
    ]
    for name in list(c_ledger.FRONTEND_COLUMNS)[2:]:
        assert figures[name] <= 1.1 * row[name], name
    assert figures["frontend_tables"] == row["frontend_tables"]
    assert figures["frontend_ram"] == row["frontend_ram"]


# Instructions a frame; what is achieved stands in docs/c-port.md.
@pytest.mark.parametrize(("core", "frontend"), [("m0", 460e3), ("m3", 285e3), ("m4f", 200e3), ("m55", 105e3)])
def test_the_integer_frontend_stays_within_budget(folders, core, frontend):
    needs(*TOOLS)
    figures = c_ledger.measure(folders["integer"], core, "int8")
    assert figures["arithmetic"] == "integer" and figures["frontend"] <= frontend
    assert figures["frontend_ram"] <= 11_000 and figures["frontend_tables"] <= 12_000
    assert figures["frontend_code"] <= 3_000
    assert_within_frontend_ledger(figures)


def test_a_cortex_m0_at_48_mhz_keeps_up():
    """Frontend and network, in three quarters of real time, and as the page says."""
    needs(*TOOLS)
    found = cycles.run(load_checkpoint("mcu"))
    assert sum(estimated for _, estimated in found.values()) <= 0.75 * 48e6 * 512 / 16000
    page = PAGE.read_text(encoding="utf-8")
    for stage, figures in found.items():
        shown = re.search(
            rf"^    {stage}: ([\d,]+) instructions, ([\d,]+) cycles a frame$", page, re.MULTILINE
        )
        for figure, text in zip(figures, shown.groups()):
            assert figure == pytest.approx(int(text.replace(",", "")), rel=0.1)  # other compilers differ


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
