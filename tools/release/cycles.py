"""Estimate the cycles of a frame on a Cortex-M0, integers from samples to the network's state.

    python tools/release/cycles.py [WEIGHTS] [--mhz 48]

Every instruction that QEMU runs in a frame of noise is looked up in ARM's table (Cortex-M0 Technical
Reference Manual, r0p0, section 3.3) for memory without wait states and the multiplier of one cycle: loads and
stores 2, several of them 1 + N, a branch 3 where it is taken, calls 4. WEIGHTS (default: the bundled mcu)
must be for features that stream. Needs arm-none-eabi-gcc with newlib, and qemu-system-arm.
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
from npreslstm.ports.c_export import export_c

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
STAGES = {"npr_frontend_push": "frontend", "npr_push_frame": "network", "main": None}
LISTED = re.compile(r"^\s*([0-9a-f]+):\t[0-9a-f ]+\t(\S+)\s*([^;\n]*)")
TRACED = re.compile(r"\[[0-9a-f]+/([0-9a-f]+)/")


def cycles(instruction, operands, taken):
    """Of one instruction; `taken` is whether it was followed by another than the next one."""
    name = instruction.partition(".")[0]
    if name in ("push", "pop") or name.startswith(("ldm", "stm")):
        inside = operands.partition("{")[2].rstrip("}")
        count = sum(_registers(part.strip()) for part in inside.split(","))
        return count + (4 if "pc" in inside else 1)
    if name.startswith(("ldr", "str")):
        return 2
    if name == "bl":
        return 4
    if name in ("bx", "blx"):
        return 3
    if name in ("mrs", "msr", "dsb", "dmb", "isb"):
        return 4
    return 3 if taken else 1  # a branch, a move to the program counter; all else takes one


def _registers(text):
    """How many there are in r4 or r4-r7."""
    first, _, last = text.partition("-")
    return int(last[1:]) - int(first[1:]) + 1 if last else 1


def estimate(listing, trace):
    """{stage: (instructions, cycles)} of a frame, from the lines of a disassembly and of a trace."""
    code, function = {}, None
    for line in listing:
        if found := re.match(r"^[0-9a-f]+ <(\w+)>:$", line):
            function = found[1]
        elif found := LISTED.match(line):
            size = 2 * len(line.split("\t")[1].split())
            code[int(found[1], 16)] = function, found[2], found[3].strip(), size
    stage, before, totals = None, None, collections.defaultdict(lambda: [0, 0])
    for line in trace:
        found = TRACED.search(line)
        address = int(found[1], 16) & ~1 if found else None
        if address not in code:
            continue
        if before is not None and stage:
            _, instruction, operands, size = code[before]
            totals[stage][0] += 1
            totals[stage][1] += cycles(instruction, operands, address != before + size)
        stage = STAGES.get(code[address][0], stage)  # what a stage calls belongs to it
        before = address
    return {stage: tuple(total // FRAMES for total in both) for stage, both in totals.items()}


def run(checkpoint):
    """`estimate` of the export of a checkpoint with the integer frontend."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_c(checkpoint, folder, "int8", frontend="integer")
        qemu = next(folder.rglob("image.ld")).parent
        (folder / "frame.c").write_text(PROGRAM, encoding="utf-8")
        library = [
            path for path in folder.rglob("npr*.c") if path.stem not in ("npr_selftest", "npr_vectors")
        ]
        headers = sorted({path.parent for path in folder.rglob("npr*.h")})
        flags = ["-mcpu=cortex-m0", "-mthumb", "-O2", "--specs=rdimon.specs", "-nostartfiles"]
        flags += [f"-Wl,--defsym=FLASH_SIZE=256K,--defsym=RAM_SIZE=16K,-T,{qemu / 'image.ld'}"]
        flags += ["-ffunction-sections", "-Wl,--gc-sections", *(f"-I{path}" for path in headers)]
        image, trace = folder / "frame.elf", folder / "trace"
        sources = [folder / "frame.c", qemu / "startup.c", *library]
        subprocess.run(["arm-none-eabi-gcc", *flags, *sources, "-o", image], check=True)
        command = ["qemu-system-arm", "-M", "microbit", "-nographic", "-monitor", "none", "-serial", "none"]
        command += ["-semihosting-config", "enable=on,target=native", "-singlestep", "-d", "exec,nochain"]
        subprocess.run([*command, "-D", trace, "-kernel", image], check=True)
        listing = subprocess.run(
            ["arm-none-eabi-objdump", "-d", image], capture_output=True, text=True, check=True
        )
        with open(trace, encoding="ascii") as lines:
            return estimate(listing.stdout.splitlines(), lines)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", default="mcu")
    parser.add_argument("--mhz", type=float, default=48.0)
    args = parser.parse_args(argv)
    checkpoint = load_checkpoint(args.weights)
    features = checkpoint.features
    found = run(checkpoint)
    for stage, (instructions, estimated) in found.items():
        print(f"{stage}: {instructions:,} instructions, {estimated:,} cycles a frame")
    total = sum(estimated for _, estimated in found.values())
    budget = args.mhz * 1e6 * features.hop_length / features.sample_rate
    print(f"sum: {total:,} cycles, {100 * total / budget:.0f} % of real time at {args.mhz:g} MHz")


if __name__ == "__main__":
    sys.exit(guarded(main))
