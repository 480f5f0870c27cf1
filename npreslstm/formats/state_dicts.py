"""State dicts, whatever file they come from: finding one in a checkpoint, and what the writers and readers
share.
"""

import numpy as np

from npreslstm.errors import InputError

# what training scripts call the model's weights; a dict of arrays under one of these is taken even if there
# are others (ema, ...)
MODEL_KEYS = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "model_state",
)
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
        If there is none, or several of which not exactly one has a name in `MODEL_KEYS`; the message lists
        what was found.
    """
    found = list(_candidates(value, "", 0))
    if not found:
        raise InputError(
            f"no state dict (names with tensors) in it; found {summary(value)}: in PyTorch"
            " torch.save(model.state_dict(), new_path)"
        )
    named = [item for item in found if item[0].rpartition(".")[2] in MODEL_KEYS]
    choice = found if len(found) == 1 else named
    if key is not None:
        choice = [item for item in found if item[0] == key]
    if len(choice) != 1:
        at = "" if key is None else f" at {key!a}"
        remedy = "name one with key=, of torch_pt.read_state_dict, and save it by itself"
        raise InputError(f"not exactly one state dict{at}; found {_listing(found)}: {remedy}")
    return strip_prefixes(choice[0][1])


def strip_prefixes(state):
    """Remove what wrappers add to names: ``_orig_mod`` (torch.compile) anywhere, ``module.`` (DataParallel)
    where every name has it.

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
    stripped = dict(zip(names, state.values()))
    if len(stripped) != len(state):
        raise InputError(
            "two tensors have the same name once the prefixes '_orig_mod.' and 'module.' are removed: save"
            " the unwrapped model"
        )
    return stripped


def writable_arrays(state, dtypes, file_format):
    """A state dict's arrays as a writer needs them: C-contiguous and little-endian.

    Parameters
    ----------
    state : mapping of str to numpy.ndarray
    dtypes : collection of str
        Names of the NumPy dtypes that the format has.
    file_format : str
        Its name, for the message.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    InputError
        If a name is not a str, a value not an array, or a dtype not among `dtypes`.
    """
    arrays = {}
    for name, value in state.items():
        if type(name) is not str:
            raise InputError(f"{name!a:.60} is a {type(name).__name__}; the names in a state dict are str")
        if not isinstance(value, (np.ndarray, np.generic)):
            raise InputError(
                f"{name!a} is a {type(value).__name__}; expected a NumPy array: np.asarray(value)"
            )
        if value.dtype.name not in dtypes:
            raise InputError(
                f"{name!a} has the dtype {value.dtype}, which {file_format} lacks; convert it first:"
                " value.astype('float32')"
            )
        arrays[name] = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
    return arrays


def widen_bfloat16(bits):
    """The float32 array whose upper halves are the given uint16 bit patterns: exact, since bfloat16 is a
    truncated float32.
    """
    wide = bits.astype("u4", order="C")
    np.left_shift(wide, np.uint32(16), out=wide)  # in place, or a 0-d array would become a scalar
    return wide.view("f4")


def _is_state_dict(value):
    return (
        type(value) is dict
        and bool(value)
        and all(type(k) is str and type(v) is np.ndarray for k, v in value.items())
    )


def _candidates(value, path, depth):
    """Yield (path, state dict) of the outermost state dicts; numbered dicts (an optimizer's state) are not
    descended into.
    """
    if _is_state_dict(value):
        yield path, value
    elif depth < MAX_DEPTH and type(value) in (dict, list, tuple):
        items = value.items() if type(value) is dict else enumerate(value)
        for name, child in items:
            if type(name) is str or type(value) is not dict:
                yield from _candidates(child, f"{path}.{name}" if path else str(name), depth + 1)


def _listing(found):
    shown = [f"{path!a:.60} ({len(state)} tensors)" for path, state in found[:8]]
    return ", ".join(shown) + (", ..." if len(found) > 8 else "")


def summary(value):
    """The topmost level of a saved structure in a few words."""
    if type(value) is not dict:
        return f"a {type(value).__name__}"
    shown = [f"{name!a:.60}: {type(item).__name__}" for name, item in list(value.items())[:8]]
    return "{" + ", ".join(shown) + (", ..." if len(value) > 8 else "") + "}"
