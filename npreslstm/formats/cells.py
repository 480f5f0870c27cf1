"""Recurrent weights that are not those of a plain LSTM, refused by what they are."""

import re

import numpy as np

from npreslstm.errors import InputError

_GATES_OF = {3: "a GRU", 1: "a plain RNN"}  # blocks of H rows in weight_ih
_PEEPHOLE = re.compile(
    r"peephole|(weight|w)_c[ifo](_|\b)|(weight|w)_[ifo]_?diag|(weight|w)_p[ifo](_|\b)", re.IGNORECASE
)


def check_cells(state):
    """Refuse the weights of recurrent layers that this package does not compute.

    Parameters
    ----------
    state : mapping of str to array
        A state_dict; names may have a prefix (``lstm1.weight_ih_l0``).

    Raises
    ------
    InputError
        If there are projections (``proj_size``), peepholes, or layers with the shapes of a GRU or a plain
        RNN.
    """
    for name, tensor in state.items():
        if ".weight_hr_l" in f".{name}":
            raise InputError(
                f"{name} is a projection (proj_size={len(tensor)}); expected an LSTM without: train it with"
                " proj_size=0"
            )
        if _PEEPHOLE.search(name):
            raise InputError(
                f"{name} is a peephole connection; expected an LSTM without, as torch.nn.LSTM is"
            )
    for name, tensor in state.items():  # last: a projection changes these shapes too
        if ".weight_hh_l" in f".{name}" and np.ndim(tensor) == 2:
            _check_gates(name, *np.shape(tensor))


def check_directions(state):
    """Refuse a backward direction, which ResLSTM-SA has not.

    Raises
    ------
    InputError
    """
    for name in state:
        if re.search(r"\.weight_ih_l\d+_reverse$", name):
            raise InputError(
                f"{name} belongs to a bidirectional LSTM; expected ResLSTM-SA or LSTM-SA, which run forwards"
                " only"
            )


def _check_gates(name, rows, H):
    if rows == 4 * H:
        return
    kind = _GATES_OF.get(rows / H if H else 0)
    found = f"the shape of {kind}" if kind else "no shape of an LSTM"
    raise InputError(
        f"{name} is {(rows, H)}, {found}; expected (4H, H), four gates of H rows: only LSTM layers are"
        " computed"
    )
