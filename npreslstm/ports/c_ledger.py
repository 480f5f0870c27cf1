"""What an exported folder costs on an emulated Cortex-M or RISC-V core: bytes of flash and RAM,
instructions.
"""

import os
import re
import subprocess

from npreslstm.errors import InputError

CORES = {
    "m0": "Cortex-M0",
    "v6m": "Cortex-M0",  # its code, on a board with more memory
    "m3": "Cortex-M3",
    "m4f": "Cortex-M4F",
    "m7": "Cortex-M7",
    "m33": "Cortex-M33",
    "m55": "Cortex-M55",
    "rv32imc": "RV32IMC",
    "rv32imafc": "RV32IMAFC",
}
COLUMNS = {
    "core": "core",
    "type": "type",
    "constants": "constants, bytes",
    "code": "code, bytes",
    "state": "state, bytes",
    "stack": "stack, bytes",
    "clip": "instructions a clip of 87 frames",
    "lstm1": "LSTM1 a frame",
    "lstm2": "LSTM2 a frame",
    "attention": "attention a frame",
    "result": "result, once",
}
FRONTEND_COLUMNS = {
    "core": "core",
    "arithmetic": "frontend",
    "frontend_tables": "tables, bytes",
    "frontend_code": "code, bytes",
    "frontend_ram": "RAM, bytes",
    "frontend_stack": "stack, bytes",
    "frontend": "instructions a frame",
    "clip": "network behind it, instructions a clip",
}
FRONTEND_OBJECTS = "npr_features.o", "npr_spectrum.o", "npr_frontend_int.o"
STREAM_COLUMNS = {
    "core": "core",
    "stream_code": "code, bytes",
    "stream_ram": "RAM without the ring, bytes",
    "from_16000": "instructions a hop from 16 kHz",
    "from_44100": "from 44.1 kHz",
    "from_48000": "from 48 kHz",
}


def measure(folder, core, type):
    """Figures of one exported folder on one core.

    Parameters
    ----------
    folder : str or os.PathLike
        As `export_c` writes it, with a streaming frontend.
    core : {'m0', 'v6m', 'm3', 'm4f', 'm7', 'm33', 'm55', 'rv32imc', 'rv32imafc'}
    type : {'float32', 'int8'}
        What was exported.

    Returns
    -------
    dict
        The columns of the tables; bytes and instructions are ints.

    Raises
    ------
    InputError
        With the first line of what failed, such as a compiler that is not installed.
    """
    listing = re.findall(r"^ *(\d+)(?:\s+\w+){4}\s+(\S+)$", _make(folder, core, "sizes"), re.MULTILINE)
    sizes = {os.path.basename(name): int(text) for text, name in listing}
    figures = {
        name: int(value)
        for name, value in re.findall(r"^(\w+) (\d+)$", _make(folder, core, "measure"), re.MULTILINE)
    }
    return figures | {
        "core": CORES[core],
        "type": type,
        "constants": sizes["npr_weights.o"],
        "code": sizes["minimal.elf"] - sizes["npr_weights.o"],
        "frontend_tables": sizes["npr_tables.o"],
        "stream_code": sizes.get("npr_stream.o", 0) + sizes.get("npr_rate.o", 0),
        "frontend_code": sum(sizes.get(name, 0) for name in FRONTEND_OBJECTS),
        "arithmetic": "integer" if "npr_frontend_int.o" in sizes else "float",
    }


def markdown(rows, columns):
    """Rows of `measure` as a table."""
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row[name]) for name in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def read_markdown(text, columns):
    """The rows of the table in `text` whose head is that of `columns`: the inverse of `markdown`."""
    table = text.partition("| " + " | ".join(columns.values()) + " |\n")[2].partition("\n\n")[0]
    cells = [
        [cell.strip().replace(",", "") for cell in line.strip("|").split("|")]
        for line in table.splitlines()[1:]
    ]
    return [dict(zip(columns, (int(cell) if cell.isdigit() else cell for cell in row))) for row in cells]


def _cell(value):
    return f"{value:,}" if isinstance(value, int) else value


def _make(folder, core, target):
    command = ["make", "-s", "-C", os.path.join(folder, "extras", "qemu"), f"CORE={core}", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise InputError(f"{folder} on {core}: {(done.stderr or done.stdout).strip().splitlines()[0]}")
    return done.stdout
