"""The comparison of two work trees: equal ones are the same throughout, and a difference is seen."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "release" / "digests.py"


def compare(*arguments):
    done = subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of this tree in which the weights called `mcu` are those called `paper`."""
    tree = tmp_path_factory.mktemp("trees") / "changed"
    for name in ("npreslstm", "weights"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(tree / "weights" / "paper.npz", tree / "weights" / "mcu.npz")
    return tree


def test_equal_trees_are_the_same():
    status, printed, said = compare(ROOT, ROOT, "--fast", "--only", "streams", "--only", "resumed")
    assert status == 0, printed + said
    assert printed.endswith("compared, 0 not the same\n") and "a training from its snapshot" in printed


def test_a_difference_is_one_line_and_status_1(changed, tmp_path):
    status, printed, _ = compare(ROOT, changed, "--only", "integers", "--keep", tmp_path / "kept")
    assert status == 1 and printed.endswith("2 compared, 1 not the same\n")
    verdicts = {
        line.split()[1]: line.split()[-1] for line in printed.splitlines() if line.startswith("integers")
    }
    assert verdicts == {"mcu": "DIFFERENT", "paper": "same"}
    assert (tmp_path / "kept" / "new" / "digests.json").exists()


def test_what_fails_in_both_is_no_agreement(changed, tmp_path):
    broken = shutil.copytree(changed, tmp_path / "broken")
    (broken / "weights" / "mcu.npz").write_bytes(b"")
    status, printed, _ = compare(broken, broken, "--only", "integers")
    assert status == 1 and "failed: InputError" in printed and "FAILED" in printed


def test_what_is_no_tree_is_said(tmp_path):
    status, _, said = compare(ROOT, tmp_path)
    assert status == 2 and "is no work tree" in said
    status, printed, _ = compare("--help")
    assert status == 0 and "--corpus DIR" in printed
