"""The guard of conftest.py: a test that needs an oracle package must carry the marker by which `make oracle`
finds it. Without soundfile, tests skip.
"""

import shutil
import subprocess
import sys
from pathlib import Path

SAMPLES = {
    "test_module.py": "import pytest\npytest.importorskip('absent')\ndef test_x(): pass\n",
    "test_function.py": "import pytest\ndef test_x(): pytest.importorskip('absent')\n",
    "test_marked_module.py": (
        "import pytest\npytestmark = pytest.mark.oracle\npytest.importorskip('absent')\ndef test_x(): pass\n"
    ),
    "test_marked_function.py": (
        "import pytest\n@pytest.mark.oracle\ndef test_x(): pytest.importorskip('absent')\n"
    ),
    "test_sound.py": (
        "import sys, pytest\nsys.modules['soundfile'] = None\n"
        "def test_x(): pytest.importorskip('soundfile')\n"
    ),
}


def test_a_skip_for_a_missing_package_needs_the_marker(tmp_path):
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    for name, source in SAMPLES.items():
        (tmp_path / name).write_text(source)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    oracle: -\n    ravdess: -\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("ERROR ", "FAILED "))] == [
        ["ERROR", "test_module.py"],
        ["FAILED", "test_function.py::test_x"],
    ]
    assert done.stdout.count("could not import 'absent'") >= 4
    assert "3 skipped" in lines[-1]
    assert done.stdout.count("mark the test with pytest.mark.oracle") >= 2
