#!/usr/bin/env python3
"""Fuzz every reader and every C entry, and count.

    python tools/fuzz/campaign.py --minutes 5
    python tools/fuzz/campaign.py --executions 100 --engine mutation
    python tools/fuzz/campaign.py --minutes 30 --update docs/reliability.md

Readers are mutated by atheris where it is installed (pip install atheris), else by a seeded generator of this
project; C is mutated by libFuzzer where clang has it (libclang-rt-14-dev), else it is given random bytes;
either under AddressSanitizer and UndefinedBehaviorSanitizer. An escape is an input that a reader answers with
anything but the documented exceptions, or with more than 500 MB or 10 s; of C, a report of a sanitizer or a
broken promise. The inputs are left in the folder of the results; the exit status is 1 if there are any.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from c_targets import C_TARGETS, build, run_c

HERE = Path(__file__).resolve().parent
MARKS = "<!-- fuzzing: tools/fuzz/campaign.py -->", "<!-- end of fuzzing -->"
GRACE = 600  # seconds that a process gets beyond its time


def main():
    args = parse()
    engine = args.engine or ("atheris" if importlib.util.find_spec("atheris") else "mutation")
    with tempfile.TemporaryDirectory() as scratch:
        templates = os.path.join(scratch, "templates")
        command = [sys.executable, str(HERE / "templates.py"), templates]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        names = args.only or chosen(args.kind)
        seconds = args.minutes * 60 / len(names)
        print(f"seed {args.seed}, {engine}, {len(names)} targets, {seconds:.0f} s each", flush=True)
        rows = []
        for name in names:
            if name in C_TARGETS:
                row = c_row(name, scratch, seconds, args)
            else:
                row = python_row(name, templates, seconds, engine, args)
            rows.append(row)
            print(as_line(row), flush=True)
    print(as_table(rows, args))
    if args.update:
        update(Path(args.update), rows, args)
    return 1 if any(row["faults"] for row in rows) else 0


def parse():
    """The arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="in all (default 5)")
    parser.add_argument(
        "--executions", type=int, help="of each target at most; the same inputs for the same seed"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--engine", choices=("mutation", "atheris"), help="of the readers (default: atheris, if it is there)"
    )
    parser.add_argument("--kind", choices=("readers", "c"), help="default: both")
    parser.add_argument("--only", action="append", metavar="TARGET", help="repeatable")
    parser.add_argument("--results", default="build/fuzz", metavar="DIR", help="default: build/fuzz")
    parser.add_argument("--update", metavar="FILE", help="write the rows into its table, between the marks")
    return parser.parse_args()


def chosen(kind):
    """Names of the targets of one kind, or of all."""
    from targets import TARGETS

    return [*(TARGETS if kind != "c" else ()), *(C_TARGETS if kind != "readers" else ())]


def python_row(name, templates, seconds, engine, args):
    """Fuzz one reader in a process of its own; its counts."""
    command = [sys.executable, str(HERE / "one.py"), name, templates, args.results, "--seed", str(args.seed)]
    command += ["--seconds", str(seconds), "--engine", engine]
    if args.executions:
        command += ["--executions", str(args.executions)]
    found = Path(args.results, f"{name}.json")
    found.unlink(missing_ok=True)
    started, status = time.monotonic(), None
    try:
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=seconds + GRACE
        )
        status = done.returncode
    except subprocess.TimeoutExpired:
        status = "no end"
    row = (
        json.loads(found.read_text()) if found.exists() else {"engine": engine, "executions": 0, "faults": {}}
    )
    if not found.exists() or status:
        message = "" if status == "no end" else done.stderr.decode(errors="replace").strip()[-300:]
        row["faults"][f"the process ended with {status}: {message}"] = 1
    return {"target": name, "seconds": time.monotonic() - started, **row}


def c_row(name, scratch, seconds, args):
    """Fuzz one C entry; its counts."""
    started = time.monotonic()
    program, engine = build(name, Path(scratch))
    executions, fault = run_c(program, engine, seconds, args.executions, args.seed, Path(args.results, name))
    faults = {} if fault is None else {fault: 1}
    return {
        "target": name,
        "seconds": time.monotonic() - started,
        "engine": engine,
        "executions": executions,
        "faults": faults,
    }


def as_line(row):
    """One target in a line."""
    if missing := row.get("missing"):
        return f"{row['target']:20} not run: {', '.join(missing)} is not installed"
    faults = "; ".join(f"{count} times {fault}" for fault, count in row["faults"].items())
    return (
        f"{row['target']:20} {row['executions']:>10,} executions in {row['seconds']:.0f} s  "
        f"{faults or 'no escape'}"
    )


def as_table(rows, args):
    """The counts as a table of a page."""
    lines = ["| target | engine | executions | escapes |", "|---|---|---|---|"]
    done = [row for row in rows if "missing" not in row]
    for row in done:
        lines.append(
            f"| {row['target']} | {row['engine']} | {row['executions']:,} | {sum(row['faults'].values())} |"
        )
    executions, faults = (
        sum(row["executions"] for row in done),
        sum(sum(row["faults"].values()) for row in done),
    )
    lines.append(f"| all | seed {args.seed} | {executions:,} | {faults} |")
    return "\n".join(lines) + "\n"


def update(page, rows, args):
    """Write the rows into the table between the marks of a page; those of other targets stay."""
    first, last = MARKS
    old = page.read_text(encoding="utf-8")
    if first not in old or last not in old:
        raise SystemExit(f"{page} lacks the lines {first} and {last}")
    before, _, rest = old.partition(first)
    table, _, after = rest.partition(last)
    kept = {row["target"]: row for row in from_table(table)} | {row["target"]: row for row in rows}
    text = as_table([kept[name] for name in chosen(None) if name in kept], args)
    page.write_text(f"{before}{first}\n{text}{last}{after}", encoding="utf-8")


def from_table(text):
    """The rows of a table as `as_table` writes it, without the last, which adds up."""
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:-1]
    return [
        {
            "target": name,
            "engine": engine,
            "executions": int(count.replace(",", "")),
            "faults": {"": int(faults)},
        }
        for name, engine, count, faults in cells
    ]


if __name__ == "__main__":
    sys.exit(main())
