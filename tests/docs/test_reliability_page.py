"""The page names every exception and warning of the package, by class and place, and tests that are there."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import npreslstm

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def exceptions():
    """Every public exception class of the package."""
    found = set()
    for module in pkgutil.walk_packages(npreslstm.__path__, "npreslstm."):
        if not module.name.endswith(("__main__", "hook-npreslstm")):
            members = vars(importlib.import_module(module.name)).values()
            found |= {kind for kind in members if inspect.isclass(kind) and issubclass(kind, BaseException)}
    ours = {kind for kind in found if kind.__module__.startswith("npreslstm")}
    return {kind for kind in ours if not kind.__name__.startswith("_")}


def named(name):
    """What can be imported under a dotted name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_every_exception_is_there_with_what_it_is():
    rows = dict(re.findall(r"^\| `(npreslstm\.[\w.]+)` \| ([^|]*)\|", PAGE, re.MULTILINE))
    classes = {name: named(name) for name in rows}
    assert set(classes.values()) == exceptions() and len(classes) == len(exceptions())
    for name, kind in classes.items():
        assert issubclass(kind, UserWarning) or rows[name].strip() == f"`{kind.__mro__[1].__name__}`"


def test_the_tests_it_names_are_there():
    found = re.findall(r"(tests/[\w/]+\.py)(?: -k (\w+))?`", PAGE)
    assert len(found) > 8  # 10
    for path, word in found:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not word or re.search(rf"def test_\w*{word}", text), (path, word)
