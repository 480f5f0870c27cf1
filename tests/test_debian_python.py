"""Debian's own Python with its package of NumPy, and nothing else, says of a WAV of any rate what this Python
says.
"""

import csv
import os
import subprocess
from pathlib import Path

import pytest
from samples import voice, write_wav

from npreslstm.recognizer import Recognizer

ROOT = Path(__file__).parents[1]
PYTHON = "/usr/bin/python3"
PREDICT = """
import sys
for name in ("soundfile", "scipy"):
    sys.modules[name] = None  # as if it were not installed
from npreslstm.cli import main
sys.exit(main(["predict", *sys.argv[1:], "--format", "csv"]))
"""


@pytest.fixture(scope="module")
def version():
    """Of NumPy that Debian's Python has."""
    code = "import sys, numpy; assert sys.version_info >= (3, 10); print(numpy.__version__)"
    try:
        done = subprocess.run([PYTHON, "-I", "-c", code], capture_output=True, text=True)
    except OSError:
        pytest.skip(f"no {PYTHON}")
    if done.returncode:
        pytest.skip(f"{PYTHON} has no NumPy: apt-get install python3-numpy")
    return done.stdout.strip()


@pytest.mark.filterwarnings("ignore:audio at .* Hz is resampled")
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
def test_a_wav_of_any_rate(version, tmp_path, rate):
    path = write_wav(tmp_path / "a.wav", voice(1.5, rate), rate)
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [PYTHON, "-c", PREDICT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    (row,) = csv.DictReader(done.stdout.splitlines())
    expected = Recognizer().process_file(path)
    assert row["predicted"] == expected.label
    for name, probability in expected.probabilities.items():
        assert abs(float(row[name]) - probability) <= 1e-6, (version, name)  # 5e-7: it is printed so
