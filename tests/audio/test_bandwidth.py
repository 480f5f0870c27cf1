"""Recordings that lack their upper band are told from those that have it."""

import warnings

import numpy as np
import pytest

from npreslstm.audio.bandwidth import BLOCK, lost_above
from npreslstm.audio.reader import read_audio, to_mono
from npreslstm.audio.resampling import ResamplingWarning
from npreslstm.conditions.condition import Condition, apply
from npreslstm.recognizer import RecognitionWarning, Recognizer

RATE = 48000
LOST = {
    "32 kHz": Condition(file_rate=32000),
    "24 kHz": Condition(file_rate=24000),
    "16 kHz": Condition(file_rate=16000),
    "22.05 kHz": Condition(file_rate=22050),
    "telephone": Condition(telephone="mu-law"),
    "low-pass": Condition(low_pass=5000, order=8),
}


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("level", [0.3, 0.03])
def test_a_lost_band_is_noticed(name, level):
    noise = level * np.random.default_rng(0).normal(size=RATE) / 3
    assert lost_above(noise, RATE) is None
    lost = lost_above(apply(LOST[name], noise, RATE, np.random.default_rng(1)), RATE)
    assert lost == (16500 if name == "32 kHz" else 11500)


def test_rates_without_room_for_the_band_lack_it_and_silence_does_not():
    noise = np.random.default_rng(0).normal(size=RATE)
    expected = {16000: 11500, 22050: 11500, 24000: 11500, 32000: 16500, 44100: None, 48000: None}
    assert {rate: lost_above(noise, rate) for rate in expected} == expected
    assert lost_above(np.zeros(RATE), RATE) is None and lost_above(noise[: BLOCK - 1], RATE) is None


def test_ravdess_has_it_until_it_is_taken_away(ravdess):
    paths, found = sorted(ravdess.glob("Actor_*/*.flac"))[::49], 0
    for path in paths:
        y, rate = read_audio(path)
        y = to_mono(y)
        assert lost_above(y, rate) is None, path
        assert lost_above(apply(LOST["22.05 kHz"], y, rate, np.random.default_rng(0)), rate) == 11500, path
        found += lost_above(apply(LOST["32 kHz"], y, rate, np.random.default_rng(0)), rate) == 16500
    assert found > 0.9 * len(paths)  # 0.96 of the corpus


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
