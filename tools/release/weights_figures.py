#!/usr/bin/env python3
"""Regenerate what is derived from the bundled weights, after they have changed: `make weights-figures`.

    python tools/release/weights_figures.py                  all that needs no corpus
    python tools/release/weights_figures.py --seen NAME      a page that was brought up to date by hand
    python tools/release/weights_figures.py --list           which figure is of which weights

Written are the model card, the examples in README.md, docs/explain.md and docs/listen.md, and the ledger, the
self-test and the cycles in docs/c-port.md. The last three need arm-none-eabi-gcc and qemu-system-arm, the
ledger also riscv64-unknown-elf-gcc and qemu-system-riscv32; without them they are left as they are.
tools/release/weights_figures.json keeps, for each, the SHA-256 of the weights that it was made of; a test
compares them with the bundled files. What needs a corpus, MicroPython or a browser is listed with its
command.
"""

import argparse
import doctest
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from npreslstm.assets import weights_folder
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main as npreslstm
from npreslstm.files import atomic_write
from npreslstm.ports.c_export import export_c
from tools.release import cycles, size_ledger
from tools.train_weights import write_card

ROOT = Path(__file__).resolve().parents[2]
MADE_OF = Path(__file__).with_suffix(".json")
PORT = ROOT / "docs" / "c-port.md"
EXAMPLES = ("README.md", "docs/explain.md", "docs/listen.md")  # pages with commands and what they print
BY_HAND = {
    "docs/c-port.md, accuracy": "python tools/accuracy/c_parity.py RAVDESS (mcu and paper, float32 and int8)",
    "docs/c-port.md, integer frontend": "python tools/accuracy/integer_frontend.py RAVDESS (mcu, robust)",
    "docs/c-port.md, listening": "python tools/accuracy/listening.py RAVDESS",
    "docs/accuracy.md, robustness": "python tools/accuracy/robustness.py RAVDESS --update docs/accuracy.md",
    "docs/micropython.md, tables": "python tools/release/micropython_table.py",
    "docs/micropython.md, emulated": "python tools/release/micropython_emulated.py SOURCE",
    "docs/micropython.md, clips": "python tools/accuracy/micropython.py RAVDESS (mcu, robust)",
    "docs/explain.md, pictures": "python tools/make_explain_pictures.py",
}
WEIGHTS = {  # of which a figure is; without an entry here, of all that are bundled
    "docs/c-port.md, ledger": ("mcu",),
    "docs/c-port.md, self-test": ("mcu",),
    "docs/c-port.md, accuracy": ("mcu", "paper"),
    "docs/c-port.md, integer frontend": ("mcu", "robust"),
    "docs/c-port.md, cycles": ("mcu",),
    "docs/c-port.md, listening": ("mcu",),
    "docs/micropython.md, tables": ("mcu",),
    "docs/micropython.md, emulated": ("mcu",),
    "docs/micropython.md, clips": ("mcu", "robust"),
    "docs/explain.md, examples": ("robust",),
    "docs/explain.md, pictures": ("robust",),
    "docs/listen.md, examples": ("mcu", "robust"),
}
CONSOLE = re.compile(r"(```console\n)(.*?)(```)", re.DOTALL)
COMMAND = re.compile(r"^(\$ npreslstm (.*)\n)(?:(?!\$ ).*\n)*", re.MULTILINE)


def write_examples(page):
    """Replace the output of the commands and of the Python examples in a page."""
    text = page.read_text(encoding="utf-8")
    text = CONSOLE.sub(lambda block: block[1] + COMMAND.sub(_with_output, block[2]) + block[3], text)
    _write(page, with_results(text))


def _with_output(match):
    command, _, source = match[2].partition(" < ")
    printed, stdin = io.StringIO(), sys.stdin
    content = (ROOT / source).read_bytes() if source else b""
    sys.stdin = io.TextIOWrapper(io.BytesIO(content))
    try:
        with redirect_stdout(printed):
            status = npreslstm(shlex.split(command))
    finally:
        sys.stdin = stdin
    if status:
        raise RuntimeError(f"npreslstm {match[2]} ended with exit status {status}")
    return match[1] + printed.getvalue()


class _Recorder(doctest.OutputChecker):
    """Takes every output for right and remembers it."""

    def __init__(self):
        self.printed = []

    def check_output(self, want, got, optionflags):
        self.printed.append(got)
        return True


def with_results(text):
    """The text of a page with the results of its Python examples as they are now."""
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shared = {}
    for block in blocks:
        if ">>>" in block:
            text = text.replace(block, _run_block(block, shared))
    return text


