"""The fuzzing: a short run of every target with a fixed seed, and that escapes are seen."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npreslstm.errors import InputError
from tools.fuzz.c_targets import C_TARGETS
from tools.fuzz.mutation import LONGEST, mutate

harness = pytest.importorskip("tools.fuzz.harness", exc_type=ImportError)  # no `resource` on Windows

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = ROOT / "tools" / "fuzz" / "campaign.py"


def run(tmp_path, *arguments):
    """The campaign by this project's own generator; what it printed."""
    command = [
        sys.executable,
        str(CAMPAIGN),
        "--engine",
        "mutation",
        "--seed",
        "5",
        "--results",
        str(tmp_path),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def escapes(text):
    """{target: (executions, escapes)} of the table."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {row[0].strip(): (row[2].strip(), row[3].strip()) for row in rows}


def test_no_input_escapes_the_readers(tmp_path):
    table = escapes(run(tmp_path, "--executions", "80", "--minutes", "60", "--kind", "readers"))
    del table["target"]
    assert len(table) >= 23 and {found for _, found in table.values()} == {"0"}
    assert all(int(executions.replace(",", "")) >= 80 for executions, _ in table.values())


def test_no_input_breaks_the_c_port(tmp_path):
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    table = escapes(run(tmp_path, "--executions", "150", "--kind", "c"))
    assert len(table) == len(C_TARGETS) + 2 and table["all"][1] == "0"


def raising(error):
    """A target that ends with an error."""

    def use(folder, data):
        raise error

    return harness.Target(use, lambda templates: [])


@pytest.mark.parametrize(
    "target, fault",
    [
        (raising(InputError("refused")), None),
        (raising(KeyError("x")), "KeyError in test_fuzz.py:"),
        (raising(RecursionError()), "RecursionError in test_fuzz.py:"),
        (harness.Target(lambda *_: np.ones(80_000_000), list), "MemoryError in "),
        (harness.Target(lambda *_: np.ones(1_000_000), list), None),
    ],
)
def test_what_escapes_a_target_is_seen(target, fault):
    found = harness.execute(target, "", b"")
    assert found is None if fault is None else "_ArrayMemoryError" in found or found.startswith(fault)


def test_what_takes_too_long_is_seen(monkeypatch):
    monkeypatch.setattr(harness, "SECONDS", 0.005)
    monkeypatch.setattr(harness, "HANG", 0.2)

    def endless(folder, data):
        while True:
            pass

    assert harness.execute(harness.Target(endless, list), "", b"").startswith("no end after 0.2 s")
    monkeypatch.setattr(harness, "HANG", 60)  # more than any machine needs for what follows
    slow = harness.Target(lambda *_: sum(range(5_000_000)), list)
    assert harness.execute(slow, "", b"") == "more than 0.005 s"


def test_mutations_follow_from_the_seed():
    seeds = [b"", b"one", bytes(range(256)) * 100]
    first, again, other = ([mutate(rng, seeds) for _ in range(300)] for rng in map(random.Random, (1, 1, 2)))
    assert first == again != other and max(map(len, first)) <= LONGEST and len(set(first)) > 250
