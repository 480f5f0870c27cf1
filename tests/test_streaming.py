"""StreamingResLSTM against the whole-clip model, for every kind of model and any chunking."""

import numpy as np
import pytest

from npreslstm.errors import InputError
from npreslstm.layers.attention import AttentionState
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig
from npreslstm.streaming import StreamingResLSTM

CONFIGS = {
    "reslstm-sa": ModelConfig(),
    "lstm-sa": ModelConfig(kind="lstm-sa", hidden_size=32),
    "two layers": ModelConfig(input_size=5, hidden_size=7, num_classes=3, num_layers=2),
    "three vectors": ModelConfig(
        input_size=5, hidden_size=7, num_classes=3, attention_vectors=3, head_combine=True
    ),
    "size one": ModelConfig(input_size=1, hidden_size=1, num_classes=1),
}
# Largest |logit difference| over the configurations at 124 frames: 7.1e-15 in float64, 2.9e-6 in float32
# (logits up to 21).
TOLERANCE = {np.float64: 7e-14, np.float32: 1e-5}


def random_model(config, dtype=np.float64, seed=0):
    """A model whose every tensor is random, running statistics included."""
    rng = np.random.default_rng(seed)
    model = ResLSTM(config, rng, dtype)
    for tensor in model.tensors.values():
        if tensor.dtype == model.dtype:
            tensor += 0.5 * rng.random(tensor.shape)
    return model


def random_frames(config, T, seed=1):
    return np.random.default_rng(seed).normal(size=(T, config.input_size))


def whole_clip(model, x):
    return model.infer(x[None], [len(x)])[0][0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CONFIGS)
def test_equals_the_whole_clip(name, dtype):
    model = random_model(CONFIGS[name], dtype)
    x = random_frames(model.config, 124)
    stream = StreamingResLSTM(model)
    for frame in x:
        stream.push(frame)
    logits = stream.result()
    assert logits.dtype == dtype and logits.shape == (model.config.num_classes,)
    assert np.abs(logits - whole_clip(model, x)).max() <= TOLERANCE[dtype]


def test_result_at_any_time():
    model = random_model(ModelConfig(input_size=4, hidden_size=5, num_classes=6))
    x = random_frames(model.config, 20)
    stream = StreamingResLSTM(model)
    for t, frame in enumerate(x, start=1):
        stream.push(frame)
        assert stream.frames == t
        assert np.abs(stream.result() - whole_clip(model, x[:t])).max() <= TOLERANCE[np.float64]


@pytest.mark.parametrize("cuts", [[0], [1, 2], [7, 7, 13], [30]])
def test_chunks_do_not_matter(cuts):
    model = random_model(ModelConfig(), np.float32)
    x = random_frames(model.config, 30)
    one, many = StreamingResLSTM(model), StreamingResLSTM(model)
    one.push(x)
    for chunk in np.split(x, cuts):
        many.push(chunk)
    assert np.array_equal(one.result(), many.result())
    assert np.array_equal(one.context, many.context)


def test_reset_forgets():
    model = random_model(ModelConfig())
    x = random_frames(model.config, 10)
    stream = StreamingResLSTM(model)
    stream.push(100 * x[::-1])
    stream.reset()
    assert stream.frames == 0
    stream.push(x)
    assert np.abs(stream.result() - whole_clip(model, x)).max() <= TOLERANCE[np.float64]


def numbers_kept(stream):
    states = [state for layers in stream._states.values() for pair in layers for state in pair]
    return sum(array.size for array in (*states, *stream._attention))


def test_memory_is_constant():
    stream = StreamingResLSTM(random_model(ModelConfig()))
    assert isinstance(stream._attention, AttentionState)
    assert numbers_kept(stream) == 2 * 46 + 2 * 64 + 64 + 2
    for _ in range(3):
        stream.push(random_frames(ModelConfig(), 50))
        assert numbers_kept(stream) == 286


def test_a_long_clip_stays_finite():
    model = random_model(ModelConfig(input_size=2, hidden_size=3, num_classes=2), np.float32)
    model.tensors["attention_vector"][...] = 300  # scores whose exponentials overflow
    stream = StreamingResLSTM(model)
    x = random_frames(model.config, 2000)
    stream.push(x)
    assert np.abs(stream.result() - whole_clip(model, x)).max() <= TOLERANCE[np.float32]


def test_no_result_before_a_frame():
    stream = StreamingResLSTM(ResLSTM())
    stream.push(np.empty((0, 46)))
    with pytest.raises(InputError, match="no frame was pushed"):
        stream.result()


@pytest.mark.parametrize("bad", [np.zeros(45), np.zeros((2, 45)), np.zeros((1, 2, 46)), np.float64(0)])
def test_wrong_shape(bad):
    with pytest.raises(InputError, match=r"expected \(46,\) or \(frames, 46\)"):
        StreamingResLSTM(ResLSTM()).push(bad)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_values_are_not_taken_in(value):
    stream = StreamingResLSTM(ResLSTM())
    bad = np.zeros((3, 46))
    bad[2, 5] = value
    with pytest.raises(InputError, match="NaN or infinite"):
        stream.push(bad)
    assert stream.frames == 0
