"""Folders exported for MicroPython, and MicroPython's Unix port to run them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from npreslstm.checkpoint import load_checkpoint
from npreslstm.ports.micropython_export import export_micropython


def program(name):
    """The path of a program of the extra `test`, beside this Python or on the path; skips without."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def in_romfs(folder, *names):
    """Put an image of ROMFS beside an export, with some of its files."""
    rom = folder / "rom"
    rom.mkdir()
    for name in names:
        shutil.copy(folder / name, rom)
    command = [program("mpremote"), "romfs", "--no-mpy", "-o", folder / "romfs.img", "build", rom]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def exported(made, folder, native=True):
    """Export a checkpoint or bundled weights; without `native` the only kernels are in plain Python."""
    export_micropython(load_checkpoint(made) if isinstance(made, str) else made, folder)
    if not native:
        (folder / "npr_viper.py").unlink()
    return folder


def run(folder, *arguments, timeout=300):
    """Run MicroPython in a folder: (exit status, output)."""
    done = subprocess.run(
        [program("micropython"), *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    return done.returncode, done.stdout


def compared(folder):
    """(values compared, values that differ) of the self-test in a folder."""
    status, output = run(folder, "selftest.py")
    assert status == 0, output
    values, differing = re.search(r"(\d+) values compared, (\d+) differ", output).groups()
    assert output.endswith("FAIL\n" if int(differing) else "PASS\n")
    return int(values), int(differing)
