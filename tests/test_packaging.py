"""The package finds its weights and demo clip however it was installed; everything is built offline from a
copy of the tree.
"""

import importlib.metadata
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]

PROBE = """
import json, wave
import numpy, npreslstm
from npreslstm import assets
weights = assets.weights_path("standin")
with numpy.load(weights, allow_pickle=False) as file, wave.open(str(assets.demo_clip_path())) as clip:
    print(json.dumps({"package": npreslstm.__file__, "version": npreslstm.__version__,
                      "weights": str(weights), "answer": file["answer"].tolist(), "rate": clip.getframerate(),
                      "frames": clip.getnframes(), "width": clip.getsampwidth()}))
"""


def run(*command, cwd, **environment):
    """Run a command away from the checkout and return its stdout; its output is the failure message."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the source tree with stand-in weights."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    skip = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "*.training")
    shutil.copytree(ROOT, copy, ignore=skip)
    np.savez(copy / "weights" / "standin.npz", answer=[4, 2])
    return copy


def require(package, major, why):
    """Skip unless an installed package is of this version or a later one: pip fetches what a build asks for,
    tests take what is there.
    """
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"no {package} here; {why}")
    if int(version.partition(".")[0]) < major:
        pytest.skip(f"{package} {version}; expected {major} or later: {why}")


def require_setuptools():
    require("setuptools", 77, "before, it did not know the field license_expression")


@pytest.fixture(scope="module")
def built(tree, tmp_path_factory):
    """Folder with the wheel and the sdist of the tree."""
    require_setuptools()
    out = tmp_path_factory.mktemp("dist")
    build = (
        f"from setuptools.build_meta import build_sdist, build_wheel; build_sdist({str(out)!r});"
        f" build_wheel({str(out)!r})"
    )
    run(sys.executable, "-c", build, cwd=tree)
    shutil.rmtree(tree / "build")
    return out


@pytest.fixture(scope="module")
def without_weights(tree, tmp_path_factory):
    """Folder with a wheel of the code alone."""
    require_setuptools()
    out = tmp_path_factory.mktemp("code")
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(out)!r})"
    run(sys.executable, "-c", build, cwd=tree, NPRESLSTM_WEIGHTS="none")
    shutil.rmtree(tree / "build")
    return out


@pytest.fixture
def environment(tmp_path):
    """Folder of a virtual environment that sees the packages of the running one, after its own."""
    folder = tmp_path / "venv"
    venv.create(folder, symlinks=True, with_pip=False)
    site = run(
        folder / "bin" / "python",
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        cwd=tmp_path,
    ).strip()
    (Path(site) / "zz_outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def install(environment, *arguments):
    require("pip", 22, "it installs into another environment")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        environment / "bin" / "python",
        "--disable-pip-version-check",
        "-q",
    ]
    flags = [
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--ignore-installed",
        "--no-warn-script-location",
    ]
    run(*pip, "install", *flags, *arguments, cwd=environment)


def probe(python, cwd, **variables):
    return json.loads(run(python, "-c", PROBE, cwd=cwd, **variables))


def check(found, package, weights):
    assert Path(found["package"]) == package / "__init__.py"
    assert Path(found["weights"]) == weights / "standin.npz"
    assert found["answer"] == [4, 2]
    assert (found["rate"], found["width"]) == (48000, 2)
    assert found["frames"] > 2 * 48000


@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
def test_wheel_and_sdist_install(built, environment, kind):
    [archive] = built.glob(f"*.{kind}")
    install(environment, archive)
    found = probe(environment / "bin" / "python", environment)
    package = Path(found["package"]).parent
    assert environment in package.parents
    check(found, package, package / "weights")
    assert "predict" in run(environment / "bin" / "npreslstm", "--help", cwd=environment)


@pytest.mark.parametrize("mode", ["lenient", "compat"])
def test_editable_install(tree, environment, mode):
    require_setuptools()
    install(environment, "--config-settings", f"editable_mode={mode}", "-e", tree)
    check(probe(environment / "bin" / "python", environment), tree / "npreslstm", tree / "weights")


def test_checkout_on_the_path(tree, tmp_path):
    check(probe(sys.executable, tmp_path, PYTHONPATH=str(tree)), tree / "npreslstm", tree / "weights")


def zipped(tree, path):
    """A zip file of the checkout's packages, weights beside them."""
    with zipfile.ZipFile(path, "w") as archive:
        for folder in ("npreslstm", "weights"):
            for file in sorted((tree / folder).rglob("*")):
                archive.write(file, file.relative_to(tree))
    return path


