"""The integer frontend in C: NumPy's bits from samples to probabilities, with and without products of 64
bits; no float; bad input.
"""

import ctypes
import dataclasses
import subprocess

import numpy as np
import pytest
from c_models import checkpoint, library, needs
from integer_sounds import RATE, as_samples, extremes, ordinary

from npreslstm.audio.activity import VoiceActivity, as_pcm
from npreslstm.audio.reader import read_audio
from npreslstm.audio.resampling import resample
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.integer import fixed_point
from npreslstm.integer.frontend import features_of_clip, z_score
from npreslstm.integer.frontend_tables import statistics
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.ports.c_export import export_c
from npreslstm.ports.c_library import CLibrary, build

NULL, SIZE, STATE, EMPTY = 1, 2, 4, 6  # npr_status
SMALL = {"n_fft": 256, "hop_length": 128, "n_mels": 32, "n_mfcc": 22, "n_chroma": 24, "sample_rate": 8000}
# How the library is compiled: products of 64 bits, products of 32, and whatever the compiler makes of either.
BUILDS = {"long": "-O2", "short": "-O2 -DNPR_SHORT_MULTIPLY", "host": "-O3 -march=native", "plain": "-O0"}


@pytest.fixture(scope="module")
def made():
    return checkpoint("h64")


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    export_c(made, folder, "int8", frontend="integer")
    return folder


@pytest.fixture(scope="module")
def c(folder):
    return built(folder, "long")


def built(folder, name):
    needs("make", "cc")
    build(folder, cflags=BUILDS[name])
    return CLibrary(folder)


class Expected:
    """What NumPy makes of samples: features, input of the network, logits, probabilities."""

    def __init__(self, made, pcm):
        quantized = QuantizedModel.from_checkpoint(made)
        self.pcm, self.features = pcm, features_of_clip(pcm, made.features)
        self.x = z_score(self.features, statistics(made, quantized.x_bits))
        self.logits = quantized.infer_integer(self.x[None], [len(self.x)])
        self.probabilities = fixed_point.softmax(self.logits)[0]

    def assert_same_bits(self, c):
        found = c.features(self.pcm)
        np.testing.assert_array_equal(found, self.features)
        np.testing.assert_array_equal([c.normalise(row) for row in found], self.x)
        np.testing.assert_array_equal(c.infer(self.x), self.logits[0])
        probabilities, label = c.result()
        np.testing.assert_array_equal(probabilities, self.probabilities)
        assert label == self.logits.argmax()


@pytest.fixture(scope="module")
def clips(made):
    return [Expected(made, pcm[:5000]) for pcm in [*extremes(1).values(), *ordinary(1).values()]]


@pytest.mark.parametrize("name", BUILDS)
def test_every_bit_is_numpys(folder, clips, name):
    c = built(folder, name)
    for clip in clips:
        clip.assert_same_bits(c)


