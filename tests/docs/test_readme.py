"""The commands and examples of the README and of the docs, run, with what they print compared."""

import doctest
import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from npreslstm.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "docs/conditions.md", "docs/listen.md"]
NUMBER = re.compile(r"\d+\.\d+")


def console_examples(page):
    """(command, output) of every ``$ npreslstm ...`` in the console blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
            if command.startswith("npreslstm "):
                yield command, output


EXAMPLES = [(page, *example) for page in [*PAGES, "docs/explain.md"] for example in console_examples(page)]


def assert_same_print(printed, expected):
    """The same text, the last digit of a decimal number free by two: BLAS builds round differently."""
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", expected)
    for a, b in zip(NUMBER.findall(printed), NUMBER.findall(expected)):
        assert abs(float(a) - float(b)) <= 2.001 * 10 ** -len(b.split(".")[1]), (a, b)


def test_there_are_examples():
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize("page, command, output", EXAMPLES, ids=[command for _, command, _ in EXAMPLES])
def test_commands_print_what_the_page_says(page, command, output, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    command, _, source = command.partition(" < ")
    if source:
        content = io.BytesIO((ROOT / source).read_bytes())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    status = main(shlex.split(command)[1:])
    assert status == 0
    assert_same_print(capsys.readouterr().out.rstrip("\n"), output.rstrip("\n"))


@pytest.mark.parametrize("page", PAGES)
def test_python_examples(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / page).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    test = doctest.DocTestParser().get_doctest(code, {}, page, page, 0)
    assert len(test.examples) >= 5
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test)
    assert runner.failures == 0


def anchors(page):
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page):
    """What a page links to in vain: files that are not there, and headings that their page does not have."""
    for link in re.findall(r"\]\(([^)\s:]+)\)", page.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def test_links_lead_somewhere():
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "weights/README.md")]
    pages += sorted((ROOT / "docs").rglob("*.md"))
    assert ROOT / "docs" / "notebook" / "README.md" in pages
    for page in pages:
        assert list(broken_links(page)) == [], page


def test_a_link_in_vain_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `title`, here\n[a](#a-title-here) [b](#b) [c](page.md#a-title-here) [d](gone.md)\n")
    assert list(broken_links(page)) == ["#b", "gone.md"]
