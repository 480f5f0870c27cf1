#!/usr/bin/env python3
"""Make the good files that the inputs of the fuzzing begin with.

    python tools/fuzz/templates.py FOLDER

FOLDER/sounds has a sound file of every kind that can be written here, FOLDER/small.* a network of a few
numbers, FOLDER/weights.npz one that hears sound, FOLDER/journal, packed, store and vectors what the commands
leave. All are small, so that executions are quick.
"""

import contextlib
import glob
import json
import os
import shutil
import sys
import wave

import numpy as np

from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import Checkpoint, save_checkpoint
from npreslstm.cli import main
from npreslstm.experiments.packed import pack_results
from npreslstm.formats.torch_pt_write import write_state_dict
from npreslstm.model import ResLSTM
from npreslstm.ports.vectors import write_vectors
from npreslstm.schema import ModelConfig

RATE = 16000
CLASSES = ("calm", "angry")


def make(folder):
    """Make all templates in a new folder."""
    os.makedirs(os.path.join(folder, "sounds"))
    _make_sounds(os.path.join(folder, "sounds"))
    checkpoint = _checkpoint(ModelConfig(hidden_size=4, num_classes=len(CLASSES)), FeatureConfig.named("mcu"))
    save_checkpoint(os.path.join(folder, "weights.npz"), checkpoint)
    _make_vectors(checkpoint, os.path.join(folder, "vectors"))
    small = _checkpoint(ModelConfig(input_size=3, hidden_size=2, num_classes=len(CLASSES)), None)
    save_checkpoint(os.path.join(folder, "small.npz"), small)
    write_state_dict(os.path.join(folder, "small.pt"), small.state)
    with contextlib.suppress(ImportError):
        import safetensors.numpy

        safetensors.numpy.save_file(small.state, os.path.join(folder, "small.safetensors"))
    _make_results(folder)


def _make_sounds(folder):
    samples = (8000 * np.sin(np.arange(800) / 9)).astype(np.int16)
    with wave.open(os.path.join(folder, "plain.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype(np.int16).tobytes())
    here = os.path.join(os.path.dirname(__file__), "..", "..", "tests")
    for path in glob.glob(os.path.join(here, "**", "sounds", "*"), recursive=True):
        shutil.copy(path, folder)
    try:
        import soundfile
    except ImportError:
        return
    for kind in soundfile.available_formats():
        for coding in soundfile.available_subtypes(kind):
            path = os.path.join(folder, f"{coding}.{kind}".lower())
            try:
                soundfile.write(path, samples, RATE, coding, format=kind)
            except (RuntimeError, ValueError):  # not for one channel, or not at this rate
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path)


def _checkpoint(config, features):
    state = ResLSTM(config, np.random.default_rng(0)).state_dict()
    notes = {"seed": 0, "speakers held out": ["1", "2"]}
    mean, std = np.zeros(config.input_size), np.full(config.input_size, 20.0)
    return Checkpoint(config, state, features, mean, std, CLASSES, notes)


def _make_vectors(checkpoint, folder):
    """Golden vectors, of which the small cases are kept."""
    write_vectors(checkpoint, folder)
    path = os.path.join(folder, "manifest.json")
    with open(path) as file:
        about = json.load(file)
    for name in about["cases"].keys() - {"one-frame", "saturating"}:
        del about["cases"][name]
    names = {f"{name}.npz" for name in about["cases"]} | {"weights.npz"}
    about["files"] = {name: digest for name, digest in about["files"].items() if name in names}
    with open(path, "w") as file:
        json.dump(about, file)
    for name in set(os.listdir(folder)) - names - {"manifest.json"}:
        os.remove(os.path.join(folder, name))


def _make_results(folder):
    """A cross-validation of a small corpus, journal, packed and store."""
    corpus, rows = os.path.join(folder, "corpus"), ["file,label,speaker"]
    os.makedirs(corpus)
    for k in range(12):
        name = f"{k}.wav"
        samples = 6000 * np.sin(np.arange(3000) / (5 + k)) + 2000 * np.sin(np.arange(3000) / 2.3)
        with wave.open(os.path.join(corpus, name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.astype(np.int16).tobytes())
        rows.append(f"{name},{CLASSES[k % 2]},s{k // 4}")
    with open(os.path.join(corpus, "corpus.csv"), "w") as file:
        file.write("\n".join(rows) + "\n")
    journal = os.path.join(folder, "journal")
    quick = "--folds 3 --config mcu --hidden 4 --set epochs=1 --set speeds=1 --seed 7 --runs 1 --workers 1"
    if main(["crossval", os.path.join(corpus, "corpus.csv"), *quick.split(), "--out", journal]):
        raise SystemExit("the templates cannot be made")
    pack_results(journal, os.path.join(folder, "packed"))
    (store,) = glob.glob(os.path.join(journal, "features", "corpus-*"))
    shutil.move(store, os.path.join(folder, "store"))
    entries = sorted(glob.glob(os.path.join(journal, "features", "*.npy")))
    shutil.copy(entries[0], os.path.join(folder, "entry.npy"))
    for name in ("features", "snapshots", "weights"):
        shutil.rmtree(os.path.join(journal, name))


if __name__ == "__main__":
    make(sys.argv[1])