def _run_block(block, shared):
    """A block with new results; `shared` holds the names that the blocks before it have defined."""
    test = doctest.DocTestParser().get_doctest(block, shared, "example", None, 0)
    recorder = _Recorder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they go to standard error, which no page shows
        failed = doctest.DocTestRunner(recorder).run(test, clear_globs=False).failed
    if failed:
        raise RuntimeError(f"an example raised an error:\n{block}")
    shared.update(test.globs)
    lines = block.splitlines(keepends=True)
    for example, printed in reversed(list(zip(test.examples, recorder.printed, strict=True))):
        first = example.lineno + example.source.count("\n")
        lines[first : first + example.want.count("\n")] = [printed]
    return "".join(lines)


def write_ledger():
    """The tables of sizes and instructions."""
    size_ledger.main(["mcu", "--update", str(PORT)])


def write_selftest():
    """What the self-test of the bundled mcu prints on an emulated core."""
    with tempfile.TemporaryDirectory() as folder:
        export_c(load_checkpoint("mcu"), folder, "int8")
        command = ["make", "-s", "-C", f"{folder}/extras/qemu", "CORE=m4f", "test"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    _put_block("    $ make -C mcu_c/extras/qemu CORE=m4f test\n", printed.splitlines()[-9:])


def write_cycles():
    """What `cycles.py` prints of the bundled mcu."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        cycles.main([])
    _put_block("a multiplier that takes one cycle:\n\n", printed.getvalue().splitlines())


def _put_block(head, lines):
    """Put lines in the place of the indented ones that follow `head` in docs/c-port.md."""
    page = PORT.read_text(encoding="utf-8")
    block = head + "".join(f"    {line}\n" for line in lines)
    page, found = re.subn(re.escape(head) + r"(?:    .*\n)*", lambda _: block, page)
    if found != 1:
        raise RuntimeError(f"{PORT} has {head.strip()!r} {found} times; expected once")
    _write(PORT, page)


def _write(path, text):
    with atomic_write(path, "w", encoding="utf-8") as file:
        file.write(text)


EMULATED = ("arm-none-eabi-gcc", "qemu-system-arm", "make")
RISC_V = ("riscv64-unknown-elf-gcc", "qemu-system-riscv32")
FIGURES = {  # name: (what writes it, programs that it needs)
    "weights/README.md": (lambda: write_card(ROOT / "weights"), ()),
    **{f"{page}, examples": (partial(write_examples, ROOT / page), ()) for page in EXAMPLES},
    "docs/c-port.md, ledger": (write_ledger, EMULATED + RISC_V),
    "docs/c-port.md, self-test": (write_selftest, EMULATED),
    "docs/c-port.md, cycles": (write_cycles, EMULATED),
}


def weights_of(figure):
    """{name: SHA-256} of the bundled weights that a figure is of."""
    names = WEIGHTS.get(figure) or sorted(path.stem for path in weights_folder().glob("*.npz"))
    return {name: load_checkpoint(name).sha256 for name in names}


def stale():
    """{figure: command that makes it} of those that were made of other weights than the bundled ones."""
    made_of = json.loads(MADE_OF.read_text(encoding="utf-8"))
    commands = dict.fromkeys(FIGURES, "make weights-figures") | BY_HAND
    return {name: command for name, command in commands.items() if made_of.get(name) != weights_of(name)}


def mark(names):
    """Note that figures are of the bundled weights."""
    made_of = json.loads(MADE_OF.read_text(encoding="utf-8")) if MADE_OF.exists() else {}
    made_of |= {name: weights_of(name) for name in names}
    _write(MADE_OF, json.dumps(dict(sorted(made_of.items())), indent=1) + "\n")


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--seen", action="append", default=[], choices=tuple(BY_HAND), metavar="NAME")
    way.add_argument("--list", action="store_true")
    args = parser.parse_args(argv)
    os.chdir(ROOT)
    if args.seen:
        mark(args.seen)
    elif not args.list:
        regenerate()
    late = stale()
    for name in (*FIGURES, *BY_HAND):
        print(f"{name:30} {f'of other weights: {late[name]}' if name in late else 'of the bundled weights'}")
    return 1 if late else 0


def regenerate():
    """Write all that can be written here."""
    for name, (write, programs) in FIGURES.items():
        if absent := [program for program in programs if not shutil.which(program)]:
            print(f"{name} is left as it is: {', '.join(absent)} is not installed", file=sys.stderr)
            continue
        print(f"writing {name}", file=sys.stderr)
        write()
        mark([name])


if __name__ == "__main__":
    sys.exit(main())
