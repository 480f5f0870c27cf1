"""Frames and spectra: against the slow way, in both framings, in any pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npreslstm.audio.spectrum import Framer, frame_blocks, hann, n_frames, power_spectrum

FRAMINGS = ["centered", "causal"]


def slow_frames(y, n_fft, hop, framing):
    """One frame after the other, sample by sample."""
    frames = []
    for t in range(1 + len(y) // hop if framing == "centered" else -(-len(y) // hop)):
        start = t * hop - n_fft // 2 if framing == "centered" else (t + 1) * hop - n_fft
        frames.append([y[k] if 0 <= k < len(y) else 0.0 for k in range(start, start + n_fft)])
    return np.array(frames)


shapes = st.integers(2, 20).flatmap(lambda half: st.tuples(st.just(2 * half), st.integers(1, 2 * half)))


@given(st.integers(1, 200), shapes, st.sampled_from(FRAMINGS), st.integers(1, 30))
def test_frames_in_blocks(n, shape, framing, size):
    y = np.random.default_rng(n).standard_normal(n)
    blocks = list(frame_blocks(y, *shape, framing, size))
    assert all(len(block) == size for block in blocks[:-1])
    assert sum(map(len, blocks)) == n_frames(n, *shape, framing)
    np.testing.assert_array_equal(np.concatenate(blocks), slow_frames(y, *shape, framing))


@given(
    st.integers(1, 200),
    shapes,
    st.sampled_from(FRAMINGS),
    st.lists(st.integers(0, 200), max_size=8).map(sorted),
)
def test_framer_takes_any_pieces(n, shape, framing, cuts):
    y = np.random.default_rng(n).standard_normal(n)
    framer = Framer(*shape, framing, np.float64)
    for _ in range(2):  # flush makes it ready for the next signal
        frames = [framer.push(piece).copy() for piece in np.split(y, cuts)]
        np.testing.assert_array_equal(
            np.concatenate([*frames, framer.flush()]), slow_frames(y, *shape, framing)
        )


def test_causal_frames_are_ready_as_soon_as_their_last_sample_is_there():
    framer = Framer(8, 4, "causal")
    assert [len(framer.push(np.ones(1, np.float32))) for _ in range(9)] == [0, 0, 0, 1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("n_fft", [4, 10, 256, 4096])
def test_hann(n_fft):
    np.testing.assert_allclose(
        hann(n_fft), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft), rtol=0, atol=1e-15
    )
    assert not hann(n_fft).flags.writeable


@pytest.mark.parametrize("count", [0, 1, 11, 12, 13, 40])
# achieved: 1.2e-7, 1.3e-15
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_power_is_that_of_the_slow_transform(count, dtype, tolerance):
    n_fft = 4096 if count > 1 else 34
    frames = np.random.default_rng(count).standard_normal((count, n_fft)).astype(dtype)
    power = power_spectrum(frames)
    assert power.dtype == dtype and power.shape == (count, n_fft // 2 + 1)
    turns = np.outer(np.arange(n_fft), np.arange(0, n_fft // 2 + 1, 37))
    slow = np.abs((frames * hann(n_fft)) @ np.exp(-2j * np.pi * (turns % n_fft) / n_fft)) ** 2
    np.testing.assert_allclose(power[:, ::37], slow, rtol=0, atol=tolerance * slow.max(initial=0))


def test_a_full_scale_sine():
    """Its power is (n_fft / 4) ** 2: the window has the mean 1/2 and half of the sine is at negative
    frequencies.
    """
    y = np.sin(2 * np.pi * 64 * np.arange(1024) / 1024)
    assert power_spectrum(y[None])[0].argmax() == 64
    np.testing.assert_allclose(power_spectrum(y[None])[0, 64], 256.0**2, rtol=1e-12)
