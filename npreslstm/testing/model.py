"""Every intermediate of ResLSTM-SA and LSTM-SA by name, and comparing another implementation's with them."""

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from npreslstm.annotations import Array
from npreslstm.errors import InputError, shown
from npreslstm.fast.batch import Batch
from npreslstm.fast.packing import Packing
from npreslstm.formats.arrays import as_array
from npreslstm.layers.activations import softmax
from npreslstm.model import ModelCache, ResLSTM
from npreslstm.testing.compare import assert_tensors_equal
from npreslstm.testing.lstm import layer_tensors


def trace(
    model: ResLSTM, x: ArrayLike, lengths: ArrayLike | None = None, dtype: DTypeLike = np.float64
) -> dict[str, Array]:
    """Run a model in evaluation mode and keep everything.

    Parameters
    ----------
    model : ResLSTM
    x : (N, T, D) array
        Z-scored features.
    lengths : (N,) int array, optional
        Frames of each clip; default all of T.
    dtype : float64 or float32
        Of the arithmetic; float64 makes a reference of any model.

    Returns
    -------
    dict of str to array
        In the order of computation, zero past a clip's length:

        ``input`` (N, T, D)
            What was given.
        ``lstm1.l0.i``, ``.f``, ``.g``, ``.o``, ``.c``, ``.h`` (N, T, H)
            Gates, cell and hidden state of LSTM1, for every layer.
        ``residual``, ``normalised`` (N, T, D)
            After (R1), and after the batch norm; not in LSTM-SA.
        ``lstm2.l0.i``, ... ``.h`` (N, T, H)
            The same of LSTM2; ``lstm.l0.i`` in LSTM-SA.
        ``score``, ``weight`` (N, T)
            Of attention.
        ``context``, ``context_normalised`` (N, H)
            Before and after the last batch norm.
        ``logit``, ``probability`` (N, C)
            Of the classes.

    Raises
    ------
    InputError
        As `ResLSTM.forward`.

    Examples
    --------
    >>> from npreslstm.schema import ModelConfig
    >>> model = ResLSTM(ModelConfig(hidden_size=8), np.random.default_rng(0))
    >>> tensors = trace(model, np.zeros((2, 5, 46)), lengths=[5, 3])
    >>> tensors["lstm2.l0.c"].shape, tensors["probability"].shape
    ((2, 5, 8), (2, 8))
    """
    if not isinstance(model, ResLSTM):
        raise InputError(
            f"model is {shown(model)}; expected a ResLSTM: load_model(path), or Recognizer(path).model"
        )
    x = as_array(x, "x")
    if x.ndim != 3:
        raise InputError(f"x is {x.shape}; expected (clips, frames, features)")
    lengths = np.full(len(x), x.shape[1]) if lengths is None else as_array(lengths, "lengths")
    reference = ResLSTM(model.config, dtype=dtype)
    reference.load_state_dict(model.tensors)
    logits, cache = reference.forward(x, lengths)
    packing = cast(Batch, cache.batch).packing  # the layers of `reference` are those of `fast`
    tensors = {
        name: _pad(rows, packing, x.shape[1])
        for name, rows in _frame_tensors(reference, packing.pack(np.asarray(x, dtype)), cache)
    }
    attention, w = cache.attention, model.tensors.get("head_combine.weight")
    score = (attention.projections if w is None else attention.projections @ w.T.astype(dtype))[..., 0]
    tensors["score"] = _pad(packing.pack(score), packing, x.shape[1])
    tensors["weight"] = _pad(packing.pack(attention.alpha), packing, x.shape[1])
    context = (attention.alpha[:, None, :] @ attention.h)[:, 0]  # (N, H)  (A3)
    return tensors | {
        "context": context,
        "context_normalised": cache.head_input,
        "logit": logits,
        "probability": softmax(logits),
    }


def assert_trace_equal(
    found: Mapping[str, ArrayLike],
    model: ResLSTM,
    x: ArrayLike,
    lengths: ArrayLike | None = None,
    tolerance: float | str | None = None,
) -> None:
    """Fail unless another implementation's intermediates are those of `trace`.

    Parameters
    ----------
    found : mapping of str to array
        Any part of what `trace` returns, by its names.
    model, x, lengths
        As `trace`.
    tolerance : float or str, optional
        Largest deviation allowed, times max(1, abs(value)). Default: `TOLERANCES`, by each tensor's type.

    Raises
    ------
    AssertionError
        Naming the first tensor in the order of computation that deviates, and in it the first frame and unit.
    InputError
        If a name is unknown or a shape another.

    Examples
    --------
    >>> from npreslstm.schema import ModelConfig
    >>> model = ResLSTM(ModelConfig(hidden_size=8), np.random.default_rng(0))
    >>> x = np.random.default_rng(1).normal(size=(2, 5, 46))
    >>> mine, _ = model.infer(x, [5, 3])  # in place of another implementation's logits
    >>> assert_trace_equal({"logit": mine}, model, x, [5, 3])
    """
    assert_tensors_equal(found, trace(model, x, lengths), lengths, tolerance)


def _frame_tensors(model: ResLSTM, rows: Array, cache: ModelCache) -> Iterator[tuple[str, Array]]:
    """Yield (name, packed rows) of everything that has frames, up to attention."""
    yield "input", rows
    for lstm, layers in cache.lstms.items():
        for k, layer in enumerate(layers):
            tensors = layer_tensors(f"{lstm}.l{k}", layer)
            yield from tensors.items()
        if cache.bn_residual is not None and lstm == "lstm1":
            yield "residual", rows + tensors[f"lstm1.l{k}.h"]  # (R1)
            # (B2)
            yield (
                "normalised",
                model.tensors["bn_residual.weight"] * cache.bn_residual.normalised
                + model.tensors["bn_residual.bias"],
            )


def _pad(rows: Array, layout: Packing, T: int) -> Array:
    padded = np.zeros((len(layout.lengths), T, *rows.shape[1:]), dtype=rows.dtype)
    padded[layout.clip, layout.time] = rows
    return padded
