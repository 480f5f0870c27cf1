"""Size of the explaining page, and the work of drawing it, in headless Chromium.

python tools/bench explain [--seconds 10] [--rounds 20]

Printed are kB, and milliseconds of processor time of the page's own thread: other programs lengthen the time
on the clock more than that, though a crowded machine lengthens both. Needs Node.js, Chromium, and
playwright-core in build/browser (`make browser`).
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np

from npreslstm.assets import demo_clip_path
from npreslstm.audio.reader import read_audio
from npreslstm.explain.hearing import hear
from npreslstm.explain.page import explain_page
from npreslstm.recognizer import RecognitionWarning

ROOT = Path(__file__).resolve().parents[2]
MOST = {"all tracks drawn": 30}  # ms, for 10 s
LIVE_MOST = 40  # kB that a page takes more which listens
WORK = {
    "another frame": "pickFrame(n)",
    "another unit": "pickUnit(page.cell, n)",
    "all tracks drawn": "page.timeline.draw(page.result, page.view)",
    "all run anew, backwards too": "page.base = runClip(page.data, noChanges()); page.gradientsOf(page.base)",
}


def write_clip(path, seconds):
    """The demo clip, again and again, for so long."""
    import wave

    signal, rate = read_audio(demo_clip_path())
    samples = np.resize(signal, round(seconds * rate))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(32767 * samples).astype(np.int16).tobytes())


def measure(page, rounds):
    """{work: ms of processor time}; None without a browser."""
    node, chromium = shutil.which("node"), shutil.which("chromium")
    modules = ROOT / "build" / "browser" / "node_modules"
    if not (node and chromium and modules.is_dir()):
        return None
    job = {"chromium": chromium, "modules": str(modules), "page": str(page), "rounds": rounds, "work": WORK}
    script = Path(__file__).with_name("bench_explain.mjs")
    done = subprocess.run([node, script], input=json.dumps(job), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="bench explain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of sound (default 10)")
    parser.add_argument("--rounds", type=int, default=20, help="of which the mean is taken (default 20)")
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore", RecognitionWarning)  # `paper` would hear more than is in the clip
    with tempfile.TemporaryDirectory() as folder:
        clip, page = Path(folder, "clip.wav"), Path(folder, "clip.html")
        write_clip(clip, args.seconds)
        limit = 400 + 30 * args.seconds
        for weights in ("robust", "mcu", "paper"):
            size = len(explain_page(hear(clip, weights)).encode()) / 1000
            print(f"{weights:30} {size:8.0f} kB for {args.seconds:g} s; at most {limit:.0f}")
        heard = hear(clip)
        plain, live = (len(explain_page(heard, way).encode()) / 1000 for way in (False, True))
        print(f"{'--live':30} {live - plain:8.1f} kB more; at most {LIVE_MOST}")
        page.write_text(explain_page(heard), encoding="utf-8")
        times = measure(page, args.rounds)
    if times is None:
        print("drawing is not measured: Node.js, Chromium or playwright-core is missing (make browser)")
        return
    for work, milliseconds in times.items():
        limit = f"; at most {MOST[work]}" if work in MOST and args.seconds == 10 else ""
        print(f"{work:30} {milliseconds:8.1f} ms{limit}")


if __name__ == "__main__":
    main()
