"""Digests of what one work tree computes; `digests.py` runs it in a process of its own.

    python tools/release/probe.py SECTIONS OUT.json [--fast] [--corpus DIR]     in an empty folder

SECTIONS are names of `SECTIONS`, with commas. OUT.json gets {section: {what: digest}}. The text of every
command that was run is kept in texts/. Public names are imported from the package; the few others are looked
up by the module that defines them, so that a tree in which modules have moved is asked the same.
"""

import argparse
import contextlib
import functools
import hashlib
import importlib
import io
import itertools
import json
import os
import re
import shlex
import shutil
import sys
import time
import warnings
import wave
from pathlib import Path

import numpy as np

import npreslstm
from npreslstm import ModelConfig, ResLSTM, load_checkpoint

PACKAGE = Path(npreslstm.__file__).resolve().parent
TIMES = re.compile(
    r"^.*(\bleft| trainings? took .*)\n", re.MULTILINE
)  # lines that say how long something takes
DEMO = PACKAGE / "data" / "demo.wav"
SMALL = "--config mcu --hidden 4 --set speeds=1 --set epochs=3"
FOLDS = "--folds 3 --workers 1 --seed 7"
TONES = f"train corpus/speech.csv {SMALL} --set keep=best --validation s4 --test s5 --out"
CROSSVAL = f"crossval corpus/speech.csv {SMALL} {FOLDS}"
COMMANDS = {
    "version": "--version",
    "predict": "predict demo.wav --attention",
    "predict csv": "predict demo.wav --weights mcu --format csv",
    "predict json, three speeds": "demo.wav --weights mcu --speeds 1,0.85,1.15 --format json",
    "predict in windows": "predict demo.wav --window 1 --hop 0.5 --format csv",
    "features": "features demo.wav",
    "features mcu": "features demo.wav --config mcu",
    "info": "info",
    "info json": "info mcu --format json",
    "gradcheck": "gradcheck --input 2 --hidden 3",
    "gradcheck lstm-sa": "gradcheck --kind lstm-sa --layers 2 --padding original --input 2",
    "gradcheck vectors": "gradcheck --vectors 3 --input 2 --hidden 3",
    "evaluate": "evaluate corpus/speech.csv --weights tones.npz --speakers all",
    "evaluate int8": "evaluate corpus/speech.csv --weights tones.npz --speakers all --type int8",
    "no such file": "predict nothing.wav",
    "no such weights": "predict demo.wav --weights nothing",
    "some of several": "predict demo.wav corpus/speech.csv --format csv",
    "no such command": "sing",
    "no such option": "predict demo.wav --loud",
    "no such field": "train --synthetic --set magic=1 --out x.npz",
}
FILES = {  # what is written, by which command
    "c": ("out/c", "export c mcu --out out/c"),
    "c int8": ("out/c8", "export c mcu --type int8 --out out/c8"),
    "c paper": ("out/cpaper", "export c paper --out out/cpaper"),
    "onnx": ("out/mcu.onnx", "export onnx mcu --out out/mcu.onnx"),
    "vectors": ("out/vectors", "export vectors mcu --out out/vectors"),
    "pt": ("out/mcu.pt", "convert mcu out/mcu.pt"),
    "pt and back": ("out/back.npz", "convert out/mcu.pt out/back.npz --like mcu"),
    "safetensors": ("out/mcu.safetensors", "convert mcu out/mcu.safetensors"),
    "safetensors and back": ("out/again.npz", "convert out/mcu.safetensors out/again.npz --like mcu"),
    "npz": ("out/paper.npz", "convert paper out/paper.npz"),
}


def defined(name):
    """What the package defines under a name that is not public, wherever that is."""
    pattern = re.compile(rf"^(?:def|class) {name}\b", re.MULTILINE)
    found = [
        path for path in sorted(PACKAGE.rglob("*.py")) if pattern.search(path.read_text(encoding="utf-8"))
    ]
    if len(found) != 1:
        raise LookupError(f"{name} is defined in {len(found)} modules; expected 1")
    parts = found[0].relative_to(PACKAGE.parent).with_suffix("").parts
    return getattr(importlib.import_module(".".join(parts).removesuffix(".__init__")), name)


