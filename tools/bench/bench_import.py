"""Time the import of the package beside `import numpy`: fresh processes in turns, the best of each.

python tools/bench import [--rounds 20]
"""

import argparse
import subprocess
import sys

STATEMENTS = ["import numpy", "import npreslstm", "from npreslstm import Recognizer"]
CODE = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def seconds(statement):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(statement)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="bench import", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=20, help="turns, of which the best is taken (default 20)"
    )
    rounds = parser.parse_args(argv).rounds
    turns = [[seconds(statement) for statement in STATEMENTS] for _ in range(rounds)]
    best = [min(column) for column in zip(*turns)]
    for statement, time in zip(STATEMENTS, best):
        print(f"{statement:34} {1e3 * time:7.1f} ms   {time / best[0]:5.2f} x import numpy")


if __name__ == "__main__":
    main()
