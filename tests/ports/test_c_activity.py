"""The voice-activity gate of the C port on the host: the decision of Python for every hop."""

import ctypes
import dataclasses
import subprocess

import numpy as np
import pytest
from c_models import checkpoint, library, needs
from samples import voice

from npreslstm.audio.activity import HOP, VoiceActivity
from npreslstm.ports.c_export import export_c

NULL, SIZE, STATE = 1, 2, 4  # npr_status
UNDECIDED = -1  # npr_decision


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("c")


@pytest.fixture(scope="module")
def c(folder):
    return library(checkpoint("h32"), "int8", folder, cflags="-O2")


def expected(pcm):
    gate = VoiceActivity()
    return np.concatenate((gate.push(pcm), gate.flush()))


def sounds():
    """int16 samples of every kind: voices in noise at many levels, silence, steps, full scale,
    single bits.
    """
    rng = np.random.default_rng(4)
    noise = rng.normal(size=100_000)
    spoken = np.concatenate(
        (np.zeros(30000), voice(2.0), np.zeros(20000), voice(1.0, seed=1), np.zeros(2000))
    )
    for level in (1e-5, 1e-3, 1e-1):
        for gain in (0.06, 1.0, 10.0):
            yield gain * (spoken + level * noise[: len(spoken)])
    yield np.where(np.arange(50_000) // 64 % 2, 1.0, -1.0)  # what gives the largest sums
    yield np.sign(noise) * (np.arange(100_000) > 50_000)
    yield np.repeat(rng.uniform(-1, 1, 100), 1000)
    yield noise * np.repeat(10.0 ** rng.uniform(-5, 0, 100), 1000)
    yield rng.integers(-1, 2, 60_000) / 32768
    yield np.zeros(5000)


def as_pcm(y):
    return np.clip(np.rint(32768 * y), -32768, 32767).astype(np.int16)


def test_every_decision_is_pythons(c):
    both = set()
    for pcm in map(as_pcm, sounds()):
        decisions = expected(pcm)
        both |= set(decisions.tolist())
        np.testing.assert_array_equal(c.activity(pcm), decisions)
        np.testing.assert_array_equal(c.activity(pcm, 300), decisions)
        np.testing.assert_array_equal(c.activity(pcm[:20_000], 1), expected(pcm[:20_000]))
    assert both == {False, True}


def test_every_decision_is_pythons_on_speech(c, ravdess):
    """Of unseen speakers, as recorded and in noise."""
    from tools.accuracy import activity as tool

    rng, count = np.random.default_rng(0), 0
    for actor in (2, 5, 14, 15, 16):
        for path in sorted((ravdess / f"Actor_{actor:02}").iterdir())[::10]:
            [y] = tool.read([path])
            for changed in (y, tool.noisy(tool.white, 10)(y, None, rng)):
                pcm = as_pcm(changed)
                np.testing.assert_array_equal(c.activity(pcm), expected(pcm))
                count += len(pcm) // HOP
    assert count > 5000


@pytest.mark.parametrize("n", [1, HOP - 1, HOP, 2 * HOP, 3 * HOP + 1, 4 * HOP, 5 * HOP + 7])
def test_short_recordings(c, n):
    pcm = as_pcm(voice(1.0))[:n]
    np.testing.assert_array_equal(c.activity(pcm), expected(pcm))


def test_misuse_changes_nothing(c):
    lib, gate, decision = c.lib, ctypes.create_string_buffer(256), ctypes.c_int(7)
    pcm = np.ones(HOP + 1, np.int16)
    pointer = ctypes.c_void_p(pcm.ctypes.data)

    def push(gate, pcm, samples, decision):
        return lib.npr_activity_push(gate, pcm, ctypes.c_size_t(samples), decision and ctypes.byref(decision))

    assert lib.npr_activity_init(None) == NULL and lib.npr_activity_init(gate) == 0
    before = gate.raw
    assert [
        push(None, pointer, 1, decision),
        push(gate, None, 1, decision),
        push(gate, pointer, 1, None),
    ] == [NULL] * 3
    assert [push(gate, pointer, 0, decision), push(gate, pointer, HOP + 1, decision)] == [SIZE] * 2
    assert lib.npr_activity_flush(None, ctypes.byref(decision)) == lib.npr_activity_flush(gate, None) == NULL
    assert gate.raw == before and decision.value == 7
    assert push(gate, pointer, HOP, decision) == 0 and decision.value == UNDECIDED
    assert lib.npr_activity_flush(gate, ctypes.byref(decision)) == 0 and decision.value == 0
    assert lib.npr_activity_flush(gate, ctypes.byref(decision)) == 0 and decision.value == UNDECIDED
    assert push(gate, pointer, HOP, decision) == STATE
    assert lib.npr_activity_init(gate) == 0 and push(gate, pointer, HOP, decision) == 0


def test_the_readme_tells_its_size(c, folder, tmp_path):
    needs("cc")
    code = (
        '#include <stdio.h>\n#include "npr_activity.h"\nint main(void) { printf("%zu", sizeof(npr_activity));'
        " return 0; }"
    )
    (tmp_path / "size.c").write_text(code)
    subprocess.run(["cc", f"-I{folder}/src", tmp_path / "size.c", "-o", tmp_path / "size"], check=True)
    size = int(subprocess.run([tmp_path / "size"], capture_output=True, check=True).stdout)
    size = -(-size // 8) * 8  # i386 puts 64-bit integers at multiples of 4, all boards at multiples of 8
    assert f"| `npr_activity` | {size:,} |" in (folder / "README.md").read_text()


def test_it_goes_with_features_that_stream_at_16_khz(tmp_path):
    made = checkpoint("h32")
    assert "src/npr_activity.c" in export_c(made, tmp_path) and (tmp_path / "src/npr_activity.h").is_file()
    other = dataclasses.replace(made, features=dataclasses.replace(made.features, sample_rate=8000))
    for without in (other, checkpoint("h32", "paper"), checkpoint("h32", None)):
        assert "src/npr_activity.c" not in export_c(without, tmp_path)
        assert (
            not (tmp_path / "src/npr_activity.c").exists() and not (tmp_path / "src/npr_activity.h").exists()
        )
        assert "npr_activity" not in (tmp_path / "README.md").read_text()
