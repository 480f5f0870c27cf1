"""The gradient check itself: it passes right gradients and catches wrong ones."""

import numpy as np
import pytest

from npreslstm import gradient_check as module
from npreslstm.gradient_check import TOLERANCE, gradcheck, numeric_gradient, relative_error
from npreslstm.schema import ModelConfig


def test_numeric_gradient_of_a_known_function():
    p = np.array([[0.5, -1.0], [2.0, 0.0]])
    np.testing.assert_allclose(numeric_gradient(lambda: np.sin(p).sum(), p), np.cos(p), rtol=0, atol=1e-12)  # achieved 3e-13
    np.testing.assert_array_equal(p, [[0.5, -1.0], [2.0, 0.0]])


def test_relative_error():
    assert relative_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == 0.5
    assert relative_error(np.zeros(2), np.zeros(2)) == 0.0


@pytest.mark.parametrize("seed, sizes", [(34, {}), (1, {"config": ModelConfig("reslstm-sa", 3, 4, 3), "N": 2, "T": 3})])
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
