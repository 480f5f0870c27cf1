"""Public names and signatures are those in tests/public_names.txt, which changes when they are meant to."""

import difflib
from pathlib import Path

import npreslstm
from tools.release.public_names import MODULES, public_names

AGREED = Path(__file__).with_name("public_names.txt")


def test_names_and_signatures_are_as_agreed():
    """After a change that is meant: python tools/release/public_names.py > tests/public_names.txt"""
    agreed, found = AGREED.read_text(encoding="utf-8"), public_names()
    changes = difflib.unified_diff(
        agreed.splitlines(), found.splitlines(), "agreed", "found", lineterm="", n=0
    )
    assert found == agreed, "\n".join(changes)


def test_every_public_name_is_there():
    agreed = AGREED.read_text(encoding="utf-8")
    assert [line for line in agreed.splitlines() if not line.startswith(" ")] == list(MODULES)
    top = agreed.partition("npreslstm.")[0]
    for name in npreslstm.__all__:
        assert f"    {name}" in top or f"    class {name}" in top


def test_a_renamed_argument_shows():
    from tools.release.public_names import lines_of

    class Before:
        def call(self, x, rate=1.0):
            pass

        @classmethod
        def make(cls, *, type=float):
            pass

    assert list(lines_of("Before", Before)) == [
        "class Before()",
        "Before.call(self, x, rate=1.0)",
        "classmethod Before.make(cls, *, type=float)",
    ]
