"""Importing the package loads NumPy and nothing heavier. What it costs in time is printed by
`python tools/bench import`.
"""

import subprocess
import sys

import pytest

import npreslstm

HEAVY = set(
    "scipy soundfile torch librosa sklearn numba matplotlib onnx onnxruntime safetensors optuna dask"
    " distributed multiprocessing".split()
)


def heavy_modules(code):
    """Top-level names of the heavy modules that a fresh interpreter holds after running `code`, beyond those
    that NumPy loads.
    """
    script = (
        f"import sys, numpy\nbefore = set(sys.modules)\n{code}\nprint(*{{name.split('.')[0] for name in"
        " set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split()) & HEAVY


@pytest.mark.parametrize("module", ["", ".model", ".checkpoint", ".recognizer", ".cli", ".assets"])
def test_import_loads_numpy_alone(module):
    assert heavy_modules(f"import npreslstm{module}") == set()


def test_the_network_runs_on_numpy_alone():
    code = """
import numpy, npreslstm
model = npreslstm.ResLSTM(npreslstm.ModelConfig(), rng=numpy.random.default_rng(0))
model.forward(numpy.zeros((1, 3, 46), numpy.float32), numpy.array([3]))
"""
    assert heavy_modules(code) == set()


def test_sound_takes_numpy_and_a_reader_alone():
    code = """
import warnings, npreslstm
warnings.simplefilter("ignore")
npreslstm.Recognizer("mcu").process_file(npreslstm.assets.demo_clip_path())
"""
    assert heavy_modules("import npreslstm.assets\n" + code) <= {"soundfile"}


def test_the_check_sees_a_heavy_import():
    assert heavy_modules("import multiprocessing") >= {"multiprocessing"}


def test_every_public_name_can_be_had():
    for name in npreslstm.__all__:
        assert getattr(npreslstm, name) is not None
    assert set(npreslstm.__all__) <= set(dir(npreslstm))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = npreslstm.nothing
