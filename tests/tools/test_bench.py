"""The speed benches run and say what they promise; what they measure is asserted nowhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from micropython_runs import program

BENCH = Path(__file__).resolve().parents[2] / "tools" / "bench"


def bench(*arguments):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(BENCH), *arguments, "--format", "json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.oracle
def test_train_prints_milliseconds_ratios_and_the_share_of_the_products():
    pytest.importorskip("torch")
    found = bench("train", "--batch", "2", "--rounds", "1")
    (row,) = found["rows"]
    assert row["batch"] == 2
    assert row["torch /"] == pytest.approx(row["torch"] / row["npreslstm"])
    assert row["share"] == pytest.approx(row["products"] / row["npreslstm"])
    assert {"cpu", "threads", "python", "numpy", "torch", "data"} <= set(found["environment"])


@pytest.mark.oracle
def test_infer_compares_the_same_logits():
    pytest.importorskip("torch")
    rows = {row["contender"]: row for row in bench("infer", "--clips", "2", "--rounds", "1")["rows"]}
    assert {"npreslstm", "products", "torch packed", "torch padded", "torch plain", "torch traced"} <= set(
        rows
    )
    assert rows["npreslstm"]["/ npreslstm"] == 1


def test_micropython_times_either_kernels():
    command = [sys.executable, str(BENCH), "micropython", "--rounds", "1"]
    program("micropython")
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    kernels = ["network", "viper"], ["network", "plain"], ["from", "samples"], ["from", "samples"]
    assert [line.split()[:2] for line in printed] == list(kernels)
    assert printed[0].endswith("1.00 x viper") and printed[2].endswith("1.00 x viper")


def test_layers_compares_the_two_backends():
    rows = bench("layers", "--rounds", "1")["rows"]
    assert len(rows) == 6
    assert all(row["times as fast"] == pytest.approx(row["reference"] / row["fast"]) for row in rows)


def test_calls_needs_numpy_alone():
    rows = bench("calls", "--clips", "1", "2", "--rounds", "1")["rows"]
    assert all(row["n = 1"] > 0 and row["n = 2"] > 0 for row in rows)


@pytest.mark.oracle
def test_sound_goes_through_every_stage():
    pytest.importorskip("scipy")
    rows = bench("sound", "--clips", "1", "--rounds", "1")["rows"]
    times = {row["what"]: row["ms, or ratio"] for row in rows}
    assert list(times)[:3] == ["reading", "soundfile", "resampling"]
    ratio = times["scipy"] / times["resampling"]
    assert times["scipy / resampling"] == pytest.approx(ratio)


@pytest.mark.oracle
def test_sound_beside_an_earlier_commit():
    pytest.importorskip("scipy")
    root = BENCH.parents[1]
    inside = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True)
    if inside.returncode:
        pytest.skip("no git repository")
    rows = bench("sound", "--whole", "--clips", "1", "--before", inside.stdout.strip())["rows"]
    assert [row["what"] for row in rows if "/" in row["what"]] == [
        "reading, before / now",
        "file to label, before / now",
    ]
    assert all(row["ms, or ratio"] > 0 for row in rows)
