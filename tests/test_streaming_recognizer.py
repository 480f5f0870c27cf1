"""StreamingRecognizer: the events of Listener on a clock of samples, however the blocks are cut."""

import math

import numpy as np
import pytest
from samples import checkpoint, voice

from npreslstm.audio.activity import as_pcm
from npreslstm.audio.config import FEATURE_CONFIGS
from npreslstm.audio.signal import ScaleWarning
from npreslstm.checkpoint import load_checkpoint
from npreslstm.errors import InputError
from npreslstm.listening import EventKind, Listener
from npreslstm.streaming_recognizer import StreamingRecognizer

MCU = FEATURE_CONFIGS["mcu"]


def talk(rate):
    """Silence, two utterances with a pause between them, silence: (n,) float32."""
    quiet = 1e-4 * np.random.default_rng(3).standard_normal(rate).astype(np.float32)
    utterances = voice(2.3, rate, seed=1), voice(0.4, rate, seed=2)
    return np.concatenate([quiet, utterances[0], quiet, utterances[1], quiet[: rate // 3]])


def hear(recognizer, signal, sizes):
    seconds, at = [], 0
    while at < len(signal):
        size = next(sizes)
        seconds += recognizer.push(signal[at : at + size])
        at += size
    return seconds + recognizer.finish()


@pytest.fixture(scope="module")
def weights():
    return checkpoint(MCU)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_events_are_those_of_listener(weights, rate):
    signal = talk(rate)
    listener = Listener(weights, rate)
    pcm = as_pcm(signal)
    expected = [*listener.push(pcm), *listener.finish()]
    assert [event.kind for event in expected].count(EventKind.START) == 2
    recognizer = StreamingRecognizer(weights, rate)
    sizes = np.random.default_rng(0).integers(1, rate, 1000)
    seconds = hear(recognizer, signal, iter(sizes))
    found = [event for second in seconds for event in second.events]
    assert [event[:3] for event in found] == [event[:3] for event in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
    assert hear(recognizer, signal, iter([len(signal)]))[2].probabilities == seconds[2].probabilities


def test_what_a_second_says(weights):
    rate = 16000
    signal = talk(rate)
    seconds = hear(StreamingRecognizer(weights, rate), signal, iter(np.full(1000, 1600)))
    whole = len(signal) / rate
    assert [(second.start, second.end) for second in seconds[:2]] == [(0.0, 1.0), (1.0, 2.0)]
    assert seconds[-1].end == pytest.approx(whole) and len(seconds) == math.ceil(whole)
    assert [second.speech for second in seconds] == [False, True, True, True, True, True]
    for second, start in zip(seconds, range(len(seconds)), strict=True):
        part = as_pcm(signal[start * rate : (start + 1) * rate]).astype(np.float64)
        assert second.level == pytest.approx(20 * np.log10(np.sqrt(np.mean(part**2)) / 32768), abs=1e-9)
        results = [event for event in second.events if event.label is not None]
        if results:
            assert second.label == results[-1].label
            assert list(second.probabilities.values()) == results[-1].probabilities.tolist()
    assert seconds[0].label is None and seconds[0].probabilities is None
    assert seconds[-1].label in weights.classes


def test_digital_silence_and_reset(weights):
    recognizer = StreamingRecognizer(weights)
    recognizer.push(voice(1.7))
    recognizer.reset()
    [second] = recognizer.push(np.zeros(16000))
    assert second == (0.0, 1.0, False, -math.inf, None, None, ())
    assert recognizer.finish() == []


def test_channels_are_averaged(weights):
    signal = voice(1.2)
    stereo = np.stack([1.5 * signal, 0.5 * signal], axis=1)
    ways = [hear(StreamingRecognizer(weights), x, iter(np.full(99, 999))) for x in (signal, stereo)]
    for one, other in zip(*ways, strict=True):
        assert one.probabilities == (other.probabilities and pytest.approx(other.probabilities, abs=2e-3))
        assert one.level == pytest.approx(other.level, abs=1e-3)


def test_integers_kept_in_floats_are_named(weights):
    with pytest.warns(ScaleWarning, match="divide by"):
        StreamingRecognizer(weights).push(np.full(100, 7.0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"features": FEATURE_CONFIGS["paper"]}, "need sound still to come: .* the weights robust and mcu"),
        ({"classes": ()}, "no names of classes"),
    ],
)
def test_weights_that_will_not_do(options, words):
    made = checkpoint(**{"features": MCU, "num_classes": 3, **options})
    with pytest.raises(InputError, match=words):
        StreamingRecognizer(made)


def test_other_rates_and_samples(weights):
    with pytest.raises(InputError, match="rate of a stream is 8000; expected 16000, 44100, 48000"):
        StreamingRecognizer(weights, 8000)
    with pytest.raises(InputError, match="uint8; expected floats"):
        StreamingRecognizer(weights).push(np.zeros(100, np.uint8))
    with pytest.raises(InputError, match="NaN"):
        StreamingRecognizer(weights).push(np.full(100, np.nan))


def test_bundled_weights_that_the_message_names_do():
    for name in ("robust", "mcu"):
        assert StreamingRecognizer(name).classes == load_checkpoint(name).classes
