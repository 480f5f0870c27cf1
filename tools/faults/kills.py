#!/usr/bin/env python3
"""Kill every command that writes, at random moments, and look at what is left.

    python tools/faults/kills.py --kills 40

By turns SIGKILL, SIGTERM and SIGINT. Every file must be the old one, none, or the whole new one, byte for
byte; after SIGTERM and SIGINT there are no temporary files. Then the command is run again in the same folder:
it ends well, gives the same bytes, and leaves no temporary file of the one that was killed.
"""

import argparse
import importlib.util
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from random import Random

from forked import QUICK, finish, prepared, run, start

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
OLD = b"the old file"
PATIENCE = 60  # seconds until workers must have ended


COMMANDS = {  # that write; words in capitals stand for what `commands` puts in their place
    "predict": "predict CLIP --weights WEIGHTS --format csv --output OUT/a.csv",
    "features": "features CLIP --features mcu --output OUT/a.npz",
    "features, with a cache": "features CORPUS --cache OUT/cache --output OUT/a.csv",
    "train": "train MANIFEST TRAINING --out OUT/a.npz",
    "train to .pt": "train MANIFEST TRAINING --out OUT/a.pt",
    "crossval": "crossval MANIFEST QUICK --runs 1 --workers 1 --cache CACHE --out OUT/results",
    "crossval --pack": "crossval --pack JOURNAL --out OUT/packed",
    "evaluate": "evaluate MANIFEST --weights WEIGHTS --format csv --speakers all --output OUT/a.csv",
    "convert to .npz": "convert WEIGHTS OUT/a.npz",
    "convert to .pt": "convert WEIGHTS OUT/a.pt",
    "export c": "export c mcu --out OUT/c",
    "export vectors": "export vectors SMALL --out OUT/vectors",
    "search": "search MANIFEST QUICK --trials 1 --workers 1 --cache CACHE --out OUT/search",
}


def commands(folder):
    """{name: arguments} of the commands that write, OUT being the folder for it."""
    made, cache = Path(folder, "made"), str(Path(folder, "cache"))
    words = {
        "CLIP": [made / "corpus" / "0.wav"],
        "CORPUS": [made / "corpus"],
        "MANIFEST": [made / "corpus" / "corpus.csv"],
        "WEIGHTS": [made / "weights.npz"],
        "SMALL": [made / "small.npz"],
        "JOURNAL": [made / "journal"],
        "CACHE": [cache],
        "QUICK": QUICK,
        "TRAINING": "--features mcu --hidden 4 --set epochs=3 --test s2 --cache".split() + [cache],
    }
    return {
        name: [str(part) for word in command.split() for part in words.get(word, [word])]
        for name, command in COMMANDS.items()
        if name != "search" or importlib.util.find_spec("optuna")
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=40, help="of each command (default 40)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", action="append", metavar="COMMAND", help="one of those it lists; repeatable"
    )
    args = parser.parse_args()
    total = wrong = 0
    with prepared() as folder:
        for name, argv in commands(folder).items():
            if args.only and name not in args.only:
                continue
            rng = Random(f"{args.seed} {name}")
            inside, found = kill_often(argv, args.kills, os.path.join(folder, "work"), rng)
            print(
                f"{name:24} {args.kills} kills, {inside} of them before the end; {len(found)} wrong",
                flush=True,
            )
            for what in found:
                print(f"    {what}")
            total, wrong = total + args.kills, wrong + len(found)
    print(f"seed {args.seed}: {total} kills, {wrong} wrong")
    return 1 if wrong else 0


def kill_often(argv, kills, work, rng):
    """Kill one command again and again; returns how many were still at work, and what was wrong."""
    whole = os.path.join(work, "whole")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(whole)
    if run(placed(argv, whole)):
        raise SystemExit(f"{' '.join(argv)} fails when nothing kills it")
    again = os.path.join(work, "again")
    os.makedirs(again)
    started = time.monotonic()
    run(placed(argv, again))
    seconds, expected = time.monotonic() - started, contents(whole)
    if contents(again) != expected:
        raise SystemExit(f"{' '.join(argv)} does not give the same bytes twice")
    inside, wrong = 0, []
    for k in range(kills):
        out, number = os.path.join(work, str(k)), SIGNALS[k % len(SIGNALS)]
        os.makedirs(out)
        if k % 2 and len(expected) == 1:
            with open(os.path.join(out, *expected), "wb") as file:
                file.write(OLD)
        status, left = killed(placed(argv, out), number, rng.uniform(0, seconds))
        inside += status != 0
        wrong += [f"{number.name}: processes are left"] if left else []
        wrong += [f"{number.name}: {what}" for what in torn(out, expected, number)]
        if run(again_in(argv, out)) or contents(out) != expected or parts(out) or kept_rows(out):
            wrong.append(f"{number.name}: run again, {differing(contents(out), expected)} {parts(out)}")
        shutil.rmtree(out)
    return inside, wrong


def placed(argv, out):
    """Arguments with the folder for OUT."""
    return [argument.replace("OUT", out) if argument.startswith("OUT") else argument for argument in argv]


def again_in(argv, out):
    """The arguments to run a command again in a folder: it goes on from the rows that are done there."""
    return [*placed(argv, out), *(["--resume"] if kept_rows(out) else [])]


def killed(argv, number, seconds):
    """Start a command and send it a signal after some time; its exit status, and whether workers outlive
    it."""
    process = start(argv, os.devnull)
    time.sleep(seconds)
    os.kill(process, number)
    status = finish(process)
    deadline = time.monotonic() + PATIENCE
    while (left := alive(process)) and time.monotonic() < deadline:  # workers end by themselves
        time.sleep(0.01)
    return status, left


def alive(group):
    """Whether a process group has anybody in it."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def contents(folder):
    """{name: bytes} of what a command leaves for good."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            inside = os.path.relpath(os.path.join(place, name), folder)
            if not is_work(inside):
                with open(os.path.join(place, name), "rb") as file:
                    found[inside] = file.read()
    return found


def is_work(name):
    """Files of the work itself: temporary ones, rows that are done, snapshots, locks, Optuna's journal, and
    those that hold times."""
    last = os.path.basename(name)
    if last.endswith((".part", ".partial", ".training")) or last in (
        "lock",
        "study.log",
        "study.log.lock",
        "trials.csv",
    ):
        return True
    return any(part in name.split(os.sep) for part in ("snapshots", "history", "features"))


def kept_rows(folder):
    """Names of files of rows that are done, which a command that ended has not left."""
    return [name for name in os.listdir(folder) if name.endswith(".partial")]


def parts(folder):
    """Names of temporary files."""
    return [name for _, _, names in os.walk(folder) for name in names if name.endswith(".part")]


def torn(out, expected, number):
    """What is wrong with a folder after a kill."""
    found = contents(out)
    wrong = [f"{name} is torn" for name, data in found.items() if data not in (OLD, expected.get(name))]
    if number != signal.SIGKILL and parts(out):
        wrong.append(f"left {parts(out)}")
    return wrong


def differing(found, expected):
    """Names of files that are not as expected."""
    return sorted(name for name in {**found, **expected} if found.get(name) != expected.get(name))


if __name__ == "__main__":
    sys.exit(main())
