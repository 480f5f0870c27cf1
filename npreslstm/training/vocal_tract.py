"""Other vocal tracts: the formants of a voice moved, its pitch and its tempo left alone.

A vocal tract that is longer by a factor alpha has its resonances at 1 / alpha of the frequencies. So the
log-mel spectrum L of such a voice is read off the given one at other frequencies, L'(f) = L(w(f)) with
(Jaitly & Hinton 2013)

    w(f) = alpha f                                                    up to a knee                        (V1)
         = a straight line from there to the upper end, which stays   above it

Between bands L is interpolated, so that it is multiplied by a matrix W. MFCC are m = C^T L with the
orthonormal cosine basis C, and what they hold of L is its smooth part, C m. So the MFCC of the other voice
are

    m' = C^T W C m                                                                                        (V2)

one small matrix for each alpha (Pitz & Ney 2005), here for z-scored MFCC. Letters: B mel bands, K cepstral
coefficients.
"""

from typing import NamedTuple

import numpy as np

from npreslstm.audio.mfcc import dct_basis, hz_to_mel, mel_edges

KNEE = 0.6  # of the upper end of the mel bands: below it formants are moved in full
LENGTHS = 41  # vocal tracts between the shortest and the longest


class VocalTract(NamedTuple):
    """z-scored MFCC of another vocal tract: z' = z M + b."""

    M: np.ndarray  # (K, K) float32
    b: np.ndarray  # (K,) float32


def vocal_tracts(largest, config, mean, std):
    """Vocal tracts from 1 - `largest` to 1 + `largest` of their length.

    Parameters
    ----------
    largest : float, in (0, 0.5)
    config : FeatureConfig
        Of the features, whose first K columns are MFCC.
    mean, std : (D,) arrays
        Of the z-scores.

    Returns
    -------
    list of VocalTract
    """
    K = config.n_mfcc
    mean, std = mean[:K], std[:K]
    tracts = []
    for alpha in np.linspace(1 - largest, 1 + largest, LENGTHS):
        M = cepstral_warp(alpha, config)
        tracts.append(
            VocalTract(
                (std[:, None] * M / std).astype(np.float32), ((mean @ M - mean) / std).astype(np.float32)
            )
        )
    return tracts


def cepstral_warp(alpha, config):
    """The matrix of (V2), transposed for rows of MFCC: (T, K) @ (K, K)."""
    centres = mel_edges(config.n_mels, config.fmin, config.upper_hz)[1:-1]  # (B,) in Hz
    heard = warped(centres, alpha, config.upper_hz)
    # (B, B), transposed
    W = np.array([np.interp(hz_to_mel(heard), hz_to_mel(centres), band) for band in np.eye(config.n_mels)])
    C = dct_basis(config.n_mels, config.n_mfcc)  # (B, K)
    return C.T @ W @ C


def warped(f, alpha, upper_hz):
    """w(f) of (V1) in Hz; `upper_hz` is the upper end."""
    knee = KNEE * upper_hz * min(1, 1 / alpha)
    return np.interp(f, [0, knee, upper_hz], [0, alpha * knee, upper_hz])


def warp_cepstra(frames, tract):
    """Features (T, D) as by another vocal tract; all but the MFCC stay."""
    K = len(tract.b)
    frames = frames.copy()
    frames[:, :K] = frames[:, :K] @ tract.M + tract.b
    return frames
