"""An exported folder in the programs of others: Arduino, PlatformIO, ESP-IDF, Zephyr, CMake, C++, two models
at once.

The build systems' own parts are stand-ins that lie in tests/c/boards or are written here; docs/c-port.md says
so.
"""

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from c_models import LABELS, checkpoint, needs
from samples import voice

from npreslstm.errors import InputError
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.listening import EventKind, Listener
from npreslstm.ports.c_export import export_c
from npreslstm.streaming import StreamingResLSTM

BOARDS = Path(__file__).parent.parent / "c" / "boards"
STRICT = ["-Wall", "-Wextra", "-Wshadow", "-pedantic", "-Werror"]
ARM = ["-mcpu=cortex-m3", "-mthumb", "-O2", "-ffunction-sections", "-fdata-sections"]


def run(*command, **options):
    """Standard output of a program that must succeed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def model():
    return checkpoint("h32")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """An int8 export with all names as they are."""
    made = tmp_path_factory.mktemp("export")
    export_c(model, made, "int8")
    return made


@pytest.fixture(scope="module")
def sound():
    """int16 samples at 16 kHz: speech between pauses."""
    spoken = np.concatenate((np.zeros(12_000), voice(2.0, seed=4), np.zeros(14_000)))
    return np.rint(9000 * spoken).astype(np.int16)


@pytest.fixture(scope="module")
def label(model, sound):
    """What Python hears in it, by the integer model."""
    ear = Listener(model, 16_000, "int8")
    ends = [event for event in [*ear.push(sound), *ear.finish()] if event.kind is EventKind.END]
    assert len(ends) == 1
    return ends[0].label


def sound_source(sound):
    """C of an array that a program hears."""
    numbers = ", ".join(map(str, sound.tolist()))
    return (
        "#include <stddef.h>\n#include <stdint.h>\nextern const int16_t sound[];\nextern const size_t "
        "sound_samples;\n"
        f"const int16_t sound[] = {{{numbers}}};\nconst size_t sound_samples = {len(sound)};\n"
    )


# Hears `sound` through the library, and prints the label of its utterance.
PROGRAM = """
#include <stdio.h>
#include "npr_stream.h"
extern const int16_t sound[];
extern const size_t sound_samples;
int main(void) {
    static npr_stream stream;
    static int16_t ring[1024];
    npr_event event;
    if (npr_stream_init(&stream, &npr_weights, &npr_rate_16000, ring, 1024) != NPR_OK) { return 1; }
    for (size_t k = 0; k < sound_samples; k += 100) {
        int n = sound_samples - k < 100 ? sound_samples - k : 100;
        if (npr_stream_write(&stream, sound + k, n) != NPR_OK) { return 2; }
        do {
            if (npr_stream_poll(&stream, &event) != NPR_OK) { return 3; }
            if (event.kind == NPR_END) { puts(npr_weights.labels[event.label]); }
        } while (event.kind != NPR_NOTHING);
    }
    return 0;
}
"""


def write_program(folder, sound):
    (folder / "main.c").write_text(PROGRAM)
    (folder / "sound.c").write_text(sound_source(sound))


def test_the_library_has_no_main_and_src_is_all_of_it(folder):
    names = {path.name for path in (folder / "src").iterdir()}
    assert "npr_selftest.c" not in names and "npr_vectors.c" not in names and "npr.h" in names
    assert not [path for path in folder.iterdir() if path.suffix in (".c", ".h")]
    assert not any(re.search(r"\bmain\b", path.read_text()) for path in (folder / "src").glob("*.c"))


def test_an_arduino_sketch_runs_with_the_cores_main(folder, sound, label, tmp_path):
    """As Arduino builds: src/*.c and the sketch as objects, the core, which holds `main`, as an archive."""
    needs("arm-none-eabi-gcc", "qemu-system-arm")
    lines = (folder / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert (
        properties["includes"] == "npr.h"
        and properties["architectures"] == "*"
        and properties["name"] == "npreslstm"
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", properties["version"]) and len(properties["sentence"]) < 120
    sketch = (folder / "examples" / "rp2040_pdm" / "rp2040_pdm.ino").read_text()
    (tmp_path / "sketch.cpp").write_text("#include <Arduino.h>\n" + sketch)
    (tmp_path / "sound.c").write_text(sound_source(sound))
    qemu = folder / "extras" / "qemu"
    cpp = [
        "arm-none-eabi-g++",
        "-std=c++11",
        *STRICT,
        *ARM,
        "-fno-exceptions",
        "-fno-rtti",
        "-fno-threadsafe-statics",
    ]
    c = ["arm-none-eabi-gcc", "-std=gnu11", *ARM]
    include = [f"-I{BOARDS / 'arduino'}", f"-I{folder / 'src'}"]
    run(*cpp, *include, "-c", tmp_path / "sketch.cpp", "-o", tmp_path / "sketch.o")
    run(*cpp, *include, "-c", BOARDS / "arduino" / "main.cpp", "-o", tmp_path / "core.o")
    run(
        *c,
        "-c",
        tmp_path / "sound.c",
        *sorted((folder / "src").glob("*.c")),
        qemu / "startup.c",
        cwd=tmp_path,
    )
    run("arm-none-eabi-ar", "rcs", tmp_path / "core.a", tmp_path / "core.o")
    objects = [path for path in sorted(tmp_path.glob("*.o")) if path.name != "core.o"]
    link = ["--specs=rdimon.specs", "-nostartfiles", "-T", qemu / "image.ld", "-Wl,--gc-sections"]
    sizes = ["-Wl,--defsym=FLASH_SIZE=4M", "-Wl,--defsym=RAM_SIZE=256K"]
    objects += [tmp_path / "core.a", "-o", tmp_path / "sketch.elf"]
    run("arm-none-eabi-gcc", *ARM, *objects, *link, *sizes)  # no C++ library is needed
    options = ["-M", "mps2-an385", "-nographic", "-monitor", "none", "-serial", "none"]
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    printed = run("qemu-system-arm", *options, *semihosting, "-kernel", tmp_path / "sketch.elf").splitlines()
    assert printed[0] == "speech" and printed[-1] == "main of the core"
    assert printed[-2].split()[0] == label


def test_platformio_compiles_what_its_filter_names(folder, tmp_path):
    """Each file of the filter by itself, as C of the compiler's default standard; none has a main."""
    needs("gcc", "nm")
    manifest = json.loads((folder / "library.json").read_text())
    build = manifest["build"]
    assert build["srcFilter"] == ["+<*.c>"] and manifest["headers"] == "npr.h"
    assert build["srcDir"] == build["includeDir"] == "src"
    sources = sorted((folder / build["srcDir"]).glob("*.c"))
    assert len(sources) > 8
    run("gcc", "-O0", "-c", *sources, cwd=tmp_path)
    assert not re.search(r" T main$", run("nm", *sorted(tmp_path.glob("*.o"))), re.MULTILINE)


@pytest.mark.oracle
def test_platformio_packs_it(folder, tmp_path, monkeypatch):
    pytest.importorskip("platformio")
    import sys
    import tarfile

    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path / "core"))
    monkeypatch.setenv("PLATFORMIO_SETTING_ENABLE_TELEMETRY", "no")
    run(sys.executable, "-m", "platformio", "pkg", "pack", folder, "-o", tmp_path / "npr.tar.gz")
    with tarfile.open(tmp_path / "npr.tar.gz") as archive:
        names = archive.getnames()
    assert "src/npr.h" in names and not any(name.startswith("extras") for name in names)


@pytest.mark.parametrize(("prefix", "weights"), [("npr", "c"), ("voice", "blob")])
def test_a_cmsis_pack_names_the_library_and_nothing_else(model, tmp_path, prefix, weights):
    """Each file that it names is there, and compiles with the folder that it names for headers."""
    needs("gcc")
    export_c(model, tmp_path, "int8", prefix=prefix, weights=weights)
    [path] = tmp_path.glob("*.pdsc")
    root = ElementTree.parse(path).getroot()
    name = root.findtext("name")
    assert path.name == f"{root.findtext('vendor')}.{name}.pdsc" and name.isidentifier()
    assert [part.tag for part in root[:5]] == ["vendor", "name", "description", "url", "license"]
    assert (tmp_path / root.findtext("license")).is_file()
    versions = {release.get("version") for release in root.iter("release")}
    [component] = root.iter("component")
    assert {component.get("Cversion")} == versions and component.get("Cgroup") == name
    named = {file.get("name"): file.get("category") for file in component.iter("file")}
    assert all((tmp_path / file).exists() for file in named)
    inside = {f"src/{file.name}" for file in (tmp_path / "src").iterdir()}
    assert {file for file in named if named[file] in ("sourceC", "header")} == inside
    [include] = [file for file, category in named.items() if category == "include"]
    sources = [tmp_path / file for file, category in named.items() if category == "sourceC"]
    (tmp_path / "o").mkdir()
    run("gcc", "-O0", f"-I{tmp_path / include}", "-c", *sources, cwd=tmp_path / "o")


ESP_IDF = """
cmake_minimum_required(VERSION 3.10)
project(idf C)
set(ESP_PLATFORM 1)
function(idf_component_register)
  cmake_parse_arguments(given "" "" "SRCS;SRC_DIRS;INCLUDE_DIRS;REQUIRES" ${ARGN})
  foreach(folder ${given_SRC_DIRS})
    file(GLOB found ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.c)
    list(APPEND given_SRCS ${found})
  endforeach()
  list(TRANSFORM given_INCLUDE_DIRS PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  add_library(component STATIC ${given_SRCS})
  target_include_directories(component PUBLIC ${given_INCLUDE_DIRS})
endfunction()
add_subdirectory(@FOLDER@ component)
add_executable(app main.c sound.c)
target_link_libraries(app component)
"""
ZEPHYR = """
cmake_minimum_required(VERSION 3.10)
project(zephyr_stand_in C)
set(CONFIG_NPR y)
macro(zephyr_library_named name)
  add_library(${name} STATIC)
  set(current ${name})
endmacro()
macro(zephyr_library_sources)
  target_sources(${current} PRIVATE ${ARGN})
endmacro()
macro(zephyr_include_directories)
  include_directories(${ARGN})
  target_include_directories(${current} PUBLIC ${ARGN})
endmacro()
add_subdirectory(@FOLDER@/@MODULE@ module)
add_executable(app main.c sound.c)
target_link_libraries(app npr)
"""
SUBDIRECTORY = """
cmake_minimum_required(VERSION 3.10)
project(of_somebody_else C)
add_subdirectory(@FOLDER@ npr)
add_executable(app main.c sound.c)
target_link_libraries(app npr)
if(TARGET npr_selftest)
  message(FATAL_ERROR "the self-test is no part of another project")
endif()
"""


def cmake_runs(lists, folder, sound, tmp_path):
    """What the program of a CMake project prints."""
    needs("cmake", "make", "cc")
    write_program(tmp_path, sound)
    (tmp_path / "CMakeLists.txt").write_text(lists.replace("@FOLDER@", str(folder)))
    run("cmake", "-S", tmp_path, "-B", tmp_path / "b")
    run("cmake", "--build", tmp_path / "b")
    return run(tmp_path / "b" / "app").split()


def test_esp_idf_builds_the_component(folder, sound, label, tmp_path):
    assert cmake_runs(ESP_IDF, folder, sound, tmp_path) == [label]
    assert re.search(r'^version: "\d+\.\d+\.\d+"$', (folder / "idf_component.yml").read_text(), re.MULTILINE)


def test_zephyr_builds_the_module(folder, sound, label, tmp_path):
    module = dict(
        re.findall(r"^ *(\w+): (\S+)$", (folder / "zephyr" / "module.yml").read_text(), re.MULTILINE)
    )
    assert module["name"] == "npreslstm" and (folder / module["kconfig"]).is_file()
    assert cmake_runs(ZEPHYR.replace("@MODULE@", module["cmake"]), folder, sound, tmp_path) == [label]


@pytest.mark.oracle
def test_kconfig_has_one_option_that_is_off(folder, monkeypatch):
    kconfiglib = pytest.importorskip("kconfiglib")
    monkeypatch.setenv("KCONFIG_STRICT", "y")
    kconfig = kconfiglib.Kconfig(folder / "zephyr" / "Kconfig")
    assert [symbol.name for symbol in kconfig.unique_defined_syms] == ["NPR"] and not kconfig.warnings
    assert kconfig.syms["NPR"].str_value == "n"
    kconfig.syms["NPR"].set_value("y")
    assert "CONFIG_NPR=y" in kconfig._config_contents("")


def test_another_cmake_project_takes_the_library(folder, sound, label, tmp_path):
    assert cmake_runs(SUBDIRECTORY, folder, sound, tmp_path) == [label]


def test_a_cross_build_makes_the_library_alone(folder, tmp_path):
    needs("cmake", "make", "arm-none-eabi-gcc")
    cross = (
        "set(CMAKE_SYSTEM_NAME Generic)\nset(CMAKE_C_COMPILER arm-none-eabi-gcc)\nset(CMAKE_C_FLAGS_INIT "
        "-mcpu=cortex-m3)\n"
    )
    (tmp_path / "cross.cmake").write_text(cross + "set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\n")
    run("cmake", "-S", folder, "-B", tmp_path / "b", f"-DCMAKE_TOOLCHAIN_FILE={tmp_path / 'cross.cmake'}")
    run("cmake", "--build", tmp_path / "b")
    assert (tmp_path / "b" / "libnpr.a").is_file() and not list((tmp_path / "b").glob("npr_selftest*"))


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


TWO = """
#include <stdio.h>
#include "first.h"
#include "second_2.h"
static uint32_t noise;
static float draw(void) {
    noise = noise * 1664525u + 1013904223u;
    return (float)(noise >> 8) / 16777216.0f - 0.5f;
}
int main(void) {
    static first_state a;
    static second_2_state b;
    static float of_a[FIRST_CLASSES], of_b[SECOND_2_CLASSES], x[64];
    size_t label_a, label_b;
    if (first_verify(&first_weights) != FIRST_OK) { return 1; }
    if (second_2_verify(&second_2_weights) != SECOND_2_OK) { return 1; }
    if (first_init(&first_weights, &a) != FIRST_OK) { return 2; }
    if (second_2_init(&second_2_weights, &b) != SECOND_2_OK) { return 2; }
    for (int t = 0; t < 20; t++) {
        for (int k = 0; k < FIRST_INPUTS; k++) {
            x[k] = (draw() * 4 / first_weights.inverse_std[k]) + first_weights.mean[k];
        }
        if (first_push_frame(&first_weights, &a, x, FIRST_INPUTS) != FIRST_OK) { return 3; }
        for (int k = 0; k < SECOND_2_INPUTS; k++) {
            x[k] = (draw() * 4 / second_2_weights.inverse_std[k]) + second_2_weights.mean[k];
        }
        if (second_2_push_frame(&second_2_weights, &b, x, SECOND_2_INPUTS) != SECOND_2_OK) { return 4; }
    }
    if (first_result(&first_weights, &a, of_a, FIRST_CLASSES, &label_a) != FIRST_OK) { return 5; }
    if (second_2_result(&second_2_weights, &b, of_b, SECOND_2_CLASSES, &label_b) != SECOND_2_OK) { return 6; }
    for (int k = 0; k < FIRST_CLASSES; k++) {
        printf("%s %.5f\\n", first_weights.labels[k], (double)of_a[k]);
    }
    for (int k = 0; k < SECOND_2_CLASSES; k++) {
        printf("%s %.5f\\n", second_2_weights.labels[k], (double)of_b[k]);
    }
    return 0;
}
"""


def probabilities_alone(made, type, frames):
    """By NumPy, of z-scored frames (T, D): {label: probability}."""
    if type == "int8":
        logits = QuantizedModel.from_checkpoint(made).infer(frames[None], [len(frames)])[0]
    else:
        stream = StreamingResLSTM(made.model(np.float64))
        stream.push(frames)
        logits = stream.result()
    e = np.exp(logits - logits.max())
    names = made.classes or [f"class {k}" for k in range(len(e))]
    return dict(zip(names, e / e.sum()))


def noise_of_c(sizes, frames=20):
    """The z-scored frames that TWO draws for its two networks, one after the other."""
    state, rows = 0, ([], [])
    for _ in range(frames):
        for row, size in zip(rows, sizes):
            values = []
            for _ in range(size):
                state = (1664525 * state + 1013904223) % 2**32
                values.append(4 * ((state >> 8) / 2**24 - 0.5))
            row.append(values)
    return [np.array(row, np.float32) for row in rows]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("h32", "int8"), ("h32", "int8")),
        (("h32", "float32"), ("h64", "int8")),
        (("h64", "int8"), ("two layers, two vectors", "float32")),
    ],
)
def test_two_models_in_one_program_are_two(tmp_path, first, second):
    needs("gcc", "ar", "nm")
    models = []
    for prefix, (name, type), seed in (("first", first, 0), ("second_2", second, 5)):
        made = checkpoint(name, seed=seed)
        if made.classes and prefix == "second_2":
            made = dataclasses.replace(made, classes=tuple(reversed(LABELS)))
        export_c(made, tmp_path / prefix, type, prefix=prefix)
        models.append((made, type))
        (tmp_path / f"{prefix}_o").mkdir()
        sources = sorted((tmp_path / prefix / "src").glob("*.c"))
        run("gcc", "-std=c99", "-O1", "-Wall", "-Werror", "-c", *sources, cwd=tmp_path / f"{prefix}_o")
        objects = sorted((tmp_path / f"{prefix}_o").glob("*.o"))
        run("ar", "rcs", tmp_path / f"lib{prefix}.a", *objects)
    folders = [tmp_path / "first_o", tmp_path / "second_2_o"]
    defined = [
        set(re.findall(r" [TDRB] (\w+)$", run("nm", *folder.glob("*.o")), re.MULTILINE)) for folder in folders
    ]
    assert len(defined[0]) > 15 and not defined[0] & defined[1]
    assert all(symbol.startswith(("first_", "second_2_")) for symbol in defined[0] | defined[1])
    (tmp_path / "two.c").write_text(TWO)
    include = [f"-I{tmp_path / 'first' / 'src'}", f"-I{tmp_path / 'second_2' / 'src'}"]
    archives = [tmp_path / "libfirst.a", tmp_path / "libsecond_2.a"]
    linked = [[*folders[0].glob("*.o"), *folders[1].glob("*.o")], archives, archives[::-1]]
    frames = noise_of_c([made.config.input_size for made, _ in models])
    expected = [
        row for (made, type), x in zip(models, frames) for row in probabilities_alone(made, type, x).items()
    ]
    for k, objects in enumerate(linked):
        run(
            "gcc",
            "-std=c99",
            "-Wall",
            "-Werror",
            *include,
            tmp_path / "two.c",
            *objects,
            "-o",
            tmp_path / f"two{k}",
        )
        rows = [line.rsplit(" ", 1) for line in run(tmp_path / f"two{k}").splitlines()]
        assert [name for name, _ in rows] == [name for name, _ in expected]
        difference = [abs(float(value) - wanted) for (_, value), (_, wanted) in zip(rows, expected)]
        assert max(difference) < 1e-4  # achieved 2e-5: a feature of C may be rounded to the next integer


def test_prefixes_reach_macros_and_guards(tmp_path, folder):
    needs("gcc")
    export_c(checkpoint("h32"), tmp_path / "own", "int8", prefix="own")
    for path in (tmp_path / "own").rglob("*"):
        if path.is_file():
            assert not re.search(r"(?i)(?<![A-Za-z0-9])npr(?![A-Za-z0-9])", path.read_text()), path
            assert not re.match(r"npr(?![a-z])", path.name)

    def macros(where, prefix):
        (tmp_path / "all.c").write_text(f'#include "{prefix}_stream.h"\n')
        listing = run("gcc", "-dM", "-E", f"-I{where}", tmp_path / "all.c")
        return set(re.findall(r"#define (\w+)", listing))

    (tmp_path / "none.c").write_text("#include <stddef.h>\n#include <stdint.h>\n")
    known = set(re.findall(r"#define (\w+)", run("gcc", "-dM", "-E", tmp_path / "none.c")))
    ours = macros(folder / "src", "npr") - known
    theirs = macros(tmp_path / "own" / "src", "own") - known
    assert len(ours) > 30 and not ours & theirs
    assert {name.replace("NPR", "OWN", 1) for name in ours} == theirs


def test_prefixes_that_are_no_names_are_refused(tmp_path):
    for prefix in ("", "2nd", "Own", "a-b", "a__b", "a_", "_a", "ü"):
        with pytest.raises(InputError, match="prefix is .*; expected small letters"):
            export_c(checkpoint("h32"), tmp_path / "x", prefix=prefix)
    assert not (tmp_path / "x").exists()


def test_another_prefix_takes_the_place_of_the_first(tmp_path):
    made = checkpoint("h32")
    export_c(made, tmp_path, "int8")
    (tmp_path / "src" / "mine.txt").write_text("kept")
    names = export_c(made, tmp_path, "float32", prefix="own", weights="blob")
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*names, "src/mine.txt"}


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
