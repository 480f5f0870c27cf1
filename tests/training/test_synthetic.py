"""The synthetic corpus."""

import numpy as np

from npreslstm.training.synthetic import CLASSES, CONFIG, synthetic_clips


def test_synthetic_speech_is_seeded_and_audible():
    clips = list(synthetic_clips(np.random.default_rng(0), speakers=2, takes=1))
    assert [(label, speaker) for _, label, speaker in clips] == [
        (k, s) for s in "12" for k in range(len(CLASSES))
    ]
    for (signal, *_), (again, *_) in zip(
        clips, synthetic_clips(np.random.default_rng(0), speakers=2, takes=1)
    ):
        np.testing.assert_array_equal(signal, again)
        assert (
            0.8 * CONFIG.sample_rate <= len(signal) <= 1.2 * CONFIG.sample_rate
            and 0.05 < np.abs(signal).max() < 1
        )
