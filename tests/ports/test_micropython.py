"""The MicroPython port on the Unix port of MicroPython: the bits of NumPy's integer model, by either kernels,
in little memory.
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
from integer_sounds import extremes, ordinary
from micropython_runs import compared, exported, in_romfs, program, run

from npreslstm import __version__
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.model import ResLSTM
from npreslstm.ports.micropython_export import network_input, vectors
from npreslstm.schema import ModelConfig

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
