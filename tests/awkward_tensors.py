"""State dicts that a writer of files could get wrong."""

import numpy as np


def awkward_state(dtypes):
    """Arrays of some dtypes, and of every shape and layout."""
    state = {name: np.arange(6).reshape(2, 3).astype(name) for name in dtypes}
    state |= {
        "big_endian": np.arange(3, dtype=">f8"),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "steps": np.arange(10.0)[::-3],
    }
    state |= {
        "scalar": np.array(2.5),
        "numpy scalar": np.int64(7),
        "empty": np.zeros((0, 4), np.float32),
        "na\u00efve \U0001f3a4": np.ones(1),
    }
    # NaN payloads, -0, a subnormal
    state["special"] = np.array([0x7FC12345, 0xFF800001, 0x80000000, 1], np.uint32).view(np.float32)
    return state


def native(state):
    """The same values in this machine's order of bytes, row by row."""
    return {name: np.array(value, value.dtype.newbyteorder("="), order="C") for name, value in state.items()}
