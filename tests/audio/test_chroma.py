"""Chroma and tuning: known pitches, peaks the slow way, ties, silence."""

import numpy as np
import pytest

from npreslstm.audio.chroma import (
    chroma,
    chroma_filter_bank,
    estimate_tuning,
    spectral_peaks,
    tuning_of_peaks,
)
from npreslstm.audio.config import PITCH_NAMES
from npreslstm.audio.spectrum import frame_blocks, power_spectrum

RATE, N_FFT = 48000, 8192


def power_of(hz, seconds=0.5):
    """(T, F) of a sum of sines at full level."""
    t = np.arange(int(seconds * RATE)) / RATE
    y = sum(np.sin(2 * np.pi * f * t) for f in np.atleast_1d(hz))
    return power_spectrum(next(frame_blocks(y, N_FFT, N_FFT // 2, "centered", 10**6)))


@pytest.mark.parametrize("semitone", range(12))
@pytest.mark.parametrize("octave", [-1, 0, 1, 2])
def test_each_pitch_is_in_its_class(semitone, octave):
    hz = 440 * 2.0 ** ((semitone - 9) / 12 + octave)  # semitone 0 is C
    got = chroma(power_of(hz)[1:-1], RATE, 12, 0.0)
    assert (got.argmax(axis=1) == semitone).all() and len(PITCH_NAMES) == 12
    np.testing.assert_array_equal(got.max(axis=1), 1)


@pytest.mark.parametrize("cents", [-45, -20, 0, 13, 44])
def test_tuning_of_a_detuned_chord(cents):
    chord = 440 * 2.0 ** ((np.array([0, 4, 7]) + cents / 100) / 12)
    # the parabola's bias: achieved 0.03
    assert estimate_tuning(power_of(chord)[1:-1], RATE) == pytest.approx(cents / 100, abs=0.035)


def test_peaks_the_slow_way():
    power = np.random.default_rng(0).random((5, 65)) ** 4
    rate, n_fft = 8000, 128
    peaks = []
    for row in power:
        for k in range(1, 64):
            hz = k * rate / n_fft
            if 150 <= hz < 4000 and row[k] > 0.1 * row.max() and row[k - 1] < row[k] >= row[k + 1]:
                a, b = row[k - 1] + row[k + 1] - 2 * row[k], (row[k + 1] - row[k - 1]) / 2
                shift = 0.0 if abs(b) >= abs(a) else -b / a
                peaks.append(((k + shift) * rate / n_fft, row[k] + 0.5 * b * shift))
    hz, height = spectral_peaks(power, rate)
    np.testing.assert_allclose(np.stack((hz, height), axis=1), peaks, rtol=1e-14)


def test_plateaus_count_once():
    power = np.zeros((1, 65))
    power[0, 20:23] = 1.0
    hz, height = spectral_peaks(power, 8000)
    # the first of the equal bins, the parabola's summit half a bin above
    np.testing.assert_array_equal(hz, [20.5 * 62.5])
    np.testing.assert_array_equal(height, [1.125])


def test_summits_more_than_a_bin_away_are_not_followed():
    power = np.zeros((1, 65))
    power[0, 20:23] = 0.2, 0.9, 0.9
    hz, height = spectral_peaks(power, 8000)
    np.testing.assert_allclose(hz, [21.5 * 62.5])
    power[0, 20:23] = 1.0, 1.0 + 1e-12, 0.2  # a slope of 0.4 and a bend of 0.8: half a bin back
    hz, _ = spectral_peaks(power, 8000)
    np.testing.assert_allclose(hz, [20.5 * 62.5])


def test_equally_full_bins_give_the_lowest():
    hz = 440 * 2.0 ** (np.array([0.305, -0.195, 0.105]) / 12)
    assert tuning_of_peaks(hz, np.ones(3), 12) == pytest.approx(-0.2)


def test_only_the_higher_half_of_the_peaks_counts():
    hz = 440 * 2.0 ** (np.array([0.105, 0.105, 0.105, 0.305, 0.305]) / 12)
    assert tuning_of_peaks(hz, np.array([1.0, 1.0, 1.1, 2.0, 2.0]), 12) == pytest.approx(0.3)


def test_silence_has_no_tuning_and_no_chroma():
    power = np.zeros((4, 65), np.float32)
    assert estimate_tuning(power, 8000) == 0.0
    np.testing.assert_array_equal(chroma(power, 8000, 12, 0.0), 0)


@pytest.mark.parametrize("rate", [100, 300, 8000, 192000])
def test_rates_at_which_the_pitch_range_is_cut_or_empty(rate):
    power = np.random.default_rng(1).random((3, 33)).astype(np.float32)
    assert -0.5 <= estimate_tuning(power, rate) < 0.5


def test_bank_columns_have_unit_length_but_for_the_octave_weight():
    bank = chroma_filter_bank(RATE, N_FFT, 12, 0.0).astype(np.float64)
    hz = np.fft.rfftfreq(N_FFT, 1 / RATE)[1:]
    octave = np.log2(hz / 27.5)
    np.testing.assert_allclose(
        np.sqrt((bank[:, 1:] ** 2).sum(axis=0)), np.exp(-0.5 * ((octave - 5) / 2) ** 2), rtol=1e-6
    )
