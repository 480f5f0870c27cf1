"""Examples in a folder, for several processes to share: the rows of features are mapped into memory, not
copied to each.

rows.npy      (all frames of all variants of all clips, D) float32
about.json    everything else, with digests of the rows and of itself; written last, so that the folder is
              complete once it is there
"""

import hashlib
import json
import os

import numpy as np

from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.folder import CACHE_VERSION
from npreslstm.errors import InputError
from npreslstm.files import atomic_write
from npreslstm.formats.npy import map_npy
from npreslstm.formats.plain_data import misfit, read_json
from npreslstm.training.conditioned import VERSION as CONDITIONED_VERSION
from npreslstm.training.conditioned import digest_of
from npreslstm.training.examples import Examples, prepare_examples
from npreslstm.training.inspection import warn_of_silence

STORE_VERSION = 2  # raised whenever the files or their meaning change
ABOUT = {
    "name": str, "config": dict, "classes": [str], "clips": [str], "labels": [int], "speakers": [str],
    "lengths": [[int]], "rows": str, "seal": str,
}  # fmt: skip


def corpus_digest(dataset):
    """Hex digest of what a corpus is: classes, of every clip the name, label, speaker and bytes, and whether
    it is several.
    """
    digest = hashlib.blake2b(json.dumps(dataset.classes).encode(), digest_size=16)
    if dataset.several:
        digest.update(json.dumps([dataset.corpora, [clip.corpus for clip in dataset.clips]]).encode())
    for clip, name in zip(dataset.clips, clip_names(dataset)):
        digest.update(json.dumps([name, clip.label, clip.speaker]).encode())
        with open(clip.path, "rb") as file:
            digest.update(hashlib.blake2b(file.read()).digest())
    return digest.hexdigest()


def clip_names(dataset):
    """File name stems of the clips; where these are not unique, with the folders below the common one.

    Of several corpora, each begins with the name of its own.
    """
    if dataset.several:
        return [f"{part.name}/{name}" for part in dataset.parts for name in clip_names(part)]
    names = [os.path.splitext(os.path.basename(clip.path))[0] for clip in dataset.clips]
    if len(set(names)) == len(names):
        return names
    common = os.path.commonpath([os.path.dirname(clip.path) for clip in dataset.clips])
    return [os.path.relpath(clip.path, common).replace(os.sep, "/") for clip in dataset.clips]


def store_examples(
    folder, dataset, digest, config, speeds, jobs=1, progress=None, conditions=0, backgrounds=()
):
    """Make sure that the features of a corpus are in a folder.

    Parameters
    ----------
    folder : str
        Made if needed; holds the features of every clip too, so that an interrupted extraction goes on where
        it was.
    dataset : Dataset
    digest : str
        As of `corpus_digest`.
    config, speeds, jobs, progress, conditions, backgrounds
        As of `prepare_examples`.

    Returns
    -------
    str
        Folder for `open_examples`, inside `folder` and named by its content. One that is damaged is made
        anew.
    """
    os.makedirs(folder, exist_ok=True)
    about = {
        "version": [STORE_VERSION, CACHE_VERSION],
        "name": dataset.name,
        "corpus": digest,
        "config": config.to_dict(),
        "speeds": list(speeds),
    }
    if conditions:
        about |= {
            "conditions": [CONDITIONED_VERSION, conditions],
            "backgrounds": [digest_of(path).hex() for path in backgrounds],
        }
    name = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=12).hexdigest()
    store = os.path.join(folder, "corpus-" + name)
    stored = _stored(store)
    if stored is None:
        examples = prepare_examples(dataset, config, speeds, jobs, folder, progress, conditions, backgrounds)
        _write(store, examples, clip_names(dataset), about)
    else:
        warn_of_silence([clip.path for clip in dataset.clips], [frames for frames, *_ in stored.variants])
    return store


def _stored(store):
    """The examples in a folder; None if they are not there, or damaged."""
    try:
        return open_examples(store)[0]
    except (FileNotFoundError, InputError):
        return None


