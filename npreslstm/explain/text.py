"""What a network heard, in 60 columns of characters."""

import numpy as np

from npreslstm.explain.hearing import Hearing
from npreslstm.explain.units import Unit, gates_of
from npreslstm.report.text import ASCII_LEVELS, LEVELS
from npreslstm.terminal import printable

COLUMNS = 60
NAMES = 12  # columns of the names
CELLS = 38  # of the pictures; the rest are numbers
ABOUT = {
    "i": "lets in",
    "f": "keeps",
    "g": "candidate",
    "o": "shows",
    "c": "cell",
    "h": "hidden",
}
GATES = "ifo"


def explain_text(heard: Hearing, unit: Unit, blocks: bool = True) -> str:
    """Attention, |dp/dx|, the running label and the gates of one unit, over time.

    Parameters
    ----------
    heard : Hearing
    unit : Unit
    blocks : bool
        Whether block characters can be drawn; else ASCII.

    Returns
    -------
    str
        Lines of at most 60 columns.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> from npreslstm.explain.hearing import hear
    >>> from npreslstm.explain.units import find_unit
    >>> heard = hear(demo_clip_path())
    >>> lines = explain_text(heard, find_unit(heard)).split("\\n")
    >>> lines[0], max(map(len, lines))
    ('demo.wav  0.00-2.58 s  fear 0.340  (robust)', 59)
    """
    running = heard.running_probabilities()  # (T, C)
    labels = running.argmax(axis=1)  # (T,)
    letters = _letters(heard.checkpoint.classes)
    best = int(heard.logits.argmax())
    end = heard.start + heard.duration
    span = f"{heard.start:.2f}-{end:.2f} s"
    title = f"{heard.name}  {span}  {heard.label} {running[-1, best]:.3f}  ({heard.weights})"
    lines = [printable(title)[:COLUMNS], ""]
    lines.append(_ruler(heard))
    lines.append(_row("loudness", heard.frames.log_mel.mean(axis=1), blocks, "dB"))
    lines.append(_row("attention", heard.attention, blocks, low=0.0))
    lines.append(_row("|dp/dx|", heard.sensitivity(), blocks, low=0.0))
    lines.append(_row(f"p({heard.label})"[:NAMES], running[:, best], blocks, low=0.0, high=1.0))
    lines.append(_named("label", "".join(letters[k] for k in _ends(labels))))
    shown = dict.fromkeys(labels.tolist())
    lines += _wrapped(" " * NAMES, [f"{letters[k]} {heard.checkpoint.classes[k]}" for k in shown])
    lines += ["", f"{unit}, i f o from 0 to 1, g c h signed"]
    for name, values in gates_of(heard, unit).items():
        label = f"{name} {ABOUT[name]}"
        if name in GATES:
            lines.append(_row(label, values, blocks, low=0.0, high=1.0))
        else:
            size = float(abs(values).max()) or 1.0
            lines.append(_row(label, values, blocks, low=-size, high=size))
    return "\n".join(line.rstrip() for line in lines)


def _row(name, values, blocks, unit="", low=None, high=None):
    """A line: its name, its picture from `low` to `high`, its smallest and largest number."""
    cells = _means(np.asarray(values, np.float64))
    low = float(cells.min()) if low is None else low
    high = float(cells.max()) if high is None else high
    levels = LEVELS if blocks else ASCII_LEVELS
    place = (cells - low) / ((high - low) or 1) * len(levels)
    drawn = "".join(levels[int(k)] for k in np.clip(place, 0, len(levels) - 1))
    numbers = f"{_short(min(values))} {_short(max(values))}"
    return _named(name, drawn) + f" {numbers}"


def _named(name, drawn):
    return f"{name[:NAMES]:{NAMES}}{drawn:{CELLS}}"


def _short(value):
    """A number in at most four characters."""
    if value == 0 or abs(value) >= 9.5:
        return f"{value:.0f}"
    if abs(value) < 0.005:
        return "0"
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.1f}"


def _edges(T):
    cells = min(CELLS, T)
    return np.linspace(0, T, cells + 1).round().astype(int)


def _means(values):
    """The mean of the frames in each column of a picture."""
    edges = _edges(len(values))
    return np.array([values[a:b].mean() for a, b in zip(edges[:-1], edges[1:])])


def _ends(values):
    """The value of the last frame in each column of a picture."""
    return values[_edges(len(values))[1:] - 1]


def _ruler(heard):
    """Seconds from the clip's start, above the columns they belong to."""
    middles = _means(heard.times)
    line = [" "] * CELLS
    step = next(size for size in (0.5, 1, 2, 5, 10) if heard.duration / size <= 6)
    for time in np.arange(0, heard.duration, step):
        at = int(abs(middles - time).argmin())
        text = f"{time:g}"
        if abs(middles[at] - time) < 2 * heard.duration / CELLS and at + len(text) <= CELLS:
            line[at : at + len(text)] = text
    return _named("seconds", "".join(line)) + "  min max"


def _letters(classes):
    """A letter for each class: the first of its name that is not taken, or a digit."""
    taken = []
    for k, name in enumerate(classes):
        letters = [letter for letter in name.lower() if letter.isalnum() and letter not in taken]
        taken.append(letters[0] if letters else "0123456789"[k % 10])
    return taken


def _wrapped(indent, words):
    """Words with two spaces between them, in lines of at most `COLUMNS`."""
    lines = [indent]
    for word in map(printable, words):
        if len(lines[-1]) + len(word) + 2 > COLUMNS and lines[-1].strip():
            lines.append(indent)
        lines[-1] += f"{word[: COLUMNS - len(indent)]}  "
    return lines
