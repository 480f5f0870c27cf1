"""Every field of every JSON file that is read: missing, or anything else, it is an InputError or makes no
difference.
"""

import copy
import dataclasses
import hashlib
import json

import numpy as np
import pytest
from samples import CLASSES, checkpoint

from npreslstm.audio.config import FeatureConfig, load_config
from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.commands.crossval import _seconds
from npreslstm.commands.info import _facts, _text
from npreslstm.errors import InputError
from npreslstm.experiments.evaluate import choose_speakers, class_probabilities, seen_speakers
from npreslstm.experiments.journal import Journal, Predictions
from npreslstm.experiments.store import _seal, open_examples
from npreslstm.experiments.summary import summarise
from npreslstm.formats.plain_data import misfit, parse_json, read_json
from npreslstm.ports.vectors import changed_files, read_vectors
from npreslstm.report.crossval import summary_text
from npreslstm.schema import ModelConfig
from npreslstm.training.ancestors import chosen_by
from npreslstm.training.dataset import Clip, Dataset
from npreslstm.training.recipe import Recipe, load_recipe

WRONG = [
    None,
    True,
    -1,
    10**90,
    1e300,
    float("nan"),
    float("inf"),
    "x",
    "\ud800",
    [],
    [None],
    [[]],
    {},
    {"x": None},
]
MISSING = object()


def changed(value):
    """Yield (where, copy) of a JSON value with each part in turn missing or replaced by each of `WRONG`."""
    for path in paths(value):
        for wrong in [MISSING, *WRONG]:
            other = copy.deepcopy(value)
            *above, last = path
            place = other
            for step in above:
                place = place[step]
            if wrong is MISSING:
                del place[last]
            else:
                place[last] = wrong
            yield f"{'.'.join(map(str, path))} {'missing' if wrong is MISSING else repr(wrong)[:20]}", other


def paths(value, above=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*above, key)
        yield from paths(item, (*above, key))


def check_all(value, read):
    """Read every change of a value; anything but success and InputError fails. Returns how many
    were refused.
    """
    refused = 0
    for where, other in changed(value):
        try:
            read(other)
        except InputError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
    return refused


JOURNAL = {
    "npreslstm": "0.1.0", "data": "corpus.csv", "digest": "0", "classes": ["a", "b"], "clips": {"x": 1,
    "y": 1}, "features": {}, "seed": 0,
    "model": {"kind": "reslstm-sa", "hidden_size": 4}, "recipe": {"statistics": "training", "keep": "last"},
    "folds": [{"test": ["x"], "validation": []}, {"test": ["y"], "validation": []}],
    "scored speakers": [["x"], ["y"]],
    "validation speakers": "trained on", "teachers": [["0"], ["0"]], "heard at": [1.0, 0.85],
}  # fmt: skip
HISTORY = {"seed": 1, "seconds": 2.5, "loss": [1.0, 0.5]}


def report(folder):
    journal = Journal(str(folder))
    summary = summarise(journal.config, journal.entries(), resamples=10)
    return summary_text(journal.config, summary, _seconds(journal, summary))


@pytest.fixture
def journal(tmp_path):
    made = Journal(str(tmp_path), JOURNAL)
    for fold, speaker in enumerate("xy"):
        made.enter(
            0,
            fold,
            Predictions(
                (f"{speaker}1",), np.array([speaker]), np.array([fold]), np.array([fold]), np.eye(2)[[fold]]
            ),
        )
        (tmp_path / "history" / f"run-00-fold-{fold}.json").write_text(json.dumps(HISTORY))
    return tmp_path


def test_the_configuration_of_a_journal(journal):
    assert "learnt from networks" in report(journal) and "the 2 trainings took 5 s" in report(journal)

    def read(value):
        (journal / "config.json").write_text(json.dumps(value))
        report(journal)

    assert check_all(JOURNAL, read) > 200


def test_the_history_of_a_journal(journal):
    def read(value):
        (journal / "history" / "run-00-fold-1.json").write_text(json.dumps(value))
        report(journal)

    assert check_all(HISTORY, read) > 25


def test_the_description_of_stored_features(tmp_path):
    about = {
        "name": "x",
        "config": FeatureConfig().to_dict(),
        "classes": ["a", "b"],
        "clips": ["p", "q"],
        "labels": [0, 1],
        "speakers": ["s", "t"],
    }
    rows = np.zeros((5, 46), np.float32)
    about |= {"lengths": [[2, 1], [1, 1]], "rows": hashlib.blake2b(rows).hexdigest()}
    about |= {"seal": _seal(about)}
    np.save(tmp_path / "rows.npy", rows)

    def read(value):
        (tmp_path / "about.json").write_text(json.dumps(value))
        return open_examples(str(tmp_path))

    assert [len(frames) for variants in read(about)[0].variants for frames in variants] == [2, 1, 1, 1]
    assert check_all(about, read) > 250


