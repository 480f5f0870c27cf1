"""Weights of the C port as a file: what it holds, and that any damage is a status with nothing written."""

import ctypes
import dataclasses
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from c_models import checkpoint, needs

from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.ports.c_export import export_c
from npreslstm.ports.c_library import build

NULL, SIZE, FORMAT, STATE, DAMAGED, ALIGNED = 1, 2, 3, 4, 8, 9  # npr_status
HEAD = 20  # bytes before those that the checksum is of


class Opener:
    """npr_blob_open of an exported folder."""

    def __init__(self, folder, type):
        needs("make", "cc")
        export_c(checkpoint("h32"), folder, type, weights="blob")
        build(folder, cflags="-O1")
        self.lib, self.data = ctypes.CDLL(folder / "libnpr.so"), (folder / "npr_weights.bin").read_bytes()

    def open(self, data, offset=0, given=None):
        """The status; where it is not 0, nothing was written."""
        memory = np.zeros(len(data) // 8 + 2, np.uint64)
        memory.view(np.uint8)[offset : offset + len(data)] = np.frombuffer(data, np.uint8)
        blob = ctypes.create_string_buffer(b"\xa5" * 2048, 2048)
        at = ctypes.c_void_p(memory.ctypes.data + offset)
        status = self.lib.npr_blob_open(blob, at, ctypes.c_size_t(len(data) if given is None else given))
        assert status == 0 or blob.raw == b"\xa5" * 2048
        return status


@pytest.fixture(scope="module", params=["int8", "float32"])
def opener(request, tmp_path_factory):
    return Opener(tmp_path_factory.mktemp(request.param), request.param)


def sealed(data):
    """With the checksum that its content has."""
    return data[: HEAD - 4] + zlib.crc32(data[HEAD:]).to_bytes(4, "little") + data[HEAD:]


def with_word(data, number, value):
    return data[: 4 * number] + value.to_bytes(4, "little") + data[4 * number + 4 :]


def test_a_whole_file_is_opened_also_in_a_larger_partition(opener):
    assert opener.open(opener.data) == opener.open(opener.data + b"\xff" * 5000) == 0
    assert sealed(opener.data) == opener.data
    assert opener.open(opener.data, offset=4) == 0


def test_every_cut_is_noticed(opener):
    for n in (0, 3, 4, 19, 20, 100, len(opener.data) // 2, len(opener.data) - 4, len(opener.data) - 1):
        assert opener.open(opener.data[:n]) == SIZE
        assert opener.open(opener.data, given=n) == SIZE


def test_every_flipped_bit_is_noticed(opener):
    rng = np.random.default_rng(0)
    bits = {*range(8 * 4 * 30), *rng.integers(0, 8 * len(opener.data), 300).tolist()}
    for bit in bits:
        data = bytearray(opener.data)
        data[bit // 8] ^= 1 << bit % 8
        assert opener.open(bytes(data)) in (SIZE, FORMAT, DAMAGED), bit


def test_what_is_not_for_this_code_is_refused(opener, tmp_path):
    data = opener.data
    swapped = np.frombuffer(data, "<u4").byteswap().tobytes()
    assert opener.open(b"NPRW" + swapped[4:]) == FORMAT
    assert opener.open(swapped) == DAMAGED  # no file of weights at all
    assert opener.open(with_word(data, 2, 2)) == FORMAT
    for number in range(5, 14):  # type, format, features, sizes; word 7 is the network's checksum
        if number != 7:
            value = int.from_bytes(data[4 * number : 4 * number + 4], "little")
            assert opener.open(sealed(with_word(data, number, value + 1))) == FORMAT, number
    for name, type in (("h64", "int8"), ("h32", "float32"), ("h32", "int8"), ("lstm-sa", "int8")):
        export_c(checkpoint(name, seed=3), tmp_path, type, weights="blob")
        other = (tmp_path / "npr_weights.bin").read_bytes()
        same = name == "h32" and len(other) == len(data)
        assert opener.open(other) == (0 if same else FORMAT)
    made = checkpoint("h32")
    warped = dataclasses.replace(made, features=dataclasses.replace(made.features, fmin=50.0))
    for type in ("int8", "float32"):
        export_c(warped, tmp_path, type, weights="blob")
        assert opener.open((tmp_path / "npr_weights.bin").read_bytes()) == FORMAT


def test_words_of_nonsense_that_are_sealed_do_no_harm(opener):
    rng = np.random.default_rng(1)
    for _ in range(300):
        number, value = int(rng.integers(5, 30)), int(rng.integers(0, 1 << 32))
        assert opener.open(sealed(with_word(opener.data, number, value))) in (0, FORMAT)
    assert opener.open(sealed(with_word(opener.data[:-8], 3, len(opener.data) - 8))) == FORMAT
    longer = with_word(opener.data + bytes(8), 3, len(opener.data) + 8)
    assert opener.open(sealed(longer)) == FORMAT


def test_weights_that_are_mixed_up_change_nothing(opener, tmp_path):
    """A state of one file of weights, with another for the same network."""
    type = "float32" if opener.data[20] == 0 else "int8"
    export_c(checkpoint("h32", seed=3), tmp_path, type, weights="blob")
    other = (tmp_path / "npr_weights.bin").read_bytes()
    files = [ctypes.create_string_buffer(data) for data in (opener.data, other)]
    blobs = [ctypes.create_string_buffer(2048) for _ in files]
    for blob, file in zip(blobs, files):
        assert opener.lib.npr_blob_open(blob, file, ctypes.c_size_t(len(file) - 1)) == 0
    state = ctypes.create_string_buffer(4096)
    features, label = (ctypes.c_float * 46)(), ctypes.c_size_t(99)
    probabilities = (ctypes.c_float * 8)(*[7.0] * 8)
    assert opener.lib.npr_init(blobs[0], state) == 0
    before = state.raw
    assert opener.lib.npr_push_frame(blobs[1], state, features, ctypes.c_size_t(46)) == STATE
    assert opener.lib.npr_reset(blobs[1], state) == STATE and state.raw == before
    assert opener.lib.npr_push_frame(blobs[0], state, features, ctypes.c_size_t(46)) == 0
    arguments = (state, probabilities, ctypes.c_size_t(8), ctypes.byref(label))
    assert opener.lib.npr_result(blobs[1], *arguments) == STATE
    assert list(probabilities) == [7.0] * 8 and label.value == 99
    assert opener.lib.npr_result(blobs[0], *arguments) == 0 and label.value < 8


def test_weights_must_be_aligned_and_there(opener):
    assert [opener.open(opener.data, offset) for offset in (1, 2, 3)] == [ALIGNED] * 3
    data = ctypes.create_string_buffer(opener.data)
    assert opener.lib.npr_blob_open(None, data, ctypes.c_size_t(len(opener.data))) == NULL
    assert opener.lib.npr_blob_open(data, None, ctypes.c_size_t(len(opener.data))) == NULL


@pytest.mark.parametrize("type", ["int8", "float32"])
def test_random_damage_under_sanitizers(tmp_path, type):
    needs("gcc")
    export_c(checkpoint("two layers, two vectors"), tmp_path, type, weights="blob")
    flags = ["-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    source = Path(__file__).parent.parent / "c" / "blob.c"
    command = [
        "gcc",
        *flags,
        f"-I{tmp_path}/src",
        source,
        *sorted(tmp_path.glob("src/*.c")),
        "-o",
        tmp_path / "blob",
    ]
    subprocess.run(command, check=True)
    done = subprocess.run(
        [tmp_path / "blob", tmp_path / "npr_weights.bin", "3000", "1"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "opened" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("type", ["int8", "float32"])
def test_the_selftest_passes_from_a_file_and_from_flash(tmp_path, type):
    needs("make", "cc", "cmake")
    export_c(checkpoint("h32"), tmp_path, type, weights="blob")
    source = (tmp_path / "src" / "npr_sizes.h").read_text()
    assert "#define NPR_BLOB 1" in source and not (tmp_path / "src" / "npr_weights.c").exists()
    done = subprocess.run(
        ["make", "-s", "-C", tmp_path, "CFLAGS=-O1", "test"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "PASS" in done.stdout, done.stdout + done.stderr
    if type == "int8":
        needs("arm-none-eabi-gcc", "qemu-system-arm")
        command = ["make", "-s", "-C", tmp_path / "extras" / "qemu", "CORE=m0", "test"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and done.stdout.endswith("PASS\n"), done.stdout + done.stderr


def test_the_command_writes_a_file_of_weights(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        "export",
        "c",
        "mcu",
        "--type",
        "int8",
        "--weights",
        "blob",
        "--prefix",
        "mood",
        "--out",
        str(out),
    ]
    assert main(arguments) == 0
    assert (out / "mood_weights.bin").stat().st_size % 4 == 0 and (out / "src" / "mood_blob.c").is_file()
    assert main([*arguments[:-3], "no-name", "--out", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(InputError, match="weights are 'flash'; expected c or blob"):
        export_c(checkpoint("h32"), tmp_path, weights="flash")
