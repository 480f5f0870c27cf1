"""Print the numbers of the house: what is long, what is not explained, and what imports what it should not.

    python tools/release/house.py [COMMIT ...]     # one column a commit, then the work tree
    python tools/release/house.py --long           # the functions and files over the limits, longest first

One row a number. Lines and files are those of tracked Python, C, C++ and JavaScript; the lines of a function
are counted without its docstring. Public definitions are those of tests/public_names.txt, as far as a tree
has them; a method has an example if that of its class calls it.
The order of the rooms is that of docs/architecture.md. The sdist and the wheel are built, which needs
setuptools 77 or newer.
"""

import argparse
import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "npreslstm"
SOURCES = {".py", ".c", ".h", ".cpp", ".hpp", ".ino", ".js", ".mjs"}
LONG_LINE, LONG_FUNCTION, LONG_FILE = 110, 30, 350


class Import(NamedTuple):
    """A module that another one imports, anywhere in it."""

    importer: str  # both without the name of the package: layers.lstm
    imported: str
    line: int

    def __str__(self):
        return f"{self.importer}, line {self.line}: imports {self.imported}"


def floors():
    """{room: floor} of the list in docs/architecture.md; the lowest floor is 0."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.search(r"## The rooms\n.*?```text\n(.*?)```", page, re.DOTALL)[1].splitlines()
    names = [row.partition("#")[0].replace("/", "").split() for row in rows]
    return {room: floor for floor, row in enumerate(reversed(names)) for room in row}


def module_name(path, root):
    """layers.lstm of npreslstm/layers/lstm.py; layers of its __init__.py, and nothing of the package's."""
    return ".".join(path.relative_to(root).with_suffix("").parts[1:]).removesuffix("__init__").rstrip(".")


def imports_of(root, folder=PACKAGE):
    """Every `Import` of modules of the package in the Python files of a folder, those inside functions
    included. What only type checkers read does not count.
    """
    root = Path(root)
    modules = {module_name(path, root) for path in (root / PACKAGE).rglob("*.py")}
    found = []
    for path in sorted((root / folder).rglob("*.py")):
        importer = module_name(path, root)
        for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
            found += [Import(importer, name, node.lineno) for name in imported_by(node, modules)]
    return found


def statements(node):
    """Every import statement beneath a node."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield from statements(child)


def imported_by(node, modules):
    """Names of what an import statement takes of the package; a public name by itself is a module of no
    room. The version may be had by everybody.
    """
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif node.module.split(".")[0] != PACKAGE:
        return []
    else:
        base = node.module.removeprefix(PACKAGE).removeprefix(".")
        parts = [f"{base}.{alias.name}".removeprefix(".") for alias in node.names]
        names = [f"{PACKAGE}.{name if name in modules or not base else base}" for name in parts]
    inside = [name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(f"{PACKAGE}.")]
    return [name for name in dict.fromkeys(inside) if name != "__version__"]


def room(module):
    """The room of a module."""
    return module.partition(".")[0]


def upwards(imports, order):
    """Imports of what is not on a lower floor, nor in the same room."""
    return [
        found
        for found in imports
        if (here := room(found.importer)) != (there := room(found.imported))
        and here  # the package itself lends its public names
        and not order.get(here, -1) > order.get(there, len(order))
    ]


def circles(imports):
    """Imports between modules that lead back to where they started."""
    left, before = set(imports), None
    while left != before:
        before = left
        importers, imported = {found.importer for found in left}, {found.imported for found in left}
        left = {found for found in left if found.importer in imported and found.imported in importers}
    return sorted(left)


def public_names():
    """(module, qualified name) of functions, classes, methods and properties in tests/public_names.txt."""
    names, module = [], None
    for line in (ROOT / "tests" / "public_names.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            module = line.removeprefix(PACKAGE).removeprefix(".")
        elif found := re.match(r"    (?:class |classmethod |property )?([A-Za-z][\w.]*)(?=[(\[]|$)", line):
            names.append((module, found[1]))
    return names


def public_definitions(trees):
    """{(module, name): node} of the public names that trees {module: syntax tree} define, in the module named
    or in the one nearest to it by name.
    """
    defined, found = {}, {}
    for module, tree in trees.items():
        for name, node in definitions(tree):
            defined.setdefault(name, {})[module] = node
    for module, name in public_names():
        if nodes := defined.get(name):
            home = max(nodes, key=lambda other: len(os.path.commonprefix([module, other])))
            found[home, name] = nodes[home]
    return found


def definitions(tree, prefix=""):
    """(qualified name, node) of the functions and classes of a module, methods included."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from definitions(node, f"{prefix}{node.name}.")


