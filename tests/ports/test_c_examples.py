"""The examples for boards and Linux, objects of C++, and what the headers promise a compiler."""

import re
import subprocess
from pathlib import Path

import pytest
from c_models import needs
from c_programs import BOARDS, STRICT, run, sound_source


@pytest.mark.parametrize(
    ("board", "source"),
    [
        ("esp32", "esp32_i2s/main/main.c"),
        ("stm32", "stm32_i2s_dma/voice.c"),
        ("zephyr", "zephyr_dmic/src/main.c"),
    ],
)
def test_the_examples_compile_against_declared_headers(folder, tmp_path, board, source):
    needs("gcc")
    path = folder / "examples" / source
    flags = [flag for flag in STRICT if flag != "-pedantic"] + [
        "-std=gnu11",
        "-Wconversion",
        "-c",
        "-o",
        tmp_path / "o",
    ]
    run("gcc", *flags, f"-I{BOARDS / board}", f"-I{folder / 'src'}", path)


ALSA_CONFIG = """
pcm.clip {{ type file  slave.pcm {{ type null }}  file /dev/null  infile "{path}"  format raw }}
"""


def test_linux_hears_by_alsa(folder, sound, label, tmp_path):
    """Against the real library: its device reads a file."""
    needs("gcc", "make")
    if not Path("/usr/include/alsa/asoundlib.h").is_file():
        pytest.skip("libasound2-dev is not installed")
    run("make", "-s", "-C", folder, "libnpr.a")
    source = folder / "examples" / "linux_alsa" / "linux_alsa.c"
    flags = ["-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{folder / 'src'}"]
    run("gcc", *flags, source, folder / "libnpr.a", "-lasound", "-o", tmp_path / "listen")
    (tmp_path / "sound.raw").write_bytes(sound.astype("<i2").tobytes())
    (tmp_path / "alsa.conf").write_text(ALSA_CONFIG.format(path=tmp_path / "sound.raw"))
    seconds = str(len(sound) / 16_000)
    printed = run(
        tmp_path / "listen", "clip", "16000", seconds, env={"ALSA_CONFIG_PATH": str(tmp_path / "alsa.conf")}
    )
    assert re.search(rf"end of speech: {label} 0\.\d\d$", printed, re.MULTILINE) and "lost" not in printed
    refused = subprocess.run([tmp_path / "listen", "clip", "22050"], capture_output=True, text=True)
    assert refused.returncode == 2 and "expected 16000, 44100 or 48000" in refused.stderr


CPP = """
#include <cstdio>
#include "npr.hpp"
extern "C" {
extern const int16_t sound[];
extern const size_t sound_samples;
}
static npr::Stream<1024> voice(npr_weights, npr_rate_16000);
int main() {
    static npr::Network network(npr_weights);
    const float features[NPR_INPUTS] = {0};
    npr::Result result;
    if (network.begun() != NPR_OK || network.result(result) != NPR_ERROR_EMPTY) { return 1; }
    if (network.push(features) != NPR_OK || network.result(result) != NPR_OK) { return 2; }
    if (result.name == nullptr) { return 2; }
    if (network.reset() != NPR_OK || network.result(result) != NPR_ERROR_EMPTY) { return 3; }
    npr_event event;
    for (size_t k = 0; k < sound_samples; k += 100) {
        if (voice.write(sound + k, sound_samples - k < 100 ? sound_samples - k : 100) != NPR_OK) { return 4; }
        while (voice.poll(event) == NPR_OK && event.kind != NPR_NOTHING) {
            if (event.kind == NPR_END) { std::puts(voice.name(event)); }
        }
    }
    if (voice.finish(event) != NPR_OK || voice.poll(event) != NPR_ERROR_STATE) { return 5; }
    if (voice.begin() != NPR_OK) { return 5; }
    return voice.begun() == NPR_OK && voice.room() == 1024 ? 0 : 6;
}
"""


def test_cpp_has_objects(folder, sound, label, tmp_path):
    needs("gcc", "g++", "make")
    (tmp_path / "main.cpp").write_text(CPP)
    (tmp_path / "sound.c").write_text(sound_source(sound))
    run("make", "-s", "-C", folder, "libnpr.a")
    run("gcc", "-c", tmp_path / "sound.c", "-o", tmp_path / "sound.o")
    flags = ["-std=c++11", *STRICT, "-Wconversion", "-fno-exceptions", "-fno-rtti", f"-I{folder / 'src'}"]
    run(
        "g++",
        *flags,
        tmp_path / "main.cpp",
        tmp_path / "sound.o",
        folder / "libnpr.a",
        "-o",
        tmp_path / "main",
    )
    assert run(tmp_path / "main").split() == [label]


def test_weights_can_be_placed(folder, tmp_path):
    needs("gcc", "objdump")
    source = folder / "src" / "npr_weights.c"
    placed = '-DNPR_CONST=const __attribute__((section(".slow_flash")))'
    run("gcc", "-c", placed, source, "-o", tmp_path / "placed.o")
    sizes = dict(
        re.findall(r"^ *\d+ (\S+) +([0-9a-f]{8})", run("objdump", "-h", tmp_path / "placed.o"), re.MULTILINE)
    )
    run("gcc", "-c", "-DNPR_CONST=", source, "-o", tmp_path / "ram.o")
    in_ram = dict(
        re.findall(r"^ *\d+ (\S+) +([0-9a-f]{8})", run("objdump", "-h", tmp_path / "ram.o"), re.MULTILINE)
    )
    assert int(sizes[".slow_flash"], 16) > 30_000 > int(sizes[".rodata"], 16)
    assert int(in_ram[".data"], 16) > 30_000


def test_a_compiler_that_lays_out_otherwise_is_stopped(folder, tmp_path):
    needs("gcc")
    source = folder / "src" / "npr_model.c"
    run("gcc", "-c", source, "-o", tmp_path / "model.o")
    sizes = (folder / "src" / "npr_sizes.h").read_text()
    (tmp_path / "npr_sizes.h").write_text(re.sub(r"(NPR_STATE_BYTES) \d+", r"\1 100", sizes))
    for name in ("npr.h", "npr_internal.h", "npr_math.h", "npr_model.c"):
        (tmp_path / name).write_text((folder / "src" / name).read_text())
    done = subprocess.run(["gcc", "-c", "npr_model.c"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "size_of_the_state" in done.stderr
