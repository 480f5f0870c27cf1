#!/usr/bin/env python3
"""Compare what two work trees compute, to the last bit: for a change that must change nothing.

    python tools/release/digests.py OLD NEW [--corpus DIR] [--fast] [--only SECTION ...] [--keep DIR]

Each tree runs in processes of its own and computes the same things: forward and backward passes in both
types, trainings, the integer model, streams, features, predictions of the sounds in DIR, the bytes of all
exports, the output and status of commands and every --help. Last, NEW goes on with snapshots, caches and
journals that OLD has left. The table has a line for each; the exit status is 1 if any differs or fails.
With --keep the files and the printed texts of both stay in DIR, to be looked at with diff -r.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROBE = Path(__file__).resolve().with_name("probe.py")
SECTIONS = (
    "networks",
    "training",
    "integers",
    "streams",
    "features",
    "corpus",
    "files",
    "commands",
    "resumed",
)


def probe(tree, folder, sections, options):
    """{section: {what: digest}} of a tree, computed in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-B", str(PROBE), ",".join(sections), "digests.json"]
    command += ["--fast"] if options.fast else []
    command += ["--corpus", os.path.abspath(options.corpus)] if options.corpus else []
    fixed = {"PYTHONPATH": str(tree), "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}
    fixed |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=os.environ | fixed, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{tree}: the probe failed\n{done.stderr}")
    return json.loads((folder / "digests.json").read_text(encoding="utf-8"))


def compare(old, new, options, work):
    """{section: ({what: digest} of OLD, of NEW)}."""
    sections = [name for name in SECTIONS if name in options.only and name != "resumed"]
    found = {}
    if sections:
        ours, theirs = (
            probe(tree, work / name, sections, options) for tree, name in ((old, "old"), (new, "new"))
        )
        found = {name: (ours[name], theirs[name]) for name in sections}
    if "resumed" in options.only:
        left = probe(old, work / "left-by-old", ["write"], options)["write"]
        shutil.copytree(work / "left-by-old", work / "resumed-by-new")
        found["resumed"] = left, probe(new, work / "resumed-by-new", ["resume"], options)["resume"]
    return found


def lines(found):
    """(section, what, OLD, NEW, verdict) of everything compared."""
    for section, (old, new) in found.items():
        for what in {**old, **new}:
            a, b = old.get(what, "absent"), new.get(what, "absent")
            failed = any(value.startswith("failed") for value in (a, b))
            yield section, what, a, b, "FAILED" if failed else "same" if a == b else "DIFFERENT"


def short(value):
    return value[:60] if value.startswith("failed") else value[:12]


def arguments(argv):
    """The options, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", metavar="OLD", help="a work tree: a folder with npreslstm/ in it")
    parser.add_argument("new", metavar="NEW", help="another")
    parser.add_argument(
        "--corpus", metavar="DIR", help="also compare the predictions of the sounds in this folder"
    )
    parser.add_argument(
        "--fast", action="store_true", help="8 steps a training in place of 40, and no gradient checks"
    )
    only = f"one of {', '.join(SECTIONS)}; repeatable (default: all)"
    parser.add_argument("--only", action="append", choices=SECTIONS, metavar="SECTION", help=only)
    parser.add_argument(
        "--keep", metavar="DIR", help="keep the files of both here; the folder must not exist"
    )
    options = parser.parse_args(argv)
    options.only = options.only or SECTIONS
    options.old, options.new = Path(options.old).resolve(), Path(options.new).resolve()
    for tree in (options.old, options.new):
        if not (tree / "npreslstm" / "__init__.py").is_file():
            parser.error(f"{tree} is no work tree: there is no npreslstm/__init__.py in it")
    if options.corpus and not os.path.isdir(options.corpus):
        parser.error(f"--corpus is {options.corpus}; expected a folder")
    if options.keep and os.path.exists(options.keep):
        parser.error(f"--keep is {options.keep}, which exists; expected a new folder")
    return options


def main(argv=None):
    options = arguments(argv)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(options.keep or temporary).resolve()
        table = list(lines(compare(options.old, options.new, options, work)))
    width = max((len(what) for _, what, *_ in table), default=0)
    for section, what, a, b, verdict in table:
        print(f"{section:9}  {what:{width}}  {short(a):12}  {short(b):12}  {verdict}")
    wrong = sum(verdict != "same" for *_, verdict in table)
    print(f"\n{len(table)} compared, {wrong} not the same")
    return 1 if wrong or not table else 0


if __name__ == "__main__":
    sys.exit(main())