def digest(*values):
    """SHA-256 of arrays (type, shape, bytes), dictionaries, bytes, text and JSON values."""
    total = hashlib.sha256()
    for value in values:
        if isinstance(value, dict):
            total.update(digest(*(part for key in sorted(value) for part in (str(key), value[key]))).encode())
        elif isinstance(value, np.ndarray):
            total.update(f"{value.dtype.str} {value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        else:
            total.update(value if isinstance(value, bytes) else json.dumps(value).encode())
    return total.hexdigest()


def tree_digest(path):
    """Of a file, or of the names and bytes of all files in a folder."""
    path = Path(path)
    if path.is_file():
        return digest(path.read_bytes())
    return digest(
        {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    )


def voice(seconds, rate, seed):
    """Something like speech: harmonics of a gliding pitch with a little noise, (n,) float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(rng.uniform(100, 200) * (1 + 0.2 * np.sin(3 * t))) / rate
    harmonics = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 20))
    return (0.05 * harmonics * (1.1 + np.sin(19 * t)) + 1e-3 * rng.standard_normal(len(t))).astype(np.float32)


def make_corpus(folder):
    """24 short clips of six speakers in two moods, and the manifest that names them."""
    Path(folder).mkdir()
    rows = ["file,label,speaker"]
    for k in range(24):
        with wave.open(f"{folder}/{k}.wav", "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", None))
            file.writeframes((voice(0.3, 16000, k) * 32767).astype(np.int16).tobytes())
        rows.append(f"{k}.wav,{('calm', 'happy')[k % 2]},s{k // 4}")
    Path(folder, "speech.csv").write_text("\n".join(rows) + "\n")


def run(name, command):
    """Run a command in this process; the digest of its output and exit status, without times and places."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = importlib.import_module("npreslstm.cli").main(shlex.split(command))
    text = f"$ npreslstm {command}\n{out.getvalue()}--- stderr\n{err.getvalue()}--- status {status}\n"
    text = TIMES.sub("", text).replace(str(PACKAGE.parent), "TREE").replace(os.getcwd(), "HERE")
    Path("texts").mkdir(exist_ok=True)
    Path("texts", re.sub(r"\W+", "-", name) + ".txt").write_text(text, encoding="utf-8")
    return digest(text)


def networks(options):
    """Forward and backward of small models: logits, gradients, running statistics."""
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(4, 9, 5)), np.array([9, 4, 7, 1])

    def both_ways(config, dtype, padding, mode):
        model = ResLSTM(config, np.random.default_rng(1), dtype)
        training = mode == "training"
        draw = np.random.default_rng(2) if training else None
        logits, cache = model.forward(x, lengths, training=training, padding=padding, rng=draw)
        return digest(logits, model.backward(np.cos(logits), cache), model.state_dict())

    sizes = ((1, 1), (2, 1), (1, 3), (2, 3))
    modes = ("evaluation", "training")
    ways = itertools.product(
        ("reslstm-sa", "lstm-sa"), sizes, ("float32", "float64"), ("masked", "original"), modes
    )
    for kind, (layers, vectors), dtype, padding, mode in ways:
        config = ModelConfig(kind, 5, 6, 4, layers, vectors, vectors > 1, 0.3)
        name = f"{kind} {layers} layers {vectors} vectors {dtype} {padding} {mode}"
        yield name, functools.partial(both_ways, config, dtype, padding, mode)
    for name in ("paper", "mcu"):
        model = load_checkpoint(name).model()
        x = rng.normal(size=(3, 87, 46)).astype(np.float32)
        yield f"infer {name}", lambda m=model, x=x: digest(*m.infer(x, np.array([87, 69, 1])))
        yield f"infer one clip {name}", lambda m=model, x=x: digest(*m.infer(x[:1], np.array([87])))


PLAIN = {
    "batch_size": 8, "speeds": (1.0, 0.9), "mixup": 0.0, "dropout": 0.0, "crop": 0.0, "noise": 0.0,
    "offset": 0.0, "time_masks": 0,
}  # fmt: skip
RECIPES = {  # what each changes in PLAIN
    "plain": {}, "dropout": {"dropout": 0.5}, "warp": {"warp": 0.12}, "mixup": {"mixup": 0.3},
    "noise": {"noise": 0.2, "offset": 0.2, "crop": 0.2},
    "masks": {"time_masks": 2, "longest_mask": 3, "column_masks": 1, "widest_mask": 3},
    "original padding, adam": {"padding": "original", "optimizer": "adam", "ema": 0.0}, "teachers": {},
    "student": {"dropout": 0.2, "warp": 0.12, "mixup": 0.3, "crop": 0.2, "noise": 0.2, "offset": 0.2},
}  # fmt: skip


def training(options):
    """Weights after 40 steps (8 with --fast) under several recipes."""
    names = ("fit", "Split", "Examples", "Recipe", "with_settings")
    fit, Split, Examples, Recipe, with_settings = map(defined, names)
    features = load_checkpoint("mcu").features
    rng = np.random.default_rng(3)
    variants = [
        [rng.normal(size=(rng.integers(8, 30), 46)).astype(np.float32) for _ in range(2)] for _ in range(40)
    ]
    labels, speakers = np.arange(40) % 4, np.array([f"s{k // 10}" for k in range(40)])
    examples = Examples("noise", ("a", "b", "c", "d"), features, variants, labels, speakers)
    split = Split(np.arange(32), np.array([], dtype=int), np.arange(32, 40))
    plain = PLAIN | {"epochs": 2 if options.fast else 10}
    untrimmed = ["trim_db=0"]  # the one way to say so that every tree understands
    teacher_recipe = with_settings(Recipe(**plain), untrimmed)
    teacher = fit(examples, split, ModelConfig(hidden_size=6), teacher_recipe, 1)
    for name, change in RECIPES.items():
        for kind, layers in (("reslstm-sa", 1), ("lstm-sa", 2)):
            if kind == "lstm-sa" and (options.fast or name not in ("plain", "student")):
                continue
            teachers = [teacher] if name in ("teachers", "student") else []
            config = ModelConfig(kind, hidden_size=6, num_layers=layers)
            recipe = with_settings(Recipe(**plain | change), untrimmed)

            def trained(config=config, recipe=recipe, teachers=teachers):
                checkpoint = fit(examples, split, config, recipe, 5, None, None, teachers)
                return digest(checkpoint.state, checkpoint.mean, checkpoint.std, checkpoint.notes)

            yield f"{name}, {kind}", trained


def integers(options):
    """The integer model, whole clips."""
    x = np.random.default_rng(4).normal(size=(3, 40, 46)).astype(np.float32)
    for name in ("mcu", "paper"):
        model = defined("QuantizedModel").from_checkpoint(load_checkpoint(name))
        yield name, lambda m=model: digest(*map(np.asarray, m.infer_integer(x, np.array([40, 17, 1]))))


def streams(options):
    """Frame by frame, and sound by pieces."""
    x = np.random.default_rng(5).normal(size=(30, 46)).astype(np.float32)

    def network(name, dtype):
        stream = npreslstm.StreamingResLSTM(load_checkpoint(name).model(dtype))
        results = []
        for piece in (x[:1], x[1:9], x[9:]):
            stream.push(piece)
            results.append(stream.result())
        return digest(*results)

    for name in ("mcu", "paper"):
        for dtype in (np.float32, np.float64):
            yield f"network {name} {np.dtype(dtype)}", lambda n=name, d=dtype: network(n, d)

    def features():
        stream, sound = npreslstm.StreamingFeatures(), voice(1.0, 16000, 6)
        return digest(*(np.asarray(stream.push(piece)) for piece in np.array_split(sound, 7)))

    yield "features", features


def features(options):
    """Features of sounds at several rates."""
    for name in ("paper", "mcu"):
        config = npreslstm.FeatureConfig.named(name)
        for rate in (16000, 44100, 48000):
            yield (
                f"{name} {rate} Hz",
                lambda c=config, r=rate: digest(npreslstm.extract_features(voice(1.2, r, 7), r, c)),
            )


def corpus(options):
    """Predictions of the sounds in a folder."""
    for name in ("paper", "mcu") if options.corpus else ():
        command = f"predict {shlex.quote(options.corpus)} --weights {name} --format csv"
        yield f"predictions {name}", functools.partial(run, f"corpus {name}", command)


def files(options):
    """Bytes of everything that is exported or converted."""
    Path("out").mkdir()

    def written(name, target, command):
        return digest(run(f"write {name}", command), tree_digest(target))

    for name, (target, command) in FILES.items():
        if name != "onnx" or importlib.util.find_spec("onnx"):
            yield name, functools.partial(written, name, target, command)


def commands(options):
    """Output, messages and exit status of the documented commands, and every --help."""
    shutil.copy(DEMO, "demo.wav")
    make_corpus("corpus")
    train = f"train corpus/speech.csv {SMALL} --test s5 --out tones.npz"
    yield "train", lambda: digest(run("train", train), tree_digest("tones.npz"))
    names = importlib.import_module("npreslstm.cli").COMMANDS
    for command in ("", *names, "export c", "export onnx", "export vectors"):
        text = f"{command} --help".strip()
        yield text, functools.partial(run, f"help {command}", text)
    for name, command in COMMANDS.items():
        if not (options.fast and name.startswith("gradcheck")):
            yield name, functools.partial(run, name, command)


def interrupted(command, snapshot):
    """Run a command until its first snapshot is there; its clock runs fast, so that there soon is one."""
    clock, ticks = time.monotonic, iter(range(10**9))

    def fast_clock():
        if os.path.exists(snapshot):
            raise KeyboardInterrupt
        return clock() + 60 * next(ticks)

    time.monotonic = fast_clock
    try:
        run("interrupted", command)
    finally:
        time.monotonic = clock
    if not os.path.exists(snapshot):
        raise RuntimeError(f"there is no {snapshot}: the command was not interrupted")


def write(options):
    """What is left for another tree to go on with, and what comes of it without interruption."""
    make_corpus("corpus")
    interrupted(f"{TONES} kept.npz", "kept.npz.training")
    run("first run", f"{CROSSVAL} --runs 1 --out kept")
    yield from gone_on("whole.npz", "whole")


def resume(options):
    """The same from what the other tree left; in its folder."""
    yield from gone_on("kept.npz", "kept")


def gone_on(weights, results):
    yield "features from a cache", cached_features
    yield "a training from its snapshot", lambda: trained(weights)
    yield "a cross-validation with one run more", lambda: validated(results)
    yield "the report of a cross-validation", lambda: run("report", "crossval --report whole")
    yield "weights", lambda: run("weights", "info whole.npz")


def trained(weights):
    run(f"trained {weights}", f"{TONES} {weights}")
    return tree_digest(weights)


def cached_features():
    """The features, and the names in the cache: had it not been used, there would be more of them."""
    run("cache", "features corpus --config mcu --cache cache --output features.npz")
    with np.load("features.npz") as arrays:
        return digest(dict(arrays), sorted(path.name for path in Path("cache").rglob("*")))


def validated(folder):
    """What a report and a student need of a cross-validation."""
    run(f"validated {folder}", f"{CROSSVAL} --runs 2 --out {folder}")
    made = [file for kind in ("predictions", "weights") for file in Path(folder, kind).iterdir()]
    made += [Path(folder, "config.json"), Path(folder, "summary.json")]
    return digest({str(file.relative_to(folder)): tree_digest(file) for file in made})


SECTIONS = {
    section.__name__: section
    for section in (networks, training, integers, streams, features, corpus, files, commands, write, resume)
}


def digests_of(section, options):
    """(what, digest) of a section; what fails is one line of the table, not the end of the comparison."""
    try:
        for what, compute in section(options):
            try:
                yield what, compute()
            except Exception as error:
                yield what, f"failed: {type(error).__name__}: {error}"
    except Exception as error:
        yield "the rest", f"failed: {type(error).__name__}: {error}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections")
    parser.add_argument("out")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--corpus")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = {name: dict(digests_of(SECTIONS[name], options)) for name in options.sections.split(",")}
    Path(options.out).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
