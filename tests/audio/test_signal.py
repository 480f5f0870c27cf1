"""as_float and the scale of samples."""

import io

import numpy as np
import pytest
from samples import voice, write_weights

from npreslstm.audio.config import NAMED
from npreslstm.audio.features import extract_features, extract_file
from npreslstm.audio.reader import read_audio
from npreslstm.audio.signal import ScaleWarning, as_float, warn_of_scale
from npreslstm.audio.streaming import StreamingFeatures
from npreslstm.recognizer import Recognizer

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
            lambda: extract_file(tmp_path / "a.wav", NAMED["mcu"]),
            lambda: recognizer.process_file(tmp_path / "a.wav"),
            lambda: recognizer.process_file(tmp_path / "a.wav", window=0.1, gate=False),
        ],
        "<BytesIO>: samples up to 40": [lambda: read_audio(io.BytesIO((tmp_path / "a.wav").read_bytes()))],
        "audio: samples up to 40": [
            lambda: extract_features(INTEGERS, 16000, NAMED["mcu"]),
            lambda: recognizer.process_signal(INTEGERS, 16000),
            lambda: [stream.push(part) for stream in [StreamingFeatures()] for part in np.split(INTEGERS, 4)],
        ],
    }
    for words, calls in ways.items():
        for call in calls:
            with pytest.warns(ScaleWarning, match=words) as caught:
                call()
            assert sum(warning.category is ScaleWarning for warning in caught) == 1
