"""Readers of single files as targets: for each, what it does with an input, and the inputs to begin with."""

import functools
import glob
import io
import json
import os
import sys
import zipfile

import numpy as np
from harness import Target

from npreslstm.audio.config import FEATURE_CONFIGS, load_config
from npreslstm.audio.containers import Data, find_parts
from npreslstm.audio.reader import read_audio
from npreslstm.checkpoint import load_checkpoint
from npreslstm.commands.arguments import label_mapping
from npreslstm.errors import InputError
from npreslstm.experiments.ranges import parse_ranges
from npreslstm.formats.native import digest_of
from npreslstm.formats.npy import map_npy, parse_npy, read_npz
from npreslstm.formats.plain_data import parse_json
from npreslstm.training.dataset import load_dataset
from npreslstm.training.merging import relabel
from npreslstm.training.recipe import Recipe, load_recipe, with_settings

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".au", ".caf", ".w64", ".m4a", ".raw")


def put(folder, name, data):
    """Write a file; returns its path."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def content(path):
    """The bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


# --- sounds ---


def sound_seeds(templates):
    for path in sorted(glob.glob(os.path.join(templates, "sounds", "*"))):
        yield bytes([sum(path.encode()) % len(SUFFIXES)]) + content(path)


def sound(folder, data):
    suffix = SUFFIXES[data[0] % len(SUFFIXES)] if data else ".wav"
    read_audio(put(folder, "a" + suffix, data[1:]))


def wave_alone(folder, data):
    sys.modules["soundfile"] = None  # as where it is not installed
    read_audio(put(folder, "a.wav", data[1:]))


def containers(folder, data):
    find_parts(Data(io.BytesIO(data[1:]), "a"))


# --- arrays and weights ---


def npy_seeds(templates):
    for array in (
        np.arange(6.0),
        np.zeros((2, 3), "<f4"),
        np.array("text"),
        np.array([[True]]),
        np.zeros((0, 2), ">i2"),
    ):
        stream = io.BytesIO()
        np.save(stream, array)
        yield stream.getvalue()


def npy(folder, data):
    for read in (parse_npy, lambda data: map_npy(put(folder, "a.npy", data), "delete it")):
        try:
            read(data)
        except InputError:
            pass


def npz_seeds(templates):
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, a=np.arange(6.0), b=np.array("text"))
        yield stream.getvalue()


def npz(folder, data):
    read_npz(put(folder, "a.npz", data), "delete it", inflate=1 << 20)


def member_seeds(path):
    """One input for each member of a zip file: its number, then its bytes."""
    with zipfile.ZipFile(path) as archive:
        for k, name in enumerate(archive.namelist()):
            yield bytes([k]) + archive.read(name)


@functools.cache
def _members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_member(folder, name, template, data):
    """A copy of a zip file, with one member replaced and all checksums right; returns its path."""
    members = _members(template)
    chosen = list(members)[data[0] % len(members)] if data else None
    path = os.path.join(folder, name)
    with zipfile.ZipFile(path, "w") as archive:
        for member, good in members.items():
            archive.writestr(member, data[1:] if member == chosen else good)
    return path


def use_weights(path):
    """Load weights and hear three frames, as far as they are small enough for it."""
    checkpoint = load_checkpoint(path)
    size = checkpoint.config.input_size
    checkpoint.model().infer(np.zeros((1, 3, size), np.float32), [3])
    repr(checkpoint.notes), checkpoint.recipe, checkpoint.sha256


def weights(folder, data):
    use_weights(put(folder, "a.npz", data))


def weights_member(folder, data):
    path = with_member(folder, "a.npz", os.path.join(folder, "templates", "weights.npz"), data)
    arrays = read_npz(path, "delete it")
    if "header" in arrays:  # seal it anew
        header = parse_json(str(arrays.pop("header")))
        if isinstance(header, dict):
            header.pop("sha256", None)
            header["sha256"] = digest_of(header, arrays)
        np.savez(path, header=np.array(json.dumps(header)), **arrays)
    use_weights(path)


def pt(folder, data):
    use_weights(put(folder, "a.pt", data))


def pt_member(folder, data):
    use_weights(with_member(folder, "a.pt", os.path.join(folder, "templates", "small.pt"), data))


