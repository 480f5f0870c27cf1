"""What pictures are computed from, and what they show."""

import numpy as np
import pytest

from npreslstm.report import plots
from npreslstm.training.calibration import reliability


def test_principal_components_against_the_covariance():
    vectors = np.random.default_rng(0).normal(size=(50, 4)) * [5, 1, 3, 0.1]
    points, explained = plots.principal_components(vectors)
    values = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    np.testing.assert_allclose(points.var(axis=0, ddof=1), values[:2], rtol=5e-15)  # achieved 9e-16
    np.testing.assert_allclose(explained, values[:2] / values.sum(), rtol=5e-15)  # achieved 9e-16


def test_share_of_variance_between_classes():
    labels = np.array([0, 0, 1, 1])
    assert plots.share_between(np.array([[1.0], [1.0], [3.0], [3.0]]), labels) == 1
    assert plots.share_between(np.array([[1.0], [3.0], [1.0], [3.0]]), labels) == 0


@pytest.mark.oracle
def test_what_pictures_show():
    pytest.importorskip("matplotlib")
    confusion = plots.confusion_figure([[3, 1], [0, 0]], ("a", "b"))
    assert [text.get_text() for text in confusion.axes[0].texts] == ["75", "3", "25", "1", "0", "0", "0", "0"]
    attention = plots.attention_figure([np.full(4, 0.25), np.full(9, 1 / 9)], np.array([0, 0]), ("a", "b"))
    np.testing.assert_allclose(attention.axes[0].lines[1].get_ydata(), 1)
    bins = plots.reliability_figure(
        reliability([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1], bins=4), "title"
    )
    axes = bins.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0, 0, 1, 0.5] and axes.get_title() == "title"
    assert [text.get_text() for text in axes.texts] == ["", "", "1", "2"]
    np.testing.assert_allclose(axes.lines[0].get_xdata()[2:], [0.6, 0.85], rtol=3e-16)  # achieved 0
    training = plots.training_figure([{"loss": [2.0, 1.0]}, {"loss": [4.0, 1.0]}])
    assert training.axes[0].lines[-1].get_ydata().tolist() == [3, 1] and len(training.axes) == 1
    assert plots.training_figure([{}]) is None and plots.importance_figure({}) is None
    history = plots.search_figure([0, 1, 2], [0.2, 0.1, 0.3], [False, True, False])
    assert history.axes[0].lines[0].get_ydata().tolist() == [0.2, 0.3]