def is_annotated(node):
    """Whether every argument and the result of a function have a type; a class has those of its methods."""
    if isinstance(node, ast.ClassDef):
        return True
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return node.returns is not None and all(a.annotation for a in arguments if a.arg not in ("self", "cls"))


def has_example(place, public):
    """Whether a public definition, or the class of a method, shows it in its docstring."""
    module, name = place
    owner, _, method = name.rpartition(".")
    example, example_of_class = (
        (ast.get_docstring(public[at]) or "") if at in public else "" for at in (place, (module, owner))
    )
    return ">>>" in example or bool(method and re.search(rf"(>>>|\.\.\.).*\.{method}\(", example_of_class))


def length(node):
    """Lines of a function without its docstring."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and ast.get_docstring(node, clean=False) is not None
    return node.end_lineno - node.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)


def numbers(root, files):
    """{what is counted: number} of the tracked files of a tree."""
    texts = {
        name: (root / name).read_text(encoding="utf-8") for name in files if Path(name).suffix in SOURCES
    }
    trees = {name: ast.parse(text) for name, text in texts.items() if name.endswith(".py")}
    functions = [node for t in trees.values() for node in ast.walk(t) if isinstance(node, ast.FunctionDef)]
    package = {
        module_name(root / name, root): tree for name, tree in trees.items() if name.startswith(f"{PACKAGE}/")
    }
    public = public_definitions(package)
    imports = imports_of(root)
    return {
        f"lines over {LONG_LINE} columns": sum(
            len(line) > LONG_LINE for text in texts.values() for line in text.splitlines()
        ),
        f"functions over {LONG_FUNCTION} lines": sum(length(node) > LONG_FUNCTION for node in functions),
        f"files over {LONG_FILE} lines": sum(len(text.splitlines()) > LONG_FILE for text in texts.values()),
        "public definitions": len(public),
        "of them without an annotation": sum(not is_annotated(node) for node in public.values()),
        "of them without an example": sum(not has_example(place, public) for place in public),
        "imports that run upwards": len(upwards(imports, floors())),
        "imports in a circle": len(circles(imports)),
        "tracked files": len(files),
    } | sizes(root, files)


BUILD = """
import sys
from setuptools import build_meta
folder = sys.argv[1]  # setuptools changes sys.argv
build_meta.build_sdist(folder)
build_meta.build_wheel(folder)
"""


def sizes(root, files):
    """{'sdist, kB': number, 'wheel, kB': number} of a tree, built from a copy of its tracked files."""
    with tempfile.TemporaryDirectory() as folder:
        copy, made = Path(folder, "tree"), Path(folder, "made")
        for name in files:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, copy / name)
        made.mkdir()
        subprocess.run([sys.executable, "-c", BUILD, made], cwd=copy, capture_output=True, check=True)
        kinds = {"sdist, kB": "*.tar.gz", "wheel, kB": "*.whl"}
        return {what: round(next(made.glob(ending)).stat().st_size / 1000) for what, ending in kinds.items()}


def git(*arguments):
    """Standard output of git in this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def numbers_of(commit):
    """`numbers` of a commit, taken out of git into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(git("archive", commit))) as archive:
            archive.extractall(folder, filter="data")
        return numbers(Path(folder), git("ls-tree", "-r", "--name-only", commit).decode().splitlines())


def long_ones(root, files):
    """Lines that name every file and function over its limit, longest first: 'LINES PLACE'."""
    found = []
    for name in files:
        text = (root / name).read_text(encoding="utf-8") if Path(name).suffix in SOURCES else ""
        if (lines := len(text.splitlines())) > LONG_FILE:
            found.append((lines, name))
        if name.endswith(".py"):
            functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
            found += [
                (length(node), f"{name}, {node.name}") for node in functions if length(node) > LONG_FUNCTION
            ]
    return [f"{lines:4} {place}" for lines, place in sorted(found, key=lambda row: (-row[0], row[1]))]


def table(columns):
    """The numbers {column: {what: number}} in Markdown."""
    yield f"| | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for what in columns["now"]:
        yield f"| {what} | {' | '.join(f'{column[what]:,}' for column in columns.values())} |"


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commits", nargs="*", metavar="COMMIT", help="beside the work tree")
    parser.add_argument("--long", action="store_true", help="name what is over the limits")
    args = parser.parse_args(argv)
    tracked = [name for name in git("ls-files").decode().splitlines() if (ROOT / name).exists()]
    if args.long:
        print("\n".join(long_ones(ROOT, tracked)))
        return
    for commit in args.commits:
        try:
            git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        except subprocess.CalledProcessError:
            parser.error(f"{commit!r} is no commit of this repository; git log lists them")
    columns = {commit: numbers_of(commit) for commit in args.commits} | {"now": numbers(ROOT, tracked)}
    print("\n".join(table(columns)))


if __name__ == "__main__":
    main()
