"""Recordings that lack their upper band are told from those that have it."""

import warnings

import numpy as np
import pytest

from npreslstm.audio.bandwidth import BLOCK, lacks_upper_band
from npreslstm.audio.reader import read_audio, to_mono
from npreslstm.audio.resampling import ResamplingWarning
from npreslstm.conditions.condition import Condition, apply
from npreslstm.recognizer import RecognitionWarning, Recognizer

RATE = 48000
LOST = {
    "16 kHz": Condition(file_rate=16000),
    "22.05 kHz": Condition(file_rate=22050),
    "telephone": Condition(telephone="mu-law"),
    "low-pass": Condition(low_pass=5000, order=8),
}


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("level", [0.3, 0.03])
def test_a_lost_band_is_noticed(name, level):
    noise = level * np.random.default_rng(0).normal(size=RATE) / 3
    assert not lacks_upper_band(noise, RATE)
    assert lacks_upper_band(apply(LOST[name], noise, RATE, np.random.default_rng(1)), RATE)


def test_rates_without_room_for_the_band_lack_it_and_silence_does_not():
    noise = np.random.default_rng(0).normal(size=RATE)
    assert (
        lacks_upper_band(noise, 16000)
        and lacks_upper_band(noise, 22050)
        and not lacks_upper_band(noise, 32000)
    )
    assert not lacks_upper_band(np.zeros(RATE), RATE) and not lacks_upper_band(noise[: BLOCK - 1], RATE)


def test_ravdess_has_it_until_it_is_taken_away(ravdess):
    paths = sorted(ravdess.glob("Actor_*/*.flac"))[::49]
    for path in paths:
        y, rate = read_audio(path)
        y = to_mono(y)
        assert not lacks_upper_band(y, rate), path
        assert lacks_upper_band(apply(LOST["22.05 kHz"], y, rate, np.random.default_rng(0)), rate), path


def test_weights_for_the_whole_band_say_what_they_miss():
    noise = 0.1 * np.random.default_rng(0).normal(size=RATE)
    limited = apply(LOST["16 kHz"], noise, RATE, np.random.default_rng(1))
    with pytest.warns(
        RecognitionWarning,
        match=r"without sound above 11.5 kHz, while these weights listen up to 24 kHz .* robust",
    ):
        Recognizer("paper").process_signal(limited, RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecognitionWarning)
        warnings.simplefilter("ignore", ResamplingWarning)
        Recognizer("paper").process_signal(noise, RATE)
        Recognizer("mcu").process_signal(limited, RATE)
