"""The order of the rooms in docs/architecture.md: no import runs upwards or in a circle, wherever in a
module it stands.
"""

import ast
import sys

import pytest

from npreslstm.cli import COMMANDS
from tools.release import house

PAIR = {"a": 1, "b": 0}  # two rooms, a above b


@pytest.fixture(scope="module")
def imports():
    return house.imports_of(house.ROOT)


def tree(folder, **modules):
    """A package of modules {name: source}, all importable from each other."""
    for name, source in modules.items():
        path = folder / house.PACKAGE / name / "module.py"
        path.parent.mkdir(parents=True)
        path.write_text(source)
    return house.imports_of(folder)


def test_the_page_lists_every_room():
    package = house.ROOT / house.PACKAGE
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    files = {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert set(house.floors()) == folders | files


def test_tests_lie_as_the_package_does():
    package, tests = house.ROOT / house.PACKAGE, house.ROOT / "tests"
    files = [path for path in tests.rglob("test_*.py")]
    folders = {path.parent.name for path in files} - {"tests", "docs", "tools"}
    assert folders == {name for name in folders if (package / name / "__init__.py").is_file()}
    assert len({path.name for path in files}) == len(files) > 100  # names are unique; 119


def test_no_import_runs_upwards(imports):
    assert len(imports) > 500  # 591
    assert [str(found) for found in house.upwards(imports, house.floors())] == []


def test_no_import_runs_in_a_circle(imports):
    assert [str(found) for found in house.circles(imports)] == []


def test_commands_import_no_command(imports):
    commands = {f"commands.{name}" for name in COMMANDS}
    assert commands <= {found.importer for found in imports}
    taken = [found for found in imports if found.imported in commands and found.importer in commands]
    assert [str(found) for found in taken] == []


def test_tools_import_no_command():
    imports = house.imports_of(house.ROOT, "tools")
    assert len(imports) > 100  # 157
    assert [str(found) for found in imports if found.imported in {f"commands.{n}" for n in COMMANDS}] == []


def test_layers_import_numpy_and_errors_alone():
    taken = set()
    for path in (house.ROOT / house.PACKAGE / "layers").glob("*.py"):
        for node in house.statements(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            taken |= {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
    inside = {name for name in taken if name.startswith(f"{house.PACKAGE}.layers.")}
    assert taken - inside == {"numpy", "numpy.typing", f"{house.PACKAGE}.errors"}


@pytest.mark.parametrize(
    "source",
    [
        "import npreslstm.a.module",
        "from npreslstm.a import module",
        "from npreslstm.a.module import name",
        "def f():\n    from npreslstm.a.module import name",
        "try:\n    from npreslstm.a.module import name\nexcept ImportError:\n    pass",
        "from npreslstm import ResLSTM",  # a public name, wherever it is from
    ],
)
def test_an_import_upwards_is_seen(tmp_path, source):
    [found] = house.upwards(tree(tmp_path, a="", b=source), PAIR)
    assert found.importer == "b.module" and found.imported in ("a.module", "ResLSTM")


@pytest.mark.parametrize(
    "source",
    [
        "import numpy\nfrom npreslstm import __version__",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from npreslstm.a.module import name",
    ],
)
def test_what_is_no_import_upwards_is_not_called_one(tmp_path, source):
    assert house.upwards(tree(tmp_path, a="from npreslstm.b.module import name", b=source), PAIR) == []


def test_a_circle_is_seen(tmp_path):
    names = {"a": "b", "b": "c", "c": "a", "d": "a"}
    sources = {name: f"from npreslstm.{other}.module import x" for name, other in names.items()}
    found = house.circles(tree(tmp_path, **sources))
    assert [item.importer for item in found] == ["a.module", "b.module", "c.module"]
