"""Estimate the cycles of a frame on a Cortex-M0, M3 or M4F, from samples to the network's state.

    python tools/release/cycles.py [WEIGHTS] [--core m0] [--frontend integer] [--mhz 48]

Every instruction that QEMU runs in a frame of noise is looked up in ARM's table, for memory without wait
states. Cortex-M0 (Technical Reference Manual r0p0, section 3.3), with the multiplier of one cycle: loads and
stores 2, several of them 1 + N, a branch 3 where it is taken, calls 4. Cortex-M3 (r2p0, section 3.3) and M4
(r0p1, section 3.3): loads and stores 2, or 1 right behind another; several 1 + N; what the tables give as a
range is taken as its upper end: a pipeline that is refilled 3, divisions 12, and on the M3 products of 64
bits 5, with a sum 7. WEIGHTS (default: the bundled mcu) must be for features that stream. Needs
arm-none-eabi-gcc with newlib, and qemu-system-arm.
"""

import argparse
import collections
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.ports.c_export import FRONTENDS, export_c

FRAMES = 2  # of which both stages are the mean
PROGRAM = f"""
#include "npr.h"
#include "npr_frontend.h"

static npr_frontend frontend;
static npr_state state;

int main(void) {{
    static int16_t pcm[NPR_HOP];
    static npr_feature features[NPR_INPUTS];
    uint32_t noise = 1;
    npr_frontend_init(&frontend);
    npr_init(&npr_weights, &state);
    for (int t = 0; t < {FRAMES}; t++) {{
        for (int k = 0; k < NPR_HOP; k++) {{
            noise = noise * 1664525u + 1013904223u;
            pcm[k] = (int16_t)(noise >> 18);
        }}
        npr_frontend_push(&frontend, pcm, NPR_HOP, features, NPR_INPUTS);
        npr_push_frame(&npr_weights, &state, features, NPR_INPUTS);
    }}
    return 0;
}}
"""
# flags of the compiler; board, flash and RAM of the emulator
CORES = {
    "m0": (("-mcpu=cortex-m0",), ("microbit", "256K", "16K")),
    "m3": (("-mcpu=cortex-m3",), ("mps2-an385", "4M", "256K")),
    "m4f": (
        ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-ffp-contract=fast"),
        ("mps2-an386", "4M", "256K"),
    ),
}
STAGES = {"npr_frontend_push": "frontend", "npr_push_frame": "network", "main": None}
LISTED = re.compile(r"^\s*([0-9a-f]+):\t[0-9a-f ]+\t(\S+)\s*([^;\n]*)")
TRACED = re.compile(r"\[[0-9a-f]+/([0-9a-f]+)/")


SEVERAL = "push", "pop", "ldm", "stm", "vpush", "vpop", "vldm", "vstm"
SINGLE = "ldr", "str", "vldr", "vstr"
REFILL = 3  # cycles for a pipeline to be filled behind a branch, of the M3 and M4
M3_PRODUCTS = {"smull": 5, "umull": 5, "smlal": 7, "umlal": 7, "mla": 2, "mls": 2}
FLOATS = {"vfma": 3, "vfms": 3, "vfnma": 3, "vfnms": 3, "vmla": 3, "vmls": 3, "vdiv": 14, "vsqrt": 14}


def cycles(core, instruction, operands, taken, behind=False):
    """Of one instruction; `taken` is whether it was followed by another than the next one, `behind` whether
    another load or store came just before.
    """
    name = instruction.partition(".")[0]
    if name.startswith(SEVERAL):
        inside = operands.partition("{")[2].rstrip("}")
        count = sum(_registers(part.strip()) for part in inside.split(","))
        refilled = 3 if core == "m0" else REFILL
        return 1 + count + (refilled if "pc" in inside else 0)
    return _m0(name, taken) if core == "m0" else _m3_or_m4(core, name, taken, behind)


def _m0(name, taken):
    if name.startswith(SINGLE):
        return 2
    if name == "bl":
        return 4
    if name in ("bx", "blx"):
        return 3
    if name in ("mrs", "msr", "dsb", "dmb", "isb"):
        return 4
    return 3 if taken else 1  # a branch, a move to the program counter; all else takes one


