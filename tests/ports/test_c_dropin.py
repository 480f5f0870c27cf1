"""An exported folder as a library of others: Arduino, PlatformIO, CMSIS-Pack, ESP-IDF, Zephyr, CMake.

The build systems' own parts are stand-ins that lie in tests/c/boards or are written here; docs/c-port.md says
so.
"""

import json
import re
from xml.etree import ElementTree

import pytest
from c_models import needs
from c_programs import BOARDS, STRICT, run, sound_source, write_program

from npreslstm.ports.c_export import export_c

ARM = ["-mcpu=cortex-m3", "-mthumb", "-O2", "-ffunction-sections", "-fdata-sections"]


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
