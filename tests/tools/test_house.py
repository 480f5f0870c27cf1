"""tools/release/house.py: what it counts, and the limit that it and the formatters hold."""

import ast

from tools.release import house


def test_no_line_of_the_sources_is_over_the_limit():
    """Formatters see to Python and C; nothing but this test to JavaScript."""
    sources = [
        path
        for folder in ("npreslstm", "tests", "tools")
        for path in (house.ROOT / folder).rglob("*")
        if path.suffix in house.SOURCES and "node_modules" not in path.parts
    ]
    assert len(sources) > 400
    over = [
        f"{path}, line {number}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > house.LONG_LINE
    ]
    assert over == []


def test_a_docstring_does_not_make_a_function_long():
    tree = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n    return a\n')
    assert house.length(tree.body[0]) == 3


def test_a_definition_is_public_where_the_list_of_names_has_it():
    tree = ast.parse("def load_model(path) -> None: ...\ndef other(): ...")
    found = house.public_definitions({"checkpoint": tree})
    assert list(found) == [("checkpoint", "load_model")]
    assert not house.is_annotated(found["checkpoint", "load_model"])
