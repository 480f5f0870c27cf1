"""The MicroPython port on the Unix port of MicroPython: the bits of NumPy's integer model, by either kernels,
and what it says of bad input.
"""

import ast
import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_models import CONFIGS, checkpoint
from integer_sounds import RATE, extremes, ordinary
from micropython_runs import compared, exported, in_romfs, program, run
from samples import write_wav

from npreslstm import __version__
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.integer_recognizer import IntegerRecognizer
from npreslstm.model import ResLSTM
from npreslstm.ports.micropython_export import network_input, vectors
from npreslstm.schema import ModelConfig
from tools.accuracy import micropython as hear

ROOT = Path(__file__).parents[2]
ARCHITECTURES = ("armv6m", "armv7emsp", "xtensawin", "rv32imc")
SMALL = {"n_fft": 256, "hop_length": 128, "n_mels": 32, "n_mfcc": 22, "n_chroma": 24, "sample_rate": 8000}


@pytest.fixture(scope="module")
def made():
    return checkpoint("h64")


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    return exported(made, tmp_path_factory.mktemp("micropython"))


def extreme_input(quantized, frames):
    """(frames, D) int16: z-scored noise, some of it far beyond the range, and uniform random numbers."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(frames, quantized.lstms[0].W_x.shape[1])) * 2.0**quantized.x_bits
    x *= np.where(rng.random((frames, 1)) < 0.2, 8, 1)
    x[::7] = rng.integers(-32768, 32768, x[::7].shape)
    x[3], x[4] = 32767, -32768
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def values_in(quantized, frames):
    """How many values the self-test compares of as many frames of the network alone."""
    units = sum(lstm.W_h.shape[1] for lstm in quantized.lstms)
    return frames * (2 * units + 2 * len(quantized.head.attention) + 2 + len(quantized.head.bias))


@pytest.mark.parametrize("native", [True, False], ids=["viper", "plain"])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_bit_of_the_network_is_numpys(tmp_path, name, native):
    made = checkpoint(name)
    quantized = QuantizedModel.from_checkpoint(made)
    frames = 100 if native else 8
    exported(made, tmp_path, native)
    (tmp_path / "vectors.bin").write_bytes(vectors(made, quantized, extreme_input(quantized, frames), []))
    (tmp_path / "selftest.py").write_text(without_sound((tmp_path / "selftest.py").read_text()))
    assert compared(tmp_path) == (values_in(quantized, frames), 0)


def without_sound(text):
    """The self-test without the part that needs a frontend."""
    assert "if model.frontend:" in text
    return text.replace("if model.frontend:", "if False:")


@pytest.mark.parametrize("native", [True, False], ids=["viper", "plain"])
def test_every_bit_from_samples_is_numpys(made, tmp_path, native):
    n = 6000 if native else 1100
    clips = [pcm[:n] for pcm in [*extremes(1).values(), *ordinary(1).values()]]
    assert_same_sound(made, clips, tmp_path, native)


@pytest.mark.parametrize("native", [True, False], ids=["viper", "plain"])
def test_other_sizes(made, tmp_path, native):
    features = dataclasses.replace(made.features, floor_db=-50.0, fmin=100.0, fmax=3500.0, **SMALL)
    other = dataclasses.replace(made, features=features)
    clips = [ordinary()[name][:2000] for name in ("speech", "noise", "chirp")]
    assert_same_sound(other, clips, tmp_path, native)


def assert_same_sound(made, clips, folder, native):
    quantized = QuantizedModel.from_checkpoint(made)
    exported(made, folder, native)
    x = network_input(quantized)
    (folder / "vectors.bin").write_bytes(vectors(made, quantized, x, clips))
    hop = made.features.hop_length
    frames = sum(-(-len(pcm) // hop) for pcm in clips)
    sizes = made.config.input_size, made.config.num_classes
    expected = values_in(quantized, len(x)) + frames * (sizes[0] + 1) + len(clips) * sizes[1]
    assert compared(folder) == (expected, 0)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("npr_viper.py", "(size & 511) + 256) >> 9", "(size & 511) + 255) >> 9"),
        ("npr_viper.py", "carry = ((middle & 0xFFFF) + ", "carry = ("),
        ("npr_viper.py", "if a > 65535", "if a > 60000"),
        ("npr_viper.py", "((offset[m] << sign) >> sign)", "offset[m]"),
        ("npr_viper.py", "even_im = (a_im - b_im) >> 1", "even_im = (a_im - b_im + 1) >> 1"),
        ("npr.py", "(w << 15) + total // 2", "(w << 15) + total"),
        ("npr.py", "self._fall(min(E - self.maximum, 62))", "self._fall(0)"),
    ],
)
def test_the_self_test_notices_a_changed_operation(folder, tmp_path, file, old, new):
    for path in folder.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    assert compared(tmp_path)[1] > 0


@pytest.mark.parametrize("native", [True, False], ids=["viper", "plain"])
def test_blocks_of_any_type_and_size_are_the_same(made, tmp_path, native):
    exported(made, tmp_path, native)
    pcm = ordinary()["speech"][:2500]
    (tmp_path / "pcm").write_bytes(pcm.tobytes())
    code = """
