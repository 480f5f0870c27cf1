"""What other people's code and editors see: annotations, examples that run, names that can be completed."""

import ast
import doctest
import importlib
import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import npreslstm
from tools.release.public_names import MODULES, names_of

ROOT = Path(__file__).resolve().parent.parent
VAGUE = ("object", "Any", "list", "tuple", "dict", "set")
ANYTHING = {  # parameters and results that may be anything: values of JSON, and of a checkpoint
    "Checkpoint.noted": {"default", "return"},
    "read_torch": {"return"},
}
SPECIAL = ("__init__", "__call__")  # of the methods that begin with an underscore, these are public


def public_values():
    """(module, name, value) of every public class and function, each once."""
    seen = []
    for module in map(importlib.import_module, MODULES):
        for name in names_of(module):
            value = getattr(module, name)
            if (inspect.isclass(value) or inspect.isfunction(value)) and value not in seen:
                seen.append(value)
                yield value.__module__, name, value


PUBLIC = list(public_values())
HOMES = sorted({module for module, _, _ in PUBLIC})


def functions_of(name, value):
    """A function, or the public methods and properties that a class defines itself."""
    if inspect.isfunction(value):
        yield name, value
        return
    for member, attribute in vars(value).items():
        if isinstance(attribute, (classmethod, staticmethod)):
            attribute = attribute.__func__
        if isinstance(attribute, property):
            attribute = attribute.fget
        if inspect.isfunction(attribute) and (not member.startswith("_") or member in SPECIAL):
            yield f"{name}.{member}", attribute


def unannotated(function):
    """Names of the parameters without an annotation, and `return`."""
    annotations = function.__annotations__
    names = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    return [name for name in [*names, "return"] if name not in annotations]


@pytest.mark.parametrize("module, name, value", PUBLIC, ids=[name for _, name, _ in PUBLIC])
def test_everything_public_is_annotated(module, name, value):
    for full, function in functions_of(name, value):
        assert unannotated(function) == [], f"{module}.{full}"


@pytest.mark.parametrize("module, name, value", PUBLIC, ids=[name for _, name, _ in PUBLIC])
def test_what_is_public_has_a_type_that_says_something(module, name, value):
    for full, function in functions_of(name, value):
        vague = {what for what, kind in function.__annotations__.items() if kind in (object, Any)}
        assert vague == ANYTHING.get(full, set()), f"{module}.{full}"


def vague_fields(tree):
    """(line, name) of the fields of classes whose annotation does not say what they hold."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    fields = [node for found in classes for node in found.body if isinstance(node, ast.AnnAssign)]
    return [
        (field.lineno, ast.unparse(field.target))
        for field in fields
        if ast.unparse(field.annotation).strip("'") in VAGUE
    ]


def test_every_field_of_every_class_says_what_it_holds():
    for path in sorted((ROOT / "npreslstm").rglob("*.py")):
        assert vague_fields(ast.parse(path.read_text(encoding="utf-8"))) == [], path


def test_a_vague_field_is_seen():
    source = "class A:\n    x: object\n    y: 'Any'\n    z: list\n    n: list[int]\n    o: object | int = 0"
    assert vague_fields(ast.parse(source)) == [(2, "x"), (3, "y"), (4, "z")]


def test_the_check_sees_what_is_missing():
    def function(a: int, b):
        pass

    assert unannotated(function) == ["b", "return"]


@pytest.mark.parametrize("module, name, value", PUBLIC, ids=[name for _, name, _ in PUBLIC])
def test_every_public_docstring_has_an_example(module, name, value):
    for full, thing in {name: value, **dict(functions_of(name, value))}.items():
        method = full.partition(".")[2]
        by_its_class = re.search(rf"(>>>|\.\.\.) .*\.{method}\(", value.__doc__ or "")
        shown = ">>> " in (thing.__doc__ or "") or (method and by_its_class) or full.endswith("__init__")
        assert shown, f"{module}.{full}"


@pytest.mark.parametrize("module", HOMES)
def test_examples(module, monkeypatch):
    if module.endswith("c_library") and not (shutil.which("cc") and shutil.which("make")):
        pytest.skip("needs a C compiler and make")
    monkeypatch.chdir(ROOT)
    found = doctest.testmod(importlib.import_module(module))
    assert found.failed == 0 and found.attempted > 0


def test_editors_know_the_names_that_are_imported_on_first_use():
    """The branch that only type checkers read imports each public name from the module that has it."""
    tree = ast.parse((ROOT / "npreslstm" / "__init__.py").read_text(encoding="utf-8"))
    [branch] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in branch.body for alias in node.names}
    assert branch.test.id == "TYPE_CHECKING" and not npreslstm.TYPE_CHECKING
    assert seen == npreslstm._HOME
    assert sorted(npreslstm.__all__) == npreslstm.__all__ == sorted([*seen, "__version__"])


def test_the_type_checker_is_strict_about_every_public_module():
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.mypy]")[2]
    [listed] = re.findall(r"module = \[([^]]*)\]\nignore_errors = false\n", settings)
    assert "\nstrict = true\n" in settings and set(HOMES) | set(MODULES) <= set(re.findall(r'"(.*)"', listed))
