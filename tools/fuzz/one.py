#!/usr/bin/env python3
"""Fuzz one reader.

    python tools/fuzz/one.py TARGET TEMPLATES RESULTS --seconds 60 [--seed 1] [--engine atheris]
    python tools/fuzz/one.py TARGET TEMPLATES RESULTS --replay INPUT

TEMPLATES is a folder that templates.py made. Into RESULTS go TARGET.json (executions, and how often which
fault was found) and the first input of each fault; an input that ends the process is left as TARGET.current.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from random import Random


def main():
    args = parse()
    if args.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["npreslstm"], enable_loader_override=False):
            from targets import TARGETS
    else:
        from targets import TARGETS
    target = TARGETS[args.target]
    if missing := [name for name in target.needs if importlib.util.find_spec(name) is None]:
        Session(args, target, "").save(missing=missing)
        return
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        shutil.copytree(args.templates, os.path.join(folder, "templates"))
        seeds = list(target.seeds(os.path.join(folder, "templates")))
        session = Session(args, target, folder)
        if args.replay:
            with open(args.replay, "rb") as file:
                print(session.run(file.read()) or "nothing wrong")
            return
        for data in seeds:
            session.run(data)
        if args.engine == "atheris":
            by_coverage(atheris, session, seeds, args)
        else:
            by_chance(session, seeds, args)
        session.save()


def parse():
    """The arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target")
    parser.add_argument("templates")
    parser.add_argument("results")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--executions", type=int, default=1 << 60, help="at most; with a seed, the same inputs each time"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("mutation", "atheris"), default="mutation")
    parser.add_argument("--replay", metavar="INPUT", help="run this one input and say what is wrong")
    return parser.parse_args()


def memory_folder():
    """Where files cost least."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Session:
    """Executions so far, and the faults that they found."""

    def __init__(self, args, target, folder):
        self.args, self.target, self.folder = args, target, folder
        self.executions, self.faults = 0, {}
        self.ends = time.monotonic() + args.seconds
        os.makedirs(args.results, exist_ok=True)
        self.current = os.path.join(args.results, f"{args.target}.current")

    def run(self, data):
        """One execution; returns the fault, or None."""
        from harness import execute

        with open(self.current, "wb") as file:
            file.write(data)
        fault = execute(self.target, self.folder, data)
        self.executions += 1
        if fault is not None:
            if fault not in self.faults:
                shutil.copy(self.current, self.current.replace(".current", f".fault-{len(self.faults)}"))
            self.faults[fault] = self.faults.get(fault, 0) + 1
        return fault

    @property
    def over(self):
        """Whether time or executions are used up."""
        return time.monotonic() > self.ends or self.executions >= self.args.executions

    def save(self, **more):
        """Write the counts."""
        with open(os.path.join(self.args.results, f"{self.args.target}.json"), "w") as file:
            json.dump(
                {"engine": self.args.engine, "executions": self.executions, "faults": self.faults} | more,
                file,
            )
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.current)


def by_chance(session, seeds, args):
    """Mutations of the seeds by a seeded generator."""
    from mutation import mutate

    rng = Random(args.seed)
    while not session.over:
        session.run(mutate(rng, seeds))


def by_coverage(atheris, session, seeds, args):
    """Mutations of inputs that reached new code: never returns."""
    corpus = os.path.join(session.folder, "corpus")
    os.makedirs(corpus)
    for k, data in enumerate(seeds):
        with open(os.path.join(corpus, str(k)), "wb") as file:
            file.write(data)

    def one(data):
        if session.over:
            session.save()
            shutil.rmtree(session.folder, ignore_errors=True)
            os._exit(0)
        session.run(data)

    options = [f"-seed={args.seed}", "-max_len=65536", "-timeout=300", "-rss_limit_mb=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, corpus], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
