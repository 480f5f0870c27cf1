"""Print how long importing the package takes beside `import numpy`: fresh processes in turns, the best of each.

    python tools/bench_import.py [REPEATS]
"""

import subprocess
import sys

STATEMENTS = ["import numpy", "import npreslstm", "from npreslstm import Recognizer"]
CODE = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def seconds(statement):
    done = subprocess.run([sys.executable, "-c", CODE.format(statement)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rounds = [[seconds(statement) for statement in STATEMENTS] for _ in range(repeats)]
    best = [min(column) for column in zip(*rounds)]
    print(f"best of {repeats}, each in a fresh process")
    for statement, time in zip(STATEMENTS, best):
        print(f"{statement:34} {1e3 * time:7.1f} ms   {time / best[0]:5.2f} x import numpy")


if __name__ == "__main__":
    main()
