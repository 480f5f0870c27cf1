"""Plain data, such as JSON: making sure that what a stranger wrote is harmless to whoever walks it, and of
the form that is expected; in what two values differ.
"""

import json
import os

from npreslstm.errors import InputError

MAX_DEPTH = 100

_SCALARS = (type(None), bool, int, float, complex)


def checked_key(key):
    """The key of a dictionary or the item of a set, if it is a text or a number.

    The hash of a nested tuple can take forever, and those of integers beyond 60 bits can be made to collide.

    Parameters
    ----------
    key : object

    Returns
    -------
    str, bytes, bool, float, int or None
        The key itself.

    Raises
    ------
    InputError
        If it is anything else.
    """
    if type(key) not in (str, bytes, bool, float, int, type(None)):
        raise InputError(
            f"the pickle uses a {type(key).__name__} as a dictionary key; expected a text or a number"
        )
    if type(key) is int and abs(key) >= 2**60:
        raise InputError(
            "the pickle uses an integer of more than 60 bits as a dictionary key; expected a smaller one"
        )
    return key


def check_plain(value, leaves, limit):
    """The value, if it is a finite tree of plain data.

    Parts may be shared, but what the tree would take with every shared part written out is bounded, so that
    nobody who walks, prints or copies it is caught by a few bytes that stand for gigabytes.

    Parameters
    ----------
    value : object
    leaves : tuple of type
        Types that may occur besides Python's plain ones; they have `nbytes`.
    limit : int
        Bytes of the tree, written out in full: 8 an item of a container, and the texts' and leaves' own.

    Returns
    -------
    object
        The value itself.

    Raises
    ------
    InputError
        If it holds other types, contains itself, nests too deep or is too large.
    """
    _Measure(leaves, limit).of(value, 0)
    return value


class _Measure:
    """Bytes of a tree written out in full, and its height; each shared part is measured once."""

    def __init__(self, leaves, limit):
        self._leaves, self._limit = leaves, limit
        self._being_visited, self._done = set(), {}  # done: id -> (bytes written out in full, height)

    def of(self, node, depth):
        kind = type(node)
        if kind in _SCALARS:
            return 0, 0
        if kind in (str, bytes) or kind in self._leaves:
            return node.nbytes if kind in self._leaves else len(node), 0
        if kind not in (dict, list, tuple, set):
            raise InputError(
                f"the file holds {str(node):.80} as a value; expected tensors and plain data: save the state"
                " dict alone"
            )
        if id(node) in self._being_visited:
            raise InputError("the pickle builds a structure that contains itself; expected a tree")
        if id(node) not in self._done:
            self._being_visited.add(id(node))
            self._done[id(node)] = self._of_items(node, depth)
            self._being_visited.discard(id(node))
        if depth + self._done[id(node)][1] > MAX_DEPTH:
            raise InputError(f"the pickle nests deeper than {MAX_DEPTH} levels; save the state dict alone")
        return self._done[id(node)]

    def _of_items(self, node, depth):
        if depth >= MAX_DEPTH:
            return 0, 1  # one level too many: refused by the caller
        items = [*node.keys(), *node.values()] if type(node) is dict else node
        size, height = 8 * len(items), 0
        for item in items:
            if type(item) not in _SCALARS:
                item_size, item_height = self.of(item, depth + 1)
                size, height = size + item_size, max(height, item_height + 1)
        if size > self._limit:
            raise InputError(
                f"the pickle builds a structure of more than {self._limit} bytes out of shared parts: the"
                " file was made to do harm"
            )
        return size, height


def parse_json(text):
    """The value of a JSON text.

    Parameters
    ----------
    text : str

    Returns
    -------
    dict, list, str, int, float, bool or None

    Raises
    ------
    InputError
        If it is not JSON, or nests deeper than `MAX_DEPTH`; says why, without a name.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is not JSON: {error}") from None
    if _nests_deeper(value, MAX_DEPTH):
        raise InputError(f"it nests deeper than {MAX_DEPTH} levels")
    return value


def read_json(path, remedy, form=None):
    """The value of a JSON file in UTF-8.

    Parameters
    ----------
    path : str or os.PathLike
    remedy : str
        What the message advises if the file cannot be used.
    form : optional
        What it must have, as of `misfit`.

    Raises
    ------
    OSError
        If the file cannot be opened or read.
    InputError
        If it is damaged, or not of the form; names the file.
    """
    try:
        with open(path, encoding="utf-8") as file:
            value = parse_json(file.read())
        if form is not None and (place := misfit(value, form)) is not None:
            raise InputError(f"{place or 'all of it'} is missing, or not what it should be")
    except ValueError as error:  # InputError, UnicodeDecodeError
        raise InputError(f"{os.fspath(path)} is damaged ({error}): {remedy}") from None
    return value


def misfit(value, form, name=""):
    """Where a JSON value is not of a form.

    Parameters
    ----------
    value : JSON value
    form : type, tuple, list, dict or None
        A type stands for its values (`float` for any number that is or fits one), a tuple for any of its
        forms, ``[form]`` for lists of it, ``{name: form}`` for an object with at least these fields, ``{str:
        form}`` for one with any names, None for itself. A field with None among the forms of a tuple may be
        absent.

    Returns
    -------
    str or None
        Path of the first part that does not fit, with dots; None if all does.

    Examples
    --------
    >>> misfit({"seed": 1, "loss": [0.5, "x"]}, {"seed": int, "loss": [float]})
    'loss.1'
    """
    if isinstance(form, tuple):
        return name if all(misfit(value, one) is not None for one in form) else None
    if not isinstance(form, (list, dict)):
        return None if _is(value, form) else name
    if type(value) is not type(form):
        return name
    if isinstance(form, list):
        parts = [(k, item, form[0]) for k, item in enumerate(value)]
    elif str in form:
        parts = [(k, item, form[str]) for k, item in value.items()]
    else:
        needed = {k: wanted for k, wanted in form.items() if k in value or not _optional(wanted)}
        parts = [(k, value.get(k, _ABSENT), wanted) for k, wanted in needed.items()]
    found = (misfit(item, wanted, f"{name}.{k}" if name else str(k)) for k, item, wanted in parts)
    return next((place for place in found if place is not None), None)


_ABSENT = object()


def differences(there, here, name=""):
    """['recipe.lr is 0.001 there, 0.002 here'] of two JSON values."""
    if isinstance(there, dict) and isinstance(here, dict):
        found = [
            differences(there.get(key), here.get(key), f"{name}.{key}" if name else key)
            for key in {**there, **here}
        ]
        return [line for lines in found for line in lines]
    return [] if there == here else [f"{name} is {_shortened(there)} there and {_shortened(here)} here"]


def _optional(form):
    return isinstance(form, tuple) and None in form


def _is(value, kind):
    if kind is None:
        return value is None
    if kind is float:
        return isinstance(value, float) or (_is(value, int) and abs(value) < 1 << 1000)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _nests_deeper(value, levels):
    if not isinstance(value, (dict, list)):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_nests_deeper(item, levels - 1) for item in items)


def _shortened(value):
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
