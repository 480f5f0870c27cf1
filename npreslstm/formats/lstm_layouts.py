"""The weights of one LSTM layer in other frameworks' layouts, to and from those of torch.nn.LSTM.

    torch.nn.LSTM   gates i, f, g, o             weight_ih_l0 (4H, D), weight_hh_l0 (4H, H),
                                                 bias_ih_l0 (4H,), bias_hh_l0 (4H,)
    Keras LSTM      gates i, f, c, o; c is g     kernel (D, 4H), recurrent_kernel (H, 4H), bias (4H,)
    ONNX LSTM       gates i, o, f, c             W (directions, 4H, D), R (directions, 4H, H),
                                                 B (directions, 8H): Wb, then Rb

Source: keras.layers.LSTM and Bidirectional (Keras 3), operator LSTM of ONNX (since version 14),
torch.nn.LSTM.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.annotations import Array
from npreslstm.errors import InputError, shown
from npreslstm.formats.arrays import as_array

_FROM_ONNX, _TO_ONNX = (0, 2, 3, 1), (0, 3, 1, 2)  # which block of one order is each block of the other
_DIRECTIONS = ("", "_reverse")


def from_keras(weights: Sequence[ArrayLike]) -> dict[str, Array]:
    """Weights of a Keras LSTM, or of a Bidirectional around one, under torch.nn.LSTM's names.

    Parameters
    ----------
    weights : list of arrays
        ``layer.get_weights()``: kernel, recurrent kernel and, with ``use_bias``, bias; twice that if
        bidirectional.

    Returns
    -------
    dict of str to array
        Without biases if Keras has none; ``bias_hh_l0`` is zero, since Keras has one bias.

    Raises
    ------
    InputError
        If they are not the weights of an LSTM.

    Examples
    --------
    >>> D, H = 3, 2
    >>> state = from_keras([np.zeros((D, 4 * H)), np.zeros((H, 4 * H)), np.zeros(4 * H)])
    >>> {name: weight.shape for name, weight in state.items()}
    {'weight_ih_l0': (8, 3), 'weight_hh_l0': (8, 2), 'bias_ih_l0': (8,), 'bias_hh_l0': (8,)}
    """
    if not isinstance(weights, (list, tuple)):
        raise InputError(
            f"Keras weights are {shown(weights)}; expected the list of arrays that layer.get_weights() gives"
        )
    arrays = [as_array(w, "a Keras weight") for w in weights]
    matrices = [w.ndim == 2 for w in arrays]
    if matrices not in ([True, True], [True, True, False], [True] * 4, [True, True, False] * 2):
        expected = "expected layer.get_weights(): kernel, recurrent kernel, bias (twice if bidirectional)"
        raise InputError(f"Keras weights are {[w.shape for w in arrays]}; {expected}")
    each = len(arrays) // (2 if len(arrays) > 3 else 1)
    state: dict[str, Array] = {}
    for k, direction in enumerate(_DIRECTIONS[: len(arrays) // each]):
        kernel, recurrent, *bias = arrays[k * each : (k + 1) * each]
        H = len(recurrent)
        if kernel.shape[1] != 4 * H or recurrent.shape[1] != 4 * H or any(b.shape != (4 * H,) for b in bias):
            raise InputError(
                f"Keras kernels are {kernel.shape} and {recurrent.shape}; expected (D, 4H) and (H, 4H): only"
                " LSTM layers are computed"
            )
        state |= {"weight_ih_l0" + direction: kernel.T, "weight_hh_l0" + direction: recurrent.T}
        if bias:
            state |= {"bias_ih_l0" + direction: bias[0], "bias_hh_l0" + direction: np.zeros_like(bias[0])}
    return state


def from_onnx(
    W: ArrayLike, R: ArrayLike, B: ArrayLike | None = None, P: ArrayLike | None = None
) -> dict[str, Array]:
    """Inputs of the ONNX operator LSTM (forward or bidirectional) under torch.nn.LSTM's names.

    Parameters
    ----------
    W : (directions, 4H, D) array
    R : (directions, 4H, H) array
    B : (directions, 8H) array, optional
    P : (directions, 3H) array, optional
        Peepholes; refused unless zero.

    Returns
    -------
    dict of str to array

    Raises
    ------
    InputError
        If the shapes are not those of an LSTM, or there are peepholes.

    Examples
    --------
    >>> D, H = 3, 2
    >>> state = from_onnx(np.zeros((1, 4 * H, D)), np.zeros((1, 4 * H, H)))
    >>> {name: weight.shape for name, weight in state.items()}
    {'weight_ih_l0': (8, 3), 'weight_hh_l0': (8, 2), 'bias_ih_l0': (8,), 'bias_hh_l0': (8,)}
    """
    W, R = as_array(W, "W"), as_array(R, "R")
    if P is not None and np.any(as_array(P, "P")):
        raise InputError("P holds peephole connections; expected an LSTM without, as torch.nn.LSTM is")
    directions, H = W.shape[:1] + R.shape[-1:] if W.ndim == R.ndim == 3 else (0, 0)
    if not H or directions not in (1, 2) or W.shape[1] != 4 * H or R.shape != (directions, 4 * H, H):
        raise InputError(
            f"W and R are {W.shape} and {R.shape}; expected (directions, 4H, D) and (directions, 4H, H), one"
            " or two directions"
        )
    B = np.zeros((directions, 8 * H), W.dtype) if B is None else as_array(B, "B")
    if B.shape != (directions, 8 * H):
        raise InputError(
            f"B is {B.shape}; expected {(directions, 8 * H)}: eight blocks of H, the biases of W before those"
            " of R"
        )
    state: dict[str, Array] = {}
    for direction, w, r, b in zip(_DIRECTIONS, W, R, B):
        parts = {"weight_ih_l0": w, "weight_hh_l0": r, "bias_ih_l0": b[: 4 * H], "bias_hh_l0": b[4 * H :]}
        state |= {name + direction: _reorder(part, _FROM_ONNX) for name, part in parts.items()}
    return state


def to_onnx(W_ih: ArrayLike, W_hh: ArrayLike, b_ih: ArrayLike, b_hh: ArrayLike) -> tuple[Array, Array, Array]:
    """W (1, 4H, D), R (1, 4H, H), B (1, 8H) of the ONNX operator LSTM from the weights of one layer of
    torch.nn.LSTM.
    """
    W, R, Wb, Rb = (_reorder(np.asarray(part), _TO_ONNX) for part in (W_ih, W_hh, b_ih, b_hh))
    return W[None], R[None], np.concatenate([Wb, Rb])[None]


def _reorder(part: Array, order: tuple[int, ...]) -> Array:
    """The four blocks of rows in another order."""
    blocks = np.split(part, 4)
    return np.concatenate([blocks[k] for k in order])
