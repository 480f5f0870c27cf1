"""Other vocal tracts: formants move, to where they should, and nothing else does."""

from dataclasses import replace

import numpy as np
import pytest

from npreslstm.audio.config import NAMED
from npreslstm.audio.mfcc import dct_basis, mel_edges, mfcc
from npreslstm.training.vocal_tract import LENGTHS, cepstral_warp, speak, vocal_tracts, warped

MCU = NAMED["mcu"]
CENTRES = mel_edges(MCU.n_mels, MCU.fmin, MCU.upper_hz)[1:-1]


def formant(hz, config=MCU):
    """A log-mel spectrum (1, B) with one broad peak, in dB."""
    octaves = np.log2(mel_edges(config.n_mels, config.fmin, config.upper_hz)[1:-1] / hz)
    return 30 * np.exp(-0.5 * (octaves / 0.4) ** 2)[None]


@pytest.mark.parametrize("alpha", [0.88, 0.95, 1.05, 1.12])
@pytest.mark.parametrize("config", [MCU, NAMED["paper"]], ids=["mcu", "paper"])
def test_a_formant_moves_by_the_tracts_length(alpha, config):
    moved = mfcc(formant(1500, config), config.n_mfcc) @ cepstral_warp(alpha, config)
    spectrum = moved @ dct_basis(config.n_mels, config.n_mfcc).T
    expected = formant(1500 / alpha, config)
    assert np.abs(spectrum - expected).max() < 0.5  # achieved 0.1 of 30 dB: between bands it is interpolated
    assert np.abs(formant(1500, config) - expected).max() > 2


def test_the_map_of_frequencies():
    f = np.linspace(0, 8000, 801)
    for alpha in (0.6, 0.9, 1.0, 1.1, 1.4):
        g = warped(f, alpha, 8000)
        assert (np.diff(g) > 0).all() and g[0] == 0 and g[-1] == 8000
        low = f < 4800 / max(alpha, 1)
        np.testing.assert_allclose(g[low], alpha * f[low], rtol=3e-15)  # achieved 3e-16


def test_a_tract_of_the_same_length_changes_nothing():
    # achieved 2e-15
    np.testing.assert_allclose(cepstral_warp(1.0, MCU), np.eye(MCU.n_mfcc), rtol=0, atol=1e-14)


def test_z_scored_features_are_those_of_the_warped_ones():
    rng = np.random.default_rng(0)
    raw, mean, std = rng.normal(size=(9, 46)), rng.normal(size=46), rng.uniform(0.5, 2, 46)
    z = ((raw - mean) / std).astype(np.float32)
    before = z.copy()
    tracts = vocal_tracts(0.12, MCU, mean, std)
    assert len(tracts) == LENGTHS
    for alpha, tract in zip(np.linspace(0.88, 1.12, LENGTHS), tracts):
        expected = raw.copy()
        expected[:, : MCU.n_mfcc] = raw[:, : MCU.n_mfcc] @ cepstral_warp(alpha, MCU)
        spoken = speak(z, tract)
        # achieved 9e-7 on values up to 4
        np.testing.assert_allclose(spoken, (expected - mean) / std, rtol=0, atol=5e-6)
        np.testing.assert_array_equal(spoken[:, MCU.n_mfcc :], z[:, MCU.n_mfcc :])
    np.testing.assert_array_equal(z, before)


def test_other_sizes():
    small = replace(MCU, sample_rate=8000, n_fft=512, hop_length=256, n_mels=20, n_mfcc=5, n_chroma=3)
    assert speak(np.ones((2, 8), np.float32), vocal_tracts(0.3, small, np.zeros(8), np.ones(8))[0]).shape == (
        2,
        8,
    )
