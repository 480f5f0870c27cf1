"""Where the equations of docs/lstm.md are computed: the lines of the reference that end with their tags, or
what a function returns whose docstring has the tag.
"""

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
    places, returned = {}, {}
    for file in FILES:
        function, told = "", []  # tags of the docstring
        for number, line in enumerate((package_folder() / file).read_text(encoding="utf-8").split("\n"), 1):
            if defined := re.match(r" *def (\w+)", line):
                function, told = defined[1], []
            code, _, comment = line.partition("  # ")
            place = Place(f"npreslstm/{file}", number, function, code.strip())
            for tag in TAG.findall(comment):
                places.setdefault(tag, []).append(place)
            if function and not comment:
                told += TAG.findall(line)
            if place.code.startswith("return "):
                for tag in told:
                    returned.setdefault(tag, [place])
    return returned | places
