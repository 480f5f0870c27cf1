"""The whole model on the fast layers and on the reference: logits, loss, every gradient, statistics,
attention.
"""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
from test_model import LENGTHS, pad, random_clips, random_model

from npreslstm import load_model
from npreslstm.errors import InputError
from npreslstm.layers.loss import cross_entropy, one_hot
from npreslstm.model import BACKENDS, PADDINGS, ResLSTM
from npreslstm.schema import KINDS, ModelConfig

EXACT = (
    1e-12  # achieved 9e-14 (two layers, batch statistics), float64; of each tensor's largest entry, or of 1
)
CONFIGS = {
    f"{kind}, {layers} layers, {vectors} vectors": ModelConfig(kind, 4, 5, 6, layers, vectors, vectors > 1)
    for kind, layers, vectors in product(KINDS, (1, 2), (1, 3))
}


def both(config, dtype=np.float64):
    """The same random model on either backend."""
    fast = random_model(config, dtype)
    reference = ResLSTM(config, dtype=dtype, backend="reference")
    reference.load_state_dict(fast.state_dict())
    return fast, reference


def run(model, batch, training, padding):
    """{what: array} of a forward and a backward pass, dropout included."""
    rng = np.random.default_rng(7) if training else None
    logits, cache = model.forward(*batch, training, padding, rng)
    targets = one_hot(np.arange(len(logits)) % 6, 6, model.dtype.type, smoothing=0.1)
    loss, dlogits = cross_entropy(logits, targets)
    grads, dx = model.backward(dlogits, cache, return_dx=True)
    inferred, alpha = model.infer(*batch, padding)
    statistics = {name: tensor for name, tensor in model.tensors.items() if ".running_" in name}
    tensors = {"logits": logits, "loss": np.array(loss), "dx": dx, "inferred": inferred, "alpha": alpha}
    return tensors | {f"d{name}": grad for name, grad in grads.items()} | statistics


def assert_equal(found, expected, tolerance=EXACT):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = max(1, np.abs(value).max())
        np.testing.assert_allclose(found[name], value, rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_everything_is_equal(config, padding, training):
    """In training with dropout from the same generator; NaN past the clips' ends, which nothing may read."""
    assert config.dropout > 0
    fast, reference = both(config)
    batch = pad(random_clips(config))
    assert_equal(run(fast, batch, training, padding), run(reference, batch, training, padding))


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("lengths", [[7], [1, 1], [9, 9, 9]])
def test_batches_of_one_clip_and_without_padding(lengths, padding):
    fast, reference = both(CONFIGS["reslstm-sa, 1 layers, 1 vectors"])
    batch = pad(random_clips(fast.config, lengths))
    assert_equal(run(fast, batch, False, padding), run(reference, batch, False, padding))


def test_longer_padding_than_the_longest_clip_changes_nothing():
    _, reference = both(CONFIGS["reslstm-sa, 1 layers, 1 vectors"])
    x, lengths = pad(random_clips(reference.config, LENGTHS))
    longer = np.concatenate([x, np.full((len(x), 3, 4), np.nan)], axis=1)
    for name, tensor in run(reference, (longer, lengths), False, "original").items():
        np.testing.assert_array_equal(
            tensor, run(reference, (x, lengths), False, "original")[name], err_msg=name
        )


def test_single_precision_is_near():
    """The bundled weights on batches of real sizes."""
    fast, reference = load_model("paper"), load_model("paper", backend="reference")
    x, lengths = np.random.default_rng(0).normal(size=(3, 60, 46)), [60, 31, 1]
    for a, b in zip(fast.infer(x, lengths), reference.infer(x, lengths)):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)  # achieved 2.4e-7


def test_the_caches_have_the_same_names():
    fast, reference = both(CONFIGS["reslstm-sa, 2 layers, 1 vectors"])
    batch = pad(random_clips(fast.config, LENGTHS))
    (_, ours), (_, theirs) = fast.forward(*batch), reference.forward(*batch)
    assert list(ours.lstms) == list(theirs.lstms) == ["lstm1", "lstm2"]
    for prefix, layers in ours.lstms.items():
        for layer, expected in zip(layers, theirs.lstms[prefix], strict=True):
            for name in ("i", "f", "g", "o", "c", "h"):
                packed = ours.batch.packing.pack(getattr(expected, name).swapaxes(0, 1))
                np.testing.assert_allclose(getattr(layer, name), packed, rtol=0, atol=EXACT, err_msg=name)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_keeps_its_backend(duplicate):
    _, reference = both(CONFIGS["reslstm-sa, 1 layers, 1 vectors"])
    assert duplicate(reference).backend == "reference"


def test_an_unknown_backend_is_refused():
    assert list(BACKENDS) == ["fast", "reference"]
    with pytest.raises(InputError, match="backend is 'slow'; expected one of fast, reference"):
        ResLSTM(backend="slow")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "lengths, message",
    [
        ([], "expected a non-empty vector of integers"),
        ([3, 0], "expected a non-empty vector of integers"),
        ([3.0, 2.0], "expected a non-empty vector of integers"),
        ([3], "lengths are 1 up to 3; expected 2 up to 3"),
        ([3, 4], "lengths are 2 up to 4; expected 2 up to 3"),
    ],
)
def test_both_refuse_the_same_lengths(backend, lengths, message):
    with pytest.raises(InputError, match=message):
        ResLSTM(ModelConfig("reslstm-sa", 4, 5, 6), backend=backend).forward(np.zeros((2, 3, 4)), lengths)
