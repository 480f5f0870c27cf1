"""as_float, the scale of samples, and channels that cancel."""

import io

import numpy as np
import pytest
from samples import voice, write_wav, write_weights

from npreslstm.audio.config import FEATURE_CONFIGS
from npreslstm.audio.features import extract_features, extract_file
from npreslstm.audio.reader import read_audio
from npreslstm.audio.signal import (
    MAX_CHANNELS,
    ChannelWarning,
    ScaleWarning,
    as_float,
    warn_of_cancelling,
    warn_of_scale,
)
from npreslstm.audio.streaming import StreamingFeatures
from npreslstm.recognizer import Recognizer
from npreslstm.streaming_recognizer import StreamingRecognizer

INTEGERS = np.round(40 * voice(0.5) / np.abs(voice(0.5)).max()).astype(np.float32)


@pytest.mark.parametrize("kind", ["i2", "i4"])
@pytest.mark.parametrize("order", "<>")
def test_integers_of_either_byte_order(kind, order):
    samples = np.array([0, 1, -1, 2**15 - 1, -(2**15)], order + kind)
    result = as_float(samples)
    assert result.dtype == np.float32 and result.dtype.isnative
    np.testing.assert_array_equal(
        result, (samples.astype(float) / (2**15 if kind == "i2" else 2**31)).astype(np.float32)
    )


def test_floats_of_the_other_byte_order():
    np.testing.assert_array_equal(as_float(voice(0.1).astype(">f4")), voice(0.1))


@pytest.mark.parametrize(
    "samples",
    [INTEGERS, 30 * voice(0.2) / np.abs(voice(0.2)).max(), np.array([0.0, 2.1]), np.array([-2.0, 1.0])],
)
def test_another_scale(samples):
    with pytest.warns(ScaleWarning, match="audio: samples up to"):
        assert warn_of_scale(samples)


@pytest.mark.parametrize(
    "samples",
    [voice(0.2), np.array([1.0, -1.0, 0.0]), np.zeros(5), np.array([1.9, -0.5]), np.array([1.0001, 0.5])],
)
def test_the_usual_scale(samples):
    assert not warn_of_scale(samples)


@pytest.mark.filterwarnings("ignore::npreslstm.recognizer.RecognitionWarning")  # it is no speech either
def test_every_way_in_warns_once(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", INTEGERS, 16000, "FLOAT")
    recognizer = Recognizer(write_weights(tmp_path / "w.npz"))
    ways = {
        "a.wav: samples up to 40, all whole numbers": [
            lambda: read_audio(tmp_path / "a.wav"),
            lambda: extract_file(tmp_path / "a.wav", FEATURE_CONFIGS["mcu"]),
            lambda: recognizer.process_file(tmp_path / "a.wav"),
            lambda: recognizer.process_file(tmp_path / "a.wav", window=0.1, gate=False),
        ],
        "<BytesIO>: samples up to 40": [lambda: read_audio(io.BytesIO((tmp_path / "a.wav").read_bytes()))],
        "audio: samples up to 40": [
            lambda: extract_features(INTEGERS, 16000, FEATURE_CONFIGS["mcu"]),
            lambda: recognizer.process_signal(INTEGERS, 16000),
            lambda: [stream.push(part) for stream in [StreamingFeatures()] for part in np.split(INTEGERS, 4)],
        ],
    }
    for words, calls in ways.items():
        for call in calls:
            with pytest.warns(ScaleWarning, match=words) as caught:
                call()
            assert sum(warning.category is ScaleWarning for warning in caught) == 1


def inverted(y, share=1.0):
    """Two channels, of which the second is the first upside down."""
    return np.stack([y, -share * y], axis=1)


@pytest.mark.parametrize("share", [1.0, 0.98, 0.9])
def test_channels_that_cancel(share):
    with pytest.warns(ChannelWarning, match="audio: the channels cancel each other .*pan=mono"):
        assert warn_of_cancelling(inverted(voice(0.2), share))


def one_of_many():
    y = np.zeros((3200, MAX_CHANNELS), np.float32)
    y[:, 5] = voice(0.2)
    return y


@pytest.mark.parametrize(
    "samples",
    [
        voice(0.2),
        np.stack([voice(0.2)] * 2, axis=1),
        np.stack([voice(0.2), voice(0.2, seed=1)], axis=1),
        one_of_many(),
        inverted(voice(0.2), 0.5),
        inverted(np.zeros(3200, np.float32)),
        inverted(voice(0.05)),
    ],
    ids=["mono", "same", "others", "one of 64", "half", "silence", "short"],
)
def test_channels_that_do_not_cancel(samples):
    assert not warn_of_cancelling(samples)


@pytest.mark.filterwarnings("ignore::npreslstm.recognizer.RecognitionWarning")  # nothing is left of it
def test_every_way_in_warns_once_of_channels(tmp_path):
    stereo = inverted(voice(1.0))
    path = write_wav(tmp_path / "a.wav", stereo)
    recognizer = Recognizer(write_weights(tmp_path / "w.npz", features=FEATURE_CONFIGS["mcu"]))
    pcm = np.rint(32767 * stereo).astype(np.int16)
    ways = {
        "a.wav: the channels cancel": [
            lambda: read_audio(path),
            lambda: extract_file(path, FEATURE_CONFIGS["mcu"]),
            lambda: recognizer.process_file(path),
            lambda: recognizer.process_file(path, window=0.1, gate=False),
        ],
        "audio: the channels cancel": [
            lambda: extract_features(stereo, 16000, FEATURE_CONFIGS["mcu"]),
            lambda: recognizer.process_signal(pcm, 16000),
            lambda: [stream.push(part) for stream in [StreamingFeatures()] for part in np.split(stereo, 4)],
            lambda: [
                stream.push(part)
                for stream in [StreamingRecognizer(recognizer.checkpoint)]
                for part in np.split(pcm, 4)
            ],
        ],
    }
    for words, calls in ways.items():
        for call in calls:
            with pytest.warns(ChannelWarning, match=words) as caught:
                call()
            assert sum(warning.category is ChannelWarning for warning in caught) == 1
