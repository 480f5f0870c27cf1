"""Finding a model's state dict inside a training checkpoint."""

import numpy as np

from npreslstm.errors import InputError

# what training scripts call the model's weights; a dict of arrays under one of these is taken even if there are others (ema, ...)
MODEL_KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params", "model_state")
MAX_DEPTH = 4


def find_state_dict(value, key=None):
    """The state dict in a checkpoint, without wrapper prefixes.

    Parameters
    ----------
    value : object
        What `npreslstm.formats.torch_pt.read_torch` returned.
    key : str, optional
        Path to the state dict, with dots; by default it is searched for.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    InputError
        If there is none, or several of which not exactly one has a name in `MODEL_KEYS`; the message lists what was found.
    """
    found = dict(_candidates(value, "", 0))
    if key is not None:
        if key not in found:
            raise InputError(f"no state dict at {key!a}; found {_listing(found) or _summary(value)}")
        return strip_prefixes(found[key])
    if not found:
        raise InputError(f"no state dict (names with tensors) in it; found {_summary(value)}: in PyTorch torch.save(model.state_dict(), new_path)")
    named = [path for path in found if path.split(".")[-1] in MODEL_KEYS]
    choice = list(found) if len(found) == 1 else named
    if len(choice) != 1:
        raise InputError(f"several state dicts: {_listing(found)}; choose one with key=...")
    return strip_prefixes(found[choice[0]])


def strip_prefixes(state):
    """Remove what wrappers add to names: ``_orig_mod`` (torch.compile) anywhere, ``module.`` (DataParallel) where every name has it.

    Parameters
    ----------
    state : dict of str to object

    Returns
    -------
    dict
        The same values in the same order.

    Raises
    ------
    InputError
        If two names become the same.
    """
    names = [".".join(part for part in name.split(".") if part != "_orig_mod") for name in state]
    while names and all(name.startswith("module.") for name in names):
        names = [name.removeprefix("module.") for name in names]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two tensors are called {twice!a} once the prefixes '_orig_mod.' and 'module.' are removed")
    return dict(zip(names, state.values()))


def _is_state_dict(value):
    return type(value) is dict and bool(value) and all(type(k) is str and type(v) is np.ndarray for k, v in value.items())


def _candidates(value, path, depth):
    """Yield (path, state dict) of the outermost state dicts; numbered dicts (an optimizer's state) are not descended into."""
    if _is_state_dict(value):
        yield path, value
    elif depth < MAX_DEPTH and type(value) in (dict, list, tuple):
        items = value.items() if type(value) is dict else enumerate(value)
        for name, child in items:
            if type(name) is str or type(value) is not dict:
                yield from _candidates(child, f"{path}.{name}" if path else str(name), depth + 1)


def _listing(found):
    shown = [f"{path!a} ({len(state)} tensors)" for path, state in list(found.items())[:8]]
    return ", ".join(shown) + (", ..." if len(found) > 8 else "")


def _summary(value):
    """The topmost level in a few words."""
    if type(value) is not dict:
        return f"a {type(value).__name__}"
    shown = [f"{name!a:.60}: {type(item).__name__}" for name, item in list(value.items())[:8]]
    return "{" + ", ".join(shown) + (", ..." if len(value) > 8 else "") + "}"
