"""The kernel of docs/testing.md, with its fixture and its tests: right as it stands, and caught where it is
not."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from npreslstm.testing import lstm_cases

ROOT = Path(__file__).resolve().parents[2]
FILES = ("kernel.py", "conftest.py", "test_kernel.py")


def sources():
    """{file: its source} of the page's three files."""
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL))
    assert tuple(found) == FILES
    return found


def test_the_files_are_run_by_pytest_as_they_stand(tmp_path):
    for name, source in sources().items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "."]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert f"{2 * len(lstm_cases())} passed" in done.stdout


def page_tests(kernel, monkeypatch):
    """The page's test functions, on a kernel of this source."""
    module, tests = types.ModuleType("kernel"), {}
    exec(kernel, vars(module))
    monkeypatch.setitem(sys.modules, "kernel", module)
    exec(sources()["test_kernel.py"], tests)
    return tests


BREAKS = {
    "dc[j] *= f[j]": ("pass", None),
    "dh[j] += dy[t][j]": (
        "dh[j] = dy[t][j]",
        "that carries dc from frame to frame, but not dh, nor takes dh_n",
    ),
    "* (1 - g[j] * g[j])": ("", "without the derivative of tanh in da_g"),
    "o[j] * (1 - tanh_c * tanh_c)": ("o[j]", "without the derivative of tanh in dc"),
    "* c_before[j] * f[j] * (1 - f[j])": (
        "* c_before[j]",
        "without the derivative of sigmoid in da_f",
    ),
    "db[row] += da[row]": ("db[row] += 2 * da[row]", "that counts each bias gradient twice"),
    "da[row] * h_before[k]": ("da[row] * o[k] * math.tanh(c[k])", "that takes h for h_before in dW_hh"),
    "reversed(range(T))": ("reversed(range(T - 1))", "that misses each clip's last frame"),
    "in reversed(range(T)):": (
        "in reversed(range(1, T)):",
        "that misses the first frame (goes back through 5 of 6)",
    ),
}


@pytest.mark.parametrize("line", BREAKS)
def test_a_broken_kernel_fails_and_is_told_why(line, monkeypatch):
    kernel = sources()["kernel.py"]
    assert kernel.count(line) == 1
    changed, mistake = BREAKS[line]
    tests = page_tests(kernel.replace(line, changed), monkeypatch)
    case = next(case for case in lstm_cases() if str(case) == "lengths")
    tests["test_forward"](case)
    with pytest.raises(AssertionError) as error:
        tests["test_backward"](case)
    named = re.search(r"those of a backward pass (.+)\.$", str(error.value))
    assert (named and named[1]) == mistake


def test_cases_have_what_they_promise():
    cases = {str(case): case for case in lstm_cases(layers=2, bidirectional=True, dtype="float32")}
    assert cases["one frame"].x.shape[:2] == (1, 1)
    assert len(set(cases["lengths"].lengths.tolist())) == 4
    assert not cases["last frame"].dy[:, :-1].any() and cases["last frame"].dy[:, -1].all()
    assert cases["square"].x.shape[2] == cases["square"].h0.shape[2]
    for case in cases.values():
        arrays = [*case.weights.values(), case.x, case.dy, case.h0, case.c0, case.dh_n, case.dc_n]
        assert {array.dtype.name for array in arrays} == {"float32"} and all(array.any() for array in arrays)
        assert len(case.weights) == 16 and case.h0.shape[0] == 4
    again = lstm_cases(layers=2, bidirectional=True, dtype="float32")[2]
    assert (again.x == cases["lengths"].x).all()
