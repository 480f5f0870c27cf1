"""Hostile .pt files: each is refused with one clear line, in a process that watches what the reader does.

The process records every audited event (imports, file access, calls of eval, os.system and so on), its peak
memory and its time. `pytest -rP -k refused tests/formats/test_torch_pt_hostile.py` prints both and the
message for each file.
"""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_files import (
    HOOKS,
    PROTO,
    STOP,
    call,
    dictionary,
    integers,
    record,
    storage,
    tensor,
    text,
    torch_file,
    zip_bytes,
)
from torch_hostile_files import FILES, HONEST, SAYS

from npreslstm.errors import InputError
from npreslstm.formats.closed_pickle import Vocabulary, load
from npreslstm.formats.torch_pt import read_torch

MEMORY = 100e6  # bytes, of the whole process, Python and NumPy included (about 30e6)
SECONDS = 5  # of processor time; far above what docs/formats.md states, since tests run on slow machines

# Reads each file named on its standard input in a forked child, which prints what happened. Peak memory is
# that of the whole process: what the parent holds after its imports, and what the child adds. Linux tells
# both; elsewhere getrusage gives an upper bound.
WATCHER = """
import json, os, resource, signal, sys, time
from npreslstm.errors import InputError
from npreslstm.formats.torch_pt import read_torch

def memory(field):
    try:
        with open("/proc/self/status") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith(field))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def read(path, base):
    signal.alarm(60)
    events, watching, start_memory = [], True, memory("VmRSS")

    def listen(event, arguments):
        if watching and event != "builtins.id":
            events.append([event, str(arguments[:1])[:500]])

    sys.addaudithook(listen)
    start = time.process_time()
    try:
        outcome = ["read", type(read_torch(path)).__name__]
    except InputError as error:
        outcome = ["refused", str(error)]
    seconds, watching = time.process_time() - start, False
    peak = base + max(memory("VmHWM") - start_memory, 0)
    print(json.dumps({"outcome": outcome, "seconds": seconds, "peak": peak, "events": events}), flush=True)

base = memory("VmRSS")
for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            read(line.rstrip("\\n"), base)
        finally:
            os._exit(0)
    if os.waitpid(child, 0)[1]:
        died = {"outcome": ["died", "of a signal"], "seconds": 60, "peak": 0, "events": []}
        print(json.dumps(died), flush=True)
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the watcher forks")


@pytest.fixture(scope="module")
def watch():
    """Function of a path: {'outcome': ['read' or 'refused', ...], 'seconds', 'peak' in bytes, 'events'}."""
    with subprocess.Popen(
        [sys.executable, "-c", WATCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as watcher:

        def ask(path):
            print(path, file=watcher.stdin, flush=True)
            return json.loads(watcher.stdout.readline())

        yield ask
        watcher.stdin.close()


EVIL = {
    "posix.system": "touch {}",
    "builtins.eval": "open({!r}, 'w')",
    "builtins.exec": "open({!r}, 'w')",
    "subprocess.getoutput": "touch {}",
}


@pytest.mark.parametrize("kind", FILES)
def test_refused(tmp_path, watch, kind):
    path = tmp_path / "hostile.pt"
    path.write_bytes(FILES[kind])
    seen = watch(path)
    outcome, message = seen["outcome"]
    print(
        f"{1e3 * seen['seconds']:6.1f} ms  {seen['peak'] / 1e6:5.1f} MB  {kind}:"
        f" {message.removeprefix(str(path))}"
    )
    assert outcome == "refused"
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < len(str(path)) + 350
    assert SAYS.get(kind, "") in message
    assert seen["peak"] < MEMORY and seen["seconds"] < SECONDS
    assert [event for event in seen["events"] if event[0] != "open" or str(path) not in event[1]] == []


def test_a_gigabyte_of_pickle_is_not_even_read(tmp_path, watch):
    hole = 2**30
    lie = record("archive/data.pkl", central_size=hole, local_size=hole, crc=0)
    data = zip_bytes([HONEST[1], HONEST[3], lie])
    directory = data.index(b"PK\x01\x02")
    data = zip_bytes([HONEST[1], HONEST[3], lie], offset=directory + hole)
    path = tmp_path / "hostile.pt"
    with open(path, "wb") as file:
        file.write(data[:directory])
        file.seek(hole, os.SEEK_CUR)  # zeros that take no room on disk
        file.write(data[directory:])
    seen = watch(path)
    assert seen["outcome"][0] == "refused" and f"'data.pkl' has {hole} bytes" in seen["outcome"][1]
    assert seen["peak"] < MEMORY and seen["seconds"] < SECONDS


@pytest.mark.parametrize("called", EVIL)
def test_a_canary_survives_what_python_would_run(tmp_path, watch, called):
    """The same pickle makes the canary file when Python's own unpickler reads it, so the trap works; ours
    leaves it alone.
    """
    canary, path = tmp_path / "canary", tmp_path / "hostile.pt"
    program = call(called, text(EVIL[called].format(str(canary))))
    path.write_bytes(torch_file(program))
    assert watch(path)["outcome"][0] == "refused"
    assert not canary.exists()
    unpickle = "import pickle, sys; pickle.loads(bytes.fromhex(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", unpickle, (PROTO + program + STOP).hex()], check=True, timeout=60)
    assert canary.exists()


def test_the_watcher_reads_an_honest_file(tmp_path, watch):
    """Otherwise all files would be refused for a reason of the watcher's own."""
    path = tmp_path / "honest.pt"
    path.write_bytes(zip_bytes(HONEST))
    assert watch(path)["outcome"] == ["read", "dict"]


