"""Reading .pt files: those that PyTorch wrote, live PyTorch where it is installed, and hand-made old and
foreign files.
"""

import io
import math
import struct
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from torch_files import (
    dictionary,
    integers,
    record,
    storage,
    tensor,
    text,
    torch_file,
    torch_records,
    zip_bytes,
)
from torch_goldens import GOLDENS, assert_same, expected, write

from npreslstm.errors import InputError
from npreslstm.formats.torch_pt import read_state_dict, read_torch

# --- files that PyTorch wrote ---


@pytest.mark.parametrize("file", ["torch_state", "torch_no_crc", "torch_checkpoint"])
def test_a_state_dict_a_nested_checkpoint_and_a_file_without_checksums_give_the_same_weights(file):
    assert_same(read_state_dict(GOLDENS / f"{file}.pt"), expected("torch_state"))


def test_every_dtype_and_layout():
    arrays = read_torch(GOLDENS / "torch_layouts.pt")
    assert_same(arrays, expected("torch_layouts"))
    assert all(
        array.flags.c_contiguous and array.flags.writeable and array.dtype.isnative
        for array in arrays.values()
    )


def test_arrays_of_a_shared_storage_are_independent():
    arrays = read_torch(GOLDENS / "torch_layouts.pt")
    arrays["base"][:] = 0
    assert arrays["transposed"].any() and arrays["parameter"].any()


def test_plain_values():
    found = read_torch(GOLDENS / "torch_plain.pt")
    wanted = {
        "small": 5, "negative": -70000, "large": 2**70, "float": 0.1, "complex": 1 - 2j, "true": True,
        "none": None,
        "text": "na\u00efve \U0001f3a4", "bytes": b"\x00\xff", "bytearray": b"abc",
        "device": "cuda:1", "dtype": "torch.float32", "size": (2, 3), 7: "a number as key",
        "list": [1, [2.5, "x"]], "tuple": (1, (2, 3), ()), "set": {1, 2}, "counter": {"a": 2, "b": 1, "c": 1},
    }  # fmt: skip
    assert found == wanted
    assert [type(value) for value in found.values()] == [type(value) for value in wanted.values()]


def test_a_checkpoint_keeps_what_is_around_the_weights():
    checkpoint = read_torch(GOLDENS / "torch_checkpoint.pt")
    assert checkpoint["epoch"] == 3 and checkpoint["args"] == {"hidden": 4, "lr": 1e-3}
    np.testing.assert_array_equal(
        checkpoint["optimizer"]["state"][0]["exp_avg"], np.full((4, 1), 0.1, np.float32)
    )


def test_the_weights_of_the_original_model(golden, golden_npz):
    wanted = {
        name.removeprefix("state/"): array for name, array in golden_npz.items() if name.startswith("state/")
    }
    for file in ("reslstm_sa_h64.pt", "reslstm_sa_h64_checkpoint.pt"):
        state = read_state_dict(golden / file)
        assert_same(state, {name: wanted[name] for name in state})
        assert state.keys() == wanted.keys()


