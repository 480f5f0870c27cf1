"""The network in evaluation mode with everything folded that can be: for one clip at a time, and for the
ports.

Folded, exactly in real arithmetic, and here in a type that the caller names:

    b = b_ih + b_hh                                        the two biases of every LSTM layer
    W_x <- W_x diag(a), b <- b + W_x d      y -> a y + d   the residual batch norm, into the LSTM after it
    W <- W diag(a), b <- b + W d                           the last batch norm, into the head
    v = V w                                                several attention vectors, into one

The ports ask for one thing more, `halve_sigmoids`. Streaming and ONNX keep the network as it was trained.

Letters: D inputs, H hidden, C classes, K attention vectors, F features of a batch norm.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from npreslstm.layers.batchnorm import EPS
from npreslstm.layers.lstm import gate_slices
from npreslstm.schema import ModelConfig, lstm_names, norm_names


class FoldedLSTM(NamedTuple):
    """One layer: W_x x + W_h h + b is what enters its gates."""

    W_x: np.ndarray  # (4H, D)
    W_h: np.ndarray  # (4H, H)
    b: np.ndarray  # (4H,)


class FoldedModel(NamedTuple):
    """The network without batch norms.

    Attributes
    ----------
    lstms : list of FoldedLSTM
        In order of computation.
    residual : int
        After how many layers the features are added to the hidden state (R1); 0 where there is no such
        connection.
    attention : (H,) array
    head_W : (C, H) array
    head_b : (C,) array
    """

    lstms: list[FoldedLSTM]
    residual: int
    attention: np.ndarray
    head_W: np.ndarray
    head_b: np.ndarray


def one_vector(V: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
    """The vector (H,) that gives the scores of all: (A1) is v . h_t with v = sum_k w_k v_k."""
    return (V if w is None else V @ w.T)[:, 0]


def batchnorm_affine(
    gamma: np.ndarray, beta: np.ndarray, running_mean: np.ndarray, running_var: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A frozen batch norm (B2) as y = scale * x + shift: (scale, shift), (F,) arrays."""
    scale = gamma / np.sqrt(running_var + running_var.dtype.type(EPS))
    shift = beta - running_mean * scale
    return scale, shift


def fold(
    config: ModelConfig, tensors: Mapping[str, np.ndarray], dtype: DTypeLike = np.float64
) -> FoldedModel:
    """Fold the tensors of a model.

    Parameters
    ----------
    config : ModelConfig
    tensors : mapping of str to array
        As `ResLSTM.state_dict` returns them.
    dtype : float32 or float64
        Of the arithmetic and of the result.

    Returns
    -------
    FoldedModel
        Nothing in it changes when `tensors` do, but for the W_x and W_h of layers that no batch norm comes
        before.

    Examples
    --------
    >>> from npreslstm import load_model
    >>> model = load_model("paper")
    >>> folded = fold(model.config, model.tensors)
    >>> len(folded.lstms), folded.residual, folded.head_W.shape
    (2, 1, (8, 64))
    """
    tensors = {name: np.asarray(tensor, dtype=dtype) for name, tensor in tensors.items()}
    layers = range(config.num_layers)
    lstms = [_lstm(tensors, prefix, k) for prefix in config.lstms for k in layers]
    residual = 0
    if config.kind == "reslstm-sa":
        residual = config.num_layers
        lstms[residual] = _after_affine(lstms[residual], *_affine(tensors, "bn_residual"))
    scale, shift = _affine(tensors, "bn")
    W, b = tensors["fc.weight"], tensors["fc.bias"]
    v = one_vector(tensors["attention_vector"], tensors.get("head_combine.weight"))
    return FoldedModel(lstms, residual, v.copy(), W * scale, b + W @ shift)


def halve_sigmoids(folded: FoldedModel) -> FoldedModel:
    """The same network with the rows of the gates i, f and o halved, which is exact.

    As sigmoid(a) = (1 + tanh(a / 2)) / 2 (S1), one tanh then serves all four gates.
    """
    return folded._replace(lstms=[_halved(lstm) for lstm in folded.lstms])


def _lstm(tensors, prefix, layer):
    W_ih, W_hh, b_ih, b_hh = (tensors[name] for name in lstm_names(prefix, layer))
    return FoldedLSTM(W_ih, W_hh, b_ih + b_hh)


def _affine(tensors, prefix):
    gamma, beta, mean, var, _ = (tensors[name] for name in norm_names(prefix))
    return batchnorm_affine(gamma, beta, mean, var)


def _after_affine(lstm, scale, shift):
    """The layer whose input is scale * y + shift, as one whose input is y."""
    return FoldedLSTM(lstm.W_x * scale, lstm.W_h, lstm.b + lstm.W_x @ shift)


def _halved(lstm):
    half = np.full(len(lstm.b), 0.5)  # (4H,)
    half[gate_slices(lstm.W_h.shape[1])["g"]] = 1
    return FoldedLSTM(lstm.W_x * half[:, None], lstm.W_h * half[:, None], lstm.b * half)
