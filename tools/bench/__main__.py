"""Print speed beside that of the peers, measured in the same run: ``python tools/bench NAME [options]``.

NAME is the rest of a tools/bench/bench_NAME.py; ``python tools/bench NAME --help`` lists its options.
"""

import importlib
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
NAMES = sorted(
    path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py") if path.stem != "bench_lib"
)


def main(argv):
    if not argv or argv[0] not in NAMES:
        print(f"usage: python tools/bench {{{','.join(NAMES)}}} [options]", file=sys.stderr)
        return 2
    # The package of this checkout, installed or not, here and in the processes that a bench starts.
    sys.path.insert(1, str(ROOT))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    from npreslstm.errors import InputError

    try:
        return importlib.import_module(f"bench_{argv[0]}").main(argv[1:])
    except (ImportError, InputError) as error:
        print(f"bench: {error}; the peers come with `make oracle`, into .venv", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
