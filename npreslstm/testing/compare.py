"""Comparing named tensors, and saying where the first of them goes wrong."""

import numbers
from collections.abc import Mapping
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.annotations import Array, BoolArray, IntArray
from npreslstm.errors import InputError, shown
from npreslstm.formats.arrays import as_array, as_arrays, type_name

# Largest deviation allowed from the float64 reference, times max(1, |reference|), by the type of the tensor
# under test. Gates and hidden states lie in [-1, 1], so this is a number of roundings: a sum of D + H
# products in another order, one tanh, and what the cell carries on from frame to frame. It is at most ten
# times what PyTorch shows over 1 to 500 frames and 1 to 256 units; docs/testing.md has the figures.
TOLERANCES = {"float64": 7e-15, "float32": 3e-6, "float16": 1e-2, "bfloat16": 5e-2}
EXPLAINED = (
    0.1  # a mistake is named where it leaves at most this of the deviation, and no more than is allowed
)

_FRAMES = ("clip", "frame", "unit")
_AXES = {  # of tensors that are not (clips, frames, units), by the last part of their name
    "h_n": ("layer", "clip", "unit"), "c_n": ("layer", "clip", "unit"), "score": ("clip", "frame"),
    "weight": ("clip", "frame"),
    "context": ("clip", "unit"), "context_normalised": ("clip", "unit"), "logit": ("clip", "class"),
    "probability": ("clip", "class"),
    "power": ("frame", "bin"), "mel_db": ("frame", "band"), "features": ("frame", "column"),
    "tuning": ("clip",),
}  # fmt: skip


def assert_tensors_equal(
    found: Mapping[str, ArrayLike],
    expected: Mapping[str, ArrayLike],
    lengths: ArrayLike | None = None,
    tolerance: float | str | None = None,
    what: str = "npreslstm",
) -> None:
    """Compare tensors in the order of `expected`; the first that deviates fails.

    Parameters
    ----------
    found : mapping of str to array
        Under test; any part of the names in `expected`.
    expected : mapping of str to array
        Reference, in the order of computation, so that the first deviation is the cause and the rest its
        consequences.
    lengths : (N,) int array, optional
        Frames of each clip; those past it are not compared.
    tolerance : float or str, optional
        A number, or the name of a type of `TOLERANCES`. Default: that of the tensor under test.
    what : str
        Name of the reference in the message.

    Raises
    ------
    AssertionError
        Naming the first tensor that deviates, and in it the first frame and unit; see `first_deviation`.
    InputError
        If a name is unknown or a shape another.

    Examples
    --------
    >>> reference = {"h": np.zeros((1, 2, 3)), "logit": np.zeros((1, 8))}
    >>> assert_tensors_equal({"logit": np.full((1, 8), 1e-16)}, reference)
    >>> assert_tensors_equal({"logit": np.full((1, 8), 0.5)}, reference)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: logit deviates first at clip 0, class 0: 0.5, npreslstm has 0; ...
    """
    expected = as_arrays(expected, "the reference tensors")
    found = as_arrays(found, "the tensors under test")
    if not found:
        raise InputError(f"there is nothing to compare; expected some of {', '.join(expected)}")
    for name in found:
        if name not in expected:
            raise InputError(
                f"{name!r} is not a tensor of the reference; expected some of {', '.join(expected)}"
            )
    if message := first_deviation(found, expected, lengths, tolerance, what):
        raise AssertionError(message)


def first_deviation(
    found: Mapping[str, ArrayLike],
    expected: Mapping[str, ArrayLike],
    lengths: ArrayLike | None = None,
    tolerance: float | str | Mapping[str, float | str] | None = None,
    what: str = "npreslstm",
) -> str | None:
    """Where the tensors first deviate, in words; None if nowhere.

    Tensors are taken in the order of `expected`; those of one LSTM layer (``lstm1.l0.*``) together, frame by
    frame, since its gates follow from its hidden state of the frame before. Parameters as
    `assert_tensors_equal`; `tolerance` may be a mapping with one for each tensor.
    """
    lengths = None if lengths is None else _checked_lengths(lengths)
    for _, names in groupby((name for name in expected if name in found), _layer):
        wrong = []
        for name in names:
            allowed = tolerance.get(name, "missing") if isinstance(tolerance, Mapping) else tolerance
            wrong += (
                [deviation]
                if (deviation := _deviation(name, found[name], expected[name], lengths, allowed, what))
                else []
            )
        if wrong:
            return min(wrong, key=lambda deviation: deviation.step).message
    return None


def largest_excess(
    found: Mapping[str, ArrayLike],
    expected: Mapping[str, ArrayLike],
    lengths: ArrayLike | None = None,
    tolerance: float | str | None = None,
) -> float:
    """The largest deviation of any tensor, as a multiple of what is allowed."""
    lengths = None if lengths is None else _checked_lengths(lengths)
    most = 0.0
    for name in (name for name in expected if name in found):
        difference, limit, valid = _differences(name, found[name], expected[name], lengths, tolerance)[-3:]
        share = np.where(valid, difference / np.maximum(limit, np.finfo(np.float64).tiny), 0)
        most = max(most, float(np.nan_to_num(share, nan=np.inf).max(initial=0)))
    return most


def _checked_lengths(lengths: ArrayLike) -> IntArray:
    lengths = as_array(lengths, "lengths")
    if lengths.ndim != 1 or not lengths.size or lengths.dtype.kind not in "iu" or lengths.min() < 1:
        raise InputError(f"lengths are {shown(lengths)}; expected a vector of integers of at least 1")
    return lengths


class _Deviation(NamedTuple):
    step: int  # how many frames the layer has run before
    message: str


