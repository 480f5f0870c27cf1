"""The network in a checkpoint: found among what training scripts save with it, and brought into the form that `ModelConfig` describes.

A checkpoint is taken apart into tensors under dotted names, those of dictionaries in dictionaries included. A network is where
``lstm1.weight_ih_l0``, ``attention_vector`` and ``fc.weight`` (two of the three) have one prefix, whatever it is:
``state_dict.net._orig_mod.``. Everything that is done to its tensors is exact, or else rounded once in float64; all of it is said.
"""

import re
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError
from npreslstm.formats.reparametrised import plain_tensors
from npreslstm.formats.state_dicts import MODEL_KEYS, summary
from npreslstm.layers.cells import check_cells, check_directions
from npreslstm.schema import SCHEMA, ModelConfig

# what torch.compile, DataParallel, FSDP and activation checkpointing put between the names of modules
WRAPPERS = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")

_WRAPPED = rf"(?:(?:{'|'.join(WRAPPERS)})\.)*"
_PARAMETRIZED = r"(?:parametrizations\.)?"
_ANCHOR = re.compile(
    r"(?P<prefix>(?:[^.]+\.)*?)"
    rf"(?:(?P<lstm>lstm1?\.{_WRAPPED}{_PARAMETRIZED}weight_ih_l0)"
    rf"|(?P<attention>{_PARAMETRIZED}attention_vector)"
    rf"|(?P<head>fc\.{_WRAPPED}{_PARAMETRIZED}weight))"
    r"(?:_orig|_v|\.original1?)?"
)

# parts of names that belong to the training: losses and their class weights, metrics, averages of weights, optimizers
_COMPANION = re.compile(
    r"crit\w*|\w*loss\w*|objective\w*|(b?ce|nll|xent|focal|cross_?entropy)(_\w+)?|\w*metrics?|(class|cls|pos)_?weights?"
    r"|n_averaged|(\w+_)?ema(_\w+)?|\w*optim\w*|\w*sched\w*",
    re.IGNORECASE,
)
_MODULES = {entry.name.split(".")[0] for entries in SCHEMA.values() for entry in entries}
_SHOWN = 5


class _Tensor(NamedTuple):
    array: np.ndarray
    place: str  # of the dictionary that holds it: '' or 'state_dict.'


def network_state(value, key=None):
    """The tensors of the one network of this kind in a checkpoint, under the names and in the shapes of `ModelConfig.schema`.

    Parameters
    ----------
    value : object
        What a file holds: dict, list and tuple, nested, with numpy.ndarray for tensors.
    key : str, optional
        Where the network is, with dots (``'ema.module'``, or ``'ema'`` if there is one below it), in a file with several.

    Returns
    -------
    state : dict of str to numpy.ndarray
        Everything in the schema but, perhaps, counters of batches.
    notes : list of str
        What was removed, chosen, computed or left aside on the way, without a full stop.

    Raises
    ------
    InputError
        If there is no such network, or several between which `key` does not decide (the message lists them), or it is of
        another kind, quantised, or made of parts that are not in the file.
    """
    tensors = _flattened(value)
    networks = _networks(tensors)
    prefix, choice = _choice(tensors, value, networks, key)
    state, aside = _cut(tensors, prefix, networks)
    state, computed = plain_tensors(state)
    _check_numbers(state)
    state, companions = _without_companions(state)
    check_cells(state)
    check_directions(state)
    state, attention = _attention_matrix(state)
    state, filled = _completed(state, ModelConfig.from_state(state))
    beside = [f"left aside, as no part of the network: {_some([*companions, *aside])}"] if companions or aside else []
    return state, [*_prefix_notes(tensors, prefix), *choice, *beside, *computed, *attention, *filled]


def _flattened(value):
    tensors = {}
    for place, name, array in _tensors(value, ""):
        if place + name in tensors:
            raise InputError(f"two tensors are called {place + name!a:.80}: save the state dict alone")
        tensors[place + name] = _Tensor(array, place)
    return tensors


def _tensors(value, place):
    """Yield (place, name, array); numbered dictionaries, such as the state of an optimizer, are passed over."""
    if type(value) not in (dict, list, tuple):
        return
    items = value.items() if type(value) is dict else enumerate(value)
    for name, child in items:
        if type(value) is dict and type(name) is not str:
            continue
        if type(child) is np.ndarray:
            yield place, str(name), child
        else:
            yield from _tensors(child, f"{place}{name}.")


# --- which tensors are the network's ---


def _networks(tensors):
    """The prefixes that two or more of the three marks of a network have."""
    marks = {}
    for name in tensors:
        if match := _ANCHOR.fullmatch(name):
            marks.setdefault(match["prefix"], set()).add(match.lastgroup)
    return [prefix for prefix, found in marks.items() if len(found) > 1 and not re.search(r"(^|\.|_)optim", prefix)]


