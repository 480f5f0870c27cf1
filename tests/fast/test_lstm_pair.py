"""Two LSTMs run as one: against one after the other, and never with stale weights."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npreslstm.errors import InputError
from npreslstm.fast.lstm_pair import KEPT_FRAMES, Workspaces, join_pair, pair_infer
from npreslstm.folding import fold
from npreslstm.layers.batchnorm import batchnorm_frozen
from npreslstm.layers.lstm import LSTMParams, lstm_forward
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig, lstm_names, norm_names


@pytest.mark.parametrize("T", [1, 2, 9])
@pytest.mark.parametrize("D, H", [(3, 4), (1, 1), (16, 5), (46, 64)])
def test_equals_one_after_the_other(T, D, H):
    """Against the reference layers, unfolded."""
    rng = np.random.default_rng(0)
    model = ResLSTM(ModelConfig(input_size=D, hidden_size=H, num_classes=2), dtype=np.float64)
    for name, tensor in model.tensors.items():
        if tensor.dtype == np.float64:
            variance = name.endswith("running_var")
            tensor[...] = rng.uniform(0.5, 2, tensor.shape) if variance else rng.normal(0, 0.5, tensor.shape)
    state, x = model.state_dict(), rng.normal(size=(T, D))
    first, second = (
        LSTMParams(*(state[name] for name in lstm_names(lstm, 0))) for lstm in ("lstm1", "lstm2")
    )
    hidden, _, _ = lstm_forward(x[:, None], first)
    y, _ = batchnorm_frozen(x + hidden[:, 0], *(state[name] for name in norm_names("bn_residual")[:4]))
    expected, _, _ = lstm_forward(y[:, None], second)
    hidden = pair_infer(x, join_pair(*fold(model.config, state).lstms), Workspaces())
    assert hidden.shape == (T, H)
    np.testing.assert_allclose(hidden, expected[:, 0], rtol=0, atol=2e-14)  # achieved 2e-15


# achieved 1e-7 and 2e-16
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 2e-15)])
def test_a_clip_alone_equals_the_same_clip_in_a_batch(dtype, tolerance):
    rng = np.random.default_rng(1)
    model = ResLSTM(rng=rng, dtype=dtype)
    x, lengths = rng.normal(size=(3, 20, 46)), np.array([20, 1, 11])
    together, alpha = model.infer(x, lengths)
    for n, T in enumerate(lengths):
        for frames in (x[n : n + 1], x[n : n + 1, :T]):
            logits, weights = model.infer(frames, lengths[n : n + 1])
            np.testing.assert_allclose(logits[0], together[n], rtol=0, atol=tolerance)
            np.testing.assert_allclose(weights[0], alpha[n, :T], rtol=0, atol=tolerance)


def test_clips_of_any_length_in_any_order_and_from_several_threads():
    """The memory of one clip is used for the next: nothing of the first may be left in it, and no two threads
    may share it.
    """
    rng = np.random.default_rng(3)
    model = ResLSTM(ModelConfig(input_size=4, hidden_size=5, num_classes=6), rng, np.float64)
    lengths = [9, 70, 1, KEPT_FRAMES + 1, 64, 65, 9] * 8
    clips = [rng.normal(size=(1, T, 4)) for T in lengths]
    expected = [model.forward(x, [T])[0] for x, T in zip(clips, lengths)]
    with ThreadPoolExecutor(4) as threads:
        for found in (
            map(model.infer, clips, ([T] for T in lengths)),
            threads.map(model.infer, clips, ([T] for T in lengths)),
        ):
            for (logits, _), wanted in zip(found, expected):
                np.testing.assert_allclose(logits, wanted, rtol=0, atol=2e-15)  # achieved 2e-16
    spare = model._one_clip.workspaces.spare
    assert 1 <= len(spare) <= 5 and all(T.frames <= KEPT_FRAMES for T in spare)


@pytest.mark.parametrize(
    "name",
    [
        "lstm1.weight_hh_l0",
        "lstm2.bias_ih_l0",
        "bn_residual.weight",
        "bn_residual.running_mean",
        "bn_residual.running_var",
    ]
    + ["bn.bias", "bn.running_mean", "bn.running_var", "fc.weight"],
)
def test_weights_changed_in_place_are_used(name):
    rng = np.random.default_rng(2)
    model = ResLSTM(ModelConfig(input_size=4, hidden_size=5, num_classes=6), rng, np.float64)
    x, lengths = rng.normal(size=(1, 7, 4)), [7]
    before, _ = model.infer(x, lengths)
    model.tensors[name][...] += 0.5
    after, _ = model.infer(x, lengths)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, model.forward(x, lengths)[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "shape, lengths, padding, message",
    [
        ((1, 5, 45), [5], "masked", "expected (clips, frames, 46)"),
        ((1, 5, 46, 1), [5], "masked", "expected (clips, frames, 46)"),
        ((1, 5, 46), [6], "masked", "lengths are 1 up to 6"),
        ((1, 5, 46), [0], "masked", "expected a non-empty vector of integers >= 1"),
        ((1, 5, 46), [5.0], "masked", "expected a non-empty vector of integers >= 1"),
        ((1, 5, 46), [5, 5], "masked", "lengths are 2 up to 5; expected 1"),
        ((1, 5, 46), [5], "zeros", "padding is 'zeros'"),
    ],
)
def test_a_clip_alone_is_checked_as_a_batch_is(shape, lengths, padding, message):
    with pytest.raises(InputError, match=re.escape(message)):
        ResLSTM(rng=np.random.default_rng(0)).infer(np.zeros(shape), lengths, padding)


def test_a_clip_alone_must_be_finite_but_its_squares_need_not():
    model, x = ResLSTM(rng=np.random.default_rng(0)), np.full((1, 5, 46), 3e37, np.float32)
    logits, _ = model.infer(x, [5])
    together, _ = model.infer(np.repeat(x, 2, axis=0), [5, 5])
    np.testing.assert_allclose(logits[0], together[0], rtol=0, atol=5e-7)  # achieved 6e-8
    x[0, 3, 7] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        model.infer(x, [5])
