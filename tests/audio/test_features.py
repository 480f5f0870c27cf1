"""FeatureConfig and extract_features: shapes, bad configurations, odd signals, equality of types and
channels.
"""

import json
import warnings

import numpy as np
import pytest

from npreslstm.audio.features import FeatureConfig, extract_features
from npreslstm.audio.mfcc import mel_spectrogram
from npreslstm.audio.resampling import ResamplingWarning
from npreslstm.audio.signal import trim_silence
from npreslstm.audio.spectrum import frame_blocks, power_spectrum
from npreslstm.errors import InputError

MCU = FeatureConfig.named("mcu")


def speech_like(seconds=1.0, sample_rate=48000, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    voice = sum(np.sin(2 * np.pi * 140 * k * t + rng.uniform(0, 6)) / k for k in range(1, 20))
    return (0.05 * voice * (1 + np.sin(2 * np.pi * 3 * t)) + 1e-4 * rng.standard_normal(len(t))).astype(
        np.float32
    )


def test_defaults_are_the_paper():
    assert FeatureConfig() == FeatureConfig.named("paper")
    assert FeatureConfig().n_features == MCU.n_features == 46


@pytest.mark.parametrize("name", ["paper", "mcu"])
def test_round_trip_through_json(name):
    config = FeatureConfig.named(name)
    assert FeatureConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"hop_length": 4097}, "hop_length is 4097; expected at most n_fft"),
        ({"n_fft": 4095}, "n_fft is 4095; expected an even"),
        ({"n_fft": 2, "hop_length": 1}, "n_fft is 2; expected an even number from 4"),
        ({"n_mfcc": 129}, "n_mfcc is 129; expected at most n_mels"),
        ({"fmax": 24001.0}, "fmax is 24001 Hz; expected at most half"),
        ({"fmin": 500.0, "fmax": 400.0}, "fmin is 500 Hz"),
        ({"n_fft": 0}, "n_fft is 0"),
        ({"n_mels": 2.5}, "n_mels is 2.5"),
        ({"top_db": -1.0}, "top_db is -1.0"),
        ({"top_db": float("nan")}, "top_db is nan"),
        ({"tuning": 0.5}, "tuning is 0.5"),
        ({"framing": "left"}, "framing is 'left'"),
        ({"trim_db": 0.0}, "trim_db is 0.0"),
        ({"sample_rate": 1_000_001}, "sample rate 1000001"),
        ({"n_fft": 2**21}, "n_fft is 2097152; expected a whole number from 1 to 1048576"),
        ({"n_ftt": 4096}, "unknown field 'n_ftt'"),
    ],
)
def test_bad_configuration(fields, words):
    with pytest.raises(InputError, match=words):
        FeatureConfig.from_dict(fields)


def test_unknown_name():
    with pytest.raises(InputError, match="expected paper or mcu"):
        FeatureConfig.named("phone")


@pytest.mark.parametrize("config", [FeatureConfig(), MCU], ids=["paper", "mcu"])
@pytest.mark.parametrize("n", [1, 2, 511, 512, 513, 2047, 4096, 4097, 48000])
def test_silence_of_any_length(config, n):
    features = extract_features(np.zeros(n), config.sample_rate, config)
    frames = 1 + n // 2048 if config == FeatureConfig() else -(-n // 512)
    assert features.shape == (frames, 46) and features.dtype == np.float32
    floor = config.floor_db * np.sqrt(config.n_mels)
    np.testing.assert_allclose(features[:, 0], floor, rtol=1e-6)  # all bands at the floor
    np.testing.assert_allclose(features[:, 1:34], 0, atol=1e-3)
    np.testing.assert_array_equal(features[:, 34:], 0)


@pytest.mark.parametrize(
    "signal",
    [
        np.ones(5000),  # DC
        np.sign(np.sin(np.arange(20000) / 9.0)),  # clipping
        np.full(5000, 1e-42),  # denormal
        np.r_[np.zeros(3000), 1.0, np.zeros(3000)],
        np.random.default_rng(1).standard_normal((9000, 8)) / 8,
    ],
    ids=["dc", "clipping", "denormal", "click", "8 channels"],
)
@pytest.mark.parametrize("config", [FeatureConfig(), MCU], ids=["paper", "mcu"])
def test_odd_signals_give_finite_features(signal, config):
    assert np.isfinite(extract_features(signal.astype(np.float32), config.sample_rate, config)).all()