def test_torch_is_not_imported():
    code = (
        "import sys; from npreslstm.formats.torch_pt import read_torch; read_torch(sys.argv[1]);"
        " print('torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, GOLDENS / "torch_state.pt"], capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"


# --- older and foreign files ---


def test_files_of_pytorch_1_6_have_addresses_for_keys_and_no_byte_order(tmp_path):
    program = dictionary({"w": tensor(storage("94839483992144"))})
    path = write(
        tmp_path, torch_file(program, {"94839483992144": struct.pack("<6f", *range(6))}, byteorder=None)
    )
    assert_same(read_state_dict(path), {"w": np.arange(6, dtype="f4").reshape(2, 3)})


BIG_ENDIAN = {
    "f": ("torch.FloatStorage", ">f4"), "d": ("torch.DoubleStorage", ">f8"), "h": ("torch.HalfStorage",
    ">f2"), "l": ("torch.LongStorage", ">i8"),
    "c": ("torch.ComplexFloatStorage", ">c8"), "b": ("torch.BoolStorage", "?"),
}  # fmt: skip


@pytest.mark.parametrize("stride", [0, 7, 2**40, 2**62, 2**70])
def test_the_stride_of_an_axis_of_one_is_any_number(tmp_path, stride):
    program = dictionary({"w": tensor(size=(1, 3, 1), stride=(stride, 1, stride))})
    path = write(tmp_path, torch_file(program, {"0": struct.pack("<6f", *range(6))}))
    np.testing.assert_array_equal(read_torch(path)["w"], np.float32([[[0], [1], [2]]]))


def big_endian_file():
    parts = {
        key: tensor(storage(str(number), kind)) for number, (key, (kind, _)) in enumerate(BIG_ENDIAN.items())
    }
    storages = {
        str(number): np.arange(6).astype(code).tobytes()
        for number, (_, code) in enumerate(BIG_ENDIAN.values())
    }
    return torch_file(dictionary(parts), storages, byteorder=b"big")


def test_big_endian_storages(tmp_path):
    wanted = {key: np.arange(6).astype(code[-2:]).reshape(2, 3) for key, (_, code) in BIG_ENDIAN.items()}
    assert_same(read_state_dict(write(tmp_path, big_endian_file())), wanted)


def test_big_endian_bfloat16(tmp_path):
    program = dictionary({"w": tensor(storage(kind="torch.BFloat16Storage"))})
    path = write(
        tmp_path,
        torch_file(
            program,
            {"0": struct.pack(">6H", *[0x3F80, 0xC000, 0x0001, 0x7F80, 0x8000, 0x4049])},
            byteorder=b"big",
        ),
    )
    assert_same(
        read_state_dict(path), {"w": np.array([[1, -2, 2.0**-133], [math.inf, -0.0, 3.140625]], "f4")}
    )


@pytest.mark.parametrize("version", [b"1\n", b"3\n", b"10\n"])
def test_file_versions_that_are_read(tmp_path, version):
    assert list(read_torch(write(tmp_path, torch_file(dictionary({"w": tensor()}), version=version)))) == [
        "w"
    ]


@pytest.mark.parametrize("version", [b"0\n", b"11\n", b"-3\n", b"3 4", b"", b"9" * 5000, None])
def test_file_versions_that_are_not(tmp_path, version):
    with pytest.raises(
        InputError,
        match=r"file\.pt: (file version|there is no record 'version'|the record 'version' has 5000 bytes)",
    ):
        read_torch(write(tmp_path, torch_file(dictionary({"w": tensor()}), version=version)))


def tar_file():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    return buffer.getvalue()


FOREIGN = {
    "whole module": (
        (GOLDENS / "torch_module.pt").read_bytes(),
        r"'torch\.nn\.modules\.linear\.Linear': the file holds a whole module",
    ),
    "pickle stream": ((GOLDENS / "torch_stream.pt").read_bytes(), r"before 1\.6.*save it again"),
    "TorchScript": (
        (GOLDENS / "torch_script.pt").read_bytes(),
        r"TorchScript.*torch\.jit\.load\(path\)\.state_dict\(\)",
    ),
    "tar": (tar_file(), "tar format.*save it again"),
    "bare pickle": (b"\x80\x04}.", "bare pickle.*no pickle is executed"),
    "safetensors": (b"\x02\0\0\0\0\0\0\0{}", "safetensors"),
    "text": (b"hello, world", "not a torch.save file: it begins with b'hello, w'"),
    "empty": (b"", "not a torch.save file"),
    "other zip": (zip_bytes([record("a/b.txt")]), "no record 'version'"),
    "protocol 4": (
        zip_bytes([record("a/data.pkl", b"\x80\x04}."), record("a/version", b"3\n")]),
        "protocol 4.*without pickle_protocol",
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_named_with_the_remedy(tmp_path, kind):
    data, message = FOREIGN[kind]
    with pytest.raises(InputError, match=message) as caught:
        read_torch(write(tmp_path, data))
    assert "\n" not in str(caught.value) and "file.pt: " in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_torch(tmp_path / "none.pt")


def test_every_truncation_is_noticed(tmp_path):
    data = (GOLDENS / "torch_state.pt").read_bytes()
    for length in range(0, len(data), 29):
        with pytest.raises(InputError):
            read_torch(write(tmp_path, data[:length]))


def test_no_damaged_byte_changes_the_weights_silently(tmp_path):
    data = bytearray((GOLDENS / "torch_state.pt").read_bytes())
    wanted = read_torch(GOLDENS / "torch_state.pt")
    refused = 0
    for position in range(0, len(data), 19):
        data[position] ^= 0x55
        try:
            assert_same(read_torch(write(tmp_path, data)), wanted)  # padding, or a field that does not matter
        except InputError:
            refused += 1
        data[position] ^= 0x55
    # of 419: the rest is alignment padding and fields of the headers that nothing depends on
    assert refused > 100


def test_the_error_of_read_state_dict_names_the_file(tmp_path):
    with pytest.raises(InputError, match=r"file\.pt: no state dict"):
        read_state_dict(write(tmp_path, torch_file(dictionary({"note": text("x")}))))


# --- live PyTorch ---


@pytest.mark.oracle
def test_hand_made_files_are_what_torch_accepts(tmp_path):
    torch = pytest.importorskip("torch")
    for data in (
        big_endian_file(),
        torch_file(dictionary({"w": tensor(size=(3, 2), stride=(1, 3))}), byteorder=None),
    ):
        path = write(tmp_path, data)
        loaded = torch.load(path, weights_only=True)
        assert_same(read_torch(path), {name: value.contiguous().numpy() for name, value in loaded.items()})


@pytest.mark.oracle
def test_live_layouts_agree_with_torch(tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    tensors = {}
    for number in range(200):
        sizes = rng.integers(1, 4, rng.integers(0, 5)).tolist()
        strides = rng.integers(0, 7, len(sizes)).tolist()
        dtype = [torch.float32, torch.float64, torch.bfloat16, torch.int16][number % 4]
        base = torch.from_numpy(rng.integers(-100, 100, 80)).to(dtype)
        tensors[str(number)] = torch.as_strided(base, sizes, strides, int(rng.integers(0, 8)))
    torch.save(tensors, tmp_path / "layouts.pt")
    wanted = {
        key: (value.float() if value.dtype == torch.bfloat16 else value).contiguous().numpy()
        for key, value in tensors.items()
    }
    assert_same(read_torch(tmp_path / "layouts.pt"), wanted)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "make, message",
    [
        (lambda torch: torch.eye(2).to_sparse(), r"sparse tensor.*to_dense\(\)"),
        (lambda torch: torch.ones(2, device="meta"), "'meta' device"),
        (lambda torch: torch.ones(2).to(torch.float8_e4m3fn), r"float8_e4m3fn.*x\.float\(\)"),
        (lambda torch: torch.ones(2, dtype=torch.complex64).conj(), r"resolve_conj\(\)"),
        (lambda torch: np.float64(3.0), r"numpy.*a NumPy value; save float\(x\)"),
        (lambda torch: torch.nn.LSTM(2, 2), "whole module"),
        (
            lambda torch: torch.ones(3).untyped_storage(),
            r"holds Storage\(key='0', dtype='uint8', nbytes=12\) as a value",
        ),
        (
            lambda torch: torch.FloatTensor,
            r"'torch\.FloatTensor': refused, since only tensors and plain data are read",
        ),
    ],
    ids=["sparse", "meta", "float8", "conjugated", "numpy scalar", "module", "storage", "class"],
)
def test_what_torch_saves_and_this_reader_does_not_hold_is_named_with_the_remedy(tmp_path, make, message):
    torch = pytest.importorskip("torch")
    torch.save({"value": make(torch)}, tmp_path / "x.pt")
    with pytest.raises(InputError, match=message):
        read_torch(tmp_path / "x.pt")


def test_the_test_helper_makes_an_honest_file(tmp_path):
    """So that in the hostile files only the lie is at fault."""
    data = zip_bytes(torch_records(dictionary({"w": tensor(), "n": integers([1, 2**40])})))
    found = read_torch(write(tmp_path, data))
    assert_same({"w": found["w"]}, {"w": np.arange(6, dtype="f4").reshape(2, 3)})
    assert found["n"] == (1, 2**40)
