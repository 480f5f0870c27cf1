"""What `export_c` writes: numbers as they are, names and sizes, what it refuses and replaces."""

import ctypes
import dataclasses
import re
import subprocess

import numpy as np
import pytest
from c_models import checkpoint, libraries, library, needs, needs_aligned_integers

from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main
from npreslstm.errors import InputError
from npreslstm.files import atomic_write
from npreslstm.ports import c_export, c_text
from npreslstm.ports.c_export import SOURCES, export_c
from npreslstm.ports.c_library import build
from npreslstm.ports.micropython_export import export_micropython


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return libraries(tmp_path_factory)


def test_literals_give_the_same_bits_back():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1 << 32, 2000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    values = np.concatenate([values[np.isfinite(values)], np.float32([0.0, -0.0, 1, 1e20, 16777216])])
    texts = [c_text.literal(value) for value in values]
    assert all(
        re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?f", text) and re.search(r"[.e]", text) for text in texts
    )
    assert np.array_equal(
        np.array([text[:-1] for text in texts], dtype=np.float32).view(np.uint32), values.view(np.uint32)
    )
    assert c_text.literal(np.int32(-(1 << 31))) == "(-2147483647 - 1)"


def test_weights_in_c_are_numpys_bit_for_bit(exported):
    for type in ("float32", "int8"):
        _, c, _ = exported("h128", type)
        # the checksum was computed from NumPy's arrays, here it is from the compiled ones
        c.call("npr_verify", state=False)


def test_generated_files_name_the_weights_and_the_licence(exported):
    made, _, folder = exported("h64", "int8")
    for name in (
        "src/npr_sizes.h",
        "src/npr_weights.c",
        "extras/npr_vectors.h",
        "extras/npr_vectors.c",
        "src/npr_tables.c",
        "README.md",
    ):
        text = (folder / name).read_text()
        assert made.sha256 in text, name
    assert "CC0" in (folder / "README.md").read_text()
    for path in SOURCES.glob("*/*.[ch]"):
        exported = folder / path.relative_to(SOURCES)
        if exported.exists():
            assert exported.read_text() == path.read_text()


@pytest.mark.parametrize(
    ("name", "type"),
    [("h64", "float32"), ("h64", "int8"), ("size one", "int8"), ("two layers, two vectors", "float32")],
)
def test_the_readme_tells_the_size_of_the_state(exported, name, type):
    needs_aligned_integers()
    _, c, folder = exported(name, type)
    assert f"| `npr_state` | {ctypes.sizeof(c.state):,} |" in (folder / "README.md").read_text()


def test_the_readme_tells_the_size_of_the_frontend(exported, tmp_path):
    needs("cc")
    folder = exported("h64", "int8")[2]
    code = (
        '#include <stdio.h>\n#include "npr_frontend.h"\nint main(void) { printf("%zu", sizeof(npr_frontend));'
        " return 0; }"
    )
    (tmp_path / "size.c").write_text(code)
    subprocess.run(["cc", f"-I{folder}/src", tmp_path / "size.c", "-o", tmp_path / "size"], check=True)
    size = int(subprocess.run([tmp_path / "size"], capture_output=True, check=True).stdout)
    assert f"| `npr_frontend` | {size:,} |" in (folder / "README.md").read_text()


def test_labels_survive_any_text(tmp_path):
    names = ('quo"te', "back\\slash", "trigraph??/", "naïve", "%s", "f", "g", "9")
    made = dataclasses.replace(checkpoint("h32"), classes=names)
    library(made, "int8", tmp_path, cflags="-O0")
    program = (
        '#include <stdio.h>\n#include "npr.h"\nint main(void) { for (int k = 0; k < 8; k++)'
        " puts(npr_weights.labels[k]); return 0; }\n"
    )
    (tmp_path / "labels.c").write_text(program)
    flags = [f"-I{tmp_path}/src", f"-L{tmp_path}", "-lnpr", f"-Wl,-rpath,{tmp_path}"]
    subprocess.run(["cc", tmp_path / "labels.c", "-o", tmp_path / "labels", *flags], check=True)
    assert (
        subprocess.run([tmp_path / "labels"], capture_output=True, check=True).stdout.decode()
        == "\n".join(names) + "\n"
    )


