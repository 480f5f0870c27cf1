"""The tools that kill, race and flip: short runs of them, and that what is wrong is seen."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fcntl")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="process groups as on Linux")

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "faults"


def run(tool, *arguments):
    """What a tool printed; it must find nothing."""
    command = [sys.executable, str(TOOLS / tool), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def tool(monkeypatch):
    """Imports one of the tools."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return __import__


def test_flips(tool, tmp_path):
    assert run("flips.py", "--flips", "40").endswith("seed 1: 0 wrongly accepted\n")
    (tmp_path / "a").write_bytes(b"no checksum")
    counts = tool("flips").flip(str(tmp_path / "a"), lambda path: Path(path).read_bytes(), 20, random_order())
    assert counts == {"flips": 20, "refused": 0, "same": 0, "wrong": 20}
    assert (tmp_path / "a").read_bytes() == b"no checksum"


def random_order():
    import numpy as np

    return np.random.default_rng(0)


def test_races():
    assert "crossval: 2 pairs" in run("races.py", "--pairs", "2", "--only", "crossval")


def test_kills():
    text = run("kills.py", "--kills", "3", "--only", "convert to .npz", "--only", "features, with a cache")
    assert text.endswith("seed 1: 6 kills, 0 wrong\n")


def test_torn_files_are_seen(tool, tmp_path):
    kills = tool("kills")
    (tmp_path / "a").write_bytes(b"ha")
    (tmp_path / ".a.x.part").touch()
    assert kills.torn(str(tmp_path), {"a": b"half"}, signal.SIGKILL) == ["a is torn"]
    assert len(kills.torn(str(tmp_path), {"a": b"half"}, signal.SIGTERM)) == 2
    (tmp_path / "a").write_bytes(kills.OLD)
    assert kills.torn(str(tmp_path), {"a": b"half"}, signal.SIGKILL) == []
    assert random.Random("1 x").random() == random.Random("1 x").random()  # moments follow from the seed
