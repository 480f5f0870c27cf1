"""Finding a state dict in a checkpoint and taking wrappers' prefixes off its names."""

import numpy as np
import pytest

from npreslstm.errors import InputError
from npreslstm.formats.state_dicts import find_state_dict, strip_prefixes, widen_bfloat16

W = {"fc.weight": np.ones((2, 2), np.float32), "fc.bias": np.zeros(2, np.float32)}
OTHER = {"fc.weight": np.full((2, 2), 3.0, np.float32)}


def assert_equal(found, wanted):
    assert list(found) == list(wanted) and all(found[name] is wanted[name] for name in wanted)


@pytest.mark.parametrize(
    "checkpoint",
    [
        W,
        {"state_dict": W, "epoch": 3},
        {"model": W, "optimizer": {"state": {0: {"exp_avg": np.ones(2)}}, "param_groups": []}},
        {"model_state_dict": W, "ema": OTHER},
        {"trainer": {"net": W}},
        {"anything": W},
        (W, 12),
    ],
    ids=["itself", "state_dict", "model and optimizer", "model and ema", "two levels", "any name", "tuple"],
)
def test_the_state_dict_is_found(checkpoint):
    assert find_state_dict(checkpoint) is not checkpoint
    assert_equal(find_state_dict(checkpoint), W)


def test_a_key_chooses_among_several():
    checkpoint = {"model": W, "ema": {"module": OTHER}}
    assert_equal(find_state_dict(checkpoint, key="ema.module"), OTHER)
    with pytest.raises(
        InputError,
        match=(
            r"not exactly one state dict; found 'model' \(2 tensors\), 'ema\.module' \(1 tensors\): name one"
            r" with key="
        ),
    ):
        find_state_dict(checkpoint)
    with pytest.raises(InputError, match=r"not exactly one state dict at 'best'; found 'model'"):
        find_state_dict(checkpoint, key="best")


@pytest.mark.parametrize(
    "checkpoint, message",
    [
        ({"generator": W, "discriminator": W}, r"'generator' \(2 tensors\), 'discriminator' \(2 tensors\)"),
        ({"epoch": 3, "names": ["a"]}, r"no state dict .* found \{'epoch': int, 'names': list\}"),
        ({"fc.weight": W["fc.weight"], "epoch": 3}, r"found \{'fc\.weight': ndarray, 'epoch': int\}"),
        ({"state": {0: W}}, "no state dict"),
        ({}, "no state dict"),
        (W["fc.weight"], "found a ndarray"),
    ],
)
def test_ambiguity_and_absence_list_what_was_found(checkpoint, message):
    with pytest.raises(InputError, match=message):
        find_state_dict(checkpoint)


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "module.module.",
        "_orig_mod._orig_mod.",
    ],
)
def test_prefixes_are_stripped_repeated_and_combined(prefix):
    assert_equal(strip_prefixes({prefix + name: array for name, array in W.items()}), W)


def test_only_wrappers_are_stripped():
    assert list(strip_prefixes({"module.a": 0, "head.module.b": 1})) == ["module.a", "head.module.b"]
    assert list(strip_prefixes({"lstm1._orig_mod.weight": 0, "my_orig_mod.b": 1})) == [
        "lstm1.weight",
        "my_orig_mod.b",
    ]
    with pytest.raises(InputError, match="same name"):
        strip_prefixes({"a._orig_mod.b": 0, "a.b": 1})


def test_bfloat16_is_the_upper_half_of_float32():
    bits = np.arange(2**16, dtype=np.uint16)
    wide = widen_bfloat16(bits)
    np.testing.assert_array_equal(wide.view(np.uint32), bits.astype(np.uint32) * 65536)
    assert (
        widen_bfloat16(np.array(0x3FC0, np.uint16)) == 1.5
        and widen_bfloat16(bits.reshape(256, 256).T).flags.c_contiguous
    )
