"""The table of scores under recording conditions, for a terminal, a page, or a program."""

import numpy as np

from npreslstm.experiments.robustness import Hearing
from npreslstm.report.text import table

MEAN = "mean"


def robustness_text(found: dict[str, dict[str, Hearing]]) -> str:
    """Aligned columns: a row a condition, for each weights UAR, its interval over speakers, and the
    calibration error.
    """
    header = ["condition"]
    for name in found:
        header += [name, "95 %", "ECE"]
    rows = [
        [condition, *sum((_cells(hearings[condition]) for hearings in found.values()), [])]
        for condition in _conditions(found)
    ]
    means = [MEAN]
    for hearings in found.values():
        means += [f"{mean_uar(hearings):.4f}", "", ""]
    return table(header, [*rows, means], right=set(range(1, len(header)))) + "\n"


def robustness_markdown(found: dict[str, dict[str, Hearing]]) -> str:
    """The same as a table in Markdown, an interval behind each UAR."""
    names = list(found)
    lines = [
        "| UAR (95 % over speakers) | " + " | ".join(f"`{name}`" for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for condition in _conditions(found):
        cells = [_with_interval(found[name][condition]) for name in names]
        lines.append(f"| {condition} | " + " | ".join(cells) + " |")
    lines.append(f"| **{MEAN}** | " + " | ".join(f"**{mean_uar(found[name]):.4f}**" for name in names) + " |")
    return "\n".join(lines) + "\n"


def robustness_json(found: dict[str, dict[str, Hearing]]) -> dict:
    """The same as JSON values, without the predictions."""
    return {
        name: {
            "mean UAR": mean_uar(hearings),
            "conditions": {
                condition: {
                    "UAR": hearing.uar,
                    "UAR interval": hearing.interval,
                    "expected calibration error": hearing.calibration_error,
                }
                for condition, hearing in hearings.items()
            },
        }
        for name, hearings in found.items()
    }


def mean_uar(hearings: dict[str, Hearing]) -> float:
    """Mean UAR over conditions, each once."""
    return float(np.mean([hearing.uar for hearing in hearings.values()]))


def _conditions(found):
    return next(iter(found.values()))


def _cells(hearing):
    return [f"{hearing.uar:.4f}", _interval(hearing), f"{hearing.calibration_error:.3f}"]


def _with_interval(hearing):
    return f"{hearing.uar:.4f} ({_interval(hearing)})"


def _interval(hearing):
    return "one speaker" if hearing.interval is None else "{:.2f} to {:.2f}".format(*hearing.interval)
