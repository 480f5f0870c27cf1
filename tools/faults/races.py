#!/usr/bin/env python3
"""Start two commands at once in one new folder, again and again.

    python tools/faults/races.py --pairs 200

One of the two does the work and the other is refused; or it comes so late that it finds the work done. Either
way the results are those of one alone. Half of the pairs are cross-validations, half are searches, where
Optuna is installed.
"""

import argparse
import importlib.util
import os
import shutil
import sys

from forked import QUICK, finish, prepared, run, start


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--only", choices=("crossval", "search"))
    args = parser.parse_args()
    kinds = ["crossval", *(["search"] if importlib.util.find_spec("optuna") else [])]
    kinds = [args.only] if args.only else kinds
    bad = 0
    with prepared() as folder:
        for kind in kinds:
            bad += race(kind, args.pairs // len(kinds), folder)
    return 1 if bad else 0


def race(kind, pairs, folder):
    """Run pairs of one kind and print their counts; returns how many went wrong."""
    corpus = os.path.join(folder, "made", "corpus", "corpus.csv")
    command = [kind, corpus, *QUICK, "--workers", "1", "--cache", os.path.join(folder, "cache")]
    command += ["--runs", "1"] if kind == "crossval" else ["--trials", "1"]
    alone = os.path.join(folder, f"{kind}-alone")
    if run([*command, "--out", alone]):
        raise SystemExit(f"{kind} fails alone")
    expected, wrong, refused = results(alone), 0, 0
    for k in range(pairs):
        out, said = (os.path.join(folder, f"{kind}-{k}{ending}") for ending in ("", ".txt"))
        begin = os.pipe()
        both = [start([*command, "--out", out], said, begin) for _ in range(2)]
        os.close(begin[0])
        os.close(begin[1])  # both go
        statuses = sorted(finish(process) for process in both)
        with open(said) as file:
            text = file.read()
        was_refused = "another process is working on" in text
        good = statuses == ([0, 2] if was_refused else [0, 0]) and results(out) == expected
        refused += was_refused
        if not good:
            wrong += 1
            print(
                f"{kind}, pair {k}: exit statuses {statuses}, results {results(out) == expected}: "
                f"{text[-500:]}"
            )
        shutil.rmtree(out, ignore_errors=True)
    print(
        f"{kind}: {pairs} pairs, one refused in {refused}, one after the other in "
        f"{pairs - refused - wrong}, {wrong} wrong"
    )
    return wrong


def results(folder):
    """{name: bytes} of what must be the same, and the names of temporary files."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            inside = os.path.relpath(path, folder)
            if name.endswith(".part"):
                found[inside] = b""
            elif inside.startswith("predictions") or name in ("config.json", "summary.json", "best.json"):
                with open(path, "rb") as file:
                    found[inside] = file.read()
    return found


if __name__ == "__main__":
    sys.exit(main())
