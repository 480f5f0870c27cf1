"""resample: quality as its docstring states it, any pieces, odd rates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npreslstm.audio.resampling import _kernel, _ratio, resample, resample_blocks
from npreslstm.errors import InputError

PAIRS = [(48000, 16000), (44100, 48000), (16000, 48000), (22050, 16000), (192000, 48000), (8000, 48000)]


def tone(hz, rate, seconds=0.5):
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def middle(y):
    return y[len(y) // 4 : -len(y) // 4]


@pytest.mark.parametrize("from_rate, to_rate", PAIRS)
def test_kernel_is_flat_and_stops(from_rate, to_rate):
    up, down = _ratio(from_rate, to_rate)
    n = 1 << 20
    gain = np.abs(np.fft.rfft(_kernel(up, down), n))
    hz = np.arange(len(gain)) * (from_rate * up / n)
    nyquist = min(from_rate, to_rate) / 2
    db = 20 * np.log10(np.maximum(gain, 1e-9))
    assert np.abs(db[hz <= 0.9 * nyquist]).max() < 0.01  # achieved: 0.0037
    assert db[hz >= nyquist].max() < -99  # achieved: -99.9


@pytest.mark.parametrize("from_rate, to_rate", PAIRS)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.88])
def test_a_tone_stays_the_tone(from_rate, to_rate, share):
    hz = share * min(from_rate, to_rate) / 2
    got, wanted = resample(tone(hz, from_rate), from_rate, to_rate), tone(hz, to_rate)
    assert len(got) == len(wanted)
    assert np.abs(middle(got - wanted)).max() < 2e-4  # achieved: 4e-5


def test_what_would_alias_is_gone():
    assert np.abs(middle(resample(tone(9000, 48000), 48000, 16000))).max() < 2e-5  # achieved: 5e-6, -106 dB


@pytest.mark.parametrize("from_rate, to_rate", PAIRS)
def test_silence_between_sounds_stays_silence(from_rate, to_rate):
    y = np.concatenate((np.ones(from_rate // 10), np.zeros(from_rate // 2), np.ones(from_rate // 10)))
    assert (middle(resample(y, from_rate, to_rate)) == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 100, 48001])
def test_length_and_type(n, dtype):
    y = resample(np.ones(n, dtype), 48000, 16000)
    assert y.dtype == dtype and len(y) == -(-n // 3)
    assert len(resample(np.ones(n, dtype), 16000, 48000)) == 3 * n


def test_same_rate_is_untouched():
    y = np.random.default_rng(0).standard_normal(99)
    np.testing.assert_array_equal(resample(y, 8000, 8000), y)


@settings(max_examples=40)
@given(
    st.sampled_from([*PAIRS, (40800, 16000), (55200, 48000)]),
    st.integers(1, 5000),
    st.lists(st.integers(0, 5000), max_size=6).map(sorted),
)
def test_pieces_make_the_whole(pair, n, cuts):
    y = np.random.default_rng(n).standard_normal(n)
    pieces = np.concatenate(list(resample_blocks(np.split(y, cuts), *pair)))
    np.testing.assert_allclose(pieces, resample(y, *pair), rtol=0, atol=1e-13)  # achieved: 2e-14


@pytest.mark.parametrize(
    "from_rate, to_rate", [(999983, 48000), (882008, 44100), (47999, 48000), (44056, 48000)]
)
def test_rates_without_a_common_divisor(from_rate, to_rate):
    up, down = _ratio(from_rate, to_rate)
    assert max(up, down) <= 20_000 or min(up, down) == 1
    assert abs(up / down * from_rate / to_rate - 1) < 5e-5
    y = resample(tone(440, from_rate, 0.1), from_rate, to_rate)
    assert np.abs(middle(y - tone(440, to_rate, 0.1 + 1e-4)[: len(y)])).max() < 2e-2  # of the drift


@pytest.mark.parametrize("to_rate", [16000, 48000, 96000])
def test_nothing_stays_nothing(to_rate):
    assert resample(np.zeros(0, np.float32), 48000, to_rate).shape == (0,)


@pytest.mark.parametrize("rate", [0, 2_000_000, 44100.5])
def test_impossible_rates(rate):
    with pytest.raises(InputError, match="sample rate"):
        resample(np.ones(9), rate, 48000)
    with pytest.raises(InputError, match="sample rate"):
        resample(np.ones(9), 48000, rate)