import npr
from array import array
data = open("pcm", "rb").read()
model = npr.Model()
def logits(kind, size):
    model.reset()
    samples = kind(data)
    n = len(samples)
    frames = sum([model.push(samples[k : k + size]) for k in range(0, n, size)])
    return [frames + model.flush()] + model.logits()
found = [logits(kind, size) for kind, size in (
    (bytes, 1024), (bytearray, 700), (lambda b: array("h", b), 1), (lambda b: array("h", b), 2500),
    (lambda b: memoryview(b), 2), (lambda b: memoryview(bytearray(b)), 4998),
    (lambda b: memoryview(array("h", b)), 513))]
print(all([f == found[0] for f in found]), found[0][0], model.flush(), model.push(b""))
"""
    assert run(tmp_path, "-c", code) == (0, "True 5 0 0\n")


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


def test_weights_in_flash_are_not_copied(folder):
    """Bytes that are there already, as in ROMFS: the matrices stay where they are."""
    code = """
import gc, npr
data = open("weights.nprm", "rb").read()
gc.collect()
before = gc.mem_alloc()
model = npr.Model(data)
gc.collect()
print(gc.mem_alloc() - before)
"""
    status, output = run(folder, "-c", code)
    assert status == 0 and int(output) < 37_000  # 35,456; 81,888 from a file


def test_a_frame_leaves_little_for_the_collector(tmp_path):
    """And nothing that stays."""
    exported("mcu", tmp_path)
    code = """
import gc, npr
model = npr.Model()
pcm = bytes(range(256)) * 4
model.push(pcm)
gc.collect()
gc.disable()
before = gc.mem_alloc()
for _ in range(100):
    model.push(pcm)
