"""A stack of LSTM layers at the public edge, as torch.nn.LSTM(batch_first=True) computes it: padded batches,
either direction.

The model needs none of this. It is here because people cross-check recurrent layers of any size: weights come
under the names of torch.nn.LSTM's state_dict, and how many layers and directions there are is read off the
names.

    weight_ih_l{k}  (4H, D), or (4H, directions * H) for k > 0
    weight_hh_l{k}  (4H, H)
    bias_ih_l{k}, bias_hh_l{k}  (4H,), left out by bias=False
    ..._reverse     the same for the backward direction

The backward direction of a clip runs from its own last frame to its first, whatever the padding. With packed
rows that is a permutation of rows before the layer and the same one after it, since reversing twice changes
nothing.

Letters: N clips, T frames, M packed rows, D inputs, H hidden; L layers times directions, in the order l0,
l0_reverse, l1, ...
"""

import re
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.fast.lstm import LSTMCache, lstm_backward, lstm_forward
from npreslstm.fast.packing import Packing, packing
from npreslstm.formats.cells import check_cells
from npreslstm.layers.lstm import LSTMParams
from npreslstm.schema import LSTM_TENSORS

PARAMETERS = LSTM_TENSORS
_NAME = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh)_l(0|[1-9]\d*)(_reverse)?")


class RecurrentCache(NamedTuple):
    """What `recurrent_backward` needs, and every intermediate. `layers` holds {'l0': cache, 'l0_reverse':
    cache, ...}.
    """

    packing: Packing
    frames: int  # T of the padded input
    layers: dict[str, LSTMCache]
    names: tuple[str, ...]  # of the given weights


def recurrent_forward(x, lengths, state, h0=None, c0=None, turning=None):
    """Run the stack over a padded batch.

    Parameters
    ----------
    x : (N, T, D) float array
        Its type is that of the arithmetic; entries past a clip's length are ignored.
    lengths : (N,) int array or None
        Frames of each clip, 1 to T; None: all have T.
    state : mapping of str to array
        Weights under torch.nn.LSTM's names.
    h0, c0 : (L, N, H) arrays, optional
        Initial states; zeros where absent.
    turning : set of str, optional
        Those of 'l0', 'l0_reverse', ... that run from the last frame to the first. Default: the backward
        directions; others are mistakes to be recognised.

    Returns
    -------
    y : (N, T, directions * H) array
        Hidden states of the last layer; zero past a clip's length.
    (h_n, c_n) : (L, N, H) arrays
        State after the last frame of each clip; after its first frame in the backward direction.
    cache : RecurrentCache

    Raises
    ------
    InputError
        If names or shapes are not those of such a stack, or the batch does not fit.
    """
    x = np.asarray(x)
    layers = lstm_layers(state, x.dtype)
    layout = _layout(x, lengths, next(iter(layers.values())).W_ih.shape[1])
    H = layers["l0"].W_hh.shape[1]
    h0, c0 = (_initial(name, s, (len(layers), len(x), H)) for name, s in (("h0", h0), ("c0", c0)))
    rows, backwards, caches, states = layout.pack(x), reversal(layout), {}, []
    if turning is None:
        turning = {suffix for suffix in layers if suffix.endswith("_reverse")}
    for below in _by_layer(layers):
        outputs = []
        for suffix in below:
            order = backwards if suffix in turning else slice(None)
            y, last, caches[suffix] = lstm_forward(
                rows[order], layers[suffix], layout, h0[len(states)], c0[len(states)]
            )
            outputs.append(y[order])
            states.append(last)
        rows = np.concatenate(outputs, axis=1)  # (M, directions * H)
    h_n, c_n = (np.stack(part) for part in zip(*states))  # (L, N, H)
    return (
        _padded(rows, layout, x.shape[1]),
        (h_n, c_n),
        RecurrentCache(layout, x.shape[1], caches, tuple(state)),
    )


def recurrent_backward(dy, cache, dh_n=None, dc_n=None):
    """Gradients of everything `recurrent_forward` was given.

    Parameters
    ----------
    dy : (N, T, directions * H) array
        Gradient of `y`; entries past a clip's length are ignored.
    cache : RecurrentCache
    dh_n, dc_n : (L, N, H) arrays, optional
        Gradients of the final states.

    Returns
    -------
    dx : (N, T, D) array
        Zero past a clip's length.
    (dh0, dc0) : (L, N, H) arrays
    grads : dict
        {name: gradient} for the names of the given weights.

    Raises
    ------
    InputError
        If a gradient has another shape than what it is of.
    """
    layout, backwards, grads, initial = cache.packing, reversal(cache.packing), {}, {}
    N, H, dy = len(layout.lengths), next(iter(cache.layers.values())).tanh_c.shape[1], np.asarray(dy)
    expected = N, cache.frames, H * len(_by_layer(cache.layers)[0])
    if dy.shape != expected:
        raise InputError(f"dy is {dy.shape}; expected {expected}, as y")
    dh_n, dc_n = (
        d if d is None else _initial(name, d, (len(cache.layers), N, H))
        for name, d in (("dh_n", dh_n), ("dc_n", dc_n))
    )
    drows = layout.pack(dy)  # (M, directions * H)
    suffixes = list(cache.layers)
    for below in reversed(_by_layer(cache.layers)):
        dx = 0
        for suffix, dhidden in zip(below, np.split(drows, len(below), axis=1)):
            order, k = backwards if suffix.endswith("_reverse") else slice(None), suffixes.index(suffix)
            last = (None if d is None else d[k] for d in (dh_n, dc_n))
            d, initial[suffix], weights = lstm_backward(dhidden[order], cache.layers[suffix], *last)
            dx = dx + d[order]  # both directions read the same rows
            grads.update(zip((f"{name}_{suffix}" for name in PARAMETERS), weights))
        drows = dx
    dh0, dc0 = (np.stack(part) for part in zip(*(initial[suffix] for suffix in suffixes)))
    return _padded(drows, layout, cache.frames), (dh0, dc0), {name: grads[name] for name in cache.names}


