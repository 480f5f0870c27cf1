"""Every file of an export says its licence, and hand-written C is laid out alike."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from c_models import checkpoint

from npreslstm.ports.c_export import export_c
from npreslstm.ports.c_readme import package_licence, weights_licence

ROOT = Path(__file__).parents[2]
CODE = (".c", ".h", ".hpp", ".cpp", ".ino")
EXPORTS = {
    "float32": {"type": "float32"},
    "integer": {"type": "int8", "frontend": "integer", "prefix": "own"},
    "blob": {"type": "int8", "weights": "blob"},
}
MARK = "SPDX-License-Identifier: "


def licence(path):
    """What the first line of a file says."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    found = re.fullmatch(rf"(?:/\* {MARK}(\S+) \*/|# {MARK}(\S+))", first)
    return found and (found[1] or found[2])


@pytest.mark.parametrize("what", EXPORTS)
def test_every_exported_file_says_its_licence(tmp_path, what):
    made = checkpoint("h32")
    made.notes["licence"] = "CC BY-NC-SA 4.0: trained on something"
    export_c(made, tmp_path, **EXPORTS[what])
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    weights = {path for path in paths if path.name.endswith(("_weights.c", "_vectors.c"))}
    assert len(weights) == (1 if what == "blob" else 2) and len(paths) > 30
    said_elsewhere = {"README.md", "LICENSE", "exported.txt", "library.json", "npr_weights.bin"}
    for path in paths:
        expected = "CC-BY-NC-SA-4.0" if path in weights else "MIT"
        if path.suffix == ".pdsc":
            assert f"<!-- {MARK}MIT -->" in path.read_text()
        else:
            assert path.name in said_elsewhere or licence(path) == expected, path
    together = "MIT AND CC-BY-NC-SA-4.0"
    assert together in (tmp_path / "README.md").read_text()
    assert json.loads((tmp_path / "library.json").read_text())["license"] == together
    assert f'license: "{together}"' in (tmp_path / "idf_component.yml").read_text()


@pytest.mark.parametrize(
    ("note", "identifier"),
    [
        ("CC BY-NC-SA 4.0: trained on RAVDESS", "CC-BY-NC-SA-4.0"),
        ("CC0 1.0", "CC0-1.0"),
        ("MIT", "MIT"),
        ("mine */ yours", "LicenseRef-weights"),
        (None, "LicenseRef-weights"),
    ],
)
def test_the_weights_licence_is_that_of_their_notes(note, identifier):
    made = replace(checkpoint("h32"), notes={} if note is None else {"licence": note})
    assert weights_licence(made) == identifier
    assert package_licence(made) == ("MIT" if note == "MIT" else f"MIT AND {identifier}")


def test_a_licence_that_is_not_on_the_list_is_not_in_the_manifests(tmp_path):
    """Package managers refuse those; the files themselves have it."""
    export_c(checkpoint("h32"), tmp_path, "int8")
    assert "license" not in json.loads((tmp_path / "library.json").read_text())
    assert "license" not in (tmp_path / "idf_component.yml").read_text()


def written_by_hand():
    """All C of the repository."""
    folders = [ROOT / name for name in ("npreslstm", "tests", "tools")]
    return [path for folder in folders for path in folder.rglob("*") if path.suffix in CODE]


def test_hand_written_c_has_its_licence_and_110_columns():
    """`make lint` holds the rest of its layout: clang-format, which cannot break every line."""
    paths = written_by_hand()
    assert len(paths) > 50
    for path in paths:
        assert licence(path) == "MIT", path
        assert max(map(len, path.read_text(encoding="utf-8").splitlines())) <= 110, path
