"""The voice-activity gate: the same decisions however samples come, not fooled by what is steady, spans in
seconds.
"""

import doctest
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import voice, write_wav

from npreslstm.audio import activity
from npreslstm.audio.activity import DELAY, HOP, SAMPLE_RATE, VoiceActivity, speech_spans
from npreslstm.audio.windows import file_windows, speech_parts
from npreslstm.errors import InputError


def noise(seconds, level, seed=0):
    """White noise of a root mean square in dB of full scale."""
    return 10 ** (level / 20) * np.random.default_rng(seed).normal(size=round(seconds * SAMPLE_RATE))


def decide(samples, cuts=()):
    gate = VoiceActivity()
    return np.concatenate([*(gate.push(piece) for piece in np.split(samples, cuts)), gate.flush()])


def spoken(level=-50):
    """Noise, a voice from 2 s to 4 s, noise to 7 s: float64 samples, and which hops have the voice."""
    y = noise(7, level)
    y[2 * SAMPLE_RATE : 4 * SAMPLE_RATE] += voice(2.0)
    middles = (np.arange(len(y) // HOP) + 0.5) * HOP / SAMPLE_RATE
    return y, (middles > 2) & (middles < 4)


SIGNAL = np.rint(32768 * spoken()[0]).astype(np.int16)
WHOLE = decide(SIGNAL)


class TestStream:
    """Pieces, types, ends."""

    @settings(max_examples=40)
    @given(st.lists(st.integers(0, len(SIGNAL)), max_size=8).map(sorted))
    def test_any_chunking_gives_the_same_decisions(self, cuts):
        np.testing.assert_array_equal(decide(SIGNAL, cuts), WHOLE)

    def test_both_decisions_occur(self):
        assert 0.2 < WHOLE.mean() < 0.5 and len(WHOLE) == len(SIGNAL) // HOP

    def test_floats_and_channels_are_what_their_16_bits_are(self):
        np.testing.assert_array_equal(decide(SIGNAL / np.float32(32768)), WHOLE)
        np.testing.assert_array_equal(decide(SIGNAL / 32768.0), WHOLE)
        np.testing.assert_array_equal(decide(np.stack([SIGNAL, SIGNAL], axis=1)), WHOLE)
        np.testing.assert_array_equal(decide(SIGNAL * np.int32(65536)), WHOLE)

    @pytest.mark.parametrize("hops", [0, 1, 2, DELAY, DELAY + 1, 9])
    @pytest.mark.parametrize("more", [0, 1, HOP - 1])
    def test_decisions_come_late_and_none_is_lost(self, hops, more):
        gate = VoiceActivity()
        assert len(gate.push(SIGNAL[: hops * HOP + more])) == max(0, hops - DELAY)
        assert len(gate.flush()) == min(hops, DELAY)

    def test_flush_and_reset_start_anew(self):
        gate = VoiceActivity()
        for _ in range(2):
            np.testing.assert_array_equal(np.concatenate((gate.push(SIGNAL), gate.flush())), WHOLE)
        gate.push(SIGNAL[:70000])
        gate.reset()
        np.testing.assert_array_equal(np.concatenate((gate.push(SIGNAL), gate.flush())), WHOLE)

    def test_a_decision_hears_no_more_than_it_says(self):
        end = 100 * HOP
        changed = np.concatenate((SIGNAL[:end], np.zeros_like(SIGNAL[end:])))
        np.testing.assert_array_equal(decide(changed)[: 100 - DELAY], WHOLE[: 100 - DELAY])

    def test_memory_does_not_grow(self):
        gate = VoiceActivity()
        gate.push(SIGNAL)
        tracemalloc.start()
        gate.push(SIGNAL)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            gate.push(SIGNAL)
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert after - before < 10_000

    @pytest.mark.parametrize(
        "bad, words",
        [([np.nan], "NaN"), (np.array([1, 2], np.int64), "audio is int64"), ([500.0], "samples up to 500")],
    )
    def test_what_is_no_sound_is_refused(self, bad, words):
        with pytest.raises(InputError, match=words):
            VoiceActivity().push(bad)


class TestArithmetic:
    """The parts, against what they stand for."""

    def test_levels_are_logarithms(self):
        values = np.unique(np.geomspace(1, 2**52, 5000).astype(np.int64))
        error = activity._log2(values) - 256 * np.log2(values)
        assert -23.1 < error.min() and error.max() <= 0  # 22.04 by the straight lines, 1 by rounding down

    def test_levels_are_shifts(self):
        for value in [256, 257, 511, 512, 1023, 1024, 1535, 2**46 + 12345, 2**52 - 1]:
            whole = value.bit_length() - 1
            assert activity._log2(np.array([value]))[0] == 256 * (whole - 1) + (value >> (whole - 8))

    def test_bands_are_octaves(self):
        t = np.arange(HOP)
        for band in range(activity.BANDS):
            tone = 8000 * np.sin(2 * np.pi * (0.36 * 2.0**-band) * t + 1)
            assert activity._band_energies(np.rint(tone).astype(np.int16)[None])[0].argmax() == band

    def test_the_bands_add_up_to_the_energy(self):
        """Haar's transform keeps energies: band b counts 2^(b + 1) times, what is below 62 Hz is
        left over.
        """
        x = np.random.default_rng(0).integers(-32768, 32768, (5, HOP))
        energies = activity._band_energies(x) / 2.0 ** np.arange(1, activity.BANDS + 1)
        rest = np.square(x.reshape(5, -1, 128).sum(axis=2)).sum(axis=1) / 128
        # achieved 2e-16
        np.testing.assert_allclose(energies.sum(axis=1) + rest, np.square(x).sum(axis=1), rtol=1e-13)

    def test_full_scale_does_not_overflow(self):
        x = np.where(np.arange(HOP) // 64 % 2, 32767, -32768).astype(np.int16)
        assert activity._band_energies(x[None])[0, 6] == (64 * 65535) ** 2 * 4

    def test_a_floor_moves_as_documented(self):
        assert [activity._step(above, False, 4) for above in (64, 31, 0, -15, -16, -320)] == [
            2,
            0,
            0,
            0,
            -1,
            -20,
        ]
        assert [activity._step(above, True, 2) for above in (640, 6, 5, -320)] == [6, 6, 5, -80]


class TestHearing:
    """What is speech, and what is not."""

    @pytest.mark.parametrize("level", [-80, -50, -34])  # the voice is at -25
    def test_a_voice_is_found_and_nothing_else(self, level):
        y, expected = spoken(level)
        kept = decide(y)
        assert kept[expected].mean() > 0.97 and kept[~expected].mean() < 0.06  # achieved 1.0, 0.045

    @pytest.mark.parametrize("gain", [-24, -12, 0, 20])
    def test_at_any_level(self, gain):
        y, expected = spoken(-34)
        kept = decide(np.clip(y * 10 ** (gain / 20), -1, 1))
        assert kept[expected].mean() > 0.97 and kept[~expected].mean() < 0.06

    def test_silence_an_offset_and_the_last_bit_are_no_speech(self):
        dither = np.random.default_rng(0).integers(-1, 2, 50000).astype(np.int16) // 2
        for y in (np.zeros(50000, np.int16), np.full(50000, 0.3), dither, np.full(50000, -32768, np.int16)):
            assert not decide(y).any()

    def test_steady_noise_is_none(self):
        for level in (-95, -80, -50, -20, -3):
            assert not decide(np.clip(noise(10, level), -1, 1)).any()

    @pytest.mark.parametrize("frequency", [50, 60, 100, 400])
    def test_a_hum_is_none(self, frequency):
        t = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
        hum = sum(np.sin(2 * np.pi * frequency * k * t + k) / k for k in (1, 2, 3, 5))
        assert not decide(0.2 * hum + noise(10, -60)).any()

    def test_a_hum_that_begins_is_soon_none(self):
        t = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
        kept = decide(noise(20, -60) + 0.005 * np.sin(2 * np.pi * 100 * t) * (t > 5))
        assert not kept[: 4 * SAMPLE_RATE // HOP].any() and not kept[18 * SAMPLE_RATE // HOP :].any()

    def test_louder_noise_is_soon_none(self):
        y = np.concatenate((noise(5, -50), noise(25, -35)))
        kept = decide(y)
        assert not kept[-10 * SAMPLE_RATE // HOP :].any()

    def test_a_voice_after_digital_silence(self):
        y, expected = spoken()
        kept = decide(np.concatenate((np.zeros(60 * HOP), y, np.zeros(60 * HOP))))
        assert not kept[:57].any() and not kept[-50:].any()
        assert kept[60:-60][expected[: len(kept) - 120]].mean() > 0.97

    def test_a_voice_between_digital_silence_alone(self):
        pause = np.zeros(SAMPLE_RATE)
        y = np.concatenate([pause, voice(1.5), pause, voice(1.5, seed=1), pause])
        spans = speech_spans(y, SAMPLE_RATE)
        for begin in (1.0, 3.5):
            assert any(abs(start - begin) < 0.2 for start, _ in spans)
        assert all(0.9 < start < end < 2.6 or 3.4 < start < end < 5.1 for start, end in spans)

    @pytest.mark.parametrize("at", [40000, 40 * HOP + 7])
    def test_a_click_is_none(self, at):
        y = noise(5, -60)
        y[at : at + 16] += 0.9
        assert not decide(y).any()


class TestSpans:
    """Seconds."""

    @pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
    def test_at_any_rate(self, rate):
        y = 1e-3 * np.random.default_rng(0).normal(size=6 * rate)
        y[2 * rate : 4 * rate] += voice(2.0, rate)
        [(start, end)] = speech_spans(y, rate)
        assert abs(start - 2) < 0.15 and abs(end - 4) < 0.15

    def test_speech_up_to_the_end(self):
        y = spoken()[0][: 3 * SAMPLE_RATE + 100]
        assert speech_spans(y, SAMPLE_RATE)[-1][1] == len(y) / SAMPLE_RATE

    def test_none(self):
        assert speech_spans(np.zeros(SAMPLE_RATE), SAMPLE_RATE) == [] == speech_spans([0.5], SAMPLE_RATE)

    def test_they_are_the_decisions(self):
        middles = (np.arange(len(WHOLE)) + 0.5) * HOP / SAMPLE_RATE
        spans = speech_spans(SIGNAL, SAMPLE_RATE)
        np.testing.assert_array_equal([any(a < t < b for a, b in spans) for t in middles], WHOLE)

    def test_bad_input(self):
        with pytest.raises(InputError, match="sample rate 0"):
            speech_spans([0.0], 0)
        with pytest.raises(InputError, match="no samples"):
            speech_spans([], 16000)

    def test_the_docstrings(self):
        done = doctest.testmod(activity)
        assert done.attempted == 21 and done.failed == 0


class TestParts:
    """Windows on speech, silence between them."""

    @settings(max_examples=200)
    @given(
        st.lists(st.floats(0, 60), max_size=12, unique=True).map(sorted), st.floats(0.2, 6), st.floats(0.1, 1)
    )
    def test_nothing_is_left_out(self, edges, window, share):
        spans = list(zip(edges[0::2], edges[1::2]))
        parts = speech_parts(6000, 100, spans, window, window * share)
        assert parts[0][0] == 0 and max(stop for _, stop, _ in parts) == 6000
        covered = 0
        for start, stop, heard in parts:
            assert start <= covered and start < stop
            assert heard or (start == covered and stop - start >= 50)
            covered = max(covered, stop)
        for a, b in spans:
            assert not any(not heard and start < 100 * b and 100 * a < stop for start, stop, heard in parts)

    def test_by_example(self):
        parts = speech_parts(3000, 100, [(3.0, 4.0), (4.5, 5.0), (12.0, 20.0), (29.2, 29.4)])
        assert parts == [
            (0, 275, False),
            (275, 525, True),
            (525, 1175, False),
            *[(start, start + 400, True) for start in (1175, 1375, 1575, 1625)],
            (2025, 2895, False),
            (2895, 3000, True),
        ]

    def test_no_speech(self):
        assert speech_parts(1000, 100, []) == [(0, 1000, False)]

    def test_a_file_is_read_as_the_signal_is(self, tmp_path):
        y = np.concatenate([spoken()[0]] * 3)
        pcm = np.rint(32768 * y).astype(np.int16)
        parts = list(file_windows(write_wav(tmp_path / "a.wav", pcm), gate=True))
        assert [part.samples is None for part in parts] == [True, False] * 3 + [True]
        for start, stop, samples, _ in parts:
            assert samples is None or np.array_equal(samples, pcm[start:stop] / np.float32(32768))


@pytest.mark.parametrize("kind", ["white", "pink"])
def test_95_percent_of_speech_and_10_of_the_rest_on_unseen_speakers(ravdess, kind):
    """A fifth of what tools/accuracy/activity.py measures on all 300 clips: docs/frontend.md."""
    from tools.accuracy import activity as tool

    rng, total = np.random.default_rng(0), np.zeros((3, 4), int)
    for actor in (2, 5, 14, 15, 16):
        for y in tool.read(sorted((ravdess / f"Actor_{actor:02}").iterdir())[actor % 5 :: 5]):
            total += tool.counts(y, tool.noisy(tool.NOISES[kind], 10), None, rng)
    kept, speech, others_kept, others = total[tool.REFERENCES.index(30)]
    assert kept >= 0.95 * speech and others_kept <= 0.1 * others
