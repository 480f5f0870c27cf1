"""Mutants of the model are caught by the golden vectors, at the tolerances that a float32 implementation
gets.

Caught means: in one of two short cases some tensor deviates by more than the manifest allows.
"""

import dataclasses
from itertools import combinations

import numpy as np
import pytest
from samples import checkpoint

from npreslstm.fast.attention import attention_forward
from npreslstm.layers.batchnorm import batchnorm_frozen
from npreslstm.layers.dense import linear_forward
from npreslstm.layers.lstm import GATES, gate_slices
from npreslstm.ports.vector_cases import Case, compute
from npreslstm.ports.vectors import first_deviation, read_vectors, write_vectors

USED = ("speech", "padded-batch")
FINAL = ("logit", "probability")


@pytest.fixture(scope="module")
def weights():
    return checkpoint()


@pytest.fixture(scope="module")
def vectors(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors")
    write_vectors(weights, path)
    return read_vectors(path)


def tolerances(vectors):
    return {name: tensor["float32_tolerance"] for name, tensor in vectors.manifest["tensors"].items()}


def mutant(weights, **tensors):
    return dataclasses.replace(
        weights, state=weights.state | {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    )


def caught(vectors, mutated, only=None):
    """The first deviation in each case, where there is one; `only` some tensors are compared."""
    found = []
    for name in USED:
        stored = vectors.cases[name]
        tensors = compute(
            mutated, Case("", x=stored["input"].astype(np.float32), lengths=stored["lengths"]), np.float32
        )[1]
        tensors = {key: value for key, value in tensors.items() if only is None or key in only}
        found.append(first_deviation(tensors, stored, tolerances(vectors)))
    return [problem for problem in found if problem]


def trained(weights):
    return [name for name in weights.config.schema if not name.endswith("num_batches_tracked")]


def test_the_model_itself_is_not_caught(vectors, weights):
    assert caught(vectors, weights) == []


def test_one_changed_weight(vectors, weights):
    """Any of three entries of every tensor, by a hundredth of the tensor's largest."""
    rng = np.random.default_rng(0)
    for name in trained(weights):
        tensor = weights.state[name]
        for index in rng.choice(tensor.size, min(3, tensor.size), replace=False):
            changed = tensor.copy()
            changed.flat[index] += 0.01 * max(np.abs(tensor).max(), 0.1)
            assert caught(vectors, mutant(weights, **{name: changed})), (
                f"{name}[{np.unravel_index(index, tensor.shape)}]"
            )


@pytest.mark.parametrize("pair", list(combinations(GATES, 2)), ids="".join)
@pytest.mark.parametrize("lstm", ["lstm1", "lstm2"])
def test_two_swapped_gates(vectors, weights, lstm, pair):
    """The first tensor that deviates is the first of the two gates; the logits alone show it too."""
    swapped = {}
    for parameter in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        tensor = weights.state[f"{lstm}.{parameter}_l0"].copy()
        a, b = (gate_slices(len(tensor) // 4)[gate] for gate in pair)
        tensor[a], tensor[b] = tensor[b].copy(), tensor[a].copy()
        swapped[f"{lstm}.{parameter}_l0"] = tensor
    mutated = mutant(weights, **swapped)
    assert all(
        problem.startswith(f"{lstm}.l0.{pair[0]} deviates first at clip 0, frame 0")
        for problem in caught(vectors, mutated)
    )
    assert caught(vectors, mutated, FINAL)


BIASES = [f"{lstm}.bias_{kind}_l0" for lstm in ("lstm1", "lstm2") for kind in ("ih", "hh")] + [
    "bn_residual.bias",
    "bn.bias",
    "fc.bias",
]


@pytest.mark.parametrize("name", BIASES)
def test_a_dropped_bias(weights, tmp_path, name):
    """In weights whose biases are all there: those of fresh batch norms and of the head are zero."""
    rng = np.random.default_rng(1)
    filled = {key: rng.normal(0, 0.3, weights.state[key].shape).astype(np.float32) for key in BIASES}
    whole = dataclasses.replace(mutant(weights, **filled), features=None)
    write_vectors(whole, tmp_path)
    vectors = read_vectors(tmp_path)
    stored = vectors.cases["padded-batch"]
    for only in (None, FINAL):
        mutated = compute(
            mutant(whole, **{name: np.zeros_like(filled[name])}),
            Case("", x=stored["input"], lengths=stored["lengths"]),
            np.float32,
        )[1]
        assert first_deviation(
            {k: v for k, v in mutated.items() if only is None or k in only}, stored, tolerances(vectors)
        )


def head(weights, stored, mask):
    """Attention and all after it, with a mask of one's own."""
    state = {name: tensor.astype(np.float64) for name, tensor in weights.state.items()}
    context, cache = attention_forward(stored["lstm2.l0.h"], state["attention_vector"], mask=mask)
    normalised, _ = batchnorm_frozen(
        context, *(state[f"bn.{name}"] for name in ("weight", "bias", "running_mean", "running_var"))
    )
    return {
        "weight": cache.alpha,
        "context": context,
        "logit": linear_forward(normalised, state["fc.weight"], state["fc.bias"]),
    }


def test_one_flipped_bit_of_the_mask(vectors, weights):
    """Each of the 48 bits of the padded batch: a frame left out, or a padded one let in; weights, context and
    logits show it.
    """
    stored = vectors.cases["padded-batch"]
    N, T = stored["weight"].shape
    mask = np.arange(T) < stored["lengths"][:, None]
    assert first_deviation(head(weights, stored, mask), stored, tolerances(vectors)) is None
    for n, t in np.ndindex(N, T):
        flipped = mask.copy()
        flipped[n, t] ^= True
        with np.errstate(invalid="ignore"):  # a clip without any frame gives NaN
            tensors = head(weights, stored, flipped)
        for name, tensor in tensors.items():
            assert first_deviation({name: tensor}, stored, tolerances(vectors)), (name, n, t)


def test_a_length_that_is_off_by_one(vectors, weights):
    stored = vectors.cases["padded-batch"]
    for n, change in ((0, -1), (1, 1), (2, -1), (2, 1)):
        lengths = stored["lengths"].copy()
        lengths[n] += change
        tensors = compute(weights, Case("", x=stored["input"], lengths=lengths), np.float32)[1]
        assert first_deviation({name: tensors[name] for name in FINAL}, stored, tolerances(vectors)), (
            n,
            change,
        )
