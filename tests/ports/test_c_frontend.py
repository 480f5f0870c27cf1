"""The frontends of the C port on the host: features of samples as NumPy has them, streaming and of whole
clips.
"""

import ctypes
import dataclasses

import numpy as np
import pytest
from c_models import checkpoint, library

from npreslstm.audio.features import extract_features

NULL, SIZE, STATE = 1, 2, 4  # npr_status


@pytest.fixture(scope="module")
def frontends(tmp_path_factory):
    """frontends(name): (checkpoint, CLibrary) of float32 with those features; paper with trimming."""
    made = {}

    def get(name):
        if name not in made:
            model = checkpoint("h64", name)
            if name == "paper":
                model = dataclasses.replace(model, features=dataclasses.replace(model.features, trim_db=30.0))
            made[name] = model, library(model, "float32", tmp_path_factory.mktemp(name), cflags="-O2")
        return made[name]

    return get


def sound(rate, seconds=2.5, seed=3):
    """int16 samples: a gliding tone with harmonics, noise, a loud part, a silent part."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * (140 * t + 30 * t**2)
    y = sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.2 + 0.6 * (t > 1)) + 0.01 * rng.normal(
        size=len(t)
    )
    y[: len(t) // 8] = 0
    return np.clip(np.rint(12000 * y), -32768, 32767).astype(np.int16)


def largest_differences(c, pcm, features):
    """Of MFCC and of chroma, C against NumPy."""
    expected, got = extract_features(pcm, features.sample_rate, features), c.features(pcm)
    assert got.shape == expected.shape
    difference = np.abs(got - expected)
    return difference[:, : features.n_mfcc].max(), difference[:, features.n_mfcc :].max()


# Achieved in this test and the next: MFCC 1.3e-4, chroma 2.4e-6.
@pytest.mark.parametrize("name", ["mcu", "paper"])
def test_the_frontend_equals_numpy(frontends, name):
    made, c = frontends(name)
    for n in (None, 5000, 1):
        mfcc, chroma = largest_differences(
            c, sound(made.features.sample_rate)[-n if n else None :], made.features
        )
        assert mfcc < 1e-3 and chroma < 1e-5


@pytest.mark.parametrize("name", ["mcu", "paper"])
def test_silence_and_full_scale_are_features_too(frontends, name):
    made, c = frontends(name)
    square = np.where(np.arange(9000) // 50 % 2, 32767, -32768).astype(np.int16)
    loudest = np.full(9000, -32768, np.int16)
    clicks = np.zeros(9000, np.int16)
    # single steps, some where the window is near 0
    clicks[[1, 510, 511, 4000, 4001, 8999]] = 1, -1, 1, 1, 1, -1
    for pcm in (np.zeros(9000, np.int16), square, loudest):
        mfcc, chroma = largest_differences(c, pcm, made.features)
        assert mfcc < 1e-3 and chroma < 1e-5
    mfcc, chroma = largest_differences(c, clicks, made.features)
    assert mfcc < 1e-3
    # the tuning of `paper` is estimated, and clicks have none: NumPy with another BLAS differs by 0.005 too
    assert made.features.tuning is None or chroma < 1e-5


# Achieved on all clips: MFCC 3.8e-4, chroma 4.5e-6, logits 5.2e-6: docs/c-port.md.
@pytest.mark.parametrize("name", ["mcu", "paper"])
def test_pcm_to_logits_equals_numpy_on_speech(frontends, name, ravdess):
    made, c = frontends(name)
    model = made.model()
    for path in sorted(ravdess.glob("Actor_*/*.flac"))[::160]:
        pcm = speech(path, made.features.sample_rate)
        mfcc, chroma = largest_differences(c, pcm, made.features)
        assert mfcc < 1e-3 and chroma < 1e-5
        features = extract_features(pcm, made.features.sample_rate, made.features)
        z = ((features - made.mean) / made.std).astype(np.float32)
        ours = c.infer(np.array([c.normalise(row) for row in c.features(pcm)]))
        assert np.abs(ours - model.infer(z[None], [len(z)])[0][0]).max() < 1e-5


def speech(path, rate):
    """int16 mono samples of a file at another rate."""
    from npreslstm.audio.reader import read_audio
    from npreslstm.audio.resampling import resample

    y, from_rate = read_audio(path)
    y = y if y.ndim == 1 else y.mean(axis=1)
    return np.clip(
        np.rint(32768 * (y if from_rate == rate else resample(y, from_rate, rate))), -32768, 32767
    ).astype(np.int16)


def test_a_short_push_ends_the_clip(frontends):
    made, c = frontends("mcu")
    hop = made.features.hop_length
    pcm, row, frontend = np.ones(hop, np.int16), np.zeros(46, np.float32), ctypes.create_string_buffer(20000)

    def push(samples):
        pointer, out = ctypes.c_void_p(pcm.ctypes.data), ctypes.c_void_p(row.ctypes.data)
        return c.lib.npr_frontend_push(
            frontend, pointer, ctypes.c_size_t(samples), out, ctypes.c_size_t(len(row))
        )

    c.lib.npr_frontend_init(frontend)
    assert [push(hop), push(hop - 1)] == [0, 0]
    last = row.copy()
    assert [push(hop), push(1), push(0)] == [STATE, STATE, SIZE] and np.array_equal(row, last)
    c.lib.npr_frontend_init(frontend)
    assert push(1) == 0


def test_a_clip_takes_the_memory_that_the_page_says(frontends):
    made, c = frontends("paper")
    for count in (1, 40, 75, 87, 200):
        frames, floats = ctypes.c_size_t(), ctypes.c_size_t()
        samples = (count - 1) * made.features.hop_length + 1
        assert (
            c.lib.npr_clip_size(ctypes.c_size_t(samples), ctypes.byref(frames), ctypes.byref(floats)) == 0
            and frames.value == count
        )
        spectrum = 3 * c.sizes["NPR_FFT"] // 2 + 1 + c.sizes["NPR_MELS"]
        needed = 4 * (spectrum + floats.value + count * c.sizes["NPR_INPUTS"])
        assert needed == pytest.approx(max(25e3 + 2e3 * count, 123e3 + 700 * count), rel=0.03)


def test_a_clip_needs_memory_and_samples(frontends):
    _, c = frontends("paper")
    frames, floats = ctypes.c_size_t(), ctypes.c_size_t()
    size, features = c.lib.npr_clip_size, c.lib.npr_clip_features
    assert size(ctypes.c_size_t(0), ctypes.byref(frames), ctypes.byref(floats)) == SIZE
    assert size(ctypes.c_size_t(1 << 40), ctypes.byref(frames), ctypes.byref(floats)) == SIZE
    assert size(ctypes.c_size_t(5000), None, ctypes.byref(floats)) == NULL
    assert size(ctypes.c_size_t(5000), ctypes.byref(frames), ctypes.byref(floats)) == 0
    pcm, memory = np.zeros(5000, np.int16), np.zeros(floats.value, np.float32)
    spectrum, rows = np.zeros(20000, np.float32), np.zeros((frames.value, 46), np.float32)

    def call(samples=5000, room=floats.value, capacity=frames.value, out=rows.ctypes.data):
        pointers = (
            ctypes.c_void_p(pcm.ctypes.data),
            ctypes.c_size_t(samples),
            ctypes.c_void_p(spectrum.ctypes.data),
        )
        rest = (
            ctypes.c_void_p(memory.ctypes.data),
            ctypes.c_size_t(room),
            ctypes.c_void_p(out),
            ctypes.c_size_t(capacity),
        )
        return features(*pointers, *rest, ctypes.byref(ctypes.c_size_t()))

    assert call() == 0
    assert call(samples=0) == call(room=floats.value - 1) == call(capacity=frames.value - 1) == SIZE
    assert call(out=None) == NULL
