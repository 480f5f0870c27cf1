"""tools/release/long_tests.py: which tests are left out on an emulated machine."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "tools" / "release" / "long_tests.py"
SAMPLE = """
import pytest

class TestIt:
    @pytest.mark.parametrize("name", ["a b", "c"])
    def test_quick(self, name):
        pass

def test_slow():
    import time
    time.sleep(0.3)
"""


def test_what_took_long_is_left_out_by_its_whole_name(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_sample.py").write_text(SAMPLE)
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "tests"]
    times = ["--junitxml", "times.xml", "-o", "junit_family=xunit1"]
    subprocess.run([*run, *times], cwd=tmp_path, check=True, capture_output=True)
    for seconds, left in (
        ("0.2", ["test_slow"]),
        ("-1", ["TestIt::test_quick[a b]", "TestIt::test_quick[c]", "test_slow"]),
    ):
        command = [sys.executable, str(SCRIPT), "times.xml", seconds]
        printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        assert printed.split("\n")[:-1] == [f"--deselect=tests/test_sample.py::{name}" for name in left]
    (tmp_path / "long.txt").write_text("--deselect=tests/test_sample.py::test_slow\n")
    said = subprocess.run(
        [*run, "@long.txt"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert "2 passed, 1 deselected" in said
