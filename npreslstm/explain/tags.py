"""Where the equations of docs/lstm.md are computed: the lines of the reference that end with their tags."""

import re
from typing import NamedTuple

from npreslstm.assets import package_folder

FILES = (
    "layers/activations.py",
    "layers/lstm.py",
    "layers/batchnorm.py",
    "layers/attention.py",
    "layers/dense.py",
    "layers/loss.py",
    "model.py",
)
TAG = re.compile(r"\(([A-Z]\d'?)\)")


class Place(NamedTuple):
    """One line of the package."""

    file: str
    line: int
    function: str
    code: str


def tagged_lines() -> dict[str, list[Place]]:
    """The lines that compute each equation, by its tag.

    Examples
    --------
    >>> place = tagged_lines()["L3"][0]
    >>> place.file, place.function, place.code
    ('npreslstm/layers/lstm.py', 'lstm_step', 'c = f * c_before + i * g')
    """
    places = {}
    for file in FILES:
        function = ""
        for number, line in enumerate((package_folder() / file).read_text(encoding="utf-8").split("\n"), 1):
            if defined := re.match(r" *def (\w+)", line):
                function = defined[1]
            code, _, comment = line.partition("  # ")
            for tag in TAG.findall(comment):
                places.setdefault(tag, []).append(Place(f"npreslstm/{file}", number, function, code.strip()))
    return places
