"""The explaining page: one HTML file that holds the clip, the weights, the engine and itself."""

import base64
import json
import zlib

import numpy as np

from npreslstm import __version__
from npreslstm.assets import package_folder
from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import Checkpoint
from npreslstm.errors import InputError
from npreslstm.explain.frames import floor_of
from npreslstm.explain.hearing import PLAYED, Hearing
from npreslstm.explain.tags import tagged_lines
from npreslstm.listening import streamed

SCRIPTS = (
    "engine.js",
    "backward.js",
    "features.js",
    "what_if.js",
    "units.js",
    "data.js",
    "numbers.js",
    "colours.js",
    "sound.js",
    "specs.js",
    "tracks.js",
    "cell.js",
    "equations.js",
    "weights.js",
    "source.js",
    "changes.js",
    "lessons.js",
    "state.js",
    "panels.js",
    "picking.js",
    "tour.js",
    "main.js",
)  # in the order in which they are read
LIVE_SCRIPTS = ("ears.js", "growing.js", "live.js")
MU = 255.0

# What a page that listens has and others have not, by its place in index.html.
LIVE = {
    "LISTENING-POLICY": " 'wasm-unsafe-eval' data:; worker-src data:",
    "LISTEN-BUTTON": """\
  <button id="listen" class="main">&#9679; Listen</button>
  <span id="hearing" hidden><meter id="level" min="0" max="60" aria-label="level of the microphone"></meter>
    <span id="heard" class="dim"></span>
    <label class="check"><input id="follow" type="checkbox" checked> show what is spoken</label></span>
""",
    "LISTEN-WORDS": """\
  <p>Press Listen and speak: each utterance is drawn while it lasts, and then shown here as a clip. A long one
    is heard in windows of ten seconds, each of which begins with the last five of the one before.
    Nothing leaves this machine: the page computes everything itself, and may load or send nothing.</p>
  <section id="utterances" aria-labelledby="utterances-heading" hidden>
    <h2 id="utterances-heading">What was heard, in seconds since Listen was pressed</h2>
    <ol id="utterance-list"></ol>
  </section>
""",
}


def explain_page(heard: Hearing, live: bool = False) -> str:
    """The page of a clip: HTML that needs nothing but a browser.

    Parameters
    ----------
    heard : Hearing
    live : bool
        Whether it can listen to the microphone, too.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If it is to listen, and its features are not those of ``FeatureConfig.named("mcu")``.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> from npreslstm.explain.hearing import hear
    >>> html = explain_page(hear(demo_clip_path()))
    >>> html[:15], len(html) < 480_000
    ('<!doctype html>', True)
    """
    header, blob = page_data(heard, live)
    scripts = [f'<script id="{name}">\n{_read(name)}</script>' for name in SCRIPTS]
    if live:
        check_live(heard.checkpoint)
        worklet = f'<script id="worklet.js" type="text/plain">\n{_read("worklet.js")}</script>'
        scripts[-1:-1] = [
            worklet,
            *(f'<script id="{name}">\n{_read(name)}</script>' for name in LIVE_SCRIPTS),
        ]
    parts = {
        "STYLE": _read("style.css"),
        **{name: text if live else "" for name, text in LIVE.items()},
        "SCRIPTS": "\n".join(scripts),
        "HEADER": json.dumps(header, ensure_ascii=True).replace("<", "\\u003c"),
        "DATA": base64.b64encode(zlib.compress(blob, 9)).decode("ascii"),
    }
    html = _read("index.html")
    for name, text in parts.items():
        before, _, after = html.partition(f"<!--{name}-->")
        html = before + text + after
    return html


def check_live(checkpoint: Checkpoint) -> None:
    """Raise InputError unless a page can listen with these weights: its ears hear one kind of features."""
    if streamed(checkpoint.features) != FeatureConfig.named("mcu"):
        raise InputError(
            "the weights' features are causal, but not those that a page can listen with; expected those of"
            " the weights robust and mcu"
        )


def page_data(heard: Hearing, live: bool = False) -> tuple[dict, bytes]:
    """What the page is told: a header for JSON, and all arrays one after the other.

    The header's ``arrays`` says where each begins, its shape and type. Of an array, the first bytes of all
    numbers come first, then their second ones, and so on: zlib makes more of them.
    """
    arrays, tensors, header = _arrays(heard), {}, _header(heard)
    if live:
        ears = (package_folder() / "explain" / "page" / "ears.wasm").read_bytes()
        header["live"] = {"bytes": len(ears)}
        arrays["ears"] = np.frombuffer(ears + bytes(-len(ears) % 4), "<i4")
    for name, tensor in heard.checkpoint.state.items():
        if np.ndim(tensor):
            tensors[name] = np.asarray(tensor)
            arrays[f"tensor {name}"] = tensors[name]
    index, blob = {}, bytearray()
    for name, array in arrays.items():
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        index[name] = {"at": len(blob), "shape": array.shape, "type": array.dtype.name}
        blob += array.reshape(-1, 1).view(np.uint8).T.tobytes()
    return {**header, "tensors": list(tensors), "arrays": index}, bytes(blob)


def mu_law(sound: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] as one byte each: (n,) uint8, 38 dB above their noise at any level."""
    x = np.clip(sound.astype(np.float64), -1, 1)
    y = np.sign(x) * np.log1p(MU * np.abs(x)) / np.log1p(MU)
    return np.round((y + 1) / 2 * 255).astype(np.uint8)


def _arrays(heard):
    arrays = {
        "sound": mu_law(heard.sound),
        "log_mel": heard.frames.log_mel,
        "chroma": heard.frames.chroma,
        "mean": np.asarray(heard.checkpoint.mean, np.float64),
        "std": np.asarray(heard.checkpoint.std, np.float64),
        "times": heard.times,
        "logits": heard.logits,
        "attention": heard.attention,
    }
    for k, cut in enumerate(heard.cuts):
        for name, changed, rows in zip(("log_mel", "chroma"), cut.changed, cut.frames):
            arrays[f"cut {k} {name} changed"] = changed.astype(np.int32)
            arrays[f"cut {k} {name}"] = rows
    return arrays


def _header(heard):
    config, features = heard.checkpoint.config, heard.checkpoint.features
    return {
        "version": __version__,
        "name": heard.name,
        "weights": heard.weights,
        "licence": str(heard.checkpoint.notes.get("licence", "")),
        "note": heard.note,
        "start": heard.start,
        "duration": heard.duration,
        "played": PLAYED,
        "hop": features.hop_length / features.sample_rate,
        "classes": heard.checkpoint.classes,
        "columns": features.columns,
        "model": {**config.to_dict(), "lstms": config.lstms},
        "features": {**features.to_dict(), "fmax": features.upper_hz, "floor": floor_of(features)},
        "cuts": [{"name": cut.name, "first": cut.first, "last": cut.last} for cut in heard.cuts],
        "places": {tag: places[0]._asdict() for tag, places in tagged_lines().items()},
    }


def _read(name):
    return (package_folder() / "explain" / "page" / name).read_text(encoding="utf-8")
