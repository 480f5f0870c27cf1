"""Writing .pt files: read back by this package, and by PyTorch where it is installed."""

import numpy as np
import pytest
from awkward_tensors import awkward_state, native
from torch_goldens import assert_same, expected, write

from npreslstm.errors import InputError
from npreslstm.formats.torch_pt import read_state_dict, read_torch, write_state_dict

INTEGERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
DTYPES = ["float64", "float32", "float16", "complex64", "complex128", "bool", *INTEGERS]


def test_what_is_written_is_read_back_bit_equal(tmp_path):
    write_state_dict(tmp_path / "w.pt", awkward_state(DTYPES))
    assert_same(read_torch(tmp_path / "w.pt"), native(awkward_state(DTYPES)))


def test_golden_weights_survive_reading_writing_and_reading(tmp_path):
    write_state_dict(tmp_path / "w.pt", expected("torch_state"))
    assert_same(read_state_dict(tmp_path / "w.pt"), expected("torch_state"))


def test_equal_weights_give_equal_files_with_aligned_storages(tmp_path):
    for name in ("a.pt", "b.pt"):
        write_state_dict(tmp_path / name, {"w": np.full(100, 1.25, np.float32), "v": np.full(3, 2.5)})
    data = (tmp_path / "a.pt").read_bytes()
    assert data == (tmp_path / "b.pt").read_bytes()
    assert (
        data.index(np.full(100, 1.25, np.float32).tobytes()) % 64 == 0
        and data.index(np.full(3, 2.5).tobytes()) % 64 == 0
    )


@pytest.mark.parametrize(
    "state, message",
    [
        ({1: np.ones(2)}, "1 is a int; the names in a state dict are str"),
        ({"w": [1.0, 2.0]}, r"'w' is a list; expected a NumPy array: np\.asarray\(value\)"),
        ({"w": np.array(["a"])}, r"'w' has the dtype <U1, which PyTorch lacks"),
        ({"w": np.array([None])}, "dtype object"),
        ({"w": np.zeros(2, "M8[s]")}, "dtype datetime64"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, state, message):
    path = write(tmp_path, b"old")
    with pytest.raises(InputError, match=message):
        write_state_dict(path, state)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


# --- live PyTorch ---


@pytest.mark.oracle
@pytest.mark.parametrize("mmap", [False, True])
def test_torch_reads_what_is_written_bit_equal(tmp_path, mmap):
    torch = pytest.importorskip("torch")
    write_state_dict(tmp_path / "w.pt", awkward_state(DTYPES))
    loaded = torch.load(tmp_path / "w.pt", weights_only=True, mmap=mmap)
    assert_same({name: value.numpy() for name, value in loaded.items()}, native(awkward_state(DTYPES)))


@pytest.mark.oracle
def test_torch_loads_the_written_weights_into_a_module_and_saves_them_back_bit_equal(tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    state = {"weight": rng.standard_normal((3, 4), np.float32), "bias": rng.standard_normal(3, np.float32)}
    write_state_dict(tmp_path / "w.pt", state)
    module = torch.nn.Linear(4, 3)
    module.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True))
    torch.save(module.state_dict(), tmp_path / "back.pt")
    assert_same(read_state_dict(tmp_path / "back.pt"), state)
