"""Units of the LSTMs: naming one, and the one that a label depends on most."""

import re
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.explain.hearing import Hearing
from npreslstm.layers.lstm import LSTMCache, lstm_step_backward


class Unit(NamedTuple):
    """A unit of layer `layer` of the LSTM called `lstm`, as in ``lstm2.weight_hh_l0``."""

    lstm: str
    layer: int
    number: int

    def __str__(self):
        layer = f" layer {self.layer}" if self.layer else ""
        return f"{self.lstm}{layer} unit {self.number}"


def find_unit(heard: Hearing, name: str | None = None) -> Unit:
    """The unit of a name such as ``lstm2:17``; without one, that of the last layer on whose gates the
    label's probability depends most.

    Raises
    ------
    InputError
        If there is no such unit.
    """
    config = heard.checkpoint.config
    if name is None:
        return Unit(config.lstms[-1], config.num_layers - 1, most_telling(heard))
    found = re.fullmatch(r"(\w+):(\d+)", name)
    sizes = {lstm: _cache(heard, lstm, 0).h.shape[-1] for lstm in config.lstms}
    if not found or found[1] not in sizes or int(found[2]) >= sizes[found[1]]:
        expected = " or ".join(f"{lstm}:0 to {lstm}:{size - 1}" for lstm, size in sizes.items())
        raise InputError(f"--unit is {name!r}; expected {expected}")
    return Unit(found[1], config.num_layers - 1, int(found[2]))


def gates_of(heard: Hearing, unit: Unit) -> dict[str, np.ndarray]:
    """{'i', 'f', 'g', 'o', 'c', 'h': (T,)} of one unit over time."""
    cache = _cache(heard, unit.lstm, unit.layer)
    return {name: getattr(cache, name)[:, 0, unit.number] for name in ("i", "f", "g", "o", "c", "h")}


def most_telling(heard: Hearing) -> int:
    """The unit of the last layer with the largest sum over frames of |dp/da|, of its four gates."""
    config = heard.checkpoint.config
    p, best = heard.probabilities, int(heard.logits.argmax())
    dlogits = p[best] * (np.eye(len(p))[best] - p)  # (C,)
    tensors, cache = heard.model.tensors, heard.cache
    inverse_std = cache.bn.inverse_std
    dcontext = dlogits @ tensors["fc.weight"] * tensors["bn.weight"] * inverse_std  # (H,)
    dh, _, _ = cache.batch.attention_backward(dcontext[None], cache.attention)  # (T, 1, H)
    sizes = _sizes_of_da(dh, _cache(heard, config.lstms[-1], config.num_layers - 1))  # (4H,)
    return int(sizes.reshape(4, -1).sum(axis=0).argmax())


def _sizes_of_da(dy, cache):
    """The sum over frames of |da| (L2'), from dy (T, 1, H) of the layer above: (4H,)."""
    *arrays, params = cache
    dh = dc = np.zeros_like(dy[0])
    total = np.zeros(4 * dy.shape[2])
    for t in reversed(range(len(dy))):
        step = LSTMCache(*(array[t] for array in arrays), params)
        _, dh, dc, grads = lstm_step_backward(dh + dy[t], dc, step)
        total += abs(grads.b_ih)  # of one clip: da itself
    return total


def _cache(heard, lstm, layer):
    return heard.cache.lstms[lstm][layer]
