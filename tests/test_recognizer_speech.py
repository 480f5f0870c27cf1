"""Recognizer on long recordings: windows where there is speech, averaged with their neighbours."""

import doctest
import warnings

import numpy as np
import pytest
from predictions import ALONE_OR_BATCHED, same, values
from samples import CLASSES, checkpoint, voice, write_wav

from npreslstm.audio.resampling import ResamplingWarning
from npreslstm.errors import InputError
from npreslstm.recognizer import RecognitionWarning, Recognizer


@pytest.fixture(scope="module")
def rec():
    return Recognizer(checkpoint())


class TestGate:
    """Long recordings are heard where there is speech."""

    @pytest.fixture
    def talk(self):
        """Noise, 3 s of speech from 5 s on, noise, 9 s of it from 15 s on, noise to 30 s."""
        y = 2e-4 * np.random.default_rng(0).standard_normal(30 * 16000).astype(np.float32)
        y[5 * 16000 : 8 * 16000] += voice(3)
        y[15 * 16000 : 24 * 16000] += np.tile(voice(1, seed=1), 9)
        return y

    def test_windows_are_on_speech_and_the_rest_is_silence(self, rec, talk):
        p = rec.process_signal(talk, 16000)
        labels = [w.label if w.label == "silence" else "" for w in p.windows]
        assert labels == ["silence", "", "silence", "", "", "", "", "silence"]
        near = [
            (0, 4.7),
            (4.7, 8.3),
            (8.3, 14.7),
            (14.7, 18.7),
            (16.7, 20.7),
            (18.7, 22.7),
            (20.3, 24.3),
            (24.3, 30),
        ]
        np.testing.assert_allclose([(w.start, w.end) for w in p.windows], near, rtol=0, atol=0.15)
        assert (p.start, p.end) == (0, 30) and p.label in CLASSES

    def test_a_window_of_speech_is_its_part_of_the_clip(self, rec, talk):
        for w in rec.process_signal(talk, 16000).windows:
            if w.speech:
                alone = rec.process_signal(talk[round(w.start * 16000) : round(w.end * 16000)], 16000)
                assert np.abs(values(w) - values(alone)).max() <= ALONE_OR_BATCHED and w.label == alone.label

    def test_silence_has_no_probabilities_and_no_frames(self, rec, talk):
        for w in rec.process_signal(talk, 16000).windows:
            assert w.speech == (w.label != "silence") == bool(w.probabilities) == bool(len(w.attention))
            assert len(w.attention) == len(w.times)

    def test_the_whole_is_the_mean_of_the_speech(self, rec, talk):
        p = rec.process_signal(talk, 16000)
        speech = [w for w in p.windows if w.speech]
        assert np.allclose(values(p), np.mean([values(w) for w in speech], axis=0), rtol=0, atol=1e-7)
        assert abs(p.attention.sum() - 1) < 5e-7 and len(p.times) == sum(len(w.times) for w in speech)

    def test_files_as_signals(self, rec, talk, tmp_path):
        pcm = np.round(talk * 32768).astype(np.int16)
        p, q = rec.process_file(write_wav(tmp_path / "a.wav", pcm)), rec.process_signal(pcm, 16000)
        assert same(p, q) and [(w.start, w.end, w.label) for w in p.windows] == [
            (w.start, w.end, w.label) for w in q.windows
        ]

    @pytest.mark.parametrize("rate", [8000, 48000])
    def test_at_other_rates(self, rec, rate):
        y = np.concatenate((np.zeros(6 * rate), voice(4, rate), np.zeros(6 * rate)))
        y += 1e-4 * np.random.default_rng(0).standard_normal(len(y))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResamplingWarning)
            p = rec.process_signal(y, rate)
        assert [w.speech for w in p.windows] == [False, True, True, False] and abs(
            p.windows[1].start - 5.7
        ) < 0.15

    def test_without_it_all_is_heard(self, rec, talk, tmp_path):
        p = rec.process_signal(talk, 16000, gate=False)
        assert [w.start for w in p.windows] == list(range(0, 27, 2)) and all(w.speech for w in p.windows)
        path = write_wav(tmp_path / "a.wav", talk)
        assert len(rec.process_file(path, gate=False).windows) == 14
        assert len(rec.process_files([path], gate=False)[0].windows) == 14
        assert len(rec.process_folder(tmp_path, gate=False)[0].windows) == 14

    def test_a_clip_of_one_window_is_heard_as_it_is(self, rec, talk):
        for window in (None, 10):
            p = rec.process_signal(talk[: 10 * 16000], 16000, window)
            assert p.windows == () and p.label in CLASSES

    def test_no_speech_is_silence_with_a_warning(self, rec, tmp_path):
        path = write_wav(tmp_path / "still.wav", np.zeros(11 * 16000))
        with pytest.warns(
            RecognitionWarning, match="no speech was heard in .*still.wav: it is called silence"
        ):
            p = rec.process_file(path)
        assert (p.label, p.probabilities, p.start, p.end, p.windows, p.speech) == (
            "silence",
            {},
            0,
            11,
            (),
            False,
        )
        assert len(p.attention) == len(p.times) == 0
        with pytest.warns(RecognitionWarning, match="5 windows of .* are silent"):
            assert rec.process_file(path, gate=False).label in CLASSES

    def test_company_does_not_matter(self, rec, talk, tmp_path):
        still, spoken = (
            write_wav(tmp_path / "a.wav", np.zeros(11 * 16000)),
            write_wav(tmp_path / "b.wav", talk),
        )
        with pytest.warns(RecognitionWarning, match="no speech"):
            together = rec.process_files([still, spoken, write_wav(tmp_path / "c.wav", voice(1))])
        assert [p.speech for p in together] == [False, True, True]
        assert same(together[1], rec.process_file(spoken), ALONE_OR_BATCHED)


