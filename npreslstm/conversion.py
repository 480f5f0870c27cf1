"""Weights from one file format to another: what `npreslstm convert` does."""

import dataclasses
import os
import shlex

import numpy as np

from npreslstm.checkpoint import check_class_names, checked, find_weights, load_checkpoint, save_checkpoint
from npreslstm.errors import InputError
from npreslstm.files import check_output
from npreslstm.formats.npy import read_npz

ENDINGS = (".npz", ".pt", ".pth", ".safetensors")
MOST_STATISTICS = 1 << 20  # bytes that a compressed file of mean and std unpacks to
# what a Recognizer needs besides tensors
PARTS = {"features": "feature configuration", "mean": "statistics", "classes": "classes"}


def convert(source, target, like=None, features=None, classes=None, mean_std=None, key=None):
    """Read weights, complete them, and write them in the format that the ending of `target` says.

    Parameters
    ----------
    source : str or os.PathLike
        As `load_checkpoint` takes it.
    target : str or os.PathLike
        Ends in .npz, .pt, .pth or .safetensors.
    like : str or os.PathLike, optional
        Other weights to take feature configuration, statistics and classes from; not together with the next
        three.
    features : str, optional
        'paper', 'mcu' or a JSON file.
    classes : sequence of str, optional
    mean_std : str or os.PathLike, optional
        An .npz with arrays `mean` and `std`.
    key : str, optional
        Which of several networks in `source`, as `load_checkpoint` takes it.

    Returns
    -------
    checkpoint : Checkpoint
        What was converted.
    notices : list of str
        What the file lacks or leaves behind, each with its remedy.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    InputError
        If a file cannot be read, is not weights of ResLSTM-SA or LSTM-SA, or its parts contradict each other;
        nothing is written.
    """
    target = os.fspath(target)
    check_format(target)
    weights = [find_weights(path) for path in (source, like) if path is not None]
    check_output("OUT", target, [*weights, *([] if mean_std is None else [os.fspath(mean_std)])])
    if like is not None and (features, classes, mean_std) != (None, None, None):
        raise InputError(
            "--like gives features, classes and statistics; leave out --features, --classes and --mean-std,"
            " or --like"
        )
    checkpoint = load_checkpoint(source, key)
    given = _of_other(like, checkpoint) if like is not None else _of_options(features, classes, mean_std)
    checkpoint = checked(os.fspath(source), dataclasses.replace(checkpoint, **given))
    write_weights(target, checkpoint)
    return checkpoint, _notices(os.fspath(source), target, checkpoint, bool(given))


def check_format(path):
    """Raise InputError, before the work, unless the ending of a file to be written says a format that can be
    written here.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending not in ENDINGS:
        raise InputError(
            f"{path} does not end in {', '.join(ENDINGS)}; the ending says the format (ONNX: npreslstm export"
            " onnx)"
        )
    if ending == ".safetensors":
        from npreslstm.formats.safetensors import require_library

        require_library()


def holds_tensors_alone(path):
    """Whether the format that the ending says has no place for features, statistics, classes and notes."""
    return not path.lower().endswith(".npz")


def write_weights(path, checkpoint):
    """Write a checkpoint in the format that the ending says, whole or not at all.

    Parameters
    ----------
    path : str
        Ends in .npz, .pt, .pth or .safetensors, as `check_format` makes sure of; all but the first hold
        tensors alone.
    checkpoint : Checkpoint
    """
    if not holds_tensors_alone(path):
        save_checkpoint(path, checkpoint)
        return
    from npreslstm.formats import safetensors, torch_pt

    writer = safetensors if path.lower().endswith(".safetensors") else torch_pt
    writer.write_state_dict(path, checkpoint.state)


def _of_other(path, checkpoint):
    """What `checkpoint` takes from other weights; if these are the same ones, their notes, calibration among
    them, and dropout too.
    """
    other = load_checkpoint(path)
    if absent := _missing(other):
        raise InputError(
            f"{os.fspath(path)} has no {', no '.join(absent)} itself; expected native weights of this package"
            " that have"
        )
    more = ("config", "notes") if same_tensors(checkpoint, other) else ()
    return {name: getattr(other, name) for name in ("features", "mean", "std", "classes", *more)}


def same_tensors(a, b):
    """Whether two checkpoints are of the same network."""
    return a.state.keys() == b.state.keys() and all(
        np.array_equal(a.state[name], b.state[name]) for name in a.state
    )


def _of_options(features, classes, mean_std):
    from npreslstm.audio.config import load_config

    given = {}
    if features is not None:
        given["features"] = load_config(features)
    if classes is not None:
        check_class_names("--classes has", tuple(classes))
        given["classes"] = tuple(classes)
    if mean_std is not None:
        given["mean"], given["std"] = _read_statistics(mean_std)
    return given


def _read_statistics(path):
    remedy = "make it by np.savez(path, mean=, std=)"
    arrays = read_npz(path, remedy, inflate=MOST_STATISTICS)
    for name in ("mean", "std"):
        if name not in arrays or arrays[name].dtype.kind not in "fiu":
            raise InputError(
                f"{os.fspath(path)} does not hold the arrays `mean` and `std` of real numbers; {remedy}"
            )
    return tuple(arrays[name].astype(np.float64) for name in ("mean", "std"))


def _missing(checkpoint):
    return [words for name, words in PARTS.items() if getattr(checkpoint, name) is None]


def _notices(source, target, checkpoint, completed):
    """What the file lacks; `completed` says whether parts came from elsewhere than the source."""
    absent = _missing(checkpoint)
    if holds_tensors_alone(target) and len(absent) < len(PARTS):
        kept = [words for words in PARTS.values() if words not in absent] + ["notes"]
        later = f"`npreslstm convert {shlex.quote(target)} OUT.npz --like {shlex.quote(source)}`"
        remedy = "the same command and an OUT.npz" if completed else later
        return [f"{target} holds tensors alone; {', '.join(kept)} stay behind: keep them with {remedy}"]
    if absent:
        remedy = "--like OTHER.npz, or --features, --classes and --mean-std, and an OUT.npz"
        return [
            f"{target} has no {', no '.join(absent)}: Recognizer will refuse it until you convert with"
            f" {remedy}"
        ]
    return []
