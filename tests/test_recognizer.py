"""Recognizer: the same numbers as its parts, whatever the container or the company."""

import doctest
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from predictions import ALONE_OR_BATCHED, same, values
from samples import CLASSES, FEATURES, checkpoint, voice, write_wav, write_weights

import npreslstm.batching
from npreslstm.audio.features import FeatureConfig, extract_features
from npreslstm.audio.resampling import ResamplingWarning
from npreslstm.batching import BATCH_FRAMES
from npreslstm.checkpoint import Checkpoint, load_model
from npreslstm.errors import InputError
from npreslstm.layers.activations import softmax
from npreslstm.prediction import Prediction
from npreslstm.recognizer import RecognitionWarning, Recognizer


@pytest.fixture(scope="module")
def rec():
    return Recognizer(checkpoint())


@pytest.mark.parametrize(
    "features",
    [FEATURES, FeatureConfig.named("mcu"), FeatureConfig.named("paper")],
    ids=["trimmed", "mcu", "paper"],
)
def test_equals_its_parts(features):
    weights = checkpoint(features)
    y = voice(sample_rate=features.sample_rate)
    p = Recognizer(weights).process_signal(y, features.sample_rate)
    x = (extract_features(y, features.sample_rate, features) - weights.mean) / weights.std
    logits, alpha = weights.model().infer(x[None], [len(x)])
    assert list(p.probabilities) == list(CLASSES)
    assert np.array_equal(values(p), softmax(logits)[0])
    assert np.array_equal(p.attention, alpha[0])
    assert p.label == CLASSES[logits.argmax()]
    assert (p.file, p.start, p.end, p.windows) == (None, 0.0, 1.0, ())
    assert len(p.times) == len(x)


@pytest.mark.parametrize("frames", [BATCH_FRAMES, 60])  # 60: a window's speeds are in different batches
def test_several_speeds_are_averaged(rec, monkeypatch, frames):
    monkeypatch.setattr(npreslstm.batching, "BATCH_FRAMES", frames)
    y, speeds = voice(3.0), (1.0, 0.85, 1.15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # resampling is how a speed is made, and no news
        # which would change them for other threads as well
        monkeypatch.setattr(warnings, "catch_warnings", None)
        together = Recognizer(checkpoint(), speeds).process_signal(y, 16000, window=1.0)
        monkeypatch.undo()
    with pytest.warns(ResamplingWarning):
        windows = [y[k * 8000 : k * 8000 + 16000] for k in range(5)]
        alone = [[rec.process_signal(part, round(16000 * speed)) for speed in speeds] for part in windows]
    assert len(together.windows) == 5
    for window, heard in zip(together.windows, alone):
        # achieved 1e-7
        np.testing.assert_allclose(
            values(window), np.mean([values(one) for one in heard], axis=0), rtol=0, atol=1e-6
        )
        np.testing.assert_allclose(window.attention, heard[0].attention, rtol=0, atol=1e-7)  # achieved 1.1e-8
    assert np.abs(values(together) - values(rec.process_signal(y, 16000, window=1.0))).max() > 1e-3


@pytest.mark.parametrize("speeds", [(), (0.9, 1.0), (1.0, 0.4), (1.0, 2.5), (1.0, float("nan"))])
def test_impossible_speeds(speeds):
    with pytest.raises(InputError, match="expected 1.0 first, and all in"):
        Recognizer(checkpoint(), speeds)


def test_probabilities_and_attention_add_up(rec):
    for seconds in (0.5, 11.0):
        p = rec.process_signal(voice(seconds), 16000)
        assert abs(sum(p.probabilities.values()) - 1) < 5e-7 and abs(p.attention.sum() - 1) < 5e-7  # 6e-8


def test_weights_by_path(tmp_path, rec):
    y = voice()
    assert same(
        Recognizer(write_weights(tmp_path / "w.npz")).process_signal(y, 16000), rec.process_signal(y, 16000)
    )


def test_different_sounds_differ(rec):
    assert (
        np.abs(
            values(rec.process_signal(voice(seed=1), 16000))
            - values(rec.process_signal(voice(seed=2), 16000))
        ).max()
        > 1e-3
    )


@pytest.mark.parametrize("seconds", [1.0, 10.5])
def test_file_and_signal_agree(rec, tmp_path, seconds):
    pcm = np.round(voice(seconds) * 32768).astype(np.int16)
    p = rec.process_file(write_wav(tmp_path / "a.wav", pcm))
    assert p.file == str(tmp_path / "a.wav")
    assert same(p, rec.process_signal(pcm, 16000))
    assert same(p, rec.process_signal(pcm / np.float32(32768), 16000))


def test_threads_share_a_recognizer(rec):
    """Also where Python has no global lock, and they run at once."""
    signals = [voice(2, seed=k) for k in range(4)]
    alone = [rec.process_signal(signal, 16000) for signal in signals]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: rec.process_signal(signals[k % 4], 16000), range(24)))
    assert all(same(p, alone[k % 4]) for k, p in enumerate(found))


