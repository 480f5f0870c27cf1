"""Calibrated probabilities: how far they are from what happens, and the temperature that brings them nearest.

    p = softmax(z / T)                                                      (K1)
    NLL = - 1/N sum_n log p_n,label(n)                                      (K2)   T makes it least
    ECE = 1/N sum_b | sum_{n in bin b} (hit_n - confidence_n) |             (K3)

A clip's confidence is the largest of its probabilities, and hit is 1 where that is the one of its label. Both
scores and the temperature are as in Guo et al. 2017, "On calibration of modern neural networks". Every clip
counts alike, as in the scores; letting every class count alike instead hardly moves T and makes neither score
better (docs/protocol.md).

Letters: N clips, C classes, B bins.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npreslstm.checkpoint import Checkpoint
from npreslstm.errors import InputError
from npreslstm.layers.activations import softmax

HEAD = ("fc.weight", "fc.bias")
LEAST, LARGEST = 1e-3, 1e3  # temperatures
HALVINGS = 60  # of the logarithm of that range: to the last digit
LEAST_PROBABILITY = 5e-6  # in a logarithm; tables of predictions have five decimals, and 0 there means less
BINS = 15
SCORES = {"ECE": "expected calibration error", "NLL": "negative log-likelihood"}


class Reliability(NamedTuple):
    """How often clips of like confidence are labelled rightly, bin by bin; NaN for a bin without clips."""

    edges: NDArray  # (B + 1,) from 0 to 1; a bin holds its upper edge
    clips: NDArray  # (B,) int
    confidence: NDArray  # (B,) mean
    accuracy: NDArray  # (B,)


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Reliability:
    """Confidence and accuracy in equal bins of the largest probability.

    Parameters
    ----------
    probabilities : (N, C) array
        Rows sum to 1.
    labels : (N,) int array
    bins : int

    Returns
    -------
    Reliability

    Raises
    ------
    InputError
        If the rows are no probabilities, a label is no column of theirs, or `bins` is less than 1.

    Examples
    --------
    >>> found = reliability([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1], bins=2)
    >>> found.clips.tolist(), found.accuracy.round(3).tolist()
    ([0, 3], [nan, 0.667])
    """
    probabilities, labels = _checked_probabilities(probabilities, labels)
    if bins < 1:
        raise InputError(f"bins is {bins}; expected at least 1")
    confidence = probabilities.max(axis=1)
    hits = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    of = np.searchsorted(edges[1:-1], confidence)  # (N,) bin of each clip
    clips = np.bincount(of, minlength=bins)
    sums = (np.bincount(of, weights, minlength=bins) for weights in (confidence, hits))
    means = (np.divide(each, clips, out=np.full(bins, np.nan), where=clips > 0) for each in sums)
    return Reliability(edges, clips, *means)


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> float:
    """Mean distance of accuracy from confidence over the clips, by bins of confidence (K3).

    Even for perfect probabilities it is above 0 by chance, the more so the fewer clips there are.

    Parameters
    ----------
    probabilities, labels, bins
        As of `reliability`, which says what is refused too.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> round(expected_calibration_error([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1]), 3)
    0.433
    """
    found = reliability(probabilities, labels, bins)
    distance = np.abs(found.accuracy - found.confidence)
    return float(np.nansum(found.clips * distance) / found.clips.sum())


def negative_log_likelihood(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean negative logarithm of the probability of the true class (K2), in nats.

    A probability below 5e-6 counts as that, so that one sure mistake does not make the mean infinite.

    Parameters
    ----------
    probabilities : (N, C) array
        Rows sum to 1.
    labels : (N,) int array

    Returns
    -------
    float

    Raises
    ------
    InputError
        As of `reliability`.

    Examples
    --------
    >>> round(negative_log_likelihood([[0.5, 0.5], [0.25, 0.75]], [0, 1]), 3)
    0.49
    """
    probabilities, labels = _checked_probabilities(probabilities, labels)
    of_truth = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean())


