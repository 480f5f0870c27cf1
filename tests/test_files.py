"""atomic_write: the old file or the new one, never half of one."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from npreslstm.errors import InputError
from npreslstm.files import atomic_write, check_folder, check_output, read_sealed, sweep, write_sealed


@pytest.fixture(params=[None, b"old"], ids=["new file", "old file"])
def target(request, tmp_path):
    path = tmp_path / "result.bin"
    if request.param is not None:
        path.write_bytes(request.param)
    return path


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_whole_content_replaces_the_old_file(target):
    with atomic_write(target) as file:
        file.write(b"new")
    assert content(target.parent) == {"result.bin": b"new"}


def test_nothing_shows_before_the_block_ends(target):
    before = target.read_bytes() if target.exists() else None
    with atomic_write(target) as file:
        file.write(b"new")
        file.flush()
        assert (target.read_bytes() if target.exists() else None) == before


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interruption_leaves_the_folder_as_it_was(target, interruption):
    before = content(target.parent)
    with pytest.raises(interruption), atomic_write(target) as file:
        file.write(b"half")
        file.flush()
        raise interruption
    assert content(target.parent) == before


def test_an_interruption_as_the_file_is_made_leaves_the_folder_as_it_was(target, monkeypatch):
    def interrupted(*arguments, make=os.open):
        os.close(make(*arguments))
        raise KeyboardInterrupt

    before = content(target.parent)
    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_write(target):
        pytest.fail("the block must not run")
    assert content(target.parent) == before


def test_a_failed_rename_leaves_the_folder_as_it_was(target, monkeypatch):
    def refuse(source, destination):
        raise PermissionError(destination)

    before = content(target.parent)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError), atomic_write(target) as file:
        file.write(b"new")
    assert content(target.parent) == before


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_those_of_the_old_file_or_of_an_ordinary_new_one(target, mask):
    before = 0
    if target.exists():
        target.chmod(before := 0o600 if mask == 0o022 else 0o640)
    old = os.umask(mask)
    try:
        with atomic_write(target) as file:
            file.write(b"new")
        assert os.umask(mask) == mask
    finally:
        os.umask(old)
    assert stat.S_IMODE(target.stat().st_mode) == (before or 0o666 & ~mask)


def test_text_with_encoding_and_newline(target):
    with atomic_write(str(target), "w", encoding="utf-8", newline="\r\n") as file:
        file.write("é\n")
    assert target.read_bytes() == b"\xc3\xa9\r\n"


def test_a_missing_folder_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "absent" / "result.bin"):
        pytest.fail("the block must not run")
    assert content(tmp_path) == {}


def test_a_relative_path_is_taken_from_the_folder_at_the_start(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with atomic_write("result.bin") as file:
        file.write(b"new")
        os.chdir(tmp_path / "elsewhere")
    assert (tmp_path / "result.bin").read_bytes() == b"new"


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "result.bin").write_bytes(b"old")
    link = tmp_path / "link.bin"
    link.symlink_to(tmp_path / "elsewhere" / "result.bin")
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink() and (tmp_path / "elsewhere" / "result.bin").read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(pipe) as file:
        file.write(b"new")
    assert os.read(reader, 10) == b"new" and pipe.is_fifo()
    os.close(reader)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "none" / "result.bin"):
        pass
    assert caught.value.filename == str(tmp_path / "none")


def test_a_name_as_long_as_the_system_takes(tmp_path):
    with atomic_write(tmp_path / ("n" * 250)) as file:
        file.write(b"new")
    assert content(tmp_path) == {"n" * 250: b"new"}


@pytest.mark.parametrize(
    "name, words",
    [("", "expected the name of a file"), ("no/x", "there is no folder"), (".", "a folder; expected a file")],
)
def test_output_that_cannot_be_written_is_found_before_the_work(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        check_output("--output", name)


@pytest.mark.parametrize("name", ["n" * 256, "n" * 300 + "/x"])
def test_a_name_that_the_system_does_not_take_is_found_before_the_work(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="File name too long|there is no folder"):
        check_output("--output", name)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="of Linux")
def test_a_device_that_is_full_is_named():
    with pytest.raises(OSError) as caught, atomic_write("/dev/full") as file:
        file.write(b"x" * 100_000)
    assert caught.value.filename == "/dev/full"


def test_output_must_not_be_what_is_read(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match="which is also to be read"):
        check_output("--output", str(tmp_path / "a"), [str(tmp_path / "b"), str(tmp_path / "a")])
    check_output("--output", None)
    check_output("--output", str(tmp_path / "new"))


KILLED = """
import os, signal, sys
from npreslstm.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_while_writing(path):
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -signal.SIGKILL


