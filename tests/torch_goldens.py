"""What torch.load made of the golden .pt files, and how arrays are compared with it."""

from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parent / "goldens"


def expected(file):
    """What torch.load makes of a golden file."""
    with np.load(GOLDENS / "torch_values.npz", allow_pickle=False) as values:
        return {key.split("/", 1)[1]: values[key] for key in values.files if key.startswith(file + "/")}


def assert_same(found, wanted):
    """Equal names in equal order, and bit-equal arrays."""
    assert list(found) == list(wanted)
    for key, array in wanted.items():
        assert type(found[key]) is np.ndarray
        assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape), key
        assert found[key].tobytes() == array.tobytes(), key


def write(tmp_path, data):
    path = tmp_path / "file.pt"
    path.write_bytes(data)
    return path
