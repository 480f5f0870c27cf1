"""Run an export for MicroPython on emulated boards: the self-test with each kind of native kernels, and the
instructions of a frame.

    python tools/release/micropython_emulated.py SOURCE [--weights mcu] [--boards m3 nofloat rv32]

SOURCE is MicroPython's source tree, 1.25 or newer, such as `apt-get source micropython` brings. Its port
`qemu` is built there for each board, unless that was done before. The export lies in the board's memory as an
image of ROMFS, as in flash: the modules as .mpy files, and the weights, of which no matrix is copied. QEMU
counts instructions as time. Needs arm-none-eabi-gcc, riscv64-unknown-elf-gcc with picolibc, QEMU, mpremote
and mpy-cross.
"""

import argparse
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.ports.micropython_export import LIBRARY, export_micropython
from tools.release.micropython_table import FIGURES, program

PROMPT = ">>> "
HEAP = 192 * 1024  # bytes: about what an RP2040 has
SYSTICK = """\
from machine import mem32
mem32[0xE000E014] = 0xFFFFFF
mem32[0xE000E010] = 5  # the core's clock, no interrupt
def ticks_us():
    return 40 * (0xFFFFFF - mem32[0xE000E018] & 0xFFFFFF)  # of 25 MHz, where an instruction takes 1 ns
def ticks_diff(end, start):
    return (end - start) % (40 << 24)
"""
MTIME = """\
from machine import mem32
def ticks_us():
    return 100 * (mem32[0x0200BFF8] & 0xFFFFFF)  # of 10 MHz
def ticks_diff(end, start):
    return (end - start) % (100 << 24)
"""


class Machine(NamedTuple):
    """A board that MicroPython's port `qemu` knows."""

    core: str
    board: str
    make: tuple
    qemu: tuple
    rom: int  # where there is memory for the image
    clock: str  # time.py, whose unit is an instruction
    kernels: dict  # by name: the architecture for mpy-cross and the modules that are left out
    config: str = ""  # what is different in the firmware


M3 = Machine(
    "Cortex-M3",
    "MPS2_AN385",
    (),
    ("qemu-system-arm", "-M", "mps2-an385", "-semihosting"),  # its startup speaks to the host
    0x21000000,
    SYSTICK,
    {
        "thumb": ("armv7m", ()),
        "thumb, code of the M0+": ("armv6m", ()),
        "viper": ("armv7m", ("npr_thumb",)),
    },
)
RV32 = Machine(
    "RV32",
    "VIRT_RV32",
    # Debian's libraries for rv32imac are found by that name alone; in the older specification it has csrr.
    ("RV32_ARCH=rv32imac -misa-spec=2.2",),
    ("qemu-system-riscv32", "-M", "virt", "-bios", "none"),
    0x84000000,
    MTIME,
    {"viper": ("rv32imc", ("npr_thumb",))},
)
NO_FLOATS = M3._replace(
    core="Cortex-M3, firmware without floats",
    kernels={"thumb": ("armv7m", ()), "viper": ("armv7m", ("npr_thumb",))},
    config="#undef MICROPY_FLOAT_IMPL\n#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_NONE)\n",
)
MACHINES = {"m3": M3, "nofloat": NO_FLOATS, "rv32": RV32}


