"""Distortions of a batch."""

import numpy as np

from npreslstm.training import augment
from npreslstm.training.batches import pad


def test_distortions_keep_shapes_and_touch_what_they_say():
    rng = np.random.default_rng(0)
    x, lengths = pad([np.ones((5, 4), np.float32), np.ones((3, 4), np.float32)])
    masked = x.copy()
    augment.mask_time(masked, lengths, 3, 2, rng)
    # whole frames
    assert set(np.unique(masked)) == {0, 1} and (masked[0].min(axis=1) == masked[0].max(axis=1)).all()
    assert masked[0].any() and masked[1].any()
    columns = x.copy()
    augment.mask_columns(columns, 2, 2, rng)
    assert (columns[0].min(axis=0) == columns[0].max(axis=0)).all()
    shifted = x.copy()
    augment.add_offset(shifted, 0.5, rng)
    assert np.ptp(shifted[0] - x[0], axis=0).max() < 1e-6 and np.ptp(shifted[0, 0]) > 0.1
    for first, end in (augment.crop(10, 0.4, rng) for _ in range(20)):
        assert 0 <= first and end <= 10 and 6 <= end - first <= 10


def test_mixup_mixes_clips_and_targets_alike():
    x, _ = pad([np.full((4, 1), value, np.float32) for value in (1, 2, 4)])
    targets = np.eye(3, dtype=np.float32)
    mixture = augment.mixup(3, 0.4, np.random.default_rng(0))
    mixed, labels = mixture.of(x), mixture.of(targets)
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=0, atol=2e-7)
    np.testing.assert_allclose(mixed[:, 0, 0], labels @ [1, 2, 4], rtol=2e-7)
    assert (np.diag(labels) >= 0.5).all() and (labels.max(axis=1) < 1).any()