def _m3_or_m4(core, name, taken, behind):
    if name in ("ldrd", "strd"):
        return 3
    if is_single(name):
        return (1 if behind else 2) + (REFILL if taken else 0)
    if name in ("tbb", "tbh"):
        return 2 + REFILL
    if name.startswith(("sdiv", "udiv")):
        return 12
    for table in (FLOATS, M3_PRODUCTS if core == "m3" else {}):
        for begin, count in table.items():
            if name.startswith(begin):
                return count
    return 1 + REFILL if taken else 1


def is_single(name):
    """Whether it loads or stores one number, by its name without a width."""
    return name.startswith(SINGLE) and name not in ("ldrd", "strd")


def _registers(text):
    """How many there are in r4, r4-r7 or s16-s31; of d8-d9 four words."""
    first, _, last = text.partition("-")
    count = int(last[1:]) - int(first[1:]) + 1 if last else 1
    return 2 * count if first.startswith("d") else count


def estimate(core, listing, trace):
    """{stage: (instructions, cycles)} of a frame, from the lines of a disassembly and of a trace."""
    code, function = {}, None
    for line in listing:
        if found := re.match(r"^[0-9a-f]+ <(\w+)>:$", line):
            function = found[1]
        elif found := LISTED.match(line):
            size = 2 * len(line.split("\t")[1].split())
            code[int(found[1], 16)] = function, found[2], found[3].strip(), size
    stage, before, behind, totals = None, None, False, collections.defaultdict(lambda: [0, 0])
    for line in trace:
        found = TRACED.search(line)
        address = int(found[1], 16) & ~1 if found else None
        if address not in code:
            continue
        if before is not None:
            _, instruction, operands, size = code[before]
            if stage:
                totals[stage][0] += 1
                totals[stage][1] += cycles(core, instruction, operands, address != before + size, behind)
            behind = is_single(instruction.partition(".")[0])
        stage = STAGES.get(code[address][0], stage)  # what a stage calls belongs to it
        before = address
    return {stage: tuple(total // FRAMES for total in both) for stage, both in totals.items()}


def run(checkpoint, core="m0", frontend="integer"):
    """`estimate` of the int8 export of a checkpoint with either frontend."""
    flags, (board, flash, ram) = CORES[core]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_c(checkpoint, folder, "int8", frontend=frontend)
        qemu = folder / "extras" / "qemu"
        (folder / "frame.c").write_text(PROGRAM, encoding="utf-8")
        compiler = ["arm-none-eabi-gcc", *flags, "-mthumb", "-O2", f"-I{folder / 'src'}"]
        compiler += ["--specs=rdimon.specs", "-nostartfiles", f"-T{qemu / 'image.ld'}"]
        compiler += [f"-Wl,--defsym=FLASH_SIZE={flash},--defsym=RAM_SIZE={ram},--gc-sections"]
        image, trace = folder / "frame.elf", folder / "trace"
        sources = [folder / "frame.c", qemu / "startup.c", *sorted(folder.glob("src/*.c"))]
        subprocess.run([*compiler, "-ffunction-sections", *sources, "-o", image], check=True)
        command = ["qemu-system-arm", "-M", board, "-nographic", "-monitor", "none", "-serial", "none"]
        command += ["-semihosting-config", "enable=on,target=native", "-singlestep", "-d", "exec,nochain"]
        subprocess.run([*command, "-D", trace, "-kernel", image], check=True)
        listing = subprocess.run(
            ["arm-none-eabi-objdump", "-d", image], capture_output=True, text=True, check=True
        )
        with open(trace, encoding="ascii") as lines:
            return estimate(core, listing.stdout.splitlines(), lines)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", default="mcu")
    parser.add_argument("--core", choices=CORES, default="m0")
    parser.add_argument("--frontend", choices=FRONTENDS, default="integer")
    parser.add_argument("--mhz", type=float, default=48.0)
    args = parser.parse_args(argv)
    checkpoint = load_checkpoint(args.weights)
    features = checkpoint.features
    found = run(checkpoint, args.core, args.frontend)
    for stage, (instructions, estimated) in found.items():
        print(f"{stage}: {instructions:,} instructions, {estimated:,} cycles a frame")
    total = sum(estimated for _, estimated in found.values())
    budget = args.mhz * 1e6 * features.hop_length / features.sample_rate
    print(f"sum: {total:,} cycles, {100 * total / budget:.0f} % of real time at {args.mhz:g} MHz")


if __name__ == "__main__":
    sys.exit(guarded(main))
