"""safetensors files in and out, bit-equal, through the safetensors library."""

import json
import struct
import sys

import numpy as np
import pytest
from awkward_tensors import awkward_state, native

from npreslstm.checkpoint import load_checkpoint
from npreslstm.errors import InputError
from npreslstm.formats import safetensors as ours
from npreslstm.model import ResLSTM

DTYPES = "float64 float32 float16 bool uint8 int8 int16 int32 int64 uint16 uint32 uint64".split()


@pytest.fixture
def library():
    return pytest.importorskip("safetensors.numpy")


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for key, array in wanted.items():
        assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape), key
        assert found[key].tobytes() == array.tobytes(), key


def raw_file(path, header, data=b""):
    """A file made by hand: length of the header, header, data."""
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.mark.oracle
def test_what_is_written_is_read_back_bit_equal(library, tmp_path):
    ours.write_state_dict(tmp_path / "w.safetensors", awkward_state(DTYPES))
    found = ours.read_state_dict(tmp_path / "w.safetensors")
    assert_same(found, native(awkward_state(DTYPES)))
    assert all(array.flags.c_contiguous and array.flags.writeable for array in found.values())


@pytest.mark.oracle
def test_an_ending_in_capitals(library, tmp_path):
    model = ResLSTM(rng=np.random.default_rng(0))
    ours.write_state_dict(tmp_path / "W.SAFETENSORS", model.state_dict())
    assert_same(load_checkpoint(tmp_path / "W.SAFETENSORS").state, model.state_dict())


@pytest.mark.oracle
def test_the_library_and_we_read_each_other(library, tmp_path):
    ours.write_state_dict(tmp_path / "a.safetensors", awkward_state(DTYPES))
    assert_same(library.load_file(tmp_path / "a.safetensors"), native(awkward_state(DTYPES)))
    library.save_file(native(awkward_state(DTYPES)), tmp_path / "b.safetensors")
    assert_same(ours.read_state_dict(tmp_path / "b.safetensors"), native(awkward_state(DTYPES)))


@pytest.mark.oracle
def test_torch_and_we_read_each_other(library, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    state = {
        "w": torch.arange(6.0).reshape(2, 3),
        "b": torch.tensor([1.0, -2.5, float("nan")]).to(torch.bfloat16),
        "n": torch.tensor(3),
    }
    save_file(state, tmp_path / "t.safetensors")
    wanted = {
        name: (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        for name, value in state.items()
    }
    assert_same(ours.read_state_dict(tmp_path / "t.safetensors"), wanted)
    ours.write_state_dict(tmp_path / "o.safetensors", wanted)
    assert_same(
        {name: value.numpy() for name, value in load_file(tmp_path / "o.safetensors").items()}, wanted
    )


@pytest.mark.oracle
@pytest.mark.parametrize("metadata", [None, {}, {"format": "np", "classes": '["calm", "happy"]'}])
def test_metadata(library, tmp_path, metadata):
    ours.write_state_dict(tmp_path / "w.safetensors", {"w": np.ones(2)}, metadata)
    assert ours.read_metadata(tmp_path / "w.safetensors") == (metadata or {})


@pytest.mark.oracle
@pytest.mark.parametrize(
    "state, metadata, message",
    [
        ({1: np.ones(2)}, None, "1 is a int; the names in a state dict are str"),
        ({"w": [1.0]}, None, "'w' is a list; expected a NumPy array"),
        ({"w": np.ones(2, complex)}, None, "'w' has the dtype complex128, which safetensors lacks"),
        ({"w": np.ones(2)}, {"epoch": 3}, r"holds texts only; .* json\.dumps"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(library, tmp_path, state, metadata, message):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match=message):
        ours.write_state_dict(path, state, metadata)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.oracle
def test_every_truncation_is_refused(library, tmp_path):
    ours.write_state_dict(tmp_path / "w.safetensors", {"w": np.arange(6.0), "b": np.arange(3)})
    data = (tmp_path / "w.safetensors").read_bytes()
    for length in range(len(data)):
        (tmp_path / "cut.safetensors").write_bytes(data[:length])
        for read in (ours.read_state_dict, ours.read_metadata):
            with pytest.raises(InputError, match=r"cut\.safetensors: not a whole safetensors file"):
                read(tmp_path / "cut.safetensors")


@pytest.mark.oracle
@pytest.mark.parametrize(
    "header, message",
    [
        ({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}, "not a whole safetensors file"),
        ({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**40]}}, "not a whole safetensors file"),
        ({"w": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, "not a whole safetensors file"),
        (
            {"w": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}},
            "dtype F8_E4M3; expected one of F64, F32",
        ),
        (["w"], "not a whole safetensors file"),
    ],
    ids=["shape", "offsets", "negative", "float8", "no object"],
)
def test_lying_headers_are_refused(library, tmp_path, header, message):
    with pytest.raises(InputError, match=message) as caught:
        ours.read_state_dict(raw_file(tmp_path / "lie.safetensors", header, bytes(8)))
    assert "\n" not in str(caught.value)


@pytest.mark.oracle
@pytest.mark.parametrize("read", [ours.read_state_dict, ours.read_metadata])
def test_a_missing_file(library, tmp_path, read):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.safetensors")


def test_without_the_library_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.delitem(sys.modules, "safetensors.numpy", raising=False)
    calls = [
        lambda path: ours.write_state_dict(path, {"w": np.ones(2)}),
        ours.read_state_dict,
        ours.read_metadata,
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"pip install npreslstm\[safetensors\]"):
            call(tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.oracle
@pytest.mark.parametrize(
    "shape",
    [[1] * 65, [0, 2**62, 2**62], [2**63, 0], [0, 2**64], [2**31, 0, 2**31, 4]],
    ids=lambda shape: f"{len(shape)} axes",
)
def test_a_shape_that_numpy_cannot_hold_is_refused(library, tmp_path, shape):
    size = 0 if 0 in shape else 4
    header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    for read in (ours.read_state_dict, load_checkpoint):
        with pytest.raises(InputError, match="a.safetensors: .*fetch or save it again"):
            read(tmp_path / "a.safetensors")