def test_what_cannot_be_exported_is_refused(tmp_path):
    made = checkpoint("h32")
    with pytest.raises(InputError, match="type is 'int4'; expected float32 or int8"):
        export_c(made, tmp_path, "int4")
    with pytest.raises(InputError, match="for other features than 'paper'"):
        export_c(made, tmp_path, config="paper")
    with pytest.raises(InputError, match="'mcu' has 46 features; the model takes 5"):
        export_c(checkpoint("two layers, two vectors"), tmp_path, config="mcu")
    odd = dataclasses.replace(made.features, n_fft=1000)
    with pytest.raises(InputError, match="n_fft is 1000; expected a power of two"):
        export_c(dataclasses.replace(made, features=odd), tmp_path)
    half = dataclasses.replace(made.features, top_db=80.0)
    with pytest.raises(InputError, match="causal framing, fixed tuning"):
        export_c(dataclasses.replace(made, features=half), tmp_path)
    with pytest.raises(InputError, match="the weights have no statistics; expected mean and std"):
        export_c(dataclasses.replace(made, mean=None, std=None), tmp_path)
    with pytest.raises(InputError, match="exceeds float32: the smallest std is 1e-40"):
        export_c(dataclasses.replace(made, std=np.full(46, 1e-40)), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mcu", "paper"])
def test_bundled_weights_may_be_exported_with_the_name_of_their_features(tmp_path, name):
    export_c(load_checkpoint(name), tmp_path / "with", "int8", config=name)
    export_c(load_checkpoint(name), tmp_path / "without", "int8")
    assert all(
        file.read_bytes() == (tmp_path / "without" / "src" / file.name).read_bytes()
        for file in (tmp_path / "with").glob("src/npr*")
    )


def test_silence_is_trimmed_where_the_features_say_so(tmp_path):
    for trim_db in (None, 30.0):
        made = checkpoint("h32", "paper")
        export_c(
            dataclasses.replace(made, features=dataclasses.replace(made.features, trim_db=trim_db)), tmp_path
        )
        assert ("NPR_TRIM_RATIO" in (tmp_path / "src" / "npr_sizes.h").read_text()) == (trim_db is not None)


def test_an_export_takes_the_place_of_another(tmp_path):
    library(checkpoint("h32", "paper"), "float32", tmp_path, cflags="-O0")
    c = library(checkpoint("h32", "mcu"), "int8", tmp_path, cflags="-O0")
    assert (
        c.sizes["NPR_INT8"] == 1
        and not (tmp_path / "src" / "npr_float.c").exists()
        and not (tmp_path / "src" / "npr_clip.c").exists()
    )


@pytest.mark.parametrize("export", [export_c, export_micropython])
def test_files_of_others_are_never_replaced(tmp_path, export):
    model = checkpoint("h32")
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match="has README.md, which no export has written; choose another folder"):
        export(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"
    with pytest.raises(InputError, match="README.md is no folder; expected one to write"):
        export(model, tmp_path / "README.md")
    with pytest.raises(InputError, match="the folder to write is ''; expected its name"):
        export(model, "")


def test_an_export_that_was_killed_may_be_repeated(tmp_path, monkeypatch):
    """What it had written is in its list, which is written first."""

    def killed(path, *options):
        if path.name == "README.md":
            raise KeyboardInterrupt
        return atomic_write(path, *options)

    model = checkpoint("h32")
    with monkeypatch.context() as patched:
        patched.setattr(c_export, "atomic_write", killed)
        with pytest.raises(KeyboardInterrupt):
            export_c(model, tmp_path)
    assert (tmp_path / "exported.txt").is_file() and not (tmp_path / "README.md").exists()
    files = export_c(model, tmp_path)
    assert all((tmp_path / name).is_file() for name in files)


def test_one_form_does_not_take_the_place_of_another(tmp_path):
    model = checkpoint("h32")
    for made, refused, form in (
        (export_c, export_micropython, "in C"),
        (export_micropython, export_c, "for"),
    ):
        folder = tmp_path / made.__name__
        files = made(model, folder)
        with pytest.raises(InputError, match=f"holds an export {form}.*; choose another folder, or delete"):
            refused(model, folder)
        assert all((folder / name).is_file() for name in files)


def test_cmake_builds_and_tests_it(tmp_path):
    needs("cmake", "cc")
    export_c(checkpoint("h32"), tmp_path, "int8")
    for command in (
        ["cmake", "-S", tmp_path, "-B", tmp_path / "b"],
        ["cmake", "--build", tmp_path / "b"],
        ["ctest", "--test-dir", tmp_path / "b"],
    ):
        subprocess.run(command, check=True, capture_output=True)


def test_a_folder_that_does_not_compile_is_one_error(tmp_path):
    needs("make", "cc")
    export_c(checkpoint("size one"), tmp_path)
    (tmp_path / "src" / "npr_model.c").write_text("nonsense\n")
    with pytest.raises(InputError, match="does not compile with cc: "):
        build(tmp_path)


def test_the_command_exports_and_says_so(tmp_path, capsys):
    from npreslstm.checkpoint import save_checkpoint

    save_checkpoint(tmp_path / "w.npz", checkpoint("h32"))
    assert (
        main(["export", "c", str(tmp_path / "w.npz"), "--out", str(tmp_path / "my c"), "--type", "int8"]) == 0
    )
    assert f"`make -C '{tmp_path / 'my c'}' test`" in capsys.readouterr().out
    assert (tmp_path / "my c" / "src" / "npr_int8.c").is_file() and not (
        tmp_path / "my c" / "src" / "npr_float.c"
    ).exists()
    assert main(["export", "c", str(tmp_path / "absent.npz"), "--out", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
