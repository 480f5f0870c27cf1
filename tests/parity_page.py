"""The figures of docs/parity.md: the tests read from the page what was achieved, and allow ten times that."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "parity.md"


def achieved(name):
    """The figure of the row that begins with `name`."""
    rows = re.findall(
        rf"^\| {re.escape(name)} \|.*\| (\S+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) == 1, f"{name}: {len(rows)} rows on the page"
    return float(rows[0])


def allowed(name):
    """Ten times the figure."""
    return 10 * achieved(name)
