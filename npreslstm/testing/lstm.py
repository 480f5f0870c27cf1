"""Any LSTM layer or stack against this package's."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npreslstm.annotations import Array
from npreslstm.errors import InputError, shown
from npreslstm.formats.arrays import as_array, as_arrays
from npreslstm.layers.lstm import GATES
from npreslstm.testing.compare import EXPLAINED, first_deviation, largest_excess
from npreslstm.testing.faults import ORDERS, backward_scopes, by_block, in_words, scopes, transposed
from npreslstm.testing.recurrent import RecurrentCache, recurrent_forward, reversal

# y, or (y, (h_n, c_n)), as torch.nn.LSTM returns it
Output = ArrayLike | tuple[ArrayLike, tuple[ArrayLike, ArrayLike] | None]


def assert_lstm_equal(
    framework_output: Output,
    weights: Mapping[str, ArrayLike],
    x: ArrayLike,
    lengths: ArrayLike | None = None,
    h0: ArrayLike | None = None,
    c0: ArrayLike | None = None,
    tolerance: float | str | None = None,
) -> None:
    """Fail unless a framework's LSTM gives what this package computes from the same weights.

    Parameters
    ----------
    framework_output : y, or (y, (h_n, c_n))
        What torch.nn.LSTM(batch_first=True) returns: y (N, T, directions * H), and perhaps the final states
        (L, N, H), L layers times directions.
    weights : mapping of str to array
        Under torch.nn.LSTM's names (``net.state_dict()``); `from_keras` and `from_onnx` make them of other
        layouts.
    x : (N, T, D) array
        The input that was given to the framework.
    lengths : (N,) int array, optional
        Frames of each clip; outputs past it are not compared. Default: all of T.
    h0, c0 : (L, N, H) arrays, optional
        Initial states; default zeros.
    tolerance : float or str, optional
        Largest deviation allowed, times max(1, abs(value)). Default: `TOLERANCES`, by the type of y.

    Raises
    ------
    AssertionError
        Naming the first tensor, frame and unit that deviates, and the usual mistake that explains it, if one
        does.
    InputError
        If names, shapes or types are not those of an LSTM.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shapes = {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 2), "bias_ih_l0": (8,), "bias_hh_l0": (8,)}
    >>> weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    >>> x = rng.normal(size=(2, 5, 3))
    >>> y = trace_lstm(weights, x)["y"]  # in place of what a framework gives
    >>> assert_lstm_equal(y, weights, x)
    >>> assert_lstm_equal(y, {**weights, "bias_hh_l0": np.zeros(8)}, x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: y deviates first at clip 0, frame 0, unit 0: ...
    """
    found = _named(framework_output)
    call = _Call(x, lengths, weights, h0, c0)
    expected = call.outputs()
    if message := first_deviation(found, expected, call.lengths, tolerance):
        raise AssertionError(message + _explanation(call, found, tolerance))


def _named(output: Any) -> dict[str, Any]:
    """{'y': ..., 'h_n': ..., 'c_n': ...} of what a framework's LSTM returned, the states only if they are
    there.
    """
    pair = isinstance(output, list) and len(output) == 2 and isinstance(output[1], (tuple, list))
    listed = pair and [_axes(state) for state in output[1]] == [3, 3]  # any other list is y's numbers
    if not (listed or isinstance(output, tuple)) or hasattr(output, "batch_sizes"):
        return {"y": output}
    if len(output) != 2:
        raise InputError(
            f"the output is a tuple of {len(output)}; expected y, or (y, (h_n, c_n)) as torch.nn.LSTM"
            " returns it"
        )
    y, states = output
    if states is None:
        return {"y": y}
    if not hasattr(states, "__len__") or len(states) != 2:
        raise InputError(
            f"the states are {len(states) if hasattr(states, '__len__') else shown(states)}; expected two,"
            " (h_n, c_n)"
        )
    return {"y": y, "h_n": states[0], "c_n": states[1]}


def _axes(state: Any) -> int | None:
    """How many axes a final state has; None if it is ragged."""
    try:
        return np.ndim(state)
    except ValueError:
        return None


def trace_lstm(
    weights: Mapping[str, ArrayLike],
    x: ArrayLike,
    lengths: ArrayLike | None = None,
    h0: ArrayLike | None = None,
    c0: ArrayLike | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Every intermediate of an LSTM stack.

    Parameters
    ----------
    weights, x, lengths, h0, c0
        As `assert_lstm_equal`.

    Returns
    -------
    dict of str to float64 array
        For each layer and direction, in the order of computation, ``l0.i``, ``l0.f``, ``l0.g``, ``l0.o``
        (after their non-linearities), ``l0.c`` and ``l0.h``, each (N, T, H); then ``y`` (N, T, directions *
        H), ``h_n`` and ``c_n`` (L, N, H). Zero past a clip's length. Frames of a backward direction are in
        the order of time.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shapes = {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 2), "bias_ih_l0": (8,), "bias_hh_l0": (8,)}
    >>> weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    >>> x = rng.normal(size=(2, 5, 3))
    >>> tensors = trace_lstm(weights, x)
    >>> list(tensors)
    ['l0.i', 'l0.f', 'l0.g', 'l0.o', 'l0.c', 'l0.h', 'y', 'h_n', 'c_n']
    """
    return _Call(x, lengths, weights, h0, c0).outputs(every=True)


def layer_tensors(prefix: str, cache: Any, order: Any = slice(None)) -> dict[str, Array]:
    """{prefix.i: (M, H), ...} of an LSTMCache: gates, cell and hidden state, packed, with the rows in
    `order`.
    """
    return {f"{prefix}.{name}": getattr(cache, name)[order] for name in (*GATES, "c", "h")}


class _Call:
    """The arguments of an LSTM call, as float64 arrays; `outputs` runs it."""

    def __init__(
        self,
        x: ArrayLike,
        lengths: ArrayLike | None,
        weights: Mapping[str, ArrayLike],
        h0: ArrayLike | None,
        c0: ArrayLike | None,
    ) -> None:
        self.x = as_array(x, "x").astype(np.float64)
        self.lengths = None if lengths is None else as_array(lengths, "lengths")
        self.weights = {name: tensor.astype(np.float64) for name, tensor in as_arrays(weights).items()}
        self.h0, self.c0 = (
            None if state is None else as_array(state, "the initial state").astype(np.float64)
            for state in (h0, c0)
        )

    def outputs(self, every: bool = False, **changes: Any) -> dict[str, Array]:
        """{'y': ..., 'h_n': ..., 'c_n': ...}, with some of the arguments changed; every intermediate before
        them if asked for.
        """
        given = {
            "x": self.x,
            "lengths": self.lengths,
            "state": self.weights,
            "h0": self.h0,
            "c0": self.c0,
        } | changes
        y, (h_n, c_n), cache = recurrent_forward(**given)
        return (_intermediates(cache, y.shape[1]) if every else {}) | {"y": y, "h_n": h_n, "c_n": c_n}


def _intermediates(cache: RecurrentCache, T: int) -> dict[str, Array]:
    layout = cache.packing
    tensors: dict[str, Array] = {}
    for suffix, layer in cache.layers.items():
        order = reversal(layout) if suffix.endswith("_reverse") else slice(None)
        for name, rows in layer_tensors(suffix, layer, order).items():
            tensors[name] = np.zeros((len(layout.lengths), T, rows.shape[1]))
            tensors[name][layout.clip, layout.time] = rows
    return tensors


def _explanation(call: _Call, found: dict[str, Any], tolerance: float | str | None) -> str:
    """Which of the usual mistakes gives exactly this output, as a sentence; empty if none does."""
    expected = call.outputs()
    # states of another shape are no reason to say nothing about y
    found = {name: value for name, value in found.items() if name == "y" or _fits(value, expected[name])}
    most = largest_excess(found, expected, call.lengths, tolerance)
    for mistake, changes, then in _all_mistakes(call):
        try:
            left = largest_excess(found, then(call.outputs(**changes)), call.lengths, tolerance)
        except InputError:  # a change that does not fit these shapes
            continue
        if left <= min(1, EXPLAINED * most):
            return f" The output is right {mistake}."
    return ""


def _fits(value: Any, expected: Array) -> bool:
    return as_array(value, "a final state").shape == expected.shape


def _all_mistakes(call: _Call) -> Iterator[tuple[str, dict[str, Any], Callable[..., dict[str, Array]]]]:
    """Yield (description, changed arguments, what is done to the outputs)."""
    for mistake, changes in _mistakes(call):
        yield mistake, changes, lambda outputs: outputs
    if call.lengths is None:
        swapped = {"x": call.x.swapaxes(0, 1), "h0": None, "c0": None}
        yield "if x is (frames, clips, inputs), which batch_first=True would change", swapped, _exchanged
        if call.x.shape[0] == call.x.shape[1]:
            yield "with clips and frames of y exchanged", {}, _exchanged


def _exchanged(outputs: dict[str, Array]) -> dict[str, Array]:
    """y with clips in the place of frames, without the final states."""
    return {"y": outputs["y"].swapaxes(0, 1)}


def _mistakes(call: _Call) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (description, changed arguments)."""
    weights = call.weights
    suffixes = [name.removeprefix("weight_ih_") for name in weights if name.startswith("weight_ih_")]
    yield from _mistakes_of_biases(weights)
    yield (
        "with weight_hh transposed gate by gate",
        {"state": {name: transposed(w) if "weight_hh" in name else w for name, w in weights.items()}},
    )
    yield from _mistakes_of_time(call, suffixes)
    for lost in (("h0", "c0"), ("h0",), ("c0",)):
        yield f"from zero {' and '.join(lost)}", dict.fromkeys(lost)
    yield "with h0 and c0 exchanged", {"h0": call.c0, "c0": call.h0}
    for scope in scopes(suffixes):
        for order in ORDERS:
            what = f"for weights with gates in the order {in_words(order)}{scope.words}"
            yield what, {"state": _read_in(weights, order, scope.names)}


def _mistakes_of_biases(weights: dict[str, Array]) -> Iterator[tuple[str, dict[str, Any]]]:
    biases = {name: np.zeros_like(w) for name, w in weights.items() if name.startswith("bias")}
    yield "without the biases", {"state": weights | biases}
    for kind, other in (("ih", "hh"), ("hh", "ih")):
        yield (
            f"without bias_{kind}",
            {"state": weights | {name: zero for name, zero in biases.items() if kind in name}},
        )
        yield (
            f"with bias_{other} in place of bias_{kind}",
            {"state": weights | {n: weights[n.replace(kind, other)] for n in biases if kind in n}},
        )
        yield (
            f"with bias_{kind} counted twice",
            {"state": weights | {n: 2 * weights[n] for n in biases if kind in n}},
        )


def _mistakes_of_time(call: _Call, suffixes: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if call.lengths is not None:
        yield "if padded frames are run as well (lengths ignored)", {"lengths": None}
    yield "with every clip backwards, padding included", {"x": call.x[:, ::-1], "lengths": None}
    yield "with every clip backwards", {"x": _backwards(call.x, call.lengths)}
    turning = frozenset(suffix for suffix in suffixes if suffix.endswith("_reverse"))
    for scope in backward_scopes(suffixes):
        yield (
            f"if the backward direction is run forwards{scope.words}",
            {"turning": turning - scope.names},
        )


def _backwards(x: Array, lengths: Array | None) -> Array:
    """x (N, T, D) with the frames of each clip in reverse."""
    turned = x.copy()
    for clip, frames in zip(turned, [x.shape[1]] * len(x) if lengths is None else lengths):
        clip[:frames] = clip[:frames][::-1]
    return turned


def _read_in(weights: dict[str, Array], order: tuple[int, ...], names: Collection[str]) -> dict[str, Array]:
    """Weights as read by somebody who takes the blocks of some layers and directions for gates in another
    order.
    """
    return {
        name: by_block(w, order) if name[name.rindex("_l") + 1 :] in names else w
        for name, w in weights.items()
    }