def pt_seeds(templates):
    yield content(os.path.join(templates, "small.pt"))
    here = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "**", "goldens", "*.pt")
    for path in sorted(glob.glob(here, recursive=True)):
        if os.path.getsize(path) < 1 << 15:
            yield content(path)


def pt_member_seeds(templates):
    yield from member_seeds(os.path.join(templates, "small.pt"))
    here = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "**", "goldens", "*.pt")
    for path in sorted(glob.glob(here, recursive=True)):
        try:
            members = _members(path)
        except zipfile.BadZipFile:  # of a kind that Python's zipfile does not read
            continue
        yield from (b"\x00" + data for name, data in members.items() if name.endswith("data.pkl"))


def safetensors(folder, data):
    use_weights(put(folder, "a.safetensors", data))


def statistics(folder, data):
    from npreslstm.conversion import convert

    template = os.path.join(folder, "templates", "small.npz")
    convert(template, os.path.join(folder, "out.npz"), mean_std=put(folder, "s.npz", data))


def statistics_seeds(templates):
    stream = io.BytesIO()
    np.savez(stream, mean=np.zeros(3), std=np.ones(3))
    yield stream.getvalue()


# --- tables, JSON and options ---


def manifest_seeds(templates):
    yield content(os.path.join(templates, "corpus", "corpus.csv"))
    yield b"file;label;speaker\n0.wav;a;s\n1.wav;b;t\n"
    yield '\ufefffile,label,speaker\n"0.wav",ä,s\n'.encode()
    yield "file\tlabel\tspeaker\r\n0.wav\tä\ts\r\n".encode("latin-1")
    yield "file,label\n0.wav,a\n".encode("utf-16")


def manifest(folder, data):
    load_dataset(put(os.path.join(folder, "templates", "corpus"), "fuzzed.csv", data))


def label_map_seeds(templates):
    yield b"label,class\ncalm,neutral\nangry,anger\n"
    yield b"corpus;label;class\ncorpus;calm;quiet\n"


def label_map(folder, data):
    from argparse import Namespace

    mapping = label_mapping(Namespace(labels=put(folder, "map.csv", data), label=[]))
    relabel(load_dataset(os.path.join(folder, "templates", "corpus", "corpus.csv")), mapping)


def config_seeds(templates):
    for config in FEATURE_CONFIGS.values():
        yield json.dumps(config.to_dict()).encode()


def features_config(folder, data):
    load_config(put(folder, "c.json", data))


def recipe_seeds(templates):
    for name in ("default", "original", "robust", "student"):
        yield json.dumps(load_recipe(name).to_dict()).encode()


def recipe(folder, data):
    load_recipe(put(folder, "r.json", data))


def options_seeds(templates):
    yield b"lr=1e-3\nepochs=5\nspeeds=1,0.9\nstatistics=all"
    yield b"lr=1e-4:1e-2:log\ndropout=0.1:0.5\nbatch_size=8,16,32"


def options(folder, data):
    for text in data.decode("utf-8", "surrogateescape").split("\n"):
        for parse in (with_settings, lambda recipe, texts: parse_ranges(texts, recipe)):
            try:
                parse(Recipe(), [text])
            except InputError:
                pass


def _file(name):
    return lambda templates: [content(os.path.join(templates, name))]


DOCUMENTED = (InputError, FileNotFoundError)  # for files and folders that name others
FILES = {
    "sound": Target(sound, sound_seeds, ("soundfile",)),
    "wave-alone": Target(wave_alone, sound_seeds),
    "containers": Target(containers, sound_seeds),
    "npy": Target(npy, npy_seeds),
    "npz": Target(npz, npz_seeds),
    "weights": Target(weights, _file("small.npz")),
    "weights-member": Target(
        weights_member, lambda templates: member_seeds(os.path.join(templates, "weights.npz"))
    ),
    "pt": Target(pt, pt_seeds),
    "pt-member": Target(pt_member, pt_member_seeds),
    "safetensors": Target(safetensors, _file("small.safetensors"), ("safetensors",)),
    "statistics": Target(statistics, statistics_seeds),
    "manifest": Target(manifest, manifest_seeds, documented=DOCUMENTED),
    "label-map": Target(label_map, label_map_seeds),
    "features-config": Target(features_config, config_seeds),
    "recipe": Target(recipe, recipe_seeds),
    "options": Target(options, options_seeds),
}