ARCHIVED = {
    "predict": ["predict", "0.wav", "--format", "csv"],
    "features": ["features", ".", "--jobs", "2"],
    "c": ["export", "c", "mcu", "--out", "c"],
}


@pytest.fixture(scope="module")
def clips(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for k in range(2):
        shutil.copy(tree / "npreslstm" / "data" / "demo.wav", folder / f"{k}.wav")
    return folder


def outputs(path, clips, temporary):
    """What each command prints, and the C sources, with the package at `path`, which is not installed."""
    command = [sys.executable, "-B", "-m", "npreslstm"]
    texts = {
        name: run(*command, *words, cwd=clips, PYTHONPATH=path, TMPDIR=temporary)
        for name, words in ARCHIVED.items()
    }
    sources = {file.name: file.read_bytes() for file in (clips / "c").rglob("*.[ch]")}
    shutil.rmtree(clips / "c")
    return texts, sources


@pytest.fixture(scope="module")
def from_checkout(tree, clips, tmp_path_factory):
    return outputs(str(tree), clips, str(tmp_path_factory.mktemp("temporary")))


@pytest.mark.parametrize("kind", ["wheel", "zip"])
def test_from_an_archive_on_the_path(tree, clips, from_checkout, tmp_path, request, kind):
    """Weights, clip and C sources come out of the archive, in worker processes too, and copies go when these
    end.
    """
    if kind == "wheel":
        archive = next(request.getfixturevalue("built").glob("*.whl"))
    else:
        archive = zipped(tree, tmp_path / "npreslstm.zip")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    assert outputs(str(archive), clips, str(temporary)) == from_checkout and "measure.c" in from_checkout[1]
    assert not list(temporary.iterdir())
    found = probe(sys.executable, clips, PYTHONPATH=str(archive))
    assert Path(found["package"]) == archive / "npreslstm" / "__init__.py"
    assert (
        found["answer"] == [4, 2] and found["rate"] == 48000 and Path(found["weights"]).name == "standin.npz"
    )


def test_the_hook_for_pyinstaller_has_every_module_and_every_file(tree, built):
    names, _ = wheel_content(built)
    hook = runpy.run_path(str(ROOT / "npreslstm" / "freezing" / "hook-npreslstm.py"))
    sources = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "npreslstm").rglob("*.py")]
    modules = {
        ".".join(path.parts).removesuffix(".__init__")
        for path in sources
        if not {"freezing", "micropython"} & set(path.parts)
    }
    assert set(hook["hiddenimports"]) | {"npreslstm"} == modules
    wanted = {
        name
        for name in names
        if name.startswith("npreslstm/")
        and (not name.endswith((".py", "/README.md", "standin.npz")) or "/micropython/" in name)
    }
    assert {f"{folder}/{Path(source).name}" for source, folder in hook["datas"]} - {
        "npreslstm/ports/c/README.md"
    } == wanted
    assert all(Path(source).is_file() for source, _ in hook["datas"])


def test_pyinstaller_is_told_where_the_hook_is(built):
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "[pyinstaller40]\nhook-dirs = npreslstm.freezing:hook_folders\n" in archive.read(name).decode()
    from npreslstm.freezing import hook_folders

    assert [path.name for folder in hook_folders() for path in Path(folder).glob("hook-*.py")] == [
        "hook-npreslstm.py"
    ]


def test_a_frozen_program_can_be_its_own_worker(monkeypatch):
    """PyInstaller starts the program again for each worker, and freeze_support is where it turns into one."""
    import multiprocessing

    from npreslstm import cli

    called = []
    monkeypatch.setattr(multiprocessing, "freeze_support", lambda: called.append(True))
    assert cli.main(["--version"]) == 0 and not called
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert cli.main(["--version"]) == 0 and called == [True]


