"""What the command line draws with characters: tables, bars, sparklines, durations."""

from npreslstm.terminal import printable

EIGHTHS = " ▏▎▍▌▋▊▉█"  # of a cell, from the left
LEVELS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.:-=+*#"


def can_draw(stream):
    """Whether block characters can be written to a text stream."""
    try:
        LEVELS.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def table(header, rows, right=()):
    """Aligned columns, two spaces apart.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
    right : collection of int
        Columns that are aligned to the right.

    Returns
    -------
    str
        Lines, without a newline at the end.
    """
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    lines = (
        "  ".join(
            cell.rjust(w) if k in right else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def bar(share, width=30, blocks=True):
    """A bar of `share` (0 to 1) of `width` characters."""
    if not blocks:
        return "#" * round(share * width)
    whole, eighth = divmod(round(share * width * 8), 8)
    return "█" * whole + EIGHTHS[eighth].strip()


def sparkline(values, blocks=True):
    """One character a value, its height relative to the largest; None is a blank.

    Parameters
    ----------
    values : sequence of float >= 0 or None

    Returns
    -------
    str
    """
    levels = LEVELS if blocks else ASCII_LEVELS
    largest = max((value for value in values if value is not None), default=0) or 1
    return "".join(
        " " if value is None else levels[min(int(value / largest * len(levels)), len(levels) - 1)]
        for value in values
    )
