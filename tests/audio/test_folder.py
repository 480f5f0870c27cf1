"""extract_folder, folder_statistics, extract_file: jobs, cache, bad files, long files in blocks."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from samples import voice, write_wav

from npreslstm.audio import features as features_module
from npreslstm.audio import folder
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import FRAMES_AT_ONCE, extract_features, extract_file
from npreslstm.audio.folder import extract_folder, folder_statistics
from npreslstm.audio.reader import read_audio
from npreslstm.audio.resampling import ResamplingWarning
from npreslstm.errors import InputError

MCU = FeatureConfig.named("mcu")
PAPER16 = dataclasses.replace(FeatureConfig(), sample_rate=16000, n_fft=1024, hop_length=512, n_mels=64)


@pytest.fixture
def clips(tmp_path):
    """Four clips of different lengths, as paths in no sorted order."""
    return [
        str(write_wav(tmp_path / name, voice(0.3 + k / 5, seed=k)))
        for k, name in enumerate(("d.wav", "a.wav", "c.wav", "b.wav"))
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_features_in_the_order_given(clips, jobs):
    steps = []
    results = extract_folder(clips, MCU, jobs, progress=lambda done, total: steps.append((done, total)))
    assert [file.path for file in results] == clips and steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for path, features, error in results:
        assert error is None
        np.testing.assert_array_equal(features, extract_features(*read_audio(path), MCU))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_file_does_not_spoil_the_rest(clips, tmp_path, jobs):
    pytest.importorskip("soundfile")  # without it, what is no PCM WAV is refused for that alone
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    paths = [clips[0], str(bad), str(tmp_path / "none.wav"), clips[1]]
    results = extract_folder(paths, MCU, jobs, tmp_path / "cache")
    assert [file.features is None for file in results] == [False, True, True, False]
    assert "bad.wav: not a sound file" in results[1].error and "none.wav: no such file" in results[2].error


@pytest.mark.parametrize("jobs", [1, 2])
def test_warnings_of_workers_are_passed_on(clips, jobs):
    with pytest.warns(ResamplingWarning, match="16000 Hz is resampled to 48000 Hz: nothing is above 8000 Hz"):
        extract_folder(clips[:2], FeatureConfig(), jobs)


def count_extractions(monkeypatch):
    calls = []
    monkeypatch.setattr(
        folder, "extract_file", lambda path, config: calls.append(path) or extract_file(path, config)
    )
    return calls


def test_cache_answers_for_the_same_content_and_configuration_only(clips, tmp_path, monkeypatch):
    calls = count_extractions(monkeypatch)
    first = extract_folder(clips, MCU, cache_dir=tmp_path / "cache")
    assert calls == clips
    again = extract_folder(clips, MCU, cache_dir=tmp_path / "cache")
    assert calls == clips
    for one, other in zip(first, again):
        np.testing.assert_array_equal(one.features, other.features)
    extract_folder(clips[:1], dataclasses.replace(MCU, floor_db=-70.0), cache_dir=tmp_path / "cache")
    assert len(calls) == 5
    write_wav(clips[0], voice(0.4, seed=99))
    changed = extract_folder(clips, MCU, cache_dir=tmp_path / "cache")
    assert len(calls) == 6
    np.testing.assert_array_equal(changed[0].features, extract_features(*read_audio(clips[0]), MCU))
    os.rename(clips[1], clips[1] + "2")  # the name does not matter
    extract_folder([clips[1] + "2"], MCU, cache_dir=tmp_path / "cache")
    assert len(calls) == 6


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: b"", lambda data: b"x" * len(data)])
def test_damaged_cache_entries_are_made_anew(clips, tmp_path, monkeypatch, damage):
    expected = extract_folder(clips[:1], MCU, cache_dir=tmp_path / "cache")[0].features
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    calls = count_extractions(monkeypatch)
    np.testing.assert_array_equal(
        extract_folder(clips[:1], MCU, cache_dir=tmp_path / "cache")[0].features, expected
    )
    assert len(calls) == 1


@pytest.mark.parametrize("header", ["(1000000000000, 46)", f"({10**23}, 46)", "(0, 46)", "-" * 4000 + "1"])
def test_entries_with_an_absurd_header_are_made_anew(clips, tmp_path, header):
    expected = extract_folder(clips[:1], MCU, cache_dir=tmp_path / "cache")[0].features
    (entry,) = (tmp_path / "cache").iterdir()
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {header}, }}".encode()
    entry.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    np.testing.assert_array_equal(
        extract_folder(clips[:1], MCU, cache_dir=tmp_path / "cache")[0].features, expected
    )


def test_entries_of_another_shape_are_not_taken(clips, tmp_path):
    expected = extract_folder(clips[:1], MCU, cache_dir=tmp_path / "cache")[0].features
    (entry,) = (tmp_path / "cache").iterdir()
    np.save(entry, np.zeros((3, 7), np.float32))
    np.testing.assert_array_equal(
        extract_folder(clips[:1], MCU, cache_dir=tmp_path / "cache")[0].features, expected
    )


CHILD = """
import sys, time
from npreslstm.audio import folder
from npreslstm.audio.config import FeatureConfig
slow = folder._extract
folder._extract = lambda *args: time.sleep(0.2) or slow(*args)
folder.extract_folder(sys.argv[2:], FeatureConfig.named("mcu"), 1, sys.argv[1])
"""


def test_killed_in_the_middle_the_rest_is_done_next_time(clips, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(cache), *clips])
    deadline = time.monotonic() + 120
    while not (cache.is_dir() and list(cache.glob("*.npy"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = len(list(cache.glob("*.npy")))
    assert kept >= 1
    calls = count_extractions(monkeypatch)
    results = extract_folder(clips, MCU, cache_dir=cache)
    assert len(calls) == 4 - kept
    for path, features, _ in results:
        np.testing.assert_array_equal(features, extract_features(*read_audio(path), MCU))


def test_no_jobs(clips):
    with pytest.raises(InputError, match="jobs is 0; expected at least 1"):
        extract_folder(clips, MCU, 0)


def test_statistics_do_not_depend_on_order_or_jobs(clips):
    one, other = folder_statistics(clips, MCU), folder_statistics(clips[::-1], MCU, jobs=2)
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.std, other.std)
    frames = np.concatenate([extract_features(*read_audio(path), MCU) for path in clips]).astype(np.float64)
    assert one.count == len(frames)
    np.testing.assert_allclose(one.mean, frames.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(one.std, frames.std(axis=0), rtol=1e-12)


def test_statistics_lack_no_file_silently(clips, tmp_path):
    with pytest.raises(InputError, match="none.wav: no such file"):
        folder_statistics([*clips, tmp_path / "none.wav"], MCU)
    with pytest.raises(InputError, match="no sound files"):
        folder_statistics([], MCU)


@pytest.mark.parametrize("framing", ["centered", "causal"])
@pytest.mark.parametrize("trim_db", [None, 30.0])
@pytest.mark.parametrize("rate", [16000, 11025, 48000])
def test_long_files_in_blocks_are_the_whole(tmp_path, monkeypatch, framing, trim_db, rate):
    """With blocks of 20 frames a clip of two seconds is a long one: its tuning and top_db must be those of
    the whole.
    """
    config = dataclasses.replace(PAPER16, framing=framing, trim_db=trim_db)
    y = np.concatenate((np.zeros(rate // 3), voice(2.0, rate), np.zeros(rate // 2)))
    path = write_wav(tmp_path / "long.wav", np.stack((y, 0.5 * y), axis=1), rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResamplingWarning)
        whole = extract_features(*read_audio(path), config)
        monkeypatch.setattr(features_module, "FRAMES_AT_ONCE", 20)
        blocks, again = extract_file(path, config), extract_features(*read_audio(path), config)
    assert blocks.shape == whole.shape
    np.testing.assert_allclose(blocks, whole, rtol=0, atol=1e-3)  # achieved: 1.2e-4, on MFCC 0 of -500
    np.testing.assert_allclose(blocks[:, 34:], whole[:, 34:], rtol=0, atol=1e-5)  # achieved: 1.2e-6
    np.testing.assert_allclose(again, whole, rtol=0, atol=1e-3)


def test_errors_of_long_files(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    monkeypatch.setattr(features_module, "FRAMES_AT_ONCE", 4)
    samples = voice(2.0)
    samples[-10] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16000, "FLOAT")
    with pytest.raises(InputError, match="nan.wav: NaN or infinite"):
        extract_file(tmp_path / "nan.wav", MCU)
    soundfile.write(tmp_path / "cut.flac", voice(20.0), 16000)
    content = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cut.flac: (broken|cut short)"):
        extract_file(tmp_path / "cut.flac", MCU)


def test_short_files_are_read_once(clips, monkeypatch):
    assert FRAMES_AT_ONCE * MCU.hop_length > 10 * 16000
    monkeypatch.setattr(features_module, "_file_frames", None)
    assert len(extract_file(clips[0], MCU)) == -(-4800 // 512)