@pytest.mark.parametrize(
    "signal, words",
    [
        (np.zeros(0), "no samples"),
        (np.array([0.0, np.nan]), "NaN or infinite"),
        (np.array([0.0, -np.inf]), "NaN or infinite"),
        (np.zeros((2, 3, 4)), "shape"),
        (np.zeros((2, 4800)), "expected \\(n, channels\\): it looks transposed, pass signal.T"),
        (np.zeros(9, np.uint8), "audio is uint8; expected floats in \\[-1, 1\\], int16 or int32"),
        (np.zeros(9, np.int64), "audio is int64"),
        (np.zeros(9, np.complex64), "audio is complex64"),
        (np.array([0.0, 20000.0]), "samples up to 20000; expected floats in \\[-1, 1\\]: divide"),
    ],
)
def test_bad_signal(signal, words):
    with pytest.raises(InputError, match=words):
        extract_features(signal, 48000)


@pytest.mark.parametrize("rate", [0, -1, 1_000_001, 22050.5, "48000"])
def test_bad_rate(rate):
    with pytest.raises(InputError, match="sample rate"):
        extract_features(np.zeros(9), rate)


def test_integer_samples_equal_floats():
    pcm = (speech_like() * 32768).astype(np.int16)
    expected = extract_features(pcm / np.float32(32768), 48000)
    np.testing.assert_array_equal(extract_features(pcm, 48000), expected)
    np.testing.assert_array_equal(extract_features(pcm.astype(np.int32) << 16, 48000), expected)


def test_channels_are_averaged():
    y = speech_like()
    np.testing.assert_array_equal(
        extract_features(np.stack([y, y, y, y], axis=1), 48000), extract_features(y, 48000)
    )


def test_resampling_warns_and_names_empty_bands():
    message = (
        "16000 Hz is resampled to 48000 Hz: nothing is above 8000 Hz, so the upper 32 of 128 mel bands are"
        " empty"
    )
    with pytest.warns(ResamplingWarning, match=message):
        extract_features(speech_like(0.2, 16000), 16000)
    with pytest.warns(ResamplingWarning, match="above 22050 Hz, so the upper 1 of 128 mel bands is empty"):
        extract_features(speech_like(0.2, 44100), 44100)
    with pytest.warns(ResamplingWarning, match="48000 Hz is resampled to 16000 Hz$"):
        extract_features(speech_like(0.2), 48000, MCU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extract_features(speech_like(0.2), 48000)


def test_float64_is_close_to_float32():
    y = speech_like()
    high = extract_features(y, 48000, dtype=np.float64)
    assert high.dtype == np.float64
    np.testing.assert_allclose(extract_features(y, 48000), high, atol=1e-3, rtol=1e-5)


def test_trimming_cuts_silence_only():
    y = np.zeros(40000, np.float32)
    y[10000:20000] = 0.5
    cut = trim_silence(y, 30.0)
    assert 10000 <= len(cut) < 10000 + 2 * 2048 and np.count_nonzero(cut) == 10000
    np.testing.assert_array_equal(trim_silence(y[10000:20000], 30.0), y[10000:20000])
    assert len(trim_silence(np.zeros(100), 30.0)) == 100


def mel_db(y):
    power = power_spectrum(
        np.concatenate(list(frame_blocks(y.astype(np.float32), 1024, 512, "causal", 1000)))[2:-1]
    )
    return 10 * np.log10(mel_spectrogram(power, 16000, 64, 0.0, 8000.0))


def test_the_floor_of_mcu_lies_above_the_rounding_of_16_bits():
    y = 0.1 * np.random.default_rng(0).standard_normal(160000)
    rounding = mel_db(np.round(y * 32768) / 32768 - y)
    assert 10 * np.log10(np.mean(10 ** (rounding / 10))) == pytest.approx(-87, abs=0.5)
    assert np.mean(rounding > MCU.floor_db) < 1e-4
    t = np.arange(16000) / 16000
    sines = [mel_db(np.sin(2 * np.pi * hz * t)).max() for hz in (100, 440, 1000, 3000, 7000)]
    assert 23 < min(sines) < 25 and 31.5 < max(sines) < 33