def parts(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_what_a_killed_process_left_is_removed_when_the_file_is_written_again(tmp_path):
    pytest.importorskip("fcntl")
    for name in ("a", "ab", "n" * 250):
        kill_while_writing(tmp_path / name)
    assert len(parts(tmp_path)) == 3
    (tmp_path / "a.part").touch()  # somebody else's
    (tmp_path / ".a.part").mkdir()
    for k, name in enumerate(("a", "ab", "n" * 250)):
        with atomic_write(tmp_path / name) as file:
            file.write(b"whole")
        assert len(parts(tmp_path)) == 2 + 2 - k
    assert sorted(parts(tmp_path)) == [".a.part", "a.part"]


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    pytest.importorskip("fcntl")
    with atomic_write(tmp_path / "a") as one:
        one.write(b"one")
        with atomic_write(tmp_path / "a") as other:
            other.write(b"other")
        sweep(str(tmp_path))
        assert len(parts(tmp_path)) == 1
    assert content(tmp_path) == {"a": b"one"}


def test_many_who_write_and_sweep_at_once_lose_nothing(tmp_path):
    code = """
import sys
from npreslstm.files import atomic_write, sweep
for k in range(150):
    with atomic_write(f"{sys.argv[1]}/{k % 7}") as file:
        file.write(b"x" * 1000)
    sweep(sys.argv[1])
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert content(tmp_path) == {str(k): b"x" * 1000 for k in range(7)}


def test_a_sealed_file_with_any_bit_flipped_is_not_taken(tmp_path):
    path = tmp_path / "a"
    assert read_sealed(path) is None
    write_sealed(path, b"some bytes")
    whole = path.read_bytes()
    assert read_sealed(path) == b"some bytes"
    for at in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        path.write_bytes(flipped)
        assert read_sealed(path) is None
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read_sealed(path) is None


FULL_DISK = """
import resource, sys
import numpy as np
from npreslstm.files import atomic_write
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    with atomic_write(sys.argv[1], sys.argv[2]) as file:
        if sys.argv[2] == "w":
            file.write("x" * 100_000)
        else:
            np.savez(file, a=np.zeros(100_000))
except OSError as error:
    print(error.filename, error.strerror)
"""


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_full_disk_is_named_by_the_file(tmp_path, mode):
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "a"), mode], capture_output=True, text=True
    )
    assert done.stdout == f"{tmp_path / 'a'} File too large\n"
    assert done.stderr == "" or "ZipFile.__del__" in done.stderr  # before NumPy 2, np.savez leaves it open
    assert content(tmp_path) == {}


def test_a_folder_that_cannot_be_written_into_is_found_before_the_work(tmp_path):
    for check, path in (
        (check_output, "/proc/result"),
        (check_folder, "/proc"),
        (check_folder, "/proc/new/folder"),
    ):
        with pytest.raises(InputError, match=f"--output is {path}"):
            check("--output", path)
    check_output("--output", "/dev/stdout")
    check_folder("--plots", str(tmp_path / "new" / "folder"))
    assert content(tmp_path / "new" / "folder") == {}
