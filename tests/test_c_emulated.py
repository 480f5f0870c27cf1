"""The exported self-test on emulated Cortex-M cores: the same bits as on the host, within the cores' flash and RAM."""

import re
import subprocess

import pytest
from c_models import checkpoint, needs

from npreslstm.ports.c_export import export_c

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


@pytest.mark.parametrize(("core", "type"), [("m0", "int8"), ("m3", "int8"), ("m4f", "int8"), ("m7", "int8"), ("m3", "float32"), ("m4f", "float32")])
def test_the_selftest_passes(folders, core, type):
    done = emulate(folders[type], core, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 differ in " in done.stdout and done.stdout.endswith("PASS\n")


def test_a_failure_is_an_exit_status(folders, tmp_path):
    export_c(checkpoint("h64"), tmp_path, "int8")
    source = tmp_path / "npr_int8.c"
    source.write_text(source.read_text().replace("+ 32769) >> 1", "+ 32768) >> 1"))
    done = emulate(tmp_path, "m3", "test")
    assert done.returncode != 0 and done.stdout.endswith("FAIL\n")


# Instructions for 87 frames of the network and one frame of the frontend. Achieved with GCC 12.2: 15.5 M, 15.5 M, 15.5 M; 0.18 M.
@pytest.mark.parametrize(("core", "type", "clip", "frontend"), [("m3", "int8", 25e6, None), ("m4f", "int8", 25e6, 0.3e6), ("m4f", "float32", 23e6, 0.3e6)])
def test_instructions_and_memory_stay_within_budget(folders, core, type, clip, frontend):
    done = emulate(folders[type], core, "measure")
    assert done.returncode == 0, done.stderr
    figures = dict(re.findall(r"^(\w+) (\d+)$", done.stdout, re.MULTILINE))
    figures = {name: int(value) for name, value in figures.items()}
    assert figures["clip"] <= clip
    assert figures["state"] <= (1024 if type == "int8" else 1228)
    assert type == "float32" or figures["stack"] <= 1024
    assert figures["frontend_ram"] <= 16384
    assert frontend is None or figures["frontend"] <= frontend