def _layer(name: str) -> str:
    """What comes before the last dot; a name without one stands by itself."""
    return name.rpartition(".")[0] or name


def _deviation(
    name: str,
    found: ArrayLike,
    expected: ArrayLike,
    lengths: IntArray | None,
    tolerance: float | str | None,
    what: str,
) -> _Deviation | None:
    """Where one tensor first deviates; None if it does not."""
    axes, found, expected, difference, limit, valid = _differences(name, found, expected, lengths, tolerance)
    wrong = ~(difference <= limit) & valid  # a NaN is wrong
    if not wrong.any():
        return None
    step, first = _first(wrong, axes, backwards="_reverse." in name)
    most = np.where(wrong, np.nan_to_num(difference, nan=np.inf), -1)
    place = ", ".join(f"{axis} {k}" for axis, k in zip(axes, first))
    return _Deviation(
        step,
        f"{name} deviates first at {place}: {float(found[first]):.9g}, {what} has"
        f" {float(expected[first]):.9g}; the difference {difference[first]:.2e} exceeds {limit[first]:.2e}."
        f" {np.count_nonzero(wrong)} of {wrong.size} values deviate, the most by {most.max():.2e}.",
    )


def _differences(
    name: str,
    found: ArrayLike,
    expected: ArrayLike,
    lengths: IntArray | None,
    tolerance: float | str | None,
) -> tuple[tuple[str, ...], Array, Array, Array, Array, BoolArray]:
    """Axes, both tensors as compared, how they differ, what is allowed, and which entries count."""
    given, found, expected = found, as_array(found, name), as_array(expected, name)
    _, allowed = rounding(given, tolerance)
    axes = _AXES.get(name.rpartition(".")[2], _FRAMES)[: expected.ndim]
    expected, found = _cut(name, found, expected, axes, lengths)
    finite = np.isfinite(expected)  # masked scores are -inf, to which nothing but -inf is near
    limit = allowed * np.maximum(1, np.abs(np.where(finite, expected, 0)))
    with np.errstate(invalid="ignore"):  # inf - inf
        difference = np.abs(found - expected.astype(np.float64))
    difference = np.where(found == expected, 0, difference)
    return axes, found, expected, difference, limit, _valid(expected.shape, axes, lengths)


def _cut(
    name: str, found: Array, expected: Array, axes: tuple[str, ...], lengths: IntArray | None
) -> tuple[Array, Array]:
    """Both without the padded frames that only one has: frameworks pad to the longest clip or to
    the input.
    """
    if "frame" in axes and found.ndim == expected.ndim and lengths is not None:
        t = axes.index("frame")
        frames = min(found.shape[t], expected.shape[t])
        cut = (slice(None),) * t + (slice(frames),)
        if frames >= max(lengths) and found[cut].shape == expected[cut].shape:
            return expected[cut], found[cut]
    if found.shape != expected.shape:
        swapped = found.ndim == 3 and found.swapaxes(0, 1).shape == expected.shape
        remedy = ": it looks time-major, swap its first two axes (batch_first=True)" if swapped else ""
        raise InputError(f"{name} is {found.shape}; expected {expected.shape}, ({', '.join(axes)}){remedy}")
    return expected, found


def rounding(
    value: ArrayLike, tolerance: float | str | None = None, table: Mapping[str, float] = TOLERANCES
) -> tuple[str, float]:
    """The type in which a tensor under test was computed, and how much that rounds.

    Parameters
    ----------
    value : array_like, or a tensor of a framework
    tolerance : float or str, optional
        A number of the caller's own, or the name of a type that is not the array's.
    table : dict
        {type: allowed}.

    Returns
    -------
    kind : str
    allowed : float

    Raises
    ------
    InputError
        If `tolerance` is neither, or the type has no entry in the table.
    """
    kind = tolerance if isinstance(tolerance, str) else type_name(value)
    if isinstance(tolerance, str) and kind not in table:
        raise InputError(f"tolerance is {shown(tolerance)}; expected a number, or {', '.join(table)}")
    if tolerance is not None and not isinstance(tolerance, str):
        real = isinstance(tolerance, numbers.Real) and not isinstance(tolerance, bool)
        if not real or not 0 <= tolerance < 1e300:
            raise InputError(f"tolerance is {shown(tolerance)}; expected a number of 0 or more, and finite")
        return kind, float(tolerance)
    if kind not in table:
        raise InputError(
            f"the tensor under test is {kind}; expected {', '.join(table)}, or a tolerance of your own"
        )
    return kind, table[kind]


def _valid(shape: tuple[int, ...], axes: tuple[str, ...], lengths: IntArray | None) -> BoolArray:
    """True for entries within a clip's length."""
    if lengths is None or axes[:2] != ("clip", "frame"):
        return np.ones(shape, dtype=bool)
    if len(lengths) != shape[0]:
        raise InputError(f"lengths are {len(lengths)}; expected {shape[0]}, one a clip")
    valid = np.arange(shape[1]) < lengths[:, None]  # (N, T)
    return np.broadcast_to(valid.reshape(valid.shape + (1,) * (len(shape) - 2)), shape)


def _first(wrong: BoolArray, axes: tuple[str, ...], backwards: bool) -> tuple[int, tuple[int, ...]]:
    """Step and index of the first deviation: in time if there is time, since later frames follow from earlier
    ones.
    """
    places = np.argwhere(wrong)
    if "frame" not in axes:
        return 0, tuple(map(int, places[0]))
    steps = places[:, axes.index("frame")] * (-1 if backwards else 1)
    k = int(np.argmin(steps))
    return int(steps[k]), tuple(map(int, places[k]))
