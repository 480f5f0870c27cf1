"""Finding the network among all that training scripts save with it.

A checkpoint is taken apart into tensors under dotted names, through dictionaries and lists. A network is
where two of ``lstm1.weight_ih_l0`` (or ``lstm.``), ``attention_vector`` and ``fc.weight`` have one prefix,
whatever it is: ``state_dict.net._orig_mod.``, ``model/``.
"""

import re
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError, shown
from npreslstm.formats.state_dicts import MODEL_KEYS, summary

# what torch.compile, DataParallel, FSDP and activation checkpointing put between the names of modules
WRAPPERS = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")

_WRAPPED = rf"(?:(?:{'|'.join(WRAPPERS)})\.)*"
_PARAMETRIZED = r"(?:parametrizations\.)?"
_MARK = re.compile(
    r"(?P<prefix>.*?)"
    rf"(?:(?P<lstm>lstm1?\.{_WRAPPED}{_PARAMETRIZED}weight_ih_l0)"
    rf"|(?P<attention>{_PARAMETRIZED}attention_vector)"
    rf"|(?P<head>fc\.{_WRAPPED}{_PARAMETRIZED}weight))"
    r"(?:_orig|_v|\.original1?)?",
    re.DOTALL,
)
OPTIMIZER = r"optim(?!al|um|us|i[sz]ed)"  # an "optimal_model" is a network
_OPTIMIZER = re.compile(rf"(^|[._]){OPTIMIZER}", re.IGNORECASE)
_MOST_SHOWN = 8  # keys in a message


class Found(NamedTuple):
    """The tensors of one network, and what was done to get them.

    Attributes
    ----------
    state : dict of str to numpy.ndarray
        Under their names without prefix and wrappers.
    beside : list of str
        Names of other tensors in the same dictionary.
    notes : list of str
        What is to be said.
    """

    state: dict[str, np.ndarray]
    beside: list[str]
    notes: list[str]


class _Tensor(NamedTuple):
    array: np.ndarray
    place: str  # of the dictionary that holds it: '' or 'state_dict.'


def find_network(value, key=None):
    """The tensors of the network in a checkpoint.

    Parameters
    ----------
    value : object
        dict, list and tuple, nested, with numpy.ndarray for tensors.
    key : str, optional
        Where the network is, with dots, in a checkpoint with several.

    Returns
    -------
    Found
        Of a checkpoint without a network of this kind, all tensors, so that what it holds can be named.

    Raises
    ------
    InputError
        If there are no tensors, or several networks between which `key` does not decide; the message lists
        them.
    """
    tensors = _named_tensors(value)
    if not tensors:
        remedy = "in PyTorch torch.save(model.state_dict(), new_path)"
        raise InputError(f"no state dict (names with tensors) in it; found {summary(value)}: {remedy}")
    places = _networks(tensors)
    prefix, notes = _choice(list(places), key)
    state, beside = _cut(tensors, prefix, places)
    place = min([prefix, *places.get(prefix, ())], key=len)
    if key is None and len(places) == 1 and not _is_usual(place):  # an average alone, beside parts of another
        notes = [f"the network at {_keys([place])} is taken, the only one"]
    if len(prefix) > len(place):
        notes = [f"the prefix {shown(prefix[len(place) :])} is removed from the names", *notes]
    return Found(state, beside, notes)


def _named_tensors(value):
    """{dotted name: tensor} of all there is in a checkpoint."""
    tensors = {}
    for place, name, array in _walk(value, ""):
        if place + name in tensors:
            raise InputError(f"two tensors are called {place + name!a:.80}: save the state dict alone")
        tensors[place + name] = _Tensor(array, place)
    return tensors


def _walk(value, place):
    """Yield (place, name, array)."""
    if type(value) not in (dict, list, tuple):
        return
    for name, child in value.items() if type(value) is dict else enumerate(value):
        if type(child) is np.ndarray:
            yield place, str(name), child
        else:
            yield from _walk(child, f"{place}{name}.")


def _networks(tensors):
    """{prefix: places of its marks} of every network: one place, or one for each of its modules."""
    marks, places = {}, {}
    for name, tensor in tensors.items():
        mark = _MARK.fullmatch(name)
        if mark and not _OPTIMIZER.search(mark["prefix"]):
            marks.setdefault(mark["prefix"], set()).add(mark.lastgroup)
            places.setdefault(mark["prefix"], set()).add(tensor.place)
    return {prefix: places[prefix] for prefix, found in sorted(marks.items()) if len(found) > 1}


def _choice(networks, key):
    """(prefix, notes) of the network that is meant; '' where there is none."""
    if key is not None:
        return _named_by(networks, key), []
    if not networks:
        return "", []
    if len(networks) == 1:
        return networks[0], []
    usual = [prefix for prefix in networks if _is_usual(prefix)]
    if len(usual) != 1:
        remedy = "choose one by --key of convert, info or export (`key=` in Python)"
        raise InputError(f"it holds {len(networks)} networks, at {_keys(networks)}; {remedy}")
    others = [prefix for prefix in networks if prefix != usual[0]]
    return usual[0], [f"the network at {_keys(usual)} is taken, --key chooses another: {_keys(others)}"]


def _named_by(networks, key):
    """The prefix that is `key`, or the only one below it."""
    wanted = key.strip(".")
    exact = [prefix for prefix in networks if prefix.rstrip(".") == wanted]
    found = exact or [prefix for prefix in networks if prefix.startswith(wanted + "." if wanted else "")]
    if len(found) != 1:
        count = f"{len(found)} networks" if found else "no ResLSTM-SA or LSTM-SA"
        raise InputError(f"{count} at the key {key!a:.80}; there are {_keys(found or networks) or 'none'}")
    return found[0]


def _is_usual(prefix):
    """Whether training scripts call the network itself so, and not an average or a copy of it."""
    parts = [part.strip("_") for part in re.split("[./:]", prefix) if part and part not in WRAPPERS]
    return not parts or parts[-1] in MODEL_KEYS


def _keys(prefixes):
    listed = [shown(prefix.rstrip(".")) if prefix else "'' (the top)" for prefix in prefixes[:_MOST_SHOWN]]
    more = f" and {len(prefixes) - _MOST_SHOWN} more" if len(prefixes) > _MOST_SHOWN else ""
    return ", ".join(listed) + more


def _cut(tensors, prefix, places):
    """The tensors below `prefix`, and the names of those beside them in the same dictionary."""
    own = places.get(prefix, ())
    state, beside = {}, []
    for name, tensor in tensors.items():
        owner = max((other for other in places if name.startswith(other)), key=len, default=prefix)
        if owner != prefix or (len(own) == 1 and tensor.place not in own):
            continue
        if not name.startswith(prefix):
            beside.append(name[len(tensor.place) :])
            continue
        short = _unwrapped(name[len(prefix) :])
        if short in state:
            remedy = "save the unwrapped model"
            raise InputError(
                f"two tensors are called {short!a:.80} without what wrappers add to names: {remedy}"
            )
        state[short] = tensor.array
    return state, beside


def _unwrapped(name):
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)