def _write(store, examples, names, about):
    os.makedirs(store, exist_ok=True)
    rows = np.concatenate([frames for variants in examples.variants for frames in variants])
    with atomic_write(os.path.join(store, "rows.npy")) as file:
        np.save(file, rows)
    about |= {"classes": examples.classes, "clips": names}
    about |= {"labels": examples.labels.tolist(), "speakers": examples.speakers.tolist()}
    if examples.heard is not None:
        about |= {"corpora": examples.corpora.tolist(), "heard": examples.heard.tolist()}
        about |= {"corpus names": examples.corpus_names}
    about |= {"lengths": [[len(frames) for frames in variants] for variants in examples.variants]}
    about |= {"rows": hashlib.blake2b(rows).hexdigest()}
    about |= {"seal": _seal(about)}
    with atomic_write(os.path.join(store, "about.json"), "w", encoding="utf-8") as file:
        json.dump(about, file)


def _seal(about):
    """Hex digest of JSON values but for their own."""
    rest = {name: value for name, value in about.items() if name != "seal"}
    return hashlib.blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=16).hexdigest()


def open_examples(store):
    """What `store_examples` stored.

    Returns
    -------
    Examples
        Its variants are views of the mapped file.
    names : (N,) list of str
        As `clip_names`.

    Raises
    ------
    FileNotFoundError
        If there is no store in the folder.
    InputError
        If it is damaged.
    """
    about = read_json(os.path.join(store, "about.json"), f"delete {store}", ABOUT)
    rows = map_npy(os.path.join(store, "rows.npy"), f"delete {store}")  # (M, D)
    try:
        config = FeatureConfig.from_dict(about["config"])
        lengths = _checked_lengths(about, rows, config)  # (N, variants)
        if about["seal"] != _seal(about) or about["rows"] != hashlib.blake2b(rows).hexdigest():
            raise InputError("it was changed: a digest is not that of its content")
        several = _corpora(about) if "heard" in about else ()
    except InputError as error:
        raise InputError(f"{store} is damaged ({error}): delete it") from None
    clips = iter(np.split(rows, np.cumsum(lengths)[:-1]))
    variants = [[next(clips) for _ in row] for row in lengths]
    labels, speakers = np.array(about["labels"]), np.array(about["speakers"])
    return (
        Examples(about["name"], tuple(about["classes"]), config, variants, labels, speakers, *several),
        about["clips"],
    )


def _checked_lengths(about, rows, config):
    """Frames of each variant of each clip, (N, variants); InputError unless they fit the rows and
    the labels.
    """
    lengths, N = about["lengths"], len(about["clips"])
    frames = [count for row in lengths for count in row]
    if rows.dtype != np.float32 or rows.shape[1:] != (config.n_features,) or not rows.flags.c_contiguous:
        raise InputError(
            f"its rows are {rows.shape} {rows.dtype}; expected {config.n_features} columns of float32"
        )
    even = frames and len({len(row) for row in lengths}) == 1
    if not even or not all(0 < count <= len(rows) for count in frames) or sum(frames) != len(rows):
        raise InputError("its lengths are not those of its rows")
    if not N == len(lengths) == len(about["labels"]) == len(about["speakers"]):
        raise InputError("it has not as many labels and speakers as clips")
    if not all(0 <= label < len(about["classes"]) for label in about["labels"]):
        raise InputError("a label is of no class")
    return np.array(lengths)


def _corpora(about):
    """The last arguments of `Examples` of several corpora; InputError if they do not fit."""
    if misfit(about, {"corpora": [int], "heard": [[bool]], "corpus names": [str]}) is not None:
        raise InputError("it does not say which corpora its clips are of")
    names, heard, corpora = about["corpus names"], about["heard"], about["corpora"]
    fits = len(heard) == len(names) and all(len(row) == len(about["classes"]) for row in heard)
    if (
        not fits
        or len(corpora) != len(about["clips"])
        or not all(0 <= number < len(names) for number in corpora)
    ):
        raise InputError("its corpora are not those of its clips")
    return np.array(corpora), np.array(heard), tuple(names)
