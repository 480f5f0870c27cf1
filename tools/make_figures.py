"""Draw the figures of docs/lstm.md as SVG: the cell, and the way from sound to logits.

python tools/make_figures.py           write docs/figures/*.svg
python tools/make_figures.py --check   compare; exit status 1 if one is stale
"""

import argparse
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "figures"

INK, BACK, GATE, STATE, GRADIENT = "#222222", "#ffffff", "#dbe9f6", "#fdebc8", "#b3261e"
STYLE = f"""\
  <style>
    text {{ font: 15px sans-serif; fill: {INK}; text-anchor: middle; }}
    .small {{ font-size: 12px; }}
    .left {{ text-anchor: start; }}
    .gradient {{ fill: {GRADIENT}; }}
    .shape {{ stroke: {INK}; stroke-width: 1.4; }}
    .line {{ fill: none; stroke: {INK}; stroke-width: 1.4; }}
    .back {{ fill: none; stroke: {GRADIENT}; stroke-width: 1.6; stroke-dasharray: 6 4; }}
  </style>
  <defs>
    <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
      <path d="M0 0 8 4 0 8z" fill="{INK}"/>
    </marker>
    <marker id="back" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
      <path d="M0 0 8 4 0 8z" fill="{GRADIENT}"/>
    </marker>
  </defs>"""


def text(x, y, words, kind=""):
    """Words centred at (x, y)."""
    return f'  <text x="{x}" y="{y}" class="{kind}">{words}</text>'


def box(x, y, words, fill=GATE, width=76, height=34):
    """A box centred at (x, y) with words in it."""
    corner = f'x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width}" height="{height}"'
    return f'  <rect {corner} rx="6" fill="{fill}" class="shape"/>\n{text(x, y + 5, words)}'


def node(x, y, sign):
    """A circle with the sign of an operation."""
    return f'  <circle cx="{x}" cy="{y}" r="14" fill="{BACK}" class="shape"/>\n{text(x, y + 5, sign)}'


def path(points, kind="line", head="head"):
    """A line through points, with an arrowhead at its end unless `head` is empty."""
    steps = " ".join(f"{x},{y}" for x, y in points)
    marker = f' marker-end="url(#{head})"' if head else ""
    return f'  <polyline points="{steps}" class="{kind}"{marker}/>'


def svg(width, height, title, parts):
    """A whole file."""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    first = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    ground = f'  <rect width="{width}" height="{height}" fill="{BACK}"/>'
    return "\n".join([first, f"  <title>{title}</title>", STYLE, ground, *parts, "</svg>"]) + "\n"


def cell():
    """One frame of the LSTM, (L1)-(L4), and the way back along the cell state."""
    top, low = 90, 300  # of the cell state, and of the gates' inputs
    parts = [*_state_of_cell(top), *_gates(low), *_inputs(low)]
    parts += [
        text(484, 250, "(L2)", "small"),
        text(340, 62, "(L3)", "small"),
        text(668, 240, "(L4)", "small"),
        path([(720, 34), (40, 34)], "back", "back"),
        text(
            380, 24, "dc before = dc * f: the gradient goes back by a product with f alone", "small gradient"
        ),
    ]
    return svg(760, 410, "One frame of an LSTM", parts)


def _state_of_cell(top):
    """c before to c, and from there to tanh(c)."""
    return [
        path([(40, top), (156, top)]),
        path([(184, top), (326, top)]),
        path([(354, top), (720, top)]),
        text(62, top - 12, "c before"),
        text(690, top - 12, "c"),
        node(170, top, "×"),
        node(340, top, "+"),
        node(340, 170, "×"),
        node(620, 210, "×"),
        box(620, 150, "tanh", BACK, 60, 28),
        path([(620, top), (620, 136)]),
        path([(620, 164), (620, 196)]),
        path([(340, 156), (340, 104)]),
        text(236, top - 10, "f * c before", "small"),
        text(388, 134, "i * g", "small"),
    ]


def _gates(low):
    """The gates, and what each is multiplied by."""
    parts = []
    for name, x in {"f": 170, "i": 280, "g": 402, "o": 560}.items():
        function = "tanh" if name == "g" else "σ"
        parts += [
            box(x, 244, f"{name} = {function}(a_{name})", GATE, 114 if name == "g" else 92),
            path([(x, low), (x, 261)]),
        ]
    return [
        *parts,
        path([(170, 227), (170, 104)]),
        path([(280, 227), (280, 170), (326, 170)]),
        path([(402, 227), (402, 170), (354, 170)]),
        path([(560, 227), (560, 210), (606, 210)]),
        path([(634, 210), (720, 210)]),
        text(690, 200, "h"),
    ]


def _inputs(low):
    """x and h before, into the sums a."""
    return [
        box(365, low + 17, "a = W_ih x + b_ih + W_hh h before + b_hh     (L1)", STATE, 430),
        path([(40, low + 17), (150, low + 17)]),
        text(92, low + 7, "h before"),
        path([(365, 376), (365, low + 34)]),
        text(365, 394, "x"),
    ]


def network():
    """From sound to logits, with shapes and tags; the residual connection goes round LSTM1."""
    stages = [
        ("sound", BACK, "(samples,)", ""),
        ("MFCC + chroma", BACK, "(T, 46)", "z-scored; docs/frontend.md"),
        ("LSTM1", GATE, "(T, 46)", "(L1)-(L4)"),
        ("+", None, "(T, 46)", "(R1)"),
        ("BatchNorm", STATE, "(T, 46)", "(B1), (B2)"),
        ("LSTM2", GATE, "(T, 64)", "(R2)"),
        ("attention", STATE, "(64,)", "(R3), (A1)-(A3)"),
        ("BatchNorm", STATE, "(64,)", ""),
        ("dropout", BACK, "(64,)", "(D2)"),
        ("linear", GATE, "(8,)", "(R4), (D1)"),
    ]
    parts, x, first, step = [], 190, 34, 58
    heights = [first + k * step for k in range(len(stages))]
    for k, ((words, fill, shape, tag), y) in enumerate(zip(stages, heights)):
        half = 14 if fill is None else 17
        parts.append(node(x, y, words) if fill is None else box(x, y, words, fill, 140))
        if k:
            above = 14 if stages[k - 1][1] is None else 17
            parts.append(path([(x, heights[k - 1] + above), (x, y - half)]))
        parts += [text(290, y + 5, shape, "left"), text(390, y + 5, tag, "left small")]
    split = heights[2] - 31
    parts += [
        path([(x, split), (80, split), (80, heights[3]), (x - 14, heights[3])]),
        text(50, heights[2] + 26, "x", ""),
        path([(x, heights[-1] + 17), (x, heights[-1] + 46)]),
        text(x, heights[-1] + 64, "logits of 8 classes"),
    ]
    return svg(570, heights[-1] + 80, "From sound to logits", parts)


FIGURES = {"cell.svg": cell, "network.svg": network}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare; exit status 1 if one is stale")
    check = parser.parse_args(argv).check
    stale = []
    for name, draw in FIGURES.items():
        file = FOLDER / name
        if not check:
            file.parent.mkdir(exist_ok=True)
            file.write_text(draw(), encoding="utf-8", newline="\n")
        elif not file.is_file() or file.read_text(encoding="utf-8") != draw():
            stale.append(name)
    if stale:
        print(f"stale: {', '.join(stale)}; run python tools/make_figures.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