garbage = (gc.mem_alloc() - before) // 100
gc.collect()
print(garbage, gc.mem_alloc() - before)
"""
    status, output = run(tmp_path, "-c", code)
    garbage, kept = map(int, output.split())
    assert status == 0 and garbage < 600 and kept <= 64  # 288, 32


def test_weights_in_romfs_are_not_copied(made, tmp_path):
    """In an image that mpremote makes: less heap than the matrices have bytes, and the same bits."""
    exported(made, tmp_path)
    in_romfs(tmp_path, "weights.nprm")
    (tmp_path / "weights.nprm").unlink()
    text = (tmp_path / "selftest.py").read_text()
    assert text.count("npr.Model()") == 1
    mount = "import vfs\nvfs.mount(vfs.VfsRom(open('romfs.img', 'rb').read()), '/rom')\n"
    (tmp_path / "selftest.py").write_text(
        mount + text.replace("npr.Model()", "npr.Model('/rom/weights.nprm')")
    )
    status, output = run(tmp_path, "selftest.py")
    assert status == 0 and output.endswith(" 0 differ\nPASS\n"), output
    heap = int(re.search(r"heap of the model: (\d+) bytes", output).group(1))
    assert heap < 37_000  # 35,520; 81,888 from a file


def test_there_is_no_float(folder):
    """Firmware without floats will do: neither a constant, nor a division, nor a call that gives one."""
    for path in folder.glob("npr*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
            assert not isinstance(node, ast.Div) and not (isinstance(node, ast.Name) and node.id == "float")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_module_compiles(folder, tmp_path, architecture):
    """With the native code of each board's core."""
    sources = {*folder.glob("*.py"), *folder.glob("examples/*.py")}
    if not architecture.startswith("arm"):
        sources.remove(folder / "npr_thumb.py")
    for path in sorted(sources):
        out = tmp_path / f"{path.stem}.mpy"
        subprocess.run(
            [program("mpy-cross"), f"-march={architecture}", "-O3", "-o", out, path],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        assert out.read_bytes()[:2] == b"M\6"


def test_a_wav_file_gives_pythons_label(tmp_path):
    exported("mcu", tmp_path)
    pcm = ordinary()["speech"]
    write_wav(tmp_path / "clip.wav", pcm / 32768, RATE)
    result = IntegerRecognizer("mcu").process_file(tmp_path / "clip.wav")
    status, output = run(
        tmp_path, "-c", "import sys; sys.path.append('examples')\nimport wav; wav.classify('clip.wav')"
    )
    label, *rows = output.splitlines()
    assert status == 0 and label == result.label
    percent = {row.split()[0]: int(row.split()[1]) for row in rows}
    assert percent == {name: int(100 * p + 0.5) for name, p in result.probabilities.items()}


def test_a_wav_file_of_another_rate_is_refused(tmp_path):
    exported("mcu", tmp_path)
    write_wav(tmp_path / "clip.wav", ordinary()["speech"] / 32768, 8000)
    code = "import sys; sys.path.append('examples')\nimport wav; wav.classify('clip.wav')"
    status, output = run(tmp_path, "-c", code)
    assert status == 1
    assert output.splitlines()[-1] == (
        "ValueError: the file is not 16-bit mono at 16000 Hz: convert it with sox or ffmpeg"
    )


def test_wav_files_that_are_none_are_one_line(tmp_path):
    """Cut after each byte of what comes before the samples, and with chunks that say more than there is."""
    exported("mcu", tmp_path)
    write_wav(tmp_path / "clip.wav", ordinary()["speech"][:600] / 32768, RATE)
    code = r"""
import sys
sys.path.append("examples")
import wav
data = open("clip.wav", "rb").read()
at = data.find(b"data")
def said(damaged):
    with open("bad.wav", "wb") as file:
        file.write(damaged)
    try:
        wav.classify("bad.wav")
    except ValueError as error:
        return str(error)
ends = "the file ends before its samples: copy it again"
for n in range(at + 8):
    message = said(data[:n])
    assert message.startswith("no WAV file") or message == ends, (n, message)
assert said(data[:-2]) == "bad.wav ends 2 bytes before its end: copy it again"
assert said(data[:12] + b"LIST\xff\xff\xff\x7f" + data[12:]) == ends
assert said(data[:12] + data[at:]).startswith("the file is not 16-bit mono at 16000 Hz")
print("all")
"""
    status, output = run(tmp_path, "-c", code)
    assert (status, output) == (0, "all\n"), output


def test_the_microphone_example_hears_a_stand_in(tmp_path):
    """The class of machine.I2S by its documentation: `readinto` fills a buffer and gives its bytes."""
    exported("mcu", tmp_path)
    (tmp_path / "pcm").write_bytes(np.tile(ordinary()["speech"], 5)[: 94 * 512].tobytes())
    (tmp_path / "machine.py").write_text(
        "class Pin:\n    def __init__(self, name): pass\n"
        "class I2S:\n    RX = MONO = 0\n"
        "    def __init__(self, number, **options): self.file = open('pcm', 'rb')\n"
        "    def readinto(self, block): return self.file.readinto(block)\n"
        "    def deinit(self): print('closed')\n"
    )
    status, output = run(
        tmp_path, "-c", "import sys; sys.path.append('examples')\nimport i2s; i2s.listen(windows=1)"
    )
    quantized = IntegerRecognizer("mcu")
    assert status == 0 and output.splitlines()[1] == "closed"
    assert output.split()[0] in quantized.checkpoint.classes


def test_weights_without_features_are_a_network_alone(tmp_path):
    exported(checkpoint("h32", None), tmp_path)
    code = "import npr\nm = npr.Model()\ntry:\n    m.push(b'12')\nexcept ValueError as e:\n    print(e)"
    assert run(tmp_path, "-c", code)[1].startswith(
        "these weights have no frontend; expected features in step(x)"
    )
    assert compared(tmp_path)[1] == 0
    assert "no frontend" in (tmp_path / "README.md").read_text()


def test_the_command_writes_what_mip_installs(tmp_path, capsys):
    assert main(["export", "micropython", "mcu", "--out", str(tmp_path)]) == 0
    assert "14 files; `import selftest` on the board proves them" in capsys.readouterr().out
    package = json.loads((tmp_path / "package.json").read_text())
    assert package["version"] == __version__
    assert all((tmp_path / source).is_file() and name == source for name, source in package["urls"])
    assert "CC BY-NC-SA 4.0" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("paper", "need samples still to come"),
        (ModelConfig(hidden_size=129), "an LSTM layer has 129 inputs or hidden units; expected up to 128"),
    ],
    ids=["paper", "wide"],
)
def test_what_it_cannot_export_is_refused(tmp_path, made, message):
    if not isinstance(made, str):
        made = dataclasses.replace(
            checkpoint("h64"), config=made, state=ResLSTM(made, np.random.default_rng(0)).state_dict()
        )
        made.notes["calibration"]["cell"] = [16.0] * 2
    with pytest.raises(InputError, match=message):
        exported(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_bit_in_webassembly(folder):
    """Where there is no native emitter: all modules are there, and the plain kernels are taken."""
    web = ROOT / "build" / "micropython"
    if not (web / "node_modules").exists() or shutil.which("node") is None:
        pytest.skip("no WebAssembly port of MicroPython; make micropython-web installs it")
    done = subprocess.run(
        ["node", ROOT / "tests" / "micropython_web.mjs", web, folder],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "kernels: npr_plain" in done.stdout and done.stdout.endswith(" 0 differ\nPASS\n"), done.stdout


def test_the_page_has_the_figures_of_the_self_test(tmp_path):
    """Of the bundled weights: how many values it compares, and how many bytes the weights have."""
    exported("mcu", tmp_path)
    values, differing = compared(tmp_path)
    page = (ROOT / "docs" / "micropython.md").read_text(encoding="utf-8")
    assert page.count(f"| {values:,} | {differing} |\n") == 9
    assert page.count(f"| {(tmp_path / 'weights.nprm').stat().st_size:,} |\n") == len(ARCHITECTURES)


def test_a_label_is_numpys_on_speech(ravdess, capsys):
    """Three of the clips that docs/micropython.md counts; the tool hears all of them."""
    assert hear.main([str(ravdess), "--every", "120", "--micropython", program("micropython")]) is None
    output = capsys.readouterr().out
    assert "clips: 3\n" in output and "of them different: 0\nclips with the same label: 3\n" in output


def test_the_tool_says_what_is_missing(ravdess):
    with pytest.raises(InputError, match="there is no 'absent'; expected MicroPython's Unix port"):
        hear.main([str(ravdess), "--every", "300", "--micropython", "absent"])
