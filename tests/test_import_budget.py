"""Importing the package loads NumPy and nothing heavier. What it costs in time is printed by
`python tools/bench import`.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux says the size of a process")
@pytest.mark.parametrize("weights", ["robust", "mcu"])
def test_a_clip_takes_little_address_space(weights):
    """Of a machine with words of 32 bits 64 MB with Python, NumPy and all; elsewhere 28 MB beyond NumPy."""
    code = f"""
import resource, sys, numpy
numpy.ones((256, 256)) @ numpy.ones((256, 256))  # a BLAS takes its memory at the first one of this size
pages = int(open("/proc/self/statm").read().split()[0])
limit = 64 << 20 if sys.maxsize < 1 << 32 else pages * resource.getpagesize() + (28 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
import npreslstm
print(npreslstm.Recognizer({weights!r}).process_file(npreslstm.assets.demo_clip_path()).label)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    label = npreslstm.Recognizer(weights).process_file(npreslstm.assets.demo_clip_path()).label
    assert (done.stdout, done.returncode) == (f"{label}\n", 0), done.stderr


def test_import_loads_one_module():
    """All others are loaded when a name is first used."""
    code = """
import sys, numpy
before = set(sys.modules)
import npreslstm
print(*set(sys.modules) - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "npreslstm\n"


def test_the_check_sees_a_heavy_import():
    assert heavy_modules("import multiprocessing") >= {"multiprocessing"}


def test_every_public_name_can_be_had():
    for name in npreslstm.__all__:
        assert getattr(npreslstm, name) is not None
    assert set(npreslstm.__all__) <= set(dir(npreslstm))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = npreslstm.nothing


def subscripted(tree):
    """Names of NumPy that are given a parameter when the code runs: `np.floating[Any]`, not in quotes."""
    return [
        node.value.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Attribute)
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id == "np"
    ]


def test_types_take_no_parameters_that_numpy_1_21_does_not_know():
    """With it, `np.floating[Any]` or `np.dtype[Any]` would end the import."""
    assert subscripted(ast.parse("def f(a: np.dtype[Any], b: 'np.floating[Any]'): np.pi")) == ["dtype"]
    folder = Path(npreslstm.__file__).parent
    found = {path.name: subscripted(ast.parse(path.read_text("utf-8"))) for path in folder.rglob("*.py")}
    assert len(found) > 100 and {name: names for name, names in found.items() if names} == {}
