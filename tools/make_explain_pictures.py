#!/usr/bin/env python3
"""Pictures for README and docs: screenshots and short animations of the demo clip's explaining page, of a
page that listens to the same clip, and of `npreslstm listen` in a terminal.

    python tools/make_explain_pictures.py [--out docs/figures]

Needs Node.js, Chromium, playwright-core (`make browser`) and matplotlib, which brings Pillow and a font.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from npreslstm.assets import demo_clip_path
from npreslstm.audio.activity import as_pcm
from npreslstm.audio.reader import read_audio
from npreslstm.explain.hearing import hear, hear_nothing
from npreslstm.explain.page import explain_page
from npreslstm.report.seconds import Display
from npreslstm.streaming_recognizer import StreamingRecognizer, level_of

ROOT = Path(__file__).resolve().parents[1]
WIDTH = {
    "explain": 920,
    "explain-cell": 430,
    "explain-phone": 270,
    "explain-plays": 680,
    "explain-live": 680,
}  # pixels, as saved
QUALITY = 66  # of JPEG
COLOURS = 64  # of an animation
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
    {
        "name": "explain-live",
        "page": "live",
        "width": 1180,
        "height": 880,
        "scheme": "light",
        "before": "speak()",
        "steps": [f"hearUntil({time / 10})" for time in range(4, 33, 4)],
    },
]
# What the page that listens leaves out of its picture, to be all in it.
LEFT_OUT = "#what-if, .fields.quiet, .intro > :not(#utterances), #cell-card ~ section" + "".join(
    f", .{kind}:has(#lane-{lane})"
    for kind, lane in [("group", "i-0"), ("group", "residual")] + [("track", f"{gate}-1") for gate in "igo"]
)
# In place of a microphone: the clip, as far as it is asked for, and a second of silence.
SPEAK = """
async function speak() {
  openMicrophone = async (onBlock) => {
    globalThis.onBlock = onBlock;
    return { rate: RATE, close() {}, gone: new Promise(() => {}) };
  };
  find("listen").click();
  await new Promise((ready) => setInterval(() => live.stop && ready(), 20));
  hearUntil(0.4);
}
function hearUntil(seconds) {
  globalThis.heardUntil ??= 0;
  for (; heardUntil < RATE * seconds; heardUntil += 1024) {
    onBlock(Float32Array.from({ length: 1024 }, (_, k) => (SOUND[heardUntil + k] ?? 0) / 32768));
  }
  if (page.data.grows) {
    drawGrowing(true);
  }
}
"""
BLOCK = 0.1  # seconds after which the display of the terminal moves
SHOWN_BLOCKS = 3  # of these, one picture
ROWS, COLUMNS = 14, 62  # of the terminal


def take(folder):
    """All pictures of pages, as PNG."""
    clip, rate = read_audio(demo_clip_path())
    pages = {"clip": explain_page(hear(demo_clip_path())), "live": explain_page(hear_nothing(), live=True)}
    style = f"<style>{LEFT_OUT} {{ display: none }}</style>"
    speak = f"{style}<script>const RATE = {rate}, SOUND = {as_pcm(clip).tolist()};{SPEAK}</script></body>"
    pages["live"] = pages["live"].replace("</body>", speak)
    for name, html in pages.items():
        Path(folder, f"{name}.html").write_text(html, encoding="utf-8")
    job = {
        "chromium": shutil.which("chromium"),
        "modules": str(ROOT / "build" / "browser" / "node_modules"),
        "folder": str(folder),
        "pictures": PICTURES,
    }
    script = ROOT / "tools" / "explain_pictures.mjs"
    subprocess.run(["node", script], input=json.dumps(job), text=True, check=True)


def terminal_screens():
    """What `npreslstm listen` has on the screen while it hears the demo clip: lists of lines."""
    clip, rate = read_audio(demo_clip_path())
    pcm = np.append(as_pcm(clip), np.zeros(rate // 2, np.int16))
    recognizer, file = StreamingRecognizer(None, rate), io.StringIO()
    display, screens, size = Display(recognizer.classes, file, blocks=True), [], round(BLOCK * rate)
    for number, at in enumerate(range(0, len(pcm), size)):
        block = pcm[at : at + size]
        for second in recognizer.push(block):
            display.second(second, 0)
        display.level(level_of(block))
        if number % SHOWN_BLOCKS == 0:
            screens.append(_screen(file.getvalue()))
    return screens


def _screen(text):
    """The lines that are left of all that was written: each part goes up, and what was below it is gone."""
    lines = []
    for part in text.split("\x1b[J"):
        body, _, end = part.rpartition("\n")
        lines += body.split("\n") if body else []
        if "\x1b[" in end:
            lines = lines[: -int(end.strip("\r").removeprefix("\x1b[").removesuffix("A"))]
    return ["$ npreslstm listen", *lines]


def draw_terminal(out):
    """One GIF of the screens."""
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(Path(get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf")), 14)
    width, height = round(font.getlength("M")), 18
    images = []
    for lines in terminal_screens():
        image = Image.new("RGB", (width * COLUMNS, height * ROWS), "#0d1117")
        draw = ImageDraw.Draw(image)
        for row, line in enumerate(lines[-ROWS:]):
            draw.text((width, row * height), line, font=font, fill="#e3e9f0")
        images.append(image.quantize(8, dither=Image.Dither.NONE))
    save_animation(images, out / "listen.gif", round(1000 * SHOWN_BLOCKS * BLOCK))


def save_animation(images, path, milliseconds):
    """One GIF; the last picture stays for a while."""
    times = [*[milliseconds] * (len(images) - 1), 2000]
    images[0].save(path, save_all=True, append_images=images[1:], duration=times, loop=0)


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
        save_animation(frames, out / f"{name}.gif", 250)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default=str(ROOT / "docs" / "figures"), help="default: docs/figures")
    out = Path(parser.parse_args(argv).out)
    with tempfile.TemporaryDirectory() as folder:
        take(folder)
        shrink(folder, out)
    draw_terminal(out)
    for path in sorted([*out.glob("explain*"), out / "listen.gif"]):
        print(f"{path.name:20} {path.stat().st_size / 1000:6.0f} kB")


if __name__ == "__main__":
    main()
