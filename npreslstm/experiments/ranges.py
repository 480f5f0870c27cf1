"""What a search draws the numbers of a recipe from."""

import math
from dataclasses import fields, replace
from typing import NamedTuple

from npreslstm.errors import InputError
from npreslstm.training.recipe import Recipe


class Range(NamedTuple):
    """Values of one field: from `low` to `high`, evenly or by logarithm; or one of `choices`."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[int | float, ...] = ()


PAPER_RANGES = {  # Krasnoproshin & Vashkevich 2026
    "lr": Range(3e-5, 2e-4, log=True),
    "weight_decay": Range(2e-5, 2e-2, log=True),
    "dropout": Range(0.1, 0.5),
    "period": Range(choices=(1, 2, 3, 5, 10)),
    "batch_size": Range(choices=(8, 16, 32, 64)),
}


DEFAULT_RANGES = {
    "lr": Range(5e-4, 5e-3, log=True),
    "weight_decay": Range(1e-2, 1.0, log=True),
    "dropout": Range(0.2, 0.7),
    "batch_size": Range(choices=(16, 32, 64)),
    "label_smoothing": Range(0.0, 0.2),
    "mixup": Range(0.0, 1.0),
    "noise": Range(0.0, 0.6),
    "offset": Range(0.0, 0.6),
    "warp": Range(0.0, 0.25),
    "crop": Range(0.0, 0.4),
}


def parse_ranges(texts, recipe):
    """{field: Range} of texts such as ``lr=1e-4:1e-2:log``, ``dropout=0.1:0.5`` and ``batch_size=8,16,32``.

    Raises
    ------
    InputError
        If a field is not a number of the recipe, or a range makes no sense.
    """
    kinds = {
        field.name: type(getattr(recipe, field.name)) for field in fields(Recipe) if field.name != "trim_db"
    }
    found = {}
    for text in texts:
        name, _, values = text.partition("=")
        if kinds.get(name) not in (int, float):
            numbers = ", ".join(name for name, kind in kinds.items() if kind in (int, float))
            raise InputError(f"range {text!r} is not of a number of the recipe; expected one of {numbers}")
        try:
            found[name] = _parse_values(values, kinds[name])
            for value in found[name].choices or found[name][:2]:
                replace(recipe, **{name: value})
        except ValueError as error:
            raise InputError(
                f"range {text!r}: expected LOW:HIGH, LOW:HIGH:log or values with commas ({error})"
            ) from None
    return found


def _parse_values(text, kind):
    if ":" not in text:
        return Range(choices=tuple(kind(value) for value in text.split(",")))
    low, high, *log = text.split(":")
    if (
        log not in ([], ["log"])
        or not -math.inf < kind(low) < kind(high) < math.inf
        or (log and kind(low) <= 0)
    ):
        raise ValueError("the low end comes first, both are finite, and above 0 for log")
    return Range(kind(low), kind(high), bool(log))
