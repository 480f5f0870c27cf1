"""The explaining page: one HTML file that holds the clip, the weights, the engine and itself."""

import base64
import json
import zlib

import numpy as np

from npreslstm import __version__
from npreslstm.assets import package_folder
from npreslstm.explain.frames import floor_of
from npreslstm.explain.hearing import PLAYED, Hearing
from npreslstm.explain.tags import tagged_lines

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
MU = 255.0


def explain_page(heard: Hearing) -> str:
    """The page of a clip: HTML that needs nothing but a browser.

    Parameters
    ----------
    heard : Hearing

    Returns
    -------
    str

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> from npreslstm.explain.hearing import hear
    >>> html = explain_page(hear(demo_clip_path()))
    >>> html[:15], len(html) < 480_000
    ('<!doctype html>', True)
    """
    header, blob = page_data(heard)
    parts = {
        "STYLE": _read("style.css"),
        "SCRIPTS": "\n".join(f'<script id="{name}">\n{_read(name)}</script>' for name in SCRIPTS),
        "HEADER": json.dumps(header, ensure_ascii=True).replace("<", "\\u003c"),
        "DATA": base64.b64encode(zlib.compress(blob, 9)).decode("ascii"),
    }
    html = _read("index.html")
    for name, text in parts.items():
        before, _, after = html.partition(f"<!--{name}-->")
        html = before + text + after
    return html


def page_data(heard: Hearing) -> tuple[dict, bytes]:
    """What the page is told: a header for JSON, and all arrays one after the other.

    The header's ``arrays`` says where each begins, its shape and type. Of an array, the first bytes of all
    numbers come first, then their second ones, and so on: zlib makes more of them.
    """
    arrays, tensors = _arrays(heard), {}
    for name, tensor in heard.checkpoint.state.items():
        if np.ndim(tensor):
            tensors[name] = np.asarray(tensor)
            arrays[f"tensor {name}"] = tensors[name]
    index, blob = {}, bytearray()
    for name, array in arrays.items():
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        index[name] = {"at": len(blob), "shape": array.shape, "type": array.dtype.name}
        blob += array.reshape(-1, 1).view(np.uint8).T.tobytes()
    return {**_header(heard), "tensors": list(tensors), "arrays": index}, bytes(blob)


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
        arrays[f"cut {k} changed"] = cut.changed.astype(np.int32)
        arrays[f"cut {k} log_mel"] = cut.frames.log_mel
        arrays[f"cut {k} chroma"] = cut.frames.chroma
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