class Board:
    """MicroPython's prompt on the serial line of an emulated board.

    command: of QEMU, without the serial line.
    """

    def __init__(self, command):
        command = [*command, "-display", "none", "-monitor", "none", "-serial", "stdio"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.heard = ""

    def __enter__(self):
        try:
            self._until(PROMPT)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def run(self, code, timeout=120):
        """Have code executed. Returns what it prints, a traceback too."""
        self._send("\x05", "paste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
        for line in code.splitlines():
            for k in range(0, len(line), 16):  # no more than a small receive buffer holds
                self._send(line[k : k + 16], line[k : k + 16])
            self._send("\r", "\r\n=== ")
        self._send("\x04", "\r\n")
        return self._until(PROMPT, timeout).replace("\r\n", "\n")

    def _send(self, text, echo):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()
        self._until(echo)

    def _until(self, end, timeout=60):
        """What comes up to the text `end`."""
        latest = time.monotonic() + timeout
        while end not in self.heard:
            more = b""
            if select.select([self.process.stdout], [], [], max(0, latest - time.monotonic()))[0]:
                more = os.read(self.process.stdout.fileno(), 4096)
            if not more:
                raise InputError(f"the board says {self.heard!r}; expected {end!r} within {timeout} s")
            self.heard += more.decode(errors="replace")
        found, _, self.heard = self.heard.partition(end)
        return found


def firmware(source, name):
    """The path of the firmware for a machine, built if it is not there."""
    machine = MACHINES[name]
    port = Path(source, "ports", "qemu")
    if not port.exists():
        raise InputError(f"{source} has no ports/qemu; expected MicroPython's source tree, 1.25 or newer")
    config = port / f"npreslstm_{name}.h"
    config.write_text(f"#include <mpconfigport.h>\n{machine.config}", encoding="utf-8")
    command = ["make", "-s", "-C", port, f"BOARD={machine.board}", f"BUILD=npreslstm-{name}", *machine.make]
    command += ["FROZEN_MANIFEST=", f"MICROPY_HEAP_SIZE={HEAP}"]
    command += [f'CFLAGS_EXTRA=-DMP_CONFIGFILE="<{config.name}>"']
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise InputError(f"the firmware {name} was not built: {done.stdout.decode()[-500:]}")
    return port / f"npreslstm-{name}" / "firmware.elf"


def image(checkpoint, machine, architecture, without, folder):
    """The path of an image of ROMFS with an export: modules compiled for a core, a clock, no other files."""
    export_micropython(checkpoint, Path(folder, "export"))
    rom = Path(folder, "rom")
    rom.mkdir()
    for name in LIBRARY:
        if Path(name).stem not in without:
            out = rom / f"{Path(name).stem}.mpy"
            run("mpy-cross", f"-march={architecture}", "-O3", "-o", out, Path(folder, "export", name))
    for name in ("weights.nprm", "vectors.bin", "selftest.py"):
        Path(folder, "export", name).rename(rom / name)
    (rom / "time.py").write_text(machine.clock, encoding="utf-8")
    run("mpremote", "romfs", "--no-mpy", "-o", Path(folder, "romfs.img"), "build", rom)
    return Path(folder, "romfs.img")


def run(name, *arguments):
    """Run a program quietly."""
    command = [program(name), *map(str, arguments)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise InputError(f"there is no {name!r}; expected it on the path: pip install {name}") from error
    if done.returncode:
        raise InputError(f"{name} says {done.stdout[-200:]!r} {done.stderr[-200:]!r}; expected no error")


def self_test(firmware, machine, rom):
    """(instructions of the network, and from samples, kernels, heap, values, differing) on a board."""
    loaded = f"loader,file={rom},addr={machine.rom},force-raw=on"
    command = [*machine.qemu, "-icount", "shift=0", "-kernel", firmware, "-device", loaded]
    with Board(command) as board:
        board.run(
            "import os, sys, uctypes, vfs\n"
            f"flash = uctypes.bytearray_at({machine.rom}, {rom.stat().st_size})\n"
            "vfs.mount(vfs.VfsRom(flash), '/rom')\n"
            "sys.path.insert(0, '/rom')\n"
            "os.chdir('/rom')\n"
        )
        output = board.run("import selftest", timeout=600)
    found = FIGURES.search(output)
    if found is None:
        raise InputError(f"the self-test printed {output!r}; expected PASS")
    network, samples, kernels, *rest = found.groups()
    return int(network), int(samples), kernels, *map(int, rest)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source")
    parser.add_argument("--weights", default="mcu")
    parser.add_argument("--boards", nargs="+", choices=MACHINES, default=list(MACHINES))
    args = parser.parse_args(argv)
    checkpoint = load_checkpoint(args.weights)
    columns = ("core", "kernels", "network, instructions a frame", "from samples", "heap", "values compared")
    print(f"| {' | '.join(columns)} | differ |")
    print("|---|---|---|---|---|---|---|")
    for board in args.boards:
        machine = MACHINES[board]
        elf = firmware(args.source, board)
        for kernels, (architecture, without) in machine.kernels.items():
            with tempfile.TemporaryDirectory() as folder:
                rom = image(checkpoint, machine, architecture, without, folder)
                network, samples, taken, heap, values, differing = self_test(elf, machine, rom)
            if not kernels.startswith(taken):
                raise InputError(f"the kernels {taken} were taken; expected {kernels}")
            row = f"{network / 1e6:.2f} M | {samples / 1e6:.2f} M | {heap:,} | {values:,} | {differing}"
            print(f"| {machine.core} | {kernels} | {row} |", flush=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
