"""Mel scale, filter bank, decibels, cepstrum: against the slow way and known values."""

import numpy as np
import pytest

from npreslstm.audio.mfcc import (
    hz_to_mel,
    mel_edges,
    mel_filter_bank,
    mel_spectrogram,
    mel_to_hz,
    mfcc,
    power_to_db,
)


def test_mel_scale():
    # Slaney: 3 mel a 200 Hz, then 27 a factor of 6.4
    np.testing.assert_allclose(hz_to_mel([0, 200, 1000, 6400]), [0, 3, 15, 42])
    hz = np.linspace(0, 24000, 100)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz, rtol=1e-14, atol=1e-12)


def test_bands_are_triangles_of_unit_area():
    bank, edges = mel_filter_bank(48000, 65536, 40, 100.0, 20000.0), mel_edges(40, 100.0, 20000.0)
    hz = np.fft.rfftfreq(65536, 1 / 48000)
    for m in range(40):
        np.testing.assert_allclose(
            bank[m], np.interp(hz, edges[m : m + 3], [0, 2 / (edges[m + 2] - edges[m]), 0]), rtol=0, atol=2e-9
        )
    np.testing.assert_allclose(bank.sum(axis=1) * 48000 / 65536, 1, rtol=2e-3)


@pytest.mark.parametrize("n_mels, fmin, fmax", [(128, 0.0, 24000.0), (5, 0.0, 24000.0), (33, 300.0, 7000.0)])
# achieved: 7e-7, 3e-15
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-6), (np.float64, 2e-14)])
def test_sparse_product_is_the_dense_one(n_mels, fmin, fmax, dtype, tolerance):
    power = np.random.default_rng(0).random((9, 2049)).astype(dtype)
    dense = power.astype(np.float64) @ mel_filter_bank(48000, 4096, n_mels, fmin, fmax).T.astype(np.float64)
    mel = mel_spectrogram(power, 48000, n_mels, fmin, fmax)
    assert mel.dtype == dtype
    np.testing.assert_allclose(mel, dense, rtol=tolerance)


def test_bands_narrower_than_a_bin_are_told_and_empty():
    with pytest.warns(UserWarning, match="of 130 mel bands are narrower than a bin and stay empty"):
        mel = mel_spectrogram(np.ones((2, 129)), 16000, 130, 0.0, 8000.0)
    assert (mel[:, mel_filter_bank(16000, 256, 130, 0.0, 8000.0).any(axis=1)] > 0).all()
    assert (mel == 0).any()


def test_all_bands_empty():
    with pytest.warns(UserWarning, match="2 of 2 mel bands"):
        np.testing.assert_array_equal(mel_spectrogram(np.ones((3, 5)), 8000, 2, 10.0, 20.0), np.zeros((3, 2)))


def test_decibels_and_their_floor():
    np.testing.assert_allclose(
        power_to_db(np.array([100.0, 1.0, 1e-9, 0.0]), -80.0), [20, 0, -80, -80], atol=1e-12
    )
    assert power_to_db(np.ones(3, np.float32), -80.0).dtype == np.float32


def test_cepstrum_is_an_orthonormal_transform():
    log_mel = np.random.default_rng(1).standard_normal((7, 20))
    k, m = np.arange(20)[:, None], np.arange(20)
    basis = np.sqrt(2 / 20) * np.cos(np.pi * k * (2 * m + 1) / 40) * np.where(k == 0, np.sqrt(0.5), 1)
    np.testing.assert_allclose(mfcc(log_mel, 13), (log_mel @ basis.T)[:, :13], rtol=0, atol=1e-14)
    np.testing.assert_allclose(mfcc(log_mel, 20) @ basis, log_mel, rtol=0, atol=1e-14)
