"""Small LSTM layers with everything that a kernel must get right, for other projects' tests."""

from typing import NamedTuple

import numpy as np

from npreslstm.schema import LSTM_TENSORS


class LSTMCase(NamedTuple):
    """The arguments of a forward and a backward pass; `_asdict` without the name gives those of
    `assert_lstm_gradients_equal`.
    """

    name: str
    weights: dict[str, np.ndarray]  # under torch.nn.LSTM's names
    x: np.ndarray  # (N, T, D)
    dy: np.ndarray  # (N, T, directions * H)
    lengths: np.ndarray  # (N,)
    h0: np.ndarray  # (L, N, H)
    c0: np.ndarray
    dh_n: np.ndarray
    dc_n: np.ndarray

    def __str__(self):
        return self.name

    @property
    def arguments(self):
        """Everything but the name, by name."""
        return {name: value for name, value in self._asdict().items() if name != "name"}


def lstm_cases(layers=1, bidirectional=False, dtype="float64", seed=0):
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

    Examples
    --------
    >>> [str(case) for case in lstm_cases()]
    ['one frame', 'three clips', 'lengths', 'saturated', 'last frame', 'square']
    """
    rng = np.random.default_rng(seed)

    def case(name, lengths, D, H, spread=0.5):
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


def _case(rng, name, lengths, sizes, spread, dtype):
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
