"""The exported self-test and the frontend on emulated Cortex-M cores: the same bits as on the host, within the cores' flash and RAM."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_models import checkpoint, needs

from npreslstm.audio.features import extract_features
from npreslstm.ports import c_ledger
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


def swelling_noise(hop):
    """The samples of tests/c/frontend.c."""
    noise, samples = 1, []
    for t in range(16):
        for _ in range(hop):
            noise = (noise * 1664525 + 1013904223) % 2**32
            samples.append(int(((noise >> 16) - 32768) / 2 ** (16 - t)))  # towards zero, as C divides
    return np.array(samples, np.int16)


# Achieved: MFCC 6.2e-5, chroma 7.2e-7.
@pytest.mark.parametrize("core", ["m3", "m4f"])
def test_the_frontend_equals_numpy(tmp_path, core):
    needs(*TOOLS)
    made = checkpoint("h64")
    export_c(made, tmp_path, "int8")
    (tmp_path / "npr_selftest.c").write_bytes((Path(__file__).parent / "c" / "frontend.c").read_bytes())
    done = emulate(tmp_path, core, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    got = np.array([row for row in rows if len(row) == made.config.input_size], float)
    config = made.features
    difference = np.abs(got - extract_features(swelling_noise(config.hop_length), config.sample_rate, config))
    assert difference[:, : config.n_mfcc].max() < 5e-4 and difference[:, config.n_mfcc :].max() < 5e-6


def test_a_failure_is_an_exit_status(folders, tmp_path):
    export_c(checkpoint("h64"), tmp_path, "int8")
    source = tmp_path / "npr_int8.c"
    source.write_text(source.read_text().replace("+ 32769) >> 1", "+ 32768) >> 1"))
    done = emulate(tmp_path, "m3", "test")
    assert done.returncode != 0 and done.stdout.endswith("FAIL\n")


# Instructions for 87 frames of the network and one frame of the frontend; what is achieved stands in docs/c-port.md.
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
    page = (Path(__file__).parent.parent / "docs" / "c-port.md").read_text(encoding="utf-8")
    rows = c_ledger.read_markdown(page, c_ledger.COLUMNS)
    row = next(row for row in rows if row["core"] == c_ledger.CORES[core] and row["type"] == type)
    for name in ("constants", "state"):  # the same with any compiler
        assert figures[name] == row[name]
    for name in ("code", "stack", "clip", "lstm1", "lstm2", "attention", "result"):  # other compilers differ a little
        assert figures[name] <= 1.1 * row[name], name
    row = next(row for row in c_ledger.read_markdown(page, c_ledger.FRONTEND_COLUMNS) if row["core"] == c_ledger.CORES[core])
    for name in list(c_ledger.FRONTEND_COLUMNS)[1:]:
        assert figures[name] <= 1.1 * row[name], name


def test_tables_are_read_back_as_they_were_written():
    rows = [{name: (k + 1) * 1000 if k > 1 else "Cortex-M3" for k, name in enumerate(c_ledger.COLUMNS)}]
    assert c_ledger.read_markdown("x\n" + c_ledger.markdown(rows, c_ledger.COLUMNS) + "\ny", c_ledger.COLUMNS) == rows