def wheel_content(built):
    """Names in the wheel and its parsed metadata."""
    [path] = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        [metadata] = [wheel.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    return names, Parser().parsestr(metadata)


def test_wheel_holds_the_package_and_nothing_else(tree, built):
    names, metadata = wheel_content(built)
    information = f"npreslstm-{metadata['Version']}.dist-info"
    assert {name.split("/")[0] for name in names} == {"npreslstm", information}
    assert (
        f"{information}/licenses/LICENSE" in names
        and f"{information}/licenses/LICENSES/CC-BY-NC-SA-4.0.txt" in names
    )
    files = [
        path for path in (tree / "npreslstm").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    files += [path for path in (tree / "weights").iterdir() if path.suffix in {".py", ".npz", ".md"}]
    wanted = [path.relative_to(tree).as_posix().replace("weights/", "npreslstm/weights/") for path in files]
    assert sorted(name for name in names if name.startswith("npreslstm/")) == sorted(wanted)
    assert "npreslstm/py.typed" in names


def test_metadata(built):
    _, metadata = wheel_content(built)
    required = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert [re.match(r"\w+", line).group() for line in required] == ["numpy", "soundfile"]
    extras = {"live", "media", "plot", "search", "cluster", "onnx", "safetensors", "docs", "test", "oracle"}
    assert set(metadata.get_all("Provides-Extra")) == extras
    assert metadata["License-Expression"] == "MIT AND CC-BY-NC-SA-4.0"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_a_wheel_without_weights_is_mit_alone_and_says_so(without_weights, tmp_path):
    names, metadata = wheel_content(without_weights)
    assert metadata["License-Expression"] == "MIT" and not any(
        "CC-BY" in name or name.endswith(".npz") for name in names
    )
    [wheel] = without_weights.glob("*.whl")
    code = "import npreslstm\ntry: npreslstm.Recognizer()\nexcept FileNotFoundError as error: print(error)"
    site = {"PYTHONPATH": os.pathsep.join([str(wheel), sysconfig.get_path("purelib")])}
    said = run(sys.executable, "-c", code, cwd=tmp_path, **site)
    assert (
        "none came with this installation; give a weights file, or train one: npreslstm train CORPUS" in said
    )


def test_sdist_holds_what_the_tests_need(built):
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE",
        "CHANGELOG.md",
        "Makefile",
        "tests/conftest.py",
        "tools/make_demo_clip.sh",
        "weights/standin.npz",
        "npreslstm/py.typed",
    } <= names
    assert not [name for name in names if name.endswith(".pyc") or name.startswith("docs/results")]


def test_the_sdist_of_the_same_tree_is_the_same_bytes(tree, built, tmp_path):
    """Wherever it lies, whenever its files were touched, whatever the mask of permissions."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(tree, copy, copy_function=shutil.copy, ignore=shutil.ignore_patterns("*.egg-info"))
    for path in copy.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (10**9, 10**9))
    build = "import os; os.umask(0o077); from setuptools.build_meta import build_sdist; "
    build += f"build_sdist({str(tmp_path)!r})"
    run(sys.executable, "-c", build, cwd=copy)
    run(sys.executable, "setup.py", "-q", "sdist", "--dist-dir", str(tmp_path / "new" / "folder"), cwd=copy)
    [first], [second], [third] = (p.glob("*.tar.gz") for p in (built, tmp_path, tmp_path / "new" / "folder"))
    assert first.read_bytes() == second.read_bytes() == third.read_bytes()


def test_unknown_weights_are_an_error_that_lists_those_there_are():
    from npreslstm.assets import weights_folder, weights_path

    known = sorted(path.stem for path in weights_folder().glob("*.npz"))
    with pytest.raises(FileNotFoundError, match="no bundled weights called 'absent'") as error:
        weights_path("absent")
    assert str(error.value).endswith(": " + (", ".join(known) or "none"))