class TestSmoothing:
    """Windows are averaged with their neighbours, weighted by how near their middles are."""

    def test_by_hand(self, rec):
        y = np.concatenate([voice(4, seed=k) for k in range(4)])
        raw, p = (rec.process_signal(y, 16000, 4, 2, smooth=seconds) for seconds in (0, 3))
        rows = np.array([values(w) for w in raw.windows])
        for k, w in enumerate(p.windows):
            weights = np.array([max(0, 1 - abs(2 * (j - k)) / 3) for j in range(len(rows))])
            assert np.allclose(values(w), weights @ rows / weights.sum(), rtol=0, atol=1e-6)  # achieved 1e-7
            assert w.label == CLASSES[values(w).argmax()] and np.array_equal(
                w.attention, raw.windows[k].attention
            )
        assert same(p, raw) and np.abs(values(p.windows[0]) - rows[0]).max() > 1e-3

    def test_not_across_long_silence(self, rec):
        y = np.concatenate([voice(4), np.zeros(10 * 16000), voice(4, seed=1)]).astype(np.float32)
        raw, p = (rec.process_signal(y, 16000, 5, smooth=seconds) for seconds in (0, 8))
        assert [w.speech for w in p.windows] == [True, False, True]
        assert all(a.probabilities == b.probabilities for a, b in zip(raw.windows, p.windows))

    def test_everything_is_smoothed_to_one_with_a_long_reach(self, rec):
        p = rec.process_signal(voice(12), 16000, smooth=1e6)
        rows = np.array([values(w) for w in p.windows])
        assert np.abs(rows - rows[0]).max() < 1e-4

    @pytest.mark.parametrize("smooth", [-1, float("nan"), float("inf"), 2e6])
    def test_nonsense(self, rec, smooth):
        with pytest.raises(InputError, match=f"smooth is {smooth}; expected seconds from 0"):
            rec.process_signal(voice(), 16000, smooth=smooth)

    def test_the_docstring(self):
        import npreslstm.prediction

        done = doctest.testmod(npreslstm.prediction)
        assert done.attempted == 5 and done.failed == 0
