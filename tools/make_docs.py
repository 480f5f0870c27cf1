#!/usr/bin/env python3
"""Build the site of the documentation: `make docs`.

    python tools/make_docs.py [--out build/docs] [--sources-only]

The pages of docs/, README.md, CONTRIBUTING.md, CHANGELOG.md and the model card are copied to OUT/source as
they lie in the repository, so that their links hold. Added are the reference of the public names, from their
docstrings, that of the commands, from their --help, and the explaining page of the demo clip. Sphinx makes
OUT/html of it, with every warning an error; nothing is fetched.
"""

import argparse
import contextlib
import importlib
import io
import os
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import npreslstm
from npreslstm import cli
from tools.release.public_names import MODULES, names_of

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "weights/README.md")
PARTS = {
    "Start here": ("docs/start",),
    "To understand it": (
        "docs/lstm",
        "docs/example-by-hand",
        "docs/explain",
        "docs/architecture",
        "docs/frontend",
    ),
    "To use it": (
        "docs/listen",
        "docs/formats",
        "docs/protocol",
        "docs/reading",
        "docs/conditions",
        "docs/testing",
        "docs/packaging",
        "docs/c-port",
        "docs/micropython",
    ),
    "In figures": ("docs/accuracy", "weights/README", "docs/speed", "docs/parity", "docs/reliability"),
    "The notebook": (
        "docs/notebook/README",
        "docs/notebook/recipe",
        "docs/notebook/folds",
        "docs/notebook/ladder",
        "docs/notebook/speeds",
        "docs/notebook/robust",
    ),
    "Reference": ("docs/api/index", "docs/command-line"),
    "To change it": ("CONTRIBUTING", "CHANGELOG"),
}
CONF = """\
project = "npreslstm"
author = copyright = "the npreslstm authors"
version = release = {version!r}
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
root_doc = "index"
exclude_patterns = ["README.md", "docs/README.md", "extra"]  # the index is made of the second
html_extra_path = ["extra"]
html_theme = "alabaster"
html_theme_options = {{"page_width": "1100px", "sidebar_width": "240px"}}
html_copy_source = html_show_sourcelink = False
myst_heading_anchors = 4
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types, and shapes besides
numpydoc_show_class_members = False
"""
LINK = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")


def copy_pages(source):
    """The pages as they lie in the repository, pictures with them."""
    shutil.copytree(ROOT / "docs", source / "docs", ignore=shutil.ignore_patterns("results"))
    for name in COPIED:
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)


def index_page():
    """docs/README.md as the first page, and the table of contents."""
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    text = LINK.sub(lambda match: f"]({os.path.normpath(os.path.join('docs', match[1]))})", text)
    for caption, pages in PARTS.items():
        listed = "\n".join(pages)
        text += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n:maxdepth: 1\n\n{listed}\n```\n"
    return text


def help_text(*arguments):
    """What a command prints for --help."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = cli.main([*arguments, "--help"])
    if status:
        raise RuntimeError(f"npreslstm {' '.join(arguments)} --help ended with exit status {status}")
    return printed.getvalue()


def command_page():
    """Every --help, those of the forms of `export` included."""
    forms = re.findall(r"^ {4}(\w+)  ", help_text("export").partition("options:")[0], re.MULTILINE)
    commands = [(), *((name,) for name in cli.COMMANDS)]
    after = commands.index(("export",)) + 1
    commands[after:after] = [("export", form) for form in forms]
    text = "# Command line\n\nThe help of every command, as `--help` prints it.\n"
    for command in commands:
        text += f"\n## npreslstm {' '.join(command)}".rstrip() + f"\n\n```text\n{help_text(*command)}```\n"
    return text


def api_pages():
    """{file: text}: a page a module with all its public names, and an index of them."""
    pages, seen = {}, []
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        named = [(name, getattr(module, name)) for name in names_of(module)]
        own = [
            (name, value)
            for name, value in named
            if callable(value) and not any(value is other for other in seen)
        ]
        seen += [value for _, value in own]
        if own:
            pages[f"{module_name}.rst"] = _module_page(module, module_name, own)
    listed = [f"   {name.removesuffix('.rst')}" for name in pages]
    head = ["Public names", "============", "", "A test holds the names and signatures of these modules.", ""]
    pages["index.rst"] = "\n".join([*head, ".. toctree::", "", *listed, ""])
    return pages


def _module_page(module, module_name, own):
    lines = [module_name, "=" * len(module_name), "", f".. module:: {module_name}", ""]
    lines += [
        (module.__doc__ or "").partition("\n")[0],
        "",
        ".. autosummary::",
        "",
        *(f"   {name}" for name, _ in own),
        "",
    ]
    for name, value in own:
        if isinstance(value, type):
            lines += [f".. autoclass:: {name}", "   :members:", ""]
        else:
            lines += [f".. autofunction:: {name}", ""]
    return "\n".join(lines)


def demo_page():
    """The explaining page of the demo clip."""
    from npreslstm.assets import demo_clip_path
    from npreslstm.explain.hearing import hear
    from npreslstm.explain.page import explain_page

    return explain_page(hear(demo_clip_path()))


def write_sources(source):
    """All that Sphinx reads."""
    if source.exists():
        shutil.rmtree(source)
    source.mkdir(parents=True)
    copy_pages(source)
    (source / "docs" / "api").mkdir()
    (source / "extra" / "docs").mkdir(parents=True)
    texts = {"conf.py": CONF.format(version=npreslstm.__version__), "index.md": index_page()}
    texts |= {"docs/command-line.md": command_page(), "extra/docs/demo.html": demo_page()}
    texts |= {f"docs/api/{name}": text for name, text in api_pages().items()}
    for name, text in texts.items():
        (source / name).write_text(text, encoding="utf-8")


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default=str(ROOT / "build" / "docs"), help="default: build/docs")
    parser.add_argument("--sources-only", action="store_true", help="only what Sphinx reads")
    args = parser.parse_args(argv)
    os.environ["COLUMNS"] = "100"  # of the help texts
    source = Path(args.out) / "source"
    write_sources(source)
    if args.sources_only:
        return 0
    from sphinx.cmd.build import main as sphinx

    cached = str(Path(args.out) / "doctrees")
    return sphinx(["-q", "-W", "--keep-going", "-d", cached, str(source), str(Path(args.out) / "html")])


if __name__ == "__main__":
    sys.exit(main())
