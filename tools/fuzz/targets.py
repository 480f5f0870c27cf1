"""Every reader of the package as a target: those of folders here, those of files in file_targets.py. An input
is a file, or one byte that chooses a part of a good file or folder and then what takes its place: checksums
are mended, so that damage reaches what lies behind them.
"""

import functools
import io
import json
import os
import shutil

import numpy as np
from file_targets import DOCUMENTED, FILES, content, member_seeds, put, with_member
from harness import Target

from npreslstm.audio import folder as feature_cache
from npreslstm.audio.config import FeatureConfig
from npreslstm.errors import InputError
from npreslstm.experiments import store as example_store
from npreslstm.experiments.packed import open_results
from npreslstm.experiments.summary import summarise
from npreslstm.files import write_sealed
from npreslstm.formats.npy import map_npy
from npreslstm.formats.plain_data import parse_json
from npreslstm.ports.vectors import check_vectors
from npreslstm.report.crossval import summary_text
from npreslstm.schema import ModelConfig
from npreslstm.testing import assert_lstm_equal, trace_lstm
from npreslstm.training.conditioned import load_entry
from npreslstm.training.recipe import Recipe
from npreslstm.training.trainer import Trainer


def folder_seeds(template, names):
    """One input for each file of a folder: its number, then its bytes."""
    for k, name in enumerate(names):
        yield bytes([k]) + content(os.path.join(template, name))


def with_file(folder, name, names, data):
    """A copy of a folder of templates, with one file replaced; returns its path."""
    copy = os.path.join(folder, name)
    shutil.copytree(os.path.join(folder, "templates", name), copy, dirs_exist_ok=True)
    if data:
        put(copy, names[data[0] % len(names)], data[1:])
    return copy


JOURNAL = ("config.json", "predictions/run-00-fold-0.csv", "history/run-00-fold-0.json", "summary.json")


PACKED = ("results.json", "predictions.csv.gz")


STORE = ("about.json", "rows.npy")


VECTORS = ("manifest.json", "one-frame.npz", "weights.npz")


def report(folder):
    """All that `crossval --report` reads and computes."""
    results = open_results(folder)
    entries = results.entries()
    histories = [results.history(*key) for key in entries]
    summary = summarise(results.config, entries, resamples=10)
    summary_text(results.config, summary, [history["seconds"] for history in histories if history])


def journal(folder, data):
    report(with_file(folder, "journal", JOURNAL, data))


def packed(folder, data):
    report(with_file(folder, "packed", PACKED, data))


def store(folder, data):
    copy = with_file(folder, "store", STORE, data)
    about = parse_json(content(os.path.join(copy, "about.json")).decode("utf-8", "replace"))
    if isinstance(about, dict):  # seal it anew
        rows = map_npy(os.path.join(copy, "rows.npy"), "delete it")
        about["rows"] = example_store.hashlib.blake2b(np.ascontiguousarray(rows)).hexdigest()
        about["seal"] = example_store._seal(about)
        put(copy, "about.json", json.dumps(about).encode())
    example_store.open_examples(copy)


def cache_entry_seeds(templates):
    yield content(os.path.join(templates, "entry.npy"))[:-16]  # without its seal


def cache_entry(folder, data):
    path = os.path.join(folder, "entry.npy")
    write_sealed(path, data)
    feature_cache._load(path, FeatureConfig.named("mcu"))
    feature_cache._load(put(folder, "unsealed.npy", data), FeatureConfig.named("mcu"))


def conditioned_seeds(templates):
    stream = io.BytesIO()
    np.savez(stream, rows=np.zeros((5, 46), np.float32), lengths=[2, 3])
    yield stream.getvalue()


def conditioned_entry(folder, data):
    load_entry(put(folder, "entry.npz", data))


def vectors(folder, data):
    check_vectors(with_file(folder, "vectors", VECTORS, data))


@functools.cache
def _trainer():
    rng = np.random.default_rng(0)
    clips = [[rng.normal(size=(4, 3)).astype(np.float32)] for _ in range(4)]
    config = ModelConfig(input_size=3, hidden_size=2, num_classes=2)
    return Trainer(config, Recipe(epochs=2, speeds=(1.0,)), clips, np.array([0, 1, 0, 1]), seed=0)


def snapshot_seeds(templates):
    path = os.path.join(templates, "snapshot.npz")
    _trainer().save(path)
    yield from member_seeds(path)


def snapshot(folder, data):
    template = os.path.join(folder, "snapshot.npz")
    if not os.path.exists(template):
        _trainer().save(template)
    _trainer().restore(with_member(folder, "a.npz", template, data))


TESTING = (
    {"W": {"weight_ih_l0": [[1.0]] * 4, "weight_hh_l0": [[1.0]] * 4}, "x": [[[0.5], [1.0]]], "lengths": [2],
    "y": [[[0.1], [0.2]]]},
    {"W": None, "x": "text", "lengths": [[1], 2], "y": []},
)  # fmt: skip


def testing_seeds(templates):
    for value in TESTING:
        yield json.dumps(value).encode()


def testing(folder, data):
    value = parse_json(data.decode("utf-8", "replace"))
    if isinstance(value, dict):
        parts = [value.get(name) for name in ("W", "x", "lengths", "y")]
        try:
            trace_lstm(*parts[:3])
        except InputError:
            pass
        assert_lstm_equal(parts[3], *parts[:3])


def _folder_target(use, name, names):
    return Target(
        use, lambda templates: folder_seeds(os.path.join(templates, name), names), documented=DOCUMENTED
    )


TARGETS = FILES | {
    "journal": _folder_target(journal, "journal", JOURNAL),
    "packed": _folder_target(packed, "packed", PACKED),
    "store": _folder_target(store, "store", STORE),
    "vectors": _folder_target(vectors, "vectors", VECTORS),
    "cache-entry": Target(cache_entry, cache_entry_seeds),
    "conditioned-entry": Target(conditioned_entry, conditioned_seeds),
    "snapshot": Target(snapshot, snapshot_seeds),
    "testing": Target(testing, testing_seeds, documented=(InputError, AssertionError)),
}