def test_flac_and_wav_agree(rec, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    pcm = np.round(voice(11) * 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", pcm, 16000)
    assert same(rec.process_file(tmp_path / "a.flac"), rec.process_file(write_wav(tmp_path / "a.wav", pcm)))


def test_without_soundfile(rec, tmp_path, monkeypatch):
    path = write_wav(tmp_path / "a.wav", voice(11))
    expected = rec.process_file(path)
    monkeypatch.setitem(sys.modules, "soundfile", None)  # importing it now fails
    assert same(rec.process_file(path), expected)


def test_company_does_not_matter(rec, tmp_path):
    seconds = np.linspace(0.2, 3, 60)
    assert 60 * len(rec.process_signal(voice(3), 16000).times) > BATCH_FRAMES  # so there are two batches
    paths = [write_wav(tmp_path / f"{k:02}.wav", voice(s, seed=k)) for k, s in enumerate(seconds)]
    together = rec.process_files(paths)
    for path, p in zip(paths, together):
        assert p.file == str(path)
        assert same(p, rec.process_file(path), ALONE_OR_BATCHED)


class TestOddSounds:
    """Accepted with a defined result; a warning where it means little."""

    def quiet(self, rec, y, rate=16000):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return rec.process_signal(y, rate)

    @pytest.mark.parametrize(
        "y",
        [np.zeros(16000), np.full(16000, 0.5), np.full(16000, -1.0), 5e-5 * np.ones(16000)],
        ids=["0", "dc", "-1", "tiny"],
    )
    @pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
    @pytest.mark.filterwarnings("ignore:audio at 8000 Hz is resampled")
    def test_silence_and_dc(self, rec, y, rate):
        """At every rate: a constant that is resampled rings where it begins and ends."""
        with pytest.warns(RecognitionWarning, match="the signal is silent: the label means little"):
            p = rec.process_signal(y.astype(np.float32), rate)
        assert p.label in CLASSES and np.isfinite(values(p)).all() and abs(p.attention.sum() - 1) < 1e-6

    @pytest.mark.parametrize("n", [1, 2, 511, 1023])
    def test_less_than_a_frame(self, rec, n):
        with pytest.warns(RecognitionWarning, match=r"shorter than a frame \(64 ms\)"):
            p = rec.process_signal(voice()[3000 : 3000 + n], 16000)
        assert p.label in CLASSES and p.end == n / 16000

    def test_one_frame_is_enough(self, rec):
        self.quiet(rec, voice()[3000:4024])

    def test_eight_channels_are_averaged(self, rec, tmp_path):
        y = np.stack([np.roll(voice(), k) for k in range(8)], axis=1)
        p = self.quiet(rec, y)
        assert same(p, rec.process_signal(y.mean(axis=1), 16000))
        assert rec.process_file(write_wav(tmp_path / "8.wav", y)).label == p.label

    def test_clipping(self, rec):
        assert np.isfinite(values(self.quiet(rec, np.clip(100 * voice(), -1, 1)))).all()

    @pytest.mark.parametrize("shift", [0.03, -0.3])
    def test_dc_offset(self, rec, shift):
        centred = voice() - voice().mean()
        with pytest.warns(RecognitionWarning, match="the signal is shifted by a constant of more than 2 % "):
            p = rec.process_signal(centred + np.float32(shift), 16000)
        assert np.isfinite(values(p)).all()
        self.quiet(rec, centred + np.float32(0.015))

    def test_silent_windows_are_counted(self, rec):
        y = np.concatenate([voice(4), np.zeros(7 * 16000)]).astype(np.float32)
        with pytest.warns(RecognitionWarning, match="^3 of 5 windows of the signal are silent: "):
            rec.process_signal(y, 16000, gate=False)

    def test_warnings_name_the_file(self, rec, tmp_path):
        path = write_wav(tmp_path / "still.wav", np.zeros(16000))
        with pytest.warns(RecognitionWarning, match="still.wav is silent"):
            rec.process_file(path)

    @pytest.mark.parametrize("rate", [8000, 44100])
    def test_other_rates_are_resampled(self, rec, rate):
        y = voice(1, rate)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            p = rec.process_signal(y, rate)
        # where bands are left empty
        assert [warning.category for warning in caught] == [ResamplingWarning] * (rate == 8000)
        with pytest.warns(ResamplingWarning):
            x = (extract_features(y, rate, FEATURES) - rec.checkpoint.mean) / rec.checkpoint.std
        assert np.array_equal(values(p), softmax(rec.model.infer(x[None], [len(x)])[0])[0])
        assert p.end == 1.0

    @pytest.mark.parametrize(
        "rate, words",
        [(0, "sample rate 0"), (2_000_000, "sample rate 2000000"), ("fast", "sample rate 'fast'")],
    )
    def test_impossible_rate(self, rec, rate, words):
        with pytest.raises(InputError, match=words):
            rec.process_signal(voice(), rate)

    @pytest.mark.parametrize(
        "y, words",
        [
            ([], "no samples"),
            ([0.0, np.nan], "NaN"),
            ([np.inf], "infinite"),
            (np.zeros((2, 2, 2)), "shape"),
            (3.0, "shape"),
            (["a"], "audio is"),
        ],
    )
    def test_unusable_signal(self, rec, y, words):
        with pytest.raises(InputError, match=words):
            rec.process_signal(y, 16000)


class TestFiles:
    """Several files, and the bad ones among them."""

    def test_a_bad_file_is_raised(self, rec, tmp_path):
        good = write_wav(tmp_path / "good.wav", voice())
        with pytest.raises(FileNotFoundError, match="gone.wav"):
            rec.process_files([good, tmp_path / "gone.wav"])

    def test_or_reported(self, rec, tmp_path):
        good = write_wav(tmp_path / "good.wav", voice())
        (tmp_path / "text.wav").write_text("not audio")
        errors = {}
        predictions = rec.process_files(
            [tmp_path / "text.wav", good, "gone.wav"], on_error=errors.__setitem__
        )
        assert predictions[0] is predictions[2] is None
        assert same(predictions[1], rec.process_file(good))
        assert list(errors) == [str(tmp_path / "text.wav"), "gone.wav"]
        assert isinstance(errors["gone.wav"], FileNotFoundError)

    def test_folder(self, rec, tmp_path):
        (tmp_path / "b").mkdir()
        for name in ("c.wav", "b/a.wav", "a.WAV"):
            write_wav(tmp_path / name, voice(0.2))
        (tmp_path / "notes.txt").write_text("not audio")
        assert [p.file for p in rec.process_folder(tmp_path)] == [
            str(tmp_path / name) for name in ("a.WAV", "b/a.wav", "c.wav")
        ]

    def test_folder_without_audio(self, rec, tmp_path):
        with pytest.raises(InputError, match="without sound files"):
            rec.process_folder(tmp_path)

    def test_progress(self, rec, tmp_path):
        said = []
        rec.process_files([write_wav(tmp_path / "a.wav", voice(11))], progress=said.append)
        assert said == [f"a.wav {end} s" for end in (4, 6, 8, 10, 11)]


@pytest.mark.parametrize(
    "lacking, words",
    [
        ("mean", "statistics"),
        ("std", "statistics"),
        ("features", "feature configuration"),
        ("classes", "classes"),
    ],
)
def test_incomplete_weights_name_the_remedy(lacking, words):
    parts = {**vars(checkpoint()), lacking: None}
    with pytest.raises(
        InputError, match=rf"the checkpoint has no {words}; .*npreslstm convert .* --like OTHER.npz"
    ):
        Recognizer(Checkpoint(**parts))


def test_pytorch_weights_name_the_remedy(golden):
    path = golden / "reslstm_sa_h64.pt"
    with pytest.raises(
        InputError, match="has no statistics, no feature configuration, no classes; .*--like OTHER.npz"
    ):
        Recognizer(path)
    assert load_model(path).config.hidden_size == 64


def test_prediction_is_frozen_and_prints_short(rec):
    p = rec.process_signal(voice(), 16000)
    with pytest.raises(AttributeError):
        p.label = "sad"
    assert isinstance(p, Prediction) and "attention" not in repr(p)


class TestBundledWeights:
    """What comes with the package; how well it hears is tested in test_weights.py."""

    def test_the_example_in_the_docstring(self):
        done = doctest.testmod(npreslstm.recognizer)
        assert done.attempted == 17 and done.failed == 0

    @pytest.mark.parametrize("name, rate", [("paper", 48000), ("mcu", 16000)])
    def test_by_name(self, name, rate):
        rec = Recognizer(name)
        assert rec.checkpoint.features.sample_rate == rate and len(rec.classes) == 8
        p = rec.process_signal(voice(2, rate), rate)
        assert p.label in rec.classes and 0 <= p.times[0] < p.times[-1] <= 2


def test_weights_that_overflow_are_refused():
    made = checkpoint()
    made.state["fc.weight"][...] = 3e38
    with pytest.raises(InputError, match="logits that are no finite numbers"), np.errstate(all="ignore"):
        Recognizer(made).process_signal(voice(), 16000)
