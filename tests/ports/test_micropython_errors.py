"""What the MicroPython port says of misuse, of damaged weights, and of too small a heap."""

import shutil

import pytest
from c_models import checkpoint
from micropython_runs import exported, run


@pytest.fixture(scope="module")
def made():
    return checkpoint("h64")


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    return exported(made, tmp_path_factory.mktemp("micropython"))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("m.push([1, 2])", "TypeError: samples are <class 'list'>; expected array('h') or bytes"),
        ("m.push(array('f', (1, 2)))", "TypeError: samples are array('f'); expected 16 bits"),
        ("m.push(array('H', (1, 2)))", "TypeError: samples are array('H'); expected 16 bits"),
        ("m.push(b'123')", "TypeError: samples are 3 items of 1 bytes; expected 16 bits a sample"),
        ("m.push(memoryview(array('i', (1, 2))))", "TypeError: samples are 2 items of 4 bytes"),
        ("m.step(array('h', (1, 2)))", "ValueError: the network's input: 2 numbers; expected 46"),
        ("m.step([0] * 46)", "TypeError: the network's input: <class 'list'>; expected array('h')"),
        ("m.push_frame(array('h', bytes(92)))", "TypeError: features: <class 'array'>; expected array('i')"),
        ("m.result()", "ValueError: no frame was heard yet; expected at least one: push() samples first"),
        ("m.frames = 1 << 17; m.push(bytes(1024))", "ValueError: a clip has more than 131072 frames;"),
    ],
)  # fmt: skip
def test_misuse_is_one_line(folder, code, message):
    status, output = run(folder, "-c", f"import npr\nfrom array import array\nm = npr.Model()\n{code}")
    assert status == 1 and output.splitlines()[-1].startswith(message), output


def damaged(data, kind):
    """A weights file that is not one."""
    flipped = bytearray(data)
    flipped[3000] ^= 4
    changed = {
        "nothing": b"",
        "half a header": data[:10],
        "no weights": b"RIFF" + data[4:],
        "of another format": data[:4] + b"\2\0\0\0" + data[8:],
        "cut": data[:-1],
        "cut in the middle": data[:40_000],
        "flipped": bytes(flipped),
        "of no size": data[:8] + bytes(4) + data[12:],
    }
    return changed[kind]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nothing", "the weights end after 0 bytes; copy the file again"),
        ("half a header", "the weights end after 10 bytes; copy the file again"),
        ("no weights", "the weights begin with b'RIFF'; expected a file of npreslstm export micropython"),
        ("of another format", "the weights have format 2; expected 1: export them again"),
        ("cut", "the weights end after 65200 bytes; copy the file again"),
        ("cut in the middle", "the weights end after 40000 bytes; copy the file again"),
        ("flipped", "the weights are damaged: CRC "),
        ("of no size", "the weights are damaged: CRC 00000000"),
    ],
)
@pytest.mark.parametrize("source", ["'bad'", "open('bad', 'rb').read()"], ids=["file", "memory"])
def test_damaged_weights_are_one_line(folder, tmp_path, kind, message, source):
    for path in folder.glob("npr*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "bad").write_bytes(damaged((folder / "weights.nprm").read_bytes(), kind))
    status, output = run(tmp_path, "-c", f"import npr\nnpr.Model({source})")
    assert status == 1 and output.splitlines()[-1].startswith(f"ValueError: {message}"), output


@pytest.mark.parametrize("native", [True, False], ids=["viper", "plain"])
def test_no_byte_of_the_header_can_be_wrong_or_missing(made, tmp_path, native):
    """Cut after each of the first 64 bytes, or each byte of the header changed: a ValueError that says so."""
    exported(made, tmp_path, native)
    code = """
import npr
data = open("weights.nprm", "rb").read()
def said(damaged):
    try:
        npr.Model(bytes(damaged))
    except ValueError as error:
        return str(error)
for n in range(64):
    expected = f"the weights end after {n} bytes; copy the file again"
    assert said(data[:n]) == expected, (n, said(data[:n]))
for n in range(16):
    for flip in (1, 0x80, 0xFF):
        damaged = bytearray(data)
        damaged[n] ^= flip
        message = said(damaged)
        assert message and message.startswith("the weights ") and "; " in message, (n, flip, message)
damaged = bytearray(data)
damaged[8:16] = bytes(8)
assert said(damaged).startswith("the weights are damaged"), said(damaged)
print("all")
"""
    assert run(tmp_path, "-c", code) == (0, "all\n")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("100k", "for weights of 65201 bytes: put them into ROMFS, and use .mpy files"),
        ("74k", "to compile npr_viper.py: copy it as npr_viper.mpy"),
    ],
)
def test_too_small_a_heap_is_one_line(folder, size, message):
    status, output = run(folder, "-X", f"heapsize={size}", "-c", "import npr\nnpr.Model()")
    assert status == 1
    assert output.splitlines()[-1] == f"MemoryError: the heap is too small {message}", output


def test_too_small_a_heap_for_plain_python_is_one_line(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "npr_viper.py").unlink()
    code = "import npr\nnpr.Model().push(bytes(1024))"
    status, output = run(tmp_path, "-X", "heapsize=250k", "-c", code)
    message = "MemoryError: the heap is too small for a layer in plain Python, "
    assert status == 1 and output.splitlines()[-1].startswith(message), output
