"""Making sure that a structure built by a stranger's instructions is harmless to whoever walks it."""

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
        raise InputError(f"the pickle uses a {type(key).__name__} as a dictionary key; expected a text or a number")
    if type(key) is int and abs(key) >= 2**60:
        raise InputError("the pickle uses an integer of more than 60 bits as a dictionary key; expected a smaller one")
    return key


def check_plain(value, leaves, limit):
    """The value, if it is a finite tree of plain data.

    Parts may be shared, but what the tree would take with every shared part written out is bounded, so that nobody who walks, prints or
    copies it is caught by a few bytes that stand for gigabytes.

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
    being_visited, done = set(), {}  # done: id -> (bytes written out in full, height)

    def measure(node, depth):
        kind = type(node)
        if kind in _SCALARS:
            return 0, 0
        if kind in (str, bytes) or kind in leaves:
            return node.nbytes if kind in leaves else len(node), 0
        if kind not in (dict, list, tuple, set):
            raise InputError(f"the file holds {str(node):.80} as a value; expected tensors and plain data: save the state dict alone")
        if id(node) in being_visited:
            raise InputError("the pickle builds a structure that contains itself; expected a tree")
        if id(node) not in done:
            being_visited.add(id(node))
            done[id(node)] = measure_items(node, depth)
            being_visited.discard(id(node))
        if depth + done[id(node)][1] > MAX_DEPTH:
            raise InputError(f"the pickle nests deeper than {MAX_DEPTH} levels; save the state dict alone")
        return done[id(node)]

    def measure_items(node, depth):
        if depth >= MAX_DEPTH:
            return 0, 1  # one level too many: refused by the caller
        items = [*node.keys(), *node.values()] if type(node) is dict else node
        size, height = 8 * len(items), 0
        for item in items:
            if type(item) not in _SCALARS:
                item_size, item_height = measure(item, depth + 1)
                size, height = size + item_size, max(height, item_height + 1)
        if size > limit:
            raise InputError(f"the pickle builds a structure of more than {limit} bytes out of shared parts: the file was made to do harm")
        return size, height

    measure(value, 0)
    return value
