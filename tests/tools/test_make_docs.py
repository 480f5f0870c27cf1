"""The sources of the site: all pages are in the table of contents, all links lead somewhere."""

import os
import re

import pytest

from npreslstm.cli import COMMANDS
from tools import make_docs


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "source"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COLUMNS", "100")
        make_docs.write_sources(folder)
    return folder


def test_every_page_is_in_the_table_of_contents(source):
    listed = {page for pages in make_docs.PARTS.values() for page in pages}
    written = {path.relative_to(source).with_suffix("").as_posix() for path in source.rglob("*.md")}
    assert written - {"index", "README", "docs/README"} == listed - {"docs/api/index"}
    index = (source / "index.md").read_text(encoding="utf-8")
    assert all(f"\n{page}\n" in index for page in listed)


def test_links_lead_to_pages_of_the_site(source):
    pages = {*source.rglob("*.md")} - {source / "README.md", source / "docs" / "README.md"}  # not of the site
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)\s#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(source)} links to {target}"


def test_all_commands_and_names_are_there(source):
    text = (source / "docs" / "command-line.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"\n## npreslstm {name}\n" in text and f"usage: npreslstm {name} " in text
    assert all(f"## npreslstm export {form}\n" in text for form in ("c", "onnx", "vectors"))
    assert "--type {float32,int8}" in text
    names = (source / "docs" / "api" / "npreslstm.rst").read_text(encoding="utf-8")
    assert ".. autofunction:: load_model\n" in names and ".. autoclass:: Recognizer\n" in names


def test_results_and_the_repository_stay_as_they_are(source):
    assert not (source / "docs" / "results").exists()
    assert not {"conf.py", "api", "command-line.md"} & set(os.listdir(make_docs.ROOT / "docs"))
