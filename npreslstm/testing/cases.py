"""Small LSTM layers with everything that a kernel must get right, for other projects' tests."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from npreslstm.annotations import Array, IntArray
from npreslstm.errors import InputError, shown
from npreslstm.schema import LSTM_TENSORS


class LSTMCase(NamedTuple):
    """The arguments of a forward and a backward pass; `_asdict` without the name gives those of
    `assert_lstm_gradients_equal`.

    Examples
    --------
    >>> case = lstm_cases()[2]
    >>> case.lengths.tolist(), case.x.shape
    ([3, 6, 1, 4], (4, 6, 2))
    """

    name: str
    weights: dict[str, Array]  # under torch.nn.LSTM's names
    x: Array  # (N, T, D)
    dy: Array  # (N, T, directions * H)
    lengths: Array  # (N,)
    h0: Array  # (L, N, H)
    c0: Array
    dh_n: Array
    dc_n: Array

    def __str__(self) -> str:
        return self.name

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything but the name, by name.

        Examples
        --------
        >>> list(lstm_cases()[0].arguments)[:3]
        ['weights', 'x', 'dy']
        """
        return {name: value for name, value in self._asdict().items() if name != "name"}


def lstm_cases(
    layers: int = 1, bidirectional: bool = False, dtype: DTypeLike = "float64", seed: int = 0
) -> list[LSTMCase]:
    """Cases to run a kernel on, forwards and back.

    Parameters
    ----------
    layers : int
    bidirectional : bool
    dtype : numpy.dtype or str
        Of all arrays but the lengths.
    seed : int
        Of the random numbers.

    Returns
    -------
    list of LSTMCase
        One frame; several clips; clips of different lengths; gates that saturate; 60 frames of which only the
        last is in the loss; and as many inputs as units, where a transposition keeps the shapes. All biases
        and states are random, so that none can be lost unseen.

    Raises
    ------
    InputError
        If there is no layer, or the type is not of floating-point numbers.

    Examples
    --------
    >>> [str(case) for case in lstm_cases()]
    ['one frame', 'three clips', 'lengths', 'saturated', 'last frame', 'square']
    """
    if isinstance(layers, bool) or not isinstance(layers, (int, np.integer)) or layers < 1:
        raise InputError(f"layers is {shown(layers)}; expected an integer of at least 1")
    if not np.issubdtype(np.dtype(dtype), np.floating):  # integers would be zeros for the most part
        raise InputError(f"dtype is {np.dtype(dtype)}; expected a floating-point type")
    rng = np.random.default_rng(seed)

    def case(name: str, lengths: list[int], D: int, H: int, spread: float = 0.5) -> LSTMCase:
        return _case(rng, name, np.array(lengths), (D, H, layers, 1 + bidirectional), spread, dtype)

    last = case("last frame", [60, 60], 3, 4)
    last.dy[:, :-1] = 0
    return [
        case("one frame", [1], 3, 2),
        case("three clips", [4, 4, 4], 3, 2),
        case("lengths", [3, 6, 1, 4], 2, 5),
        case("saturated", [5, 5], 3, 4, spread=3.0),
        last,
        case("square", [5, 3], 4, 4),
    ]


def _case(
    rng: np.random.Generator,
    name: str,
    lengths: IntArray,
    sizes: tuple[int, int, int, int],
    spread: float,
    dtype: DTypeLike,
) -> LSTMCase:
    D, H, layers, directions = sizes
    weights = {}
    for k in range(layers):
        inputs = H * directions if k else D
        shapes = (4 * H, inputs), (4 * H, H), (4 * H,), (4 * H,)
        for suffix in (f"l{k}", f"l{k}_reverse")[:directions]:
            for tensor, shape in zip(LSTM_TENSORS, shapes):
                weights[f"{tensor}_{suffix}"] = rng.normal(0, spread, shape).astype(dtype)
    N, T = len(lengths), int(lengths.max())
    x, dy = rng.normal(size=(N, T, D)).astype(dtype), rng.normal(size=(N, T, directions * H)).astype(dtype)
    states = rng.normal(size=(4, layers * directions, N, H)).astype(dtype)
    return LSTMCase(name, weights, x, dy, lengths, *states)