def test_the_manifest_of_vectors(tmp_path):
    np.savez(tmp_path / "one.npz", lengths=[2], input=np.zeros((1, 2, 4)))
    about = {
        "format": "npreslstm vectors",
        "version": 1,
        "weights": {"sha256": "0"},
        "cases": {"one": {}},
        "files": {"one.npz": "0"},
    }

    def read(value):
        (tmp_path / "manifest.json").write_text(json.dumps(value))
        return read_vectors(tmp_path), changed_files(tmp_path)

    assert list(read(about)[0].cases) == ["one"]
    assert check_all(about, read) > 70


@pytest.mark.parametrize("name", ["../one", "/etc/one", "a/b", "", "\x1b[2J"])
def test_a_manifest_cannot_name_files_elsewhere(tmp_path, name):
    about = {
        "format": "npreslstm vectors",
        "version": 1,
        "weights": {"sha256": "0"},
        "cases": {name: {}},
        "files": {},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="expected files of the folder itself"):
        read_vectors(tmp_path)


DATA = Dataset("corpus.csv", CLASSES, (Clip("a.wav", 0, "x"), Clip("b.wav", 1, "y"), Clip("c.wav", 2, "z")))
NOTES = {
    "data": "corpus.csv", "speakers trained on": ["x"], "speakers of validation": ["y"],
    "speakers held out": ["z"], "epoch chosen by": ["y"],
    "recipe": {"padding": "masked", "keep": "best"}, "history": {"loss": [1.0]},
}  # fmt: skip


def test_notes_of_weights():
    def read(notes):
        weights = dataclasses.replace(checkpoint(), notes=notes)
        choose_speakers(weights, DATA)
        seen_speakers(weights, DATA)
        chosen_by(weights)
        weights.noted("history", {})
        class_probabilities(weights, [[np.zeros((3, 46), np.float32)]])

    read(NOTES)
    read(NOTES | {"recipe": "in words"})
    assert check_all(NOTES, read) > 80


def test_header_of_weights(tmp_path, monkeypatch):
    """As somebody writes it who knows of the checksum."""
    good = checkpoint()
    header = {
        "model": good.config.to_dict(),
        "features": good.features.to_dict(),
        "classes": list(good.classes),
        "notes": {"a": {"b": [1]}},
    }

    def read(value):
        monkeypatch.setattr(
            "npreslstm.checkpoint._header", lambda _: {"format": "npreslstm", "version": 1} | value
        )
        monkeypatch.setattr("os.fsync", lambda _: None)
        save_checkpoint(tmp_path / "w.npz", good)
        monkeypatch.undo()
        load_checkpoint(tmp_path / "w.npz")
        _text(_facts(str(tmp_path / "w.npz"), None))

    read(header)
    assert check_all(header, read) > 300


@pytest.mark.parametrize("config", [FeatureConfig(), ModelConfig()], ids=["features", "model"])
def test_configurations(config):
    assert check_all(config.to_dict(), type(config).from_dict) > 50
    for wrong in WRONG:
        if wrong != {}:
            with pytest.raises(InputError):
                type(config).from_dict(wrong)


@pytest.mark.parametrize(
    "load, fields",
    [(load_config, FeatureConfig().to_dict()), (load_recipe, Recipe().to_dict())],
    ids=["features", "recipe"],
)
def test_files_of_fields(tmp_path, load, fields):
    def read(value):
        (tmp_path / "c.json").write_text(json.dumps(value))
        return load(str(tmp_path / "c.json"))

    read(fields)
    assert check_all(fields, read) > 80


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "[" * 101 + "]" * 101,
        '{"a": ' * 101 + "1" + "}" * 101,
        "9" * 5000,
        "\x00",
        "nul",
        '"\\u00',
    ],
)
def test_what_is_no_json_names_the_file(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    if text == "9" * 5000:  # before Python 3.11 a number
        with pytest.raises(InputError, match="x.json is damaged .*: fetch it"):
            read_json(tmp_path / "x.json", "fetch it", dict)
        return
    with pytest.raises(InputError, match="x.json is damaged .*: fetch it"):
        read_json(tmp_path / "x.json", "fetch it")
    (tmp_path / "x.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="x.json is damaged .*: fetch it"):
        read_json(tmp_path / "x.json", "fetch it")


def test_json_nests_as_deep_as_it_may():
    text = "[" * 100 + "]" * 100
    assert json.dumps(parse_json(text)) == text


@pytest.mark.parametrize(
    "value, form, place",
    [
        ({"a": 1, "more": 2}, {"a": int}, None),
        ({"a": True}, {"a": int}, "a"),
        ({"a": True}, {"a": bool}, None),
        ({"a": 1}, {"a": float}, None),
        ({"a": 10**400}, {"a": float}, "a"),
        ({"a": [[1], ["x"]]}, {"a": [[int]]}, "a.1.0"),
        ({"a": {"b": "x"}}, {"a": {str: int}}, "a.b"),
        ({}, {"a": int}, "a"),
        ({}, {"a": (int, None)}, None),
        ({"a": None}, {"a": (int, None)}, None),
        ({"a": "x"}, {"a": (int, None)}, "a"),
        ([], {"a": int}, ""),
        ({"a": "x"}, {"a": ([str], {str: int})}, "a"),
    ],
)
def test_misfit(value, form, place):
    assert misfit(value, form) == place
