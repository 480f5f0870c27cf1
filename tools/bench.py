"""Print speed beside that of the peers, measured in the same run: ``python tools/bench.py NAME [options]``.

NAME is the rest of a tools/bench_NAME.py; ``python tools/bench.py NAME --help`` lists its options.
"""

import importlib
import os
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
NAMES = sorted(
    path.stem.removeprefix("bench_") for path in TOOLS.glob("bench_*.py") if path.stem != "bench_lib"
)


def main(argv):
    if not argv or argv[0] not in NAMES:
        print(f"usage: python tools/bench.py {{{','.join(NAMES)}}} [options]", file=sys.stderr)
        return 2
    # The package of this checkout, installed or not, here and in the processes that a bench starts.
    sys.path.insert(1, str(TOOLS.parent))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(TOOLS.parent), os.environ.get("PYTHONPATH")])
    )
    from npreslstm.errors import InputError

    try:
        return importlib.import_module(f"bench_{argv[0]}").main(argv[1:])
    except (ImportError, InputError) as error:
        print(f"bench.py: {error}; the peers come with `make oracle`, into .venv", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
