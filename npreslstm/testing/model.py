"""Every intermediate of ResLSTM-SA and LSTM-SA by name, and comparing another implementation's with them."""

import numpy as np

from npreslstm.errors import InputError, shown
from npreslstm.formats.arrays import as_array
from npreslstm.layers.activations import softmax
from npreslstm.model import ResLSTM
from npreslstm.testing.compare import assert_tensors_equal
from npreslstm.testing.lstm import layer_tensors


def trace(model, x, lengths=None, dtype=np.float64):
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
        ``lstm1.l0.i``, ``.f``, ``.g``, ``.o``, ``.c``, ``.h`` (N, T, H)    gates, cell and hidden state; for every layer
        ``residual``, ``normalised`` (N, T, D)    after (R1), and after the batch norm; not in LSTM-SA
        ``lstm2.l0.i`` ... ``.h`` (N, T, H)    ``lstm.l0.i`` in LSTM-SA
        ``score``, ``weight`` (N, T)    of attention
        ``context``, ``context_normalised`` (N, H)    before and after the last batch norm
        ``logit``, ``probability`` (N, C)

    Raises
    ------
    InputError
        As `ResLSTM.forward`.
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
    tensors = {
        name: _pad(rows, cache.batch.packing, x.shape[1])
        for name, rows in _frame_tensors(reference, x, cache)
    }
    attention, w = cache.attention, model.tensors.get("head_combine.weight")
    score = (attention.projections if w is None else attention.projections @ w.T.astype(dtype))[..., 0]
    tensors["score"] = _pad(cache.batch.packing.pack(score), cache.batch.packing, x.shape[1])
    tensors["weight"] = _pad(cache.batch.packing.pack(attention.alpha), cache.batch.packing, x.shape[1])
    context = (attention.alpha[:, None, :] @ attention.h)[:, 0]  # (N, H)  (A3)
    return tensors | {
        "context": context,
        "context_normalised": cache.head_input,
        "logit": logits,
        "probability": softmax(logits),
    }


def assert_trace_equal(found, model, x, lengths=None, tolerance=None):
    """Fail unless another implementation's intermediates are those of `trace`.

    Parameters
    ----------
    found : mapping of str to array
        Any part of what `trace` returns, by its names.
    model, x, lengths
        As `trace`.
    tolerance : float, optional
        Largest deviation allowed, times max(1, abs(value)). Default: `TOLERANCES`, by each tensor's type.

    Raises
    ------
    AssertionError
        Naming the first tensor in the order of computation that deviates, and in it the first frame and unit.
    InputError
        If a name is unknown or a shape another.
    """
    assert_tensors_equal(found, trace(model, x, lengths), lengths, tolerance)


def _frame_tensors(model, x, cache):
    """Yield (name, packed rows) of everything that has frames, up to attention."""
    rows = cache.batch.packing.pack(np.asarray(x, model.dtype))
    yield "input", rows
    for lstm, layers in cache.lstms.items():
        for k, layer in enumerate(layers):
            tensors = layer_tensors(f"{lstm}.l{k}", layer)
            yield from tensors.items()
        if lstm == "lstm1":
            yield "residual", rows + tensors[f"lstm1.l{k}.h"]  # (R1)
            # (B2)
            yield (
                "normalised",
                model.tensors["bn_residual.weight"] * cache.bn_residual.normalised
                + model.tensors["bn_residual.bias"],
            )


def _pad(rows, layout, T):
    padded = np.zeros((len(layout.lengths), T, *rows.shape[1:]), dtype=rows.dtype)
    padded[layout.clip, layout.time] = rows
    return padded
