"""Print what the C port costs on emulated Cortex-M and RISC-V cores, as Markdown tables.

    python tools/release/size_ledger.py [WEIGHTS] [--update docs/c-port.md]

WEIGHTS (default: the bundled mcu) must be for features that stream. --update puts the tables between the
marks in a file. Needs arm-none-eabi-gcc with newlib, qemu-system-arm, riscv64-unknown-elf-gcc with picolibc,
and qemu-system-riscv32. It takes some minutes.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from npreslstm.checkpoint import load_checkpoint
from npreslstm.files import atomic_write, check_output
from npreslstm.ports import c_ledger
from npreslstm.ports.c_export import FRONTENDS, export_c
from tools.release import cycles

# v6m: the M0's code on a board with room for stdio and for float32.
CORES = "v6m", "m3", "m4f", "m7", "m33", "m55", "rv32imc", "rv32imafc"
RUNS = [(type, core) for type in ("int8", "float32") for core in CORES]
CYCLE_COLUMNS = {
    "core": "core",
    "arithmetic": "frontend",
    "frontend": "instructions of the frontend",
    "frontend cycles": "cycles",
    "network": "instructions of the int8 network",
    "network cycles": "cycles of it",
    "sum": "cycles of both",
}
MARKS = "<!-- ledger: tools/release/size_ledger.py -->\n", "<!-- end of ledger -->\n"


def tables(checkpoint):
    """The tables of a model, as text."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for type in ("int8", "float32"):
            export_c(checkpoint, Path(folder) / type, type)
        for type, core in RUNS:
            print(f"{type} on {core}", file=sys.stderr)
            rows.append(c_ledger.measure(Path(folder) / type, core, type))
        export_c(checkpoint, Path(folder) / "integer", "int8", frontend="integer")
        integer = []
        for core in CORES:
            print(f"integer frontend on {core}", file=sys.stderr)
            integer.append(c_ledger.measure(Path(folder) / "integer", core, "int8"))
    network = c_ledger.markdown(rows, c_ledger.COLUMNS)
    floats = [row for row in rows if row["type"] == "int8" and "frontend" in row]
    frontend = c_ledger.markdown([*integer, *floats], c_ledger.FRONTEND_COLUMNS)
    stream = c_ledger.markdown([row for row in rows if row["type"] == "int8"], c_ledger.STREAM_COLUMNS)
    estimated = c_ledger.markdown(cycle_rows(checkpoint), CYCLE_COLUMNS)
    return (
        f"The network:\n\n{network}\nThe `mcu` frontends:\n\n{frontend}\n"
        f"The stream, before the gate, the frontend and the network:\n\n{stream}\n"
        f"Cycles of a frame, estimated by `tools/release/cycles.py`:\n\n{estimated}"
    )


def cycle_rows(checkpoint):
    """Instructions and estimated cycles of a frame, of the int8 network behind either frontend."""
    rows = []
    for core in cycles.CORES:
        for frontend in FRONTENDS:
            print(f"cycles of the {frontend} frontend on {core}", file=sys.stderr)
            found = cycles.run(checkpoint, core, frontend)
            row = {"core": c_ledger.CORES[core], "arithmetic": frontend}
            for stage, (instructions, estimated) in found.items():
                row |= {stage: instructions, f"{stage} cycles": estimated}
            rows.append(row | {"sum": row["frontend cycles"] + row["network cycles"]})
    return rows


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", default="mcu")
    parser.add_argument("--update", metavar="FILE")
    args = parser.parse_args(argv)
    check_output("--update", args.update)
    text = tables(load_checkpoint(args.weights))
    if args.update is None:
        print(text, end="")
        return
    first, last = MARKS
    page = Path(args.update).read_text(encoding="utf-8")
    page = re.sub(f"{first}.*{last}", lambda _: f"{first}\n{text}\n{last}", page, flags=re.DOTALL)
    with atomic_write(args.update, "w", encoding="utf-8") as file:
        file.write(page)


if __name__ == "__main__":
    main()
