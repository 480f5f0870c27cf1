"""The gradient check itself: it passes right gradients, catches wrong ones, and shows single entries."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from npreslstm import gradient_check as module
from npreslstm.broken_terms import TERMS, broken
from npreslstm.commands.gradcheck import EXAMPLES, LINES
from npreslstm.errors import InputError
from npreslstm.gradient_check import TOLERANCE, GradientCheck, gradcheck, numeric_gradient, relative_error
from npreslstm.schema import ModelConfig


def test_numeric_gradient_of_a_known_function():
    p = np.array([[0.5, -1.0], [2.0, 0.0]])
    # achieved 3e-13
    np.testing.assert_allclose(numeric_gradient(lambda: np.sin(p).sum(), p), np.cos(p), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(p, [[0.5, -1.0], [2.0, 0.0]])


def test_relative_error():
    assert relative_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == 0.5
    assert relative_error(np.zeros(2), np.zeros(2)) == 0.0


@pytest.mark.parametrize(
    "seed, sizes", [(34, {}), (1, {"config": ModelConfig("reslstm-sa", 3, 4, 3), "N": 2, "T": 3})]
)
def test_a_batch_norm_of_few_rows_is_no_failure(seed, sizes):
    errors = gradcheck(rng=np.random.default_rng(seed), **sizes)
    assert max(errors.values()) < TOLERANCE  # achieved 4e-8


def test_default_check_passes_and_is_seeded():
    errors = gradcheck()
    assert max(errors.values()) < 2e-9  # achieved 2.7e-10
    assert errors == gradcheck()
    assert errors != gradcheck(rng=np.random.default_rng(1))


@pytest.mark.parametrize("name", ["lstm1.weight_hh_l0", "bn_residual.bias", "attention_vector", "x"])
def test_a_wrong_gradient_is_caught(monkeypatch, name):
    right = module.ResLSTM.backward

    def wrong(self, *args, **kwargs):
        grads, dx = right(self, *args, **kwargs)
        (dx if name == "x" else grads[name]).flat[0] += 1e-3
        return grads, dx

    monkeypatch.setattr(module.ResLSTM, "backward", wrong)
    errors = gradcheck()
    assert errors[name] > 100 * TOLERANCE
    assert max(error for other, error in errors.items() if other != name) < TOLERANCE


TINY = ModelConfig("reslstm-sa", 2, 2, 3)


def failed(config, **options):
    return {
        name for name, error in gradcheck(config, backend="reference", **options).items() if error > TOLERANCE
    }


@pytest.mark.parametrize("padding", ["masked", "original"])
def test_the_reference_passes(padding):
    config = ModelConfig("reslstm-sa", 2, 3, 3, attention_vectors=2, head_combine=True)
    errors = gradcheck(config, padding=padding, backend="reference", T=4)
    assert max(errors.values()) < 5e-10, errors  # achieved 5.6e-11


LSTM1 = {f"lstm1.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
LSTM2 = {name.replace("1", "2", 1) for name in LSTM1}
BELOW = {"x", "bn_residual.weight", "bn_residual.bias"} | LSTM1
CAUGHT = {
    "dc": BELOW | LSTM2,
    "dh": BELOW | LSTM2,
    "tanh": BELOW | LSTM2,
    "sigmoid": BELOW | LSTM2,
    "score": BELOW | LSTM2,
    "softmax": BELOW | LSTM2 | {"attention_vector"},
    "mean": BELOW | LSTM2 | {"attention_vector"},
    "var": BELOW | LSTM2 | {"attention_vector"},
}


@pytest.mark.parametrize("name", TERMS)
def test_every_term_that_is_left_out_is_caught_where_it_matters(name):
    """What is computed before the way back reaches the term stays right; afterwards all is as before."""
    term = TERMS[name]
    right = getattr(term.module, term.function)
    with broken(name):
        assert getattr(term.module, term.function) is not right
        assert failed(TINY, T=3) == CAUGHT[name]
    assert getattr(term.module, term.function) is right


def test_terms_are_listed_in_the_help_and_other_names_refused():
    listed = dict(re.findall(r"^  (\w+)  +(\w.*)$", EXAMPLES.partition("terms that")[2], re.MULTILINE))
    assert listed == {name: term.what for name, term in TERMS.items()}
    with pytest.raises(InputError, match="there is no term 'da' to leave out; expected one of dc, dh"):
        with broken("da"):
            pass


def test_an_entry_is_shown_both_ways():
    check = GradientCheck(TINY)
    probe = check.probe(" lstm1.weight_hh_l0[3, 1] ")
    assert (probe.name, probe.index) == ("lstm1.weight_hh_l0", (3, 1))
    assert probe.value == check.tensors["lstm1.weight_hh_l0"][3, 1]
    assert probe.analytic == check.gradients["lstm1.weight_hh_l0"][3, 1]
    assert set(probe.losses) == {1, -1, 2, -2}
    near = (probe.losses[1] - probe.losses[-1]) / 6e-4
    assert probe.numeric == pytest.approx(near, rel=1e-3) and probe.error < TOLERANCE
    assert numeric_gradient(check.loss, check.tensors["fc.bias"])[2] == check.probe("fc.bias[2]").numeric


@pytest.mark.parametrize(
    "entry, message",
    [
        ("lstm1.weight_hh_l0", "is no entry of a tensor; expected one such as 'lstm1.weight_hh_l0"),
        ("lstm9.weight_hh_l0[0,0]", "the model has no tensor 'lstm9.weight_hh_l0'; expected one of x, lstm1"),
        ("bn.running_mean[0]", "the model has no tensor 'bn.running_mean'"),
        ("fc.bias[3]", r"'fc.bias\[3\]' is not in fc.bias, which is \(3,\); expected up to fc.bias\[2\]"),
        ("fc.weight[0]", r"expected up to fc.weight\[2,1\]"),
        ("fc.bias[-1]", "is no entry of a tensor"),
        ("fc.bias[]", "expected up to"),
    ],
)
def test_entries_that_are_not_there_are_refused(entry, message):
    with pytest.raises(InputError, match=message):
        GradientCheck(TINY).probe(entry)


@pytest.mark.parametrize(
    "name",
    [
        "broken_terms",
        "folding",
        "gradient_check",
        "layers.lstm",
        "layers.padding",
        "model",
        "testing.cases",
        "testing.gradients",
    ],  # fmt: skip
)
def test_examples_of_docstrings(name):
    found = doctest.testmod(
        importlib.import_module(f"npreslstm.{name}"), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert found.attempted and not found.failed


def test_the_lines_that_are_named_are_in_the_sources():
    layers = Path(module.__file__).parent / "layers"
    for file, line in LINES.values():
        assert f"{line}  #" in (layers / file).read_text(encoding="utf-8")
    config = ModelConfig("reslstm-sa", 2, 2, 3, 2, 2, True)
    named = {
        name.split(".")[1].rpartition("_l")[0] if name.startswith("lstm") else name
        for name in config.parameters
    }
    assert named | {"x"} == set(LINES)
