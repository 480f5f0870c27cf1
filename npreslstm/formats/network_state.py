"""The network in a checkpoint, in the form that `ModelConfig` describes, whatever it was saved with and as.

Everything that is done to its tensors is exact, or else computed in float64 and rounded once; all of it is
said.
"""

import re

import numpy as np

from npreslstm.errors import InputError
from npreslstm.formats.cells import check_cells, check_directions
from npreslstm.formats.network_search import OPTIMIZER, find_network
from npreslstm.formats.reparametrised import whole_tensors
from npreslstm.schema import SCHEMA, ModelConfig

_MODULES = {entry.name.split(".")[0] for entries in SCHEMA.values() for entry in entries}
_SHOWN = 5  # names in a message

# parts of names that belong to the training: losses with their class weights, metrics, averages, optimizers
_COMPANION = re.compile(
    r"crit\w*|\w*loss\w*|objective\w*|(b?ce|nll|xent|focal|cross_?entropy)(_\w+)?|(class|cls|pos)_?weights?"
    r"|\w*metrics?|n_averaged|(\w+_)?ema(_\w+)?|\w*sched\w*"
    rf"|\w*{OPTIMIZER}\w*",
    re.IGNORECASE,
)


def network_state(value, key=None):
    """The tensors of the one network of this kind in a checkpoint.

    Parameters
    ----------
    value : object
        What a file holds: dict, list and tuple, nested, with numpy.ndarray for tensors.
    key : str, optional
        Where the network is, with dots (``'ema.module'``, or ``'ema'``), in a checkpoint with several.

    Returns
    -------
    state : dict of str to numpy.ndarray
        Names and shapes of `ModelConfig.schema`; counters of batches may be absent.
    notes : list of str
        What was removed, chosen, computed, filled in or left aside on the way.

    Raises
    ------
    InputError
        If there is no such network, or several between which `key` does not decide (the message lists them),
        or it is of another kind, quantised, or computed from parts by code that the file does not hold.
    """
    found = find_network(value, key)
    state, computed = whole_tensors(found.state)
    _check_numbers(state)
    state, companions = _without_companions(state)
    check_cells(state)
    check_directions(state)
    state, reshaped = _attention_matrix(state)
    state, filled = _completed(state, ModelConfig.from_state(state))
    aside = [*companions, *found.beside]
    left = [f"left aside, as no part of the network: {_some(aside)}"] if aside else []
    return state, [*found.notes, *left, *computed, *reshaped, *filled]


def _is_of_network(name):
    return name.split(".")[0] in _MODULES


def _check_numbers(state):
    for name, array in state.items():
        counts = name.endswith(".num_batches_tracked")
        if _is_of_network(name) and array.dtype.kind in "iub" and not counts:
            remedy = "quantised weights are not read, convert the network as it was before quantisation"
            raise InputError(f"{name} is of type {array.dtype}; expected floats: {remedy}")


def _without_companions(state):
    """The state without what belongs to the training, and the names of that."""
    companions = [name for name, array in state.items() if _is_companion(name, array)]
    return {name: array for name, array in state.items() if name not in companions}, companions


def _is_companion(name, array):
    """Known by its name; and what is not made of real or complex numbers counts or names something."""
    if _is_of_network(name):
        return False
    return array.dtype.kind not in "fc" or any(_COMPANION.fullmatch(part) for part in name.split("."))


def _attention_matrix(state):
    """The state with an attention vector of H numbers as (H, 1), its one reading whatever the shape; and
    notes.
    """
    vector = state.get("attention_vector")
    recurrent = state.get("lstm2.weight_hh_l0", state.get("lstm.weight_hh_l0"))
    if vector is None or np.ndim(recurrent) != 2:
        return state, []
    H, shape = recurrent.shape[1], vector.shape
    if shape == (H, 1) or vector.size != H or sum(n != 1 for n in shape) > 1:
        return state, []
    return state | {"attention_vector": vector.reshape(H, 1)}, [
        f"attention_vector is {shape}, taken as {(H, 1)}"
    ]


def _completed(state, config):
    """The state with what modules made without biases or scales lack, and notes; anything else too much is
    refused.
    """
    notes = []
    for module in dict.fromkeys(name.split(".")[0] for name in config.schema):
        if module + ".running_mean" in config.schema:
            _check_statistics(state, module)
            kinds, what = ("weight", "bias"), "weight and bias (affine=False): ones and zeros"
        else:
            kinds, what = ("bias",), "biases (bias=False): zeros"
        names = [
            name for name in config.schema if name.startswith(tuple(f"{module}.{kind}" for kind in kinds))
        ]
        if names and not any(name in state for name in names):
            state = state | {name: _neutral(name, config, state["fc.weight"].dtype) for name in names}
            notes.append(f"{module} has no {what}")
    if extra := state.keys() - config.schema.keys():
        remedy = "if its results do not depend on them, delete them before saving"
        raise InputError(
            f"unexpected {_some(sorted(extra))}: no tensors of a {config.kind} network; {remedy}"
        )
    return state, notes


def _neutral(name, config, dtype):
    shape, _ = config.schema[name]
    return np.ones(shape, dtype) if name.endswith(".weight") else np.zeros(shape, dtype)


def _check_statistics(state, module):
    if f"{module}.running_mean" in state or f"{module}.running_var" in state:
        return
    cause = "track_running_stats=False, or a moving average of the trained parameters alone"
    remedy = "save the state_dict() of a network that has them"
    raise InputError(f"{module} has no running statistics, which inference needs ({cause}): {remedy}")


def _some(names):
    shown = ", ".join(f"{name:.60}" for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