def test_random_samples(made, c):
    """Of any loudness and spectrum, constant for stretches, with steps."""
    rng = np.random.default_rng(5)
    for n in (1, 511, 512, 513, 9000):
        y = rng.normal(size=n) * 2.0 ** rng.uniform(-3, 16, n // 700 + 1).repeat(700)[:n]
        y += np.repeat(rng.integers(-20_000, 20_000, n // 900 + 1), 900)[:n] * (n % 2)
        Expected(made, as_samples(y)).assert_same_bits(c)


def test_other_sizes(made, tmp_path):
    features = dataclasses.replace(made.features, floor_db=-50.0, fmin=100.0, fmax=3500.0, **SMALL)
    other = dataclasses.replace(made, features=features)
    export_c(other, tmp_path, "int8", frontend="integer")
    c = built(tmp_path, "short")
    for name in ("speech", "noise", "chirp"):
        Expected(other, ordinary()[name][:5000]).assert_same_bits(c)


def test_every_bit_is_numpys_on_speech(made, c, ravdess):
    for path in sorted(ravdess.glob("Actor_*/*.flac"))[::288]:
        y, rate = read_audio(path)
        pcm = as_pcm(resample(y if y.ndim == 1 else y.mean(axis=1), rate, RATE))
        Expected(made, pcm).assert_same_bits(c)


def test_any_integer_is_a_feature(made, c):
    quantized = QuantizedModel.from_checkpoint(made)
    rng = np.random.default_rng(2)
    rows = rng.integers(-(2**31), 2**31, (50, 46)).astype(np.int32)
    rows[0], rows[1] = -(2**31), 2**31 - 1
    expected = z_score(rows, statistics(made, quantized.x_bits))
    np.testing.assert_array_equal([c.normalise(row) for row in rows], expected)
    with pytest.raises(InputError, match="features are float64; expected int32"):
        c.normalise(np.zeros(46))


def test_probabilities_of_any_logits(made, c):
    """By way of the head's bias: contexts of real frames give logits of ordinary size only."""
    lib = c.lib
    rng = np.random.default_rng(3)
    rows = np.concatenate((rng.integers(-(2**31), 2**31, (50, 8)), rng.integers(-(2**18), 2**18, (500, 8))))
    for logits in rows.astype(np.int32):
        found = np.empty(8, np.uint16)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (logits, found))
        logits_pointer, found_pointer = pointers
        lib.npr_softmax(logits_pointer, ctypes.c_size_t(int(logits.argmax())), found_pointer)
        np.testing.assert_array_equal(found, fixed_point.softmax(logits[None])[0])


def test_the_gate_goes_along(c):
    pcm, gate = ordinary()["speech in noise"], VoiceActivity()
    np.testing.assert_array_equal(c.activity(pcm), np.concatenate((gate.push(pcm), gate.flush())))


def test_misuse_changes_nothing(c):
    frontend, row = ctypes.create_string_buffer(8000), np.full(46, 7, np.int32)
    pcm = np.ones(600, np.int16)

    def push(frontend=frontend, pcm=pcm, samples=512, row=row, count=46):
        pointers = [None if array is None else ctypes.c_void_p(array.ctypes.data) for array in (pcm, row)]
        return c.lib.npr_frontend_push(
            frontend, pointers[0], ctypes.c_size_t(samples), pointers[1], ctypes.c_size_t(count)
        )

    assert c.lib.npr_frontend_init(None) == NULL and c.lib.npr_frontend_init(frontend) == 0
    before = frontend.raw
    assert [push(frontend=None), push(pcm=None), push(row=None)] == [NULL] * 3
    assert [push(samples=0), push(samples=513), push(count=45), push(count=47)] == [SIZE] * 4
    assert frontend.raw == before and (row == 7).all()
    assert [push(), push(samples=511), push(), push(samples=1), push(samples=0)] == [0, 0, STATE, STATE, SIZE]
    assert c.lib.npr_frontend_init(frontend) == 0 and push(samples=1) == 0
    c.call("npr_init")
    with pytest.raises(InputError, match="no frame was pushed yet"):
        c.result()


def test_the_readme_tells_the_size_of_the_frontend(folder, tmp_path):
    needs("cc")
    code = (
        '#include <stdio.h>\n#include "npr_frontend.h"\n'
        'int main(void) { printf("%zu %zu", sizeof(npr_frontend),'
        " sizeof(npr_feature)); return 0; }"
    )
    (tmp_path / "size.c").write_text(code)
    subprocess.run(["cc", f"-I{folder}/src", tmp_path / "size.c", "-o", tmp_path / "size"], check=True)
    size, feature = subprocess.run([tmp_path / "size"], capture_output=True, check=True).stdout.split()
    text = (folder / "README.md").read_text()
    assert f"| `npr_frontend` | {int(size):,} |" in text and int(feature) == 4
    assert "NPR_SHORT_MULTIPLY" in text and "in every bit" in text


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3"])
def test_there_is_no_float_in_it(folder, tmp_path, core):
    """No function of the compiler's for floats is called, nor any of libm."""
    needs("arm-none-eabi-gcc", "arm-none-eabi-nm")
    sources = sorted(folder.glob("src/*.c"))
    flags = [f"-mcpu={core}", "-mthumb", "-O2", "-std=c99", f"-I{folder}/src", "-nostdlib", "-r"]
    linked = tmp_path / "all.o"
    subprocess.run(["arm-none-eabi-gcc", *flags, *sources, "-o", linked], check=True)
    listing = subprocess.run(["arm-none-eabi-nm", "-u", linked], capture_output=True, text=True, check=True)
    needed = set(listing.stdout.replace("U ", "").split())
    integer = {"idiv", "uidiv", "idivmod", "uidivmod", "ldivmod", "lmul", "llsl", "lasr", "llsr"}
    assert needed <= {"memcpy", "memmove", "memset", *(f"__aeabi_{name}" for name in integer)}
    if core == "cortex-m0":
        code = subprocess.run(
            ["arm-none-eabi-objdump", "-d", linked], capture_output=True, text=True, check=True
        )
        frontend = code.stdout.partition("<npr_frontend_push>:")[2].partition("\n\n")[0]
        assert frontend and "lmul" not in frontend


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mcu"], "type is 'float32'; expected int8"),
        (["mcu", "--type", "float32"], "type is 'float32'; expected int8"),
        (["paper", "--type", "int8"], "need samples still to come"),
    ],
)
def test_what_it_cannot_export_is_refused(tmp_path, capsys, arguments, message):
    out = tmp_path / "out"
    assert main(["export", "c", *arguments, "--frontend", "integer", "--out", str(out)]) == 2
    assert message in capsys.readouterr().err and not out.exists()


def test_weights_without_features_are_refused(tmp_path):
    with pytest.raises(InputError, match="do not say how their features are made"):
        export_c(checkpoint("h64", None), tmp_path, "int8", frontend="integer")
    with pytest.raises(InputError, match="frontend is 'fixed'; expected float or integer"):
        export_c(checkpoint("h64"), tmp_path, "int8", frontend="fixed")


def test_one_export_replaces_the_other(tmp_path):
    made = checkpoint("h32")
    export_c(made, tmp_path, "int8", frontend="integer")
    assert (tmp_path / "src" / "npr_frontend_int.c").exists() and not (
        tmp_path / "src" / "npr_math.h"
    ).exists()
    files = export_c(made, tmp_path, "int8")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == sorted(
        name for name in files if "." in name
    )
    library(made, "float32", tmp_path, cflags="-O0")
