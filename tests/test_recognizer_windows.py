"""Recognizer: windows of long recordings, and where their frames lie."""

import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predictions import ALONE_OR_BATCHED, same, values
from samples import CLASSES, checkpoint, voice, write_wav

from npreslstm.audio.features import FeatureConfig
from npreslstm.audio.windows import file_windows, window_starts
from npreslstm.batching import BATCH_FRAMES
from npreslstm.errors import InputError
from npreslstm.recognizer import Recognizer


@pytest.fixture(scope="module")
def rec():
    return Recognizer(checkpoint())


class TestWindows:
    """Long recordings."""

    @given(n=st.integers(1, 3000), window=st.integers(1, 400), data=st.data())
    def test_starts_cover_everything(self, n, window, data):
        hop = data.draw(st.integers(1, window))
        starts, size = window_starts(n, 100, window / 100, hop / 100)
        assert starts[0] == 0 and starts[-1] + size == n and size == min(n, window)
        assert all(start == k * hop for k, start in enumerate(starts[:-1]))
        assert all(b - a <= hop for a, b in zip(starts, starts[1:])) and starts == sorted(set(starts))

    @pytest.mark.parametrize("n, count", [(1000, 1), (1001, 5), (1200, 5), (1201, 6)])
    def test_default(self, n, count):
        starts, size = window_starts(n, 100)
        assert (len(starts), size) == (count, 400 if count > 1 else n)

    def test_default_hop_is_half_a_window(self):
        assert window_starts(900, 100, window=3.0) == window_starts(900, 100, 3.0, 1.5)

    def test_a_window_is_its_part_of_the_clip(self, rec):
        y = voice(5.3)
        p = rec.process_signal(y, 16000, window=2, hop=1)
        assert [(w.start, w.end) for w in p.windows] == [(0, 2), (1, 3), (2, 4), (3, 5), (3.3, 5.3)]
        for w in p.windows:
            first = round(w.start * 16000)
            alone = rec.process_signal(y[first : first + 32000], 16000)
            assert np.abs(values(w) - values(alone)).max() <= ALONE_OR_BATCHED and w.label == alone.label
            assert np.allclose(w.times, w.start + alone.times, rtol=0, atol=1e-12)

    def test_the_whole_is_the_mean(self, rec):
        p = rec.process_signal(voice(12), 16000)
        assert (p.start, p.end, len(p.windows)) == (0, 12, 5)
        assert np.allclose(values(p), np.mean([values(w) for w in p.windows], axis=0), rtol=0, atol=1e-7)
        assert p.label == CLASSES[values(p).argmax()]
        assert len(p.attention) == len(p.times) == sum(len(w.times) for w in p.windows)

    def test_window_on_a_short_clip(self, rec):
        y = voice(1)
        assert same(rec.process_signal(y, 16000, window=4, hop=2), rec.process_signal(y, 16000))

    def test_a_window_longer_than_a_batch(self, rec, tmp_path):
        y = np.tile(voice(10), 15)
        paths = [write_wav(tmp_path / f"{k}.wav", z) for k, z in enumerate((voice(1), y, voice(2)))]
        p = rec.process_files(paths, window=200)[1]
        assert len(p.times) > BATCH_FRAMES and p.windows == ()
        assert same(p, rec.process_file(paths[1], window=200))

    @pytest.mark.parametrize("gate, most", [(False, 5), (True, 9)])  # windows: achieved 4.6 and 6.8
    @pytest.mark.parametrize("without", ["", "soundfile"])
    def test_files_are_read_in_pieces(self, tmp_path, monkeypatch, without, gate, most):
        if without:
            monkeypatch.setitem(sys.modules, without, None)  # importing it now fails
        spoken = np.concatenate((voice(10), 1e-4 * np.random.default_rng(0).standard_normal(20 * 16000)))
        path = write_wav(tmp_path / "long.wav", np.tile(spoken, 8))
        next(file_windows(path, gate=gate))  # soundfile's own set-up
        tracemalloc.start()
        total = sum(
            len(window.samples) for window in file_windows(path, gate=gate) if window.samples is not None
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        window = 4 * 16000 * 4  # bytes; the file is 60
        assert peak < most * window
        assert 5 * 8 * 64000 <= total <= 6 * 8 * 64000 if gate else total == 119 * 64000

    @pytest.mark.parametrize(
        "window, hop, words",
        [
            (0, None, "window is 0; expected seconds above 0"),
            (float("nan"), None, "window is nan"),
            (2, -1, "hop is -1"),
            ("4", None, "window is '4'; expected a number of seconds"),
            (2, 3, "hop is 3 s; expected at most the window of 2 s"),
            (None, 1, "hop is 1 without a window"),
        ],
    )
    def test_nonsense(self, rec, tmp_path, window, hop, words):
        with pytest.raises(InputError, match=words):
            rec.process_signal(voice(), 16000, window, hop)
        with pytest.raises(InputError, match=words):
            rec.process_files([], window, hop)


class TestTimes:
    """Where the frames lie in the file."""

    def test_centred(self):
        p = Recognizer(checkpoint(FeatureConfig.named("paper"))).process_signal(voice(1, 48000), 48000)
        assert np.allclose(p.times, np.arange(24) * 2048 / 48000)

    def test_causal(self):
        p = Recognizer(checkpoint(FeatureConfig.named("mcu"))).process_signal(voice(1), 16000)
        # frame t spans samples 512 (t - 1) to 512 (t + 1)
        assert np.allclose(p.times, (np.arange(32) * 512) / 16000)

    def test_trimmed_silence_has_no_frames(self, rec):
        y = np.concatenate([np.zeros(16000), voice(1), np.zeros(8000)]).astype(np.float32)
        p = rec.process_signal(y, 16000)
        assert 0.9 < p.times[0] < 1.1 and 1.9 < p.times[-1] < 2.1
        assert p.end == 2.5