def log_probabilities(probabilities: NDArray) -> NDArray:
    """Logits (N, C) of probabilities that may be rounded to five decimals; any below 5e-6 counts as that."""
    return np.log(np.maximum(probabilities, LEAST_PROBABILITY))


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature that makes the mean negative log-likelihood least.

    In 1/T that mean is convex (K1, K2), so there is one minimum at most, where its slope is 0.

    Parameters
    ----------
    logits : (N, C) array
        Of clips that the network was not trained on; a constant added to a row changes nothing.
    labels : (N,) int array

    Returns
    -------
    float
        From 0.001 to 1000; above 1 where the network was too sure of itself.

    Raises
    ------
    InputError
        If the logits are not finite, a label is no column of theirs, or no temperature is best: every clip is
        labelled rightly, so that the lower the better, or the logits are no better than chance, so that the
        higher the better.

    Examples
    --------
    Two thirds of the clips are of the class with the higher logit, so its probability is to be 2/3:

    >>> T = fit_temperature([[2.0, 0.0]] * 3, [0, 0, 1])
    >>> softmax(np.array([2.0, 0.0]) / T).round(6).tolist()
    [0.666667, 0.333333]
    """
    logits, labels = _checked(logits, labels, "logits")
    if not (np.abs(logits) < np.finfo(np.float32).max).all():  # NaN too
        raise InputError("a logit is not finite; expected finite logits")
    excess = logits - logits[np.arange(len(labels)), labels][:, None]  # (N, C) over that of the true class

    def slope(inverse):
        return float((softmax(inverse * excess) * excess).sum(axis=1).mean())

    without = f"no temperature is best for these {len(labels)} clips"
    if slope(1 / LEAST) <= 0:
        raise InputError(f"{without}: all are labelled rightly, so the lower the better; give more clips")
    if slope(1 / LARGEST) >= 0:
        raise InputError(f"{without}: the logits are no better than chance, so the higher the better")
    low, high = 1 / LARGEST, 1 / LEAST
    for _ in range(HALVINGS):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(1 / np.sqrt(low * high))


def temperature_scores(logits: NDArray, labels: NDArray, temperature: float) -> dict:
    """Scores before and after a temperature, on the clips that it was fitted on; JSON values."""
    scores = {}
    for when, divisor in (("before", 1.0), ("after", temperature)):
        probabilities = softmax(np.asarray(logits, dtype=np.float64) / divisor)
        scores[f"NLL {when}"] = negative_log_likelihood(probabilities, labels)
        scores[f"ECE {when}"] = expected_calibration_error(probabilities, labels)
    return scores


def calibrated(checkpoint: Checkpoint, temperature: float, record: dict) -> Checkpoint:
    """The network with its head divided by a temperature: whatever runs it gives calibrated probabilities.

    Labels stay the same, but for ties within rounding; so do attention and everything before the head.

    Parameters
    ----------
    checkpoint : Checkpoint
    temperature : float
    record : dict
        JSON values that are kept with the value as ``notes["temperature"]``: 'clips' (a number), 'speakers'
        (whose they are), 'how', and what `temperature_scores` returns.

    Returns
    -------
    Checkpoint

    Raises
    ------
    InputError
        If the temperature is not positive and finite, or the network has one already.
    """
    if "temperature" in checkpoint.notes:
        said = temperature_text(checkpoint.notes)
        raise InputError(f"the weights are calibrated already ({said}); take those that they were made from")
    if not 0 < temperature < np.inf:
        raise InputError(f"temperature is {temperature}; expected a finite number above 0")
    head = {name: _divided(checkpoint.state[name], temperature) for name in HEAD}
    notes = checkpoint.notes | {"temperature": {"value": float(temperature), **record}}
    return replace(checkpoint, state=checkpoint.state | head, notes=notes)


def temperature_text(notes: dict) -> str | None:
    """One line about the temperature that notes tell of; None if they tell of none."""
    if "temperature" not in notes:
        return None
    try:
        found = notes["temperature"]
        changes = {key: f"{found[f'{key} before']:.4f} -> {found[f'{key} after']:.4f}" for key in SCORES}
        scores = [f"{SCORES[key]} {change}" for key, change in changes.items()]
        fitted = f"{found['clips']:,} clips of {len(found['speakers'])} training speakers"
        return f"temperature {found['value']:.4f}, fitted on {fitted}: {', '.join(scores)} there"
    except (KeyError, TypeError, ValueError):  # notes are anybody's
        return f"temperature {notes['temperature']!r:.60}"


def _divided(tensor, temperature):
    tensor = np.asarray(tensor)
    with np.errstate(over="ignore"):
        divided = (tensor.astype(np.float64) / temperature).astype(np.result_type(tensor, np.float32))
    if not np.isfinite(divided).all():
        raise InputError(f"temperature is {temperature:g}: the head overflows; expected one near 1")
    return divided


def _checked(values, labels, name):
    """`values` (N, C) float64 and `labels` (N,) int, if they are that."""
    values, labels = np.asarray(values, dtype=np.float64), np.asarray(labels)
    if values.ndim != 2 or labels.shape != values.shape[:1] or not values.size:
        shapes = f"{name} {values.shape} and labels {labels.shape}"
        raise InputError(f"{shapes}; expected (N, C) and (N,), N and C at least 1")
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels are of type {labels.dtype}; expected class numbers")
    if not (0 <= labels.min() and labels.max() < values.shape[1]):
        run = f"labels run from {labels.min()} to {labels.max()}"
        raise InputError(f"{run}; expected class numbers in [0, {values.shape[1]})")
    return values, labels


def _checked_probabilities(values, labels):
    values, labels = _checked(values, labels, "probabilities")
    rounding = 1e-5 * (1 + values.shape[1])  # tables of predictions have five decimals
    if not (values >= 0).all() or not (np.abs(values.sum(axis=1) - 1) <= rounding).all():
        run = f"probabilities run from {values.min():g} to {values.max():g}"
        raise InputError(f"{run}; expected rows of numbers from 0 to 1 that sum to 1")
    return values, labels
