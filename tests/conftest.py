"""What every test module shares: where the data is, markers, and a guard that no oracle test goes unrun.

Data comes from outside the repository: NPRESLSTM_RAVDESS names the folder with Actor_01 ... Actor_24,
NPRESLSTM_GOLDEN the folder with reslstm_sa_h64_golden.npz. Without them the tests that need them skip. `make
test` runs what needs no oracle package, `make oracle` the rest.
"""

import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported; one thread a worker
os.environ.setdefault("OMP_NUM_THREADS", "1")
# librosa's functions are compiled on first use, and two processes that fill one cache can crash (numba issue
# 10128): one each. Set, not by default: workers inherit what the controller has set.
os.environ["NUMBA_CACHE_DIR"] = os.path.join(
    Path(__file__).parents[1], ".pytest_cache", "numba-" + os.environ.get("PYTEST_XDIST_WORKER", "main")
)

import hypothesis
import numpy as np
import pytest

# a slow machine is not a failure, and the same examples everywhere: what fails is the code, not the day
hypothesis.settings.register_profile("npreslstm", deadline=None, derandomize=True)
hypothesis.settings.load_profile("npreslstm")


def data_folder(variable, content):
    """The folder that an environment variable names; skips if it is unset, fails if `content` is
    not in it.
    """
    if not os.environ.get(variable):
        pytest.skip(f"set {variable} to the folder with {content} to run this test")
    folder = Path(os.environ[variable]).resolve()
    if not (folder / content).exists():
        pytest.fail(f"{variable}={folder} has no {content}")
    return folder


@pytest.fixture(scope="session")
def ravdess():
    """Folder of the RAVDESS speech corpus: Actor_01 ... Actor_24."""
    return data_folder("NPRESLSTM_RAVDESS", "Actor_01")


@pytest.fixture(scope="session")
def golden():
    """Folder of the files made by the original PyTorch model."""
    return data_folder("NPRESLSTM_GOLDEN", "reslstm_sa_h64_golden.npz")


@pytest.fixture(scope="session")
def golden_npz(golden):
    """All arrays of reslstm_sa_h64_golden.npz by name; tests must not write into them."""
    with np.load(golden / "reslstm_sa_h64_golden.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


@pytest.fixture
def run(capsys):
    """Runs a command: (status, stdout, lines of stderr)."""
    from npreslstm.cli import main

    def run(*argv):
        status = main([str(argument) for argument in argv])
        out, err = capsys.readouterr()
        return status, out, err.splitlines()

    return run


def pytest_collection_modifyitems(items):
    for item in items:
        if "ravdess" in getattr(item, "fixturenames", ()):
            item.add_marker("ravdess")


def fail_unmarked(report, marked):
    """Turn a skip for a missing package into a failure unless the test carries the marker by which `make
    oracle` finds it. soundfile is no oracle: where there is none, the package reads PCM WAV, and is
    tested so.
    """
    if (
        report.skipped
        and isinstance(report.longrepr, tuple)
        and "could not import" in report.longrepr[2]
        and "'soundfile'" not in report.longrepr[2]
        and not marked
    ):
        report.outcome = "failed"
        report.longrepr = (
            f"{report.nodeid}: {report.longrepr[2]}; mark the test with pytest.mark.oracle, or `make oracle`"
            " will not run it"
        )


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if report.skipped:
        fail_unmarked(report, "pytest.mark.oracle" in collector.path.read_text(encoding="utf-8"))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    fail_unmarked(report, "oracle" in item.keywords)
    return report


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Manifest of a small corpus, see `crossval_runs`."""
    from crossval_runs import make_corpus

    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """Results of a cross-validation of it that nothing interrupted."""
    from crossval_runs import run_whole

    return run_whole(corpus, tmp_path_factory.mktemp("results") / "whole")
