"""Print what the C port costs on emulated Cortex-M cores, as Markdown tables.

    python tools/release/size_ledger.py [WEIGHTS] [--update docs/c-port.md]

WEIGHTS (default: the bundled mcu) must be for features that stream. --update puts the tables between the
marks in a file. Needs arm-none-eabi-gcc with newlib, and qemu-system-arm.
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
from npreslstm.ports.c_export import export_c

# float32 has no place in the 256 KB of the board with the M0; the M7 runs the same instructions as the M4F.
RUNS = (
    ("int8", "m0"),
    ("int8", "m3"),
    ("int8", "m4f"),
    ("int8", "m7"),
    ("float32", "m3"),
    ("float32", "m4f"),
    ("float32", "m7"),
)
INTEGER_CORES = "m0", "m3", "m4f", "m7", "m55"  # that the integer frontend runs on
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
        for core in INTEGER_CORES:
            print(f"integer frontend on {core}", file=sys.stderr)
            integer.append(c_ledger.measure(Path(folder) / "integer", core, "int8"))
    network = c_ledger.markdown(rows, c_ledger.COLUMNS)
    floats = [row for row in rows if row["type"] == "int8" and "frontend" in row]
    frontend = c_ledger.markdown([*integer, *floats], c_ledger.FRONTEND_COLUMNS)
    stream = c_ledger.markdown([row for row in rows if row["type"] == "int8"], c_ledger.STREAM_COLUMNS)
    return (
        f"The network:\n\n{network}\nThe `mcu` frontends:\n\n{frontend}\nThe stream, before the gate, the "
        f"frontend and"
        f" the network:\n\n{stream}"
    )


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