def test_state_that_is_set_on_a_dictionary_is_dropped(tmp_path):
    path = tmp_path / "state.pt"
    path.write_bytes(torch_file(HOOKS + dictionary({"__class__": text("x"), "keys": text("y")}) + b"b"))
    assert type(read_torch(path)) is dict and read_torch(path) == {}


# --- random programs ---

NAMES = [
    b"collections\nOrderedDict\n",
    b"torch._utils\n_rebuild_tensor_v2\n",
    b"torch\nSize\n",
    b"torch\nFloatStorage\n",
    b"torch\nfloat32\n",
]
PIECES = [
    *(bytes([code]) for code in b"N\x88\x89)]}(t\x85\x86\x87aesuRbQ"), *(b"c" + line for line in NAMES),
    b"K\x01", b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"\x8a\x09" + b"\x00" * 8 + b"\x01",
    text("storage"), text("0"), storage(), tensor(), integers([2, 3]), integers([3, 1]),
]  # fmt: skip
PLAIN = (dict, list, tuple, set, str, bytes, bool, int, float, complex, type(None), np.ndarray)


def assert_plain(value):
    assert type(value) in PLAIN
    for item in (
        [*value, *value.values()]
        if type(value) is dict
        else value
        if type(value) in (list, tuple, set)
        else ()
    ):
        assert_plain(item)


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_random_programs_are_read_as_plain_data_or_refused(tmp_path_factory, pieces):
    path = tmp_path_factory.getbasetemp() / "random.pt"
    path.write_bytes(torch_file(b"".join(pieces)))
    try:
        assert_plain(read_torch(path))
    except InputError as error:
        assert str(error).isprintable()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@settings(max_examples=20)
@given(TREES)
def test_plain_data_that_python_pickles_is_read_back(value):
    vocabulary = Vocabulary({}, {}, str, None, ())
    assert load(pickle.dumps(value, protocol=2), vocabulary, 2**20) == value


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_file_stays_open(tmp_path):
    path = tmp_path / "hostile.pt"
    path.write_bytes(FILES["eval"])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        with pytest.raises(InputError):
            read_torch(path)
    assert len(os.listdir("/proc/self/fd")) == before