def reversal(layout):
    """(M,) rows of a packed batch such that ``rows[reversal]`` has every clip backwards; its own inverse."""
    position = np.argsort(layout.order)  # where each clip stands among the running ones
    return layout.offsets[layout.lengths[layout.clip] - 1 - layout.time] + position[layout.clip]


def lstm_layers(state, dtype):
    """The weights of a stack by layer and direction.

    Parameters
    ----------
    state : mapping of str to array
        Under torch.nn.LSTM's names.
    dtype : float32 or float64

    Returns
    -------
    dict
        {'l0': LSTMParams, 'l0_reverse': LSTMParams, ...} in the order of computation.

    Raises
    ------
    InputError
        Naming the first tensor that does not belong, is missing, or has another shape.
    """
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise InputError(
            f"the input is {np.dtype(dtype)}; expected float32 or float64, which is also the type of the"
            " arithmetic"
        )
    _check_names(state)
    D, H = np.shape(state["weight_ih_l0"])[-1], np.shape(state["weight_hh_l0"])[-1]
    both = "weight_ih_l0_reverse" in state
    layers = {}
    for k in range(sum(re.fullmatch(r"weight_ih_l\d+", name) is not None for name in state)):
        inputs = D if k == 0 else H * (1 + both)
        for suffix in (f"l{k}", f"l{k}_reverse")[: 1 + both]:
            layers[suffix] = _layer(state, suffix, ((4 * H, inputs), (4 * H, H), (4 * H,), (4 * H,)), dtype)
    if len(layers) * (4 if "bias_ih_l0" in state else 2) != len(state):
        raise InputError(
            f"weights are {', '.join(state)}; expected the same four (or two, without biases) for layers l0,"
            " l1, ... and each direction"
        )
    return layers


def _check_names(state):
    check_cells(state)
    for name in state:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is not a weight of torch.nn.LSTM; expected weight_ih_l0, ...: pass the state_dict"
                " of the LSTM alone"
            )
    for name in ("weight_ih_l0", "weight_hh_l0"):
        if np.ndim(state.get(name)) != 2:
            raise InputError(
                f"the matrix {name} is missing; expected the state_dict of a torch.nn.LSTM; found"
                f" {', '.join(state) or 'nothing'}"
            )


def _layer(state, suffix, shapes, dtype):
    tensors = []
    for parameter, shape in zip(PARAMETERS, shapes):
        name = f"{parameter}_{suffix}"
        optional = parameter.startswith("bias") and f"{parameter}_l0" not in state
        tensor = np.zeros(shape, dtype) if optional else np.asarray(state.get(name), dtype=dtype)
        if tensor.shape != shape:
            raise InputError(
                f"{name} is {tensor.shape if name in state else 'missing'}; expected {shape}, as weight_ih_l0"
                " and weight_hh_l0 have it"
            )
        tensors.append(tensor)
    return LSTMParams(*tensors)


def _by_layer(suffixes):
    """[['l0', 'l0_reverse'], ['l1', 'l1_reverse'], ...]."""
    layers = {}
    for suffix in suffixes:
        layers.setdefault(suffix.removesuffix("_reverse"), []).append(suffix)
    return list(layers.values())


def _layout(x, lengths, D):
    if x.ndim != 3 or x.shape[2] != D or 0 in x.shape[:2]:
        raise InputError(f"input is {x.shape}; expected (clips, frames, {D}), clips and frames at least 1")
    return packing(np.full(len(x), x.shape[1]) if lengths is None else lengths, x.shape[:2])


def _initial(name, state, shape):
    if state is None:
        return [None] * shape[0]
    if np.shape(state) != shape:
        raise InputError(
            f"{name} is {np.shape(state)}; expected {shape}: layers times directions, clips, hidden units"
        )
    return np.asarray(state)


def _padded(rows, layout, T):
    padded = np.zeros((len(layout.lengths), T, rows.shape[1]), dtype=rows.dtype)
    padded[layout.clip, layout.time] = rows
    return padded
