#!/usr/bin/env python3
"""Pictures of the demo clip's explaining page for README and docs: screenshots and a short animation.

    python tools/make_explain_pictures.py [--out docs/figures]

Needs Node.js, Chromium, playwright-core (`make browser`) and Pillow, which comes with matplotlib.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from npreslstm.assets import demo_clip_path
from npreslstm.explain.hearing import hear
from npreslstm.explain.page import explain_page

ROOT = Path(__file__).resolve().parents[1]
WIDTH = {"explain": 920, "explain-cell": 430, "explain-phone": 270, "explain-plays": 680}  # pixels, as saved
QUALITY = 66  # of JPEG
COLOURS = 32  # of the animation
PICTURES = [
    {
        "name": "explain",
        "width": 1400,
        "height": 900,
        "scheme": "light",
        "before": "find('what-if').hidden = true; document.querySelector('.intro').hidden = true;"
        " find('timeline').scrollIntoView({block: 'end'})",
    },
    {
        "name": "explain-cell",
        "width": 540,
        "height": 760,
        "scheme": "dark",
        "before": "pickWeight('W_hh', 42); find('cell-card').scrollIntoView(); scrollBy(0, -10);"
        " document.querySelector('.bar').style.position = 'static'",
    },
    {
        "name": "explain-phone",
        "width": 390,
        "height": 760,
        "scheme": "light",
        "before": "find('timeline').scrollIntoView()",
    },
    {
        "name": "explain-plays",
        "width": 1180,
        "height": 560,
        "scheme": "light",
        "before": "find('what-if').hidden = true; document.querySelector('.intro').hidden = true;"
        " document.querySelector('.fields.quiet').hidden = true; find('frame-card').hidden = true;"
        " find('lane-f-1').scrollIntoView({block: 'center'})",
        "steps": [f"pickFrame({frame})" for frame in range(22, 80, 5)],
    },
]


def take(folder):
    """All pictures, as PNG."""
    page = Path(folder, "page.html")
    page.write_text(explain_page(hear(demo_clip_path())), encoding="utf-8")
    job = {
        "chromium": shutil.which("chromium"),
        "modules": str(ROOT / "build" / "browser" / "node_modules"),
        "page": str(page),
        "folder": str(folder),
        "pictures": PICTURES,
    }
    script = ROOT / "tools" / "explain_pictures.mjs"
    subprocess.run(["node", script], input=json.dumps(job), text=True, check=True)


def shrink(folder, out):
    """Save the stills as JPEG, the steps of the animation as one GIF."""
    from PIL import Image

    for picture in PICTURES:
        name = picture["name"]
        shots = sorted(
            Path(folder).glob(f"{name}-[0-9]*.png"), key=lambda path: int(path.stem.split("-")[-1])
        )
        images = [Image.open(path).convert("RGB") for path in shots]
        size = WIDTH[name], round(images[0].height * WIDTH[name] / images[0].width)
        images = [image.resize(size, Image.Resampling.LANCZOS) for image in images]
        if len(images) == 1:
            images[0].save(out / f"{name}.jpg", quality=QUALITY, optimize=True)
            continue
        palette = images[len(images) // 2].quantize(COLOURS, dither=Image.Dither.NONE)
        frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
        frames[0].save(out / f"{name}.gif", save_all=True, append_images=frames[1:], duration=250, loop=0)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default=str(ROOT / "docs" / "figures"), help="default: docs/figures")
    out = Path(parser.parse_args(argv).out)
    with tempfile.TemporaryDirectory() as folder:
        take(folder)
        shrink(folder, out)
    for path in sorted(out.glob("explain*")):
        print(f"{path.name:20} {path.stat().st_size / 1000:6.0f} kB")


if __name__ == "__main__":
    main()
