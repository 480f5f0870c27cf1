"""The viper kernels need no more than words of 32 bits, and give the same on machines of 32 and of 64."""

from array import array

import numpy as np
import pytest
from c_models import checkpoint
from integer_sounds import extremes, ordinary
from viper_words import Overflow, model

from npreslstm.integer.frontend import features_of_clip
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.ports.micropython_weights import weights_file

BITS = (32, 64)


@pytest.fixture(scope="module")
def made():
    return checkpoint("h64")


@pytest.fixture(scope="module")
def weights(made):
    return weights_file(made, QuantizedModel.from_checkpoint(made))


def test_the_frontend_on_any_machine(made, weights):
    """Of each piece of sound two frames, of which the second is cut."""
    clips = [pcm[5000:5520] for pcm in [*extremes(3).values(), ordinary(3)["speech"]]]
    for bits, some in ((32, clips), (64, clips[::4])):
        port = model(weights, bits)
        port._step = lambda x, flip: None
        for pcm in some:
            expected = features_of_clip(pcm, made.features)
            assert port.push(pcm[:512].tobytes()) == 1
            np.testing.assert_array_equal(port.frontend.features, expected[0])
            assert port.push(pcm[512:].tobytes()) == 0 and port.flush() == 1
            np.testing.assert_array_equal(port.frontend.features, expected[1])
            port.reset()


@pytest.mark.parametrize("name", ["h64", "two layers, two vectors"])
def test_the_network_on_any_machine(name):
    """At both ends of the range, where sums are largest, and on random numbers."""
    made = checkpoint(name)
    quantized = QuantizedModel.from_checkpoint(made)
    x = np.random.default_rng(1).integers(-32768, 32768, (3, made.config.input_size)).astype(np.int16)
    x[1], x[2] = 32767, -32768
    state = quantized.start(1)
    ports = [model(weights_file(made, quantized), bits) for bits in BITS]
    for row in x:
        quantized.step(row[None], state)
        for port in ports:
            port.step(array("h", row.tobytes()))
            assert port.logits() == quantized.logits(quantized.context(state))[0].tolist()
            assert [v - 32768 for v in port.layers[-1].v[: port.layers[-1].hidden]] == state.h[-1][0].tolist()


def test_the_widest_sums(made):
    """All weights and values at their largest: what 128 columns sum to has 31 bits."""
    wide = checkpoint("h128")
    quantized = QuantizedModel.from_checkpoint(wide)
    for lstm in quantized.lstms:
        for W in (lstm.W_x, lstm.W_h):
            W[:] = np.where(np.arange(len(W))[:, None] % 2, 127, -127)
    port = model(weights_file(wide, quantized), 32)
    state = quantized.start(1)
    for value in (32767, -32768):
        row = np.full(46, value, np.int16)
        quantized.step(row[None], state)
        port.step(array("h", row.tobytes()))
        assert port.logits() == quantized.logits(quantized.context(state))[0].tolist()


def test_a_sum_that_needs_more_is_noticed(weights):
    port = model(weights, 32, ("(part >> 1) * weights[at]", "part * weights[at] * 2"))
    with pytest.raises(Overflow, match="has more than 31 bits and a sign"):
        port.push(ordinary()["noise"][:512].tobytes())
