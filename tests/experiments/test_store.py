"""The store of a corpus's features: what was stored comes back, or is refused."""

import shutil

import numpy as np
import pytest

from npreslstm.errors import InputError
from npreslstm.experiments.store import corpus_digest, open_examples, store_examples
from npreslstm.training.dataset import load_dataset
from npreslstm.training.examples import Examples
from npreslstm.training.recipe import training_features


def test_the_store_gives_back_what_was_stored(corpus, whole):
    data = load_dataset(corpus)
    store = store_examples(
        str(whole / "features"), data, corpus_digest(data), training_features("mcu"), (1.0,)
    )
    examples, names = open_examples(store)
    assert isinstance(examples, Examples) and len(names) == 24 and examples.classes == ("a", "b")
    from npreslstm.audio.features import extract_file

    for clip, variants in zip(data.clips, examples.variants):
        assert len(variants) == 1 and (variants[0] == extract_file(clip.path, training_features("mcu"))).all()
    assert examples.labels.tolist() == [clip.label for clip in data.clips]


def test_a_store_with_any_bit_flipped_is_refused_and_made_anew(corpus, whole, tmp_path):
    data, rng = load_dataset(corpus), np.random.default_rng(0)
    cache = shutil.copytree(whole / "features", tmp_path / "features")
    (store,) = cache.glob("corpus-*")
    arguments = str(cache), data, corpus_digest(data), training_features("mcu"), (1.0,)
    for name in ("rows.npy", "about.json"):
        content = (store / name).read_bytes()
        for at in rng.choice(8 * len(content), 100, replace=False):
            flipped = bytearray(content)
            flipped[at // 8] ^= 1 << int(at % 8)
            (store / name).write_bytes(flipped)
            try:
                examples, names = open_examples(str(store))
            except InputError:
                continue
            assert name == "rows.npy" and at < 8 * 128  # a blank of the header of rows.npy
        assert store_examples(*arguments) == str(store)
        assert (store / "rows.npy").read_bytes() == next(
            (whole / "features").glob("corpus-*/rows.npy")
        ).read_bytes()
        open_examples(str(store))


@pytest.mark.parametrize("name", ["rows.npy", "about.json"])
def test_a_damaged_store_is_one_line(whole, tmp_path, name):
    store = shutil.copytree(next(whole.glob("features/corpus-*")), tmp_path / "store")
    (store / name).write_bytes((store / name).read_bytes()[:200])
    with pytest.raises(InputError, match=f"{name} is .*: delete .*store"):
        open_examples(str(store))