def _choice(tensors, value, networks, key):
    """(prefix, notes) of the network that is meant; '' in a file without one of this kind, so that what it holds can be named."""
    if not tensors:
        remedy = "in PyTorch torch.save(model.state_dict(), new_path)"
        raise InputError(f"no state dict (names with tensors) in it; found {summary(value)}: {remedy}")
    if key is not None:
        return _named_by(networks, key), []
    if not networks:
        return "", []
    usual = networks if len(networks) == 1 else [prefix for prefix in networks if _is_usual(prefix)]
    if len(usual) != 1:
        raise InputError(f"{len(networks)} networks in it, at {_keys(networks)}; choose one by --key (`key=` in Python)")
    others = [prefix for prefix in networks if prefix != usual[0]]
    return usual[0], [f"of several networks the one at {_keys(usual)} is taken; --key chooses {_keys(others)}"] if others else []


def _named_by(networks, key):
    wanted = key.strip(".") + "." if key.strip(".") else ""
    exact = [prefix for prefix in networks if prefix == wanted]
    found = exact or [prefix for prefix in networks if prefix.startswith(wanted)]
    if len(found) != 1:
        count = f"{len(found)} networks" if found else "no ResLSTM-SA or LSTM-SA"
        raise InputError(f"{count} at the key {key!a:.80}; there are {_keys(found or networks) or 'none'}")
    return found[0]


def _is_usual(prefix):
    """Whether training scripts call the network itself so, and not an average or a copy of it."""
    parts = [part for part in prefix.split(".") if part and part not in WRAPPERS]
    return not parts or parts[-1] in MODEL_KEYS


def _keys(prefixes):
    return ", ".join(repr(prefix.rstrip(".")) + ("" if prefix else " (the top)") for prefix in prefixes)


def _cut(tensors, prefix, networks):
    """The tensors of the network at `prefix`, named from there and without wrappers, and the names of companions in the same dictionary."""
    places = _places(tensors, prefix)
    state, aside = {}, []
    for name, tensor in tensors.items():
        owner = max((other for other in networks if name.startswith(other)), key=len, default=None)
        if owner not in (None, prefix) or (len(places) == 1 and tensor.place not in places):
            continue
        if not name.startswith(prefix):
            aside.append(name[len(tensor.place) :])
            continue
        short = ".".join(part for part in name[len(prefix) :].split(".") if part not in WRAPPERS)
        if short in state:
            raise InputError(f"two tensors have the same name, {short!a:.80}, without what wrappers add: save the unwrapped model")
        state[short] = tensor.array
    return state, aside


def _places(tensors, prefix):
    """The dictionaries with the marks of the network: one, or one for each of its modules."""
    marks = {name: _ANCHOR.fullmatch(name) for name in tensors}
    return {tensors[name].place for name, mark in marks.items() if mark and mark["prefix"] == prefix}


def _prefix_notes(tensors, prefix):
    place = min(_places(tensors, prefix), key=len, default=prefix)
    return [f"the prefix {prefix[len(place) :]!r} is removed from the names"] if len(prefix) > len(place) else []


# --- what the network is made of ---


def _check_numbers(state):
    for name, array in state.items():
        if name.split(".")[0] in _MODULES and array.dtype.kind in "iub" and not name.endswith(".num_batches_tracked"):
            remedy = "quantised weights are not read, convert the network as it was before"
            raise InputError(f"{name} is of type {array.dtype}; expected floats: {remedy}")


def _without_companions(state):
    """The state without what belongs to the training, and the names of that."""
    companions = [name for name, array in state.items() if name.split(".")[0] not in _MODULES and _is_companion(name, array)]
    return {name: array for name, array in state.items() if name not in companions}, companions


def _is_companion(name, array):
    """Losses, metrics, averages by their names; whole numbers are counters."""
    return array.dtype.kind in "iub" or any(_COMPANION.fullmatch(part) for part in name.split("."))


def _attention_matrix(state):
    """The state with the attention vector as (H, 1), and whether that is news: H numbers in a row can be read in one way only."""
    vector, recurrent = state.get("attention_vector"), state.get("lstm2.weight_hh_l0", state.get("lstm.weight_hh_l0"))
    if vector is None or np.ndim(recurrent) != 2 or vector.shape == (vector.size, 1):
        return state, []
    if vector.size != recurrent.shape[1] or max(vector.shape) != vector.size:
        return state, []
    note = f"attention_vector is {vector.shape}, taken as {(vector.size, 1)}"
    return state | {"attention_vector": vector.reshape(-1, 1)}, [note]


def _completed(state, config):
    """The state with biases of zero, and scales of one, for modules that were made without; and notes."""
    notes = []
    for module in dict.fromkeys(name.split(".")[0] for name in config.schema):
        normalises = f"{module}.running_mean" in config.schema
        if normalises and not any(f"{module}.running_{what}" in state for what in ("mean", "var")):
            why = "made with track_running_stats=False, or a moving average of the trained parameters alone"
            raise InputError(f"{module} has no running statistics, which inference needs ({why}): save the state_dict() of a network that has them")
        absent = [name for name in config.schema if name.startswith((f"{module}.bias", *([f"{module}.weight"] if normalises else [])))]
        if absent and not any(name in state for name in absent):
            dtype = state["fc.weight"].dtype
            state = state | {name: np.full(config.schema[name][0], name.endswith(".weight"), dtype) for name in absent}
            notes.append(f"{module} has no {'weight and bias (affine=False): ones and' if normalises else 'biases (bias=False):'} zeros")
    return state, notes


def _some(names):
    names = list(names)
    return ", ".join(f"{name:.60}" for name in names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
