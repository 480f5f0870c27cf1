"""Time a frame of the MicroPython port on its Unix port: the self-test of an export of `mcu` with the kernels
for viper and in plain Python, in turns, the best of each.

python tools/bench micropython [--rounds 5]
"""

import argparse
import tempfile
from pathlib import Path

from npreslstm.checkpoint import load_checkpoint
from npreslstm.ports.micropython_export import export_micropython
from tools.release.micropython_table import program, self_test

KERNELS = {"viper": (), "plain": ("npr_thumb.py", "npr_viper.py")}  # and the modules that are taken away


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="bench micropython", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns, of which the best is taken (default 5)")
    rounds = parser.parse_args(argv).rounds
    command = [program("micropython"), "selftest.py"]
    with tempfile.TemporaryDirectory() as parent:
        folders = {kernels: Path(parent, kernels) for kernels in KERNELS}
        for kernels, folder in folders.items():
            export_micropython(load_checkpoint("mcu"), folder)
            for name in KERNELS[kernels]:
                (folder / name).unlink()
        turns = [[self_test(command, folder, 1)[:2] for folder in folders.values()] for _ in range(rounds)]
    for k, what in enumerate(("network", "from samples")):
        best = [min(times[k] for times in column) for column in zip(*turns)]
        for kernels, time in zip(KERNELS, best):
            print(f"{what:14}{kernels:8}{time:9,} us a frame   {time / best[0]:7.2f} x viper")


if __name__ == "__main__":
    main()
