"""Signals end a program by an exception, also while libsndfile calls back into Python."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import samples

from npreslstm.signals import ended_by_exceptions

WAIT = 120  # seconds for which the program goes on if nothing ends it

# A clip that is a file object, in whose first read the signal comes; nothing else would end the program so.
CODE = """
import signal, sys, time
import soundfile
from npreslstm.cli import guarded

class Clip:
    def __init__(self, path):
        self.file, self.raised = open(path, "rb"), False
    def seek(self, *place):
        return self.file.seek(*place)
    def tell(self):
        return self.file.tell()
    def read(self, size=-1):
        if not self.raised:
            self.raised = True
            signal.raise_signal(int(sys.argv[2]))
        return self.file.read(size)

def run():
    soundfile.read(Clip(sys.argv[1]))
    time.sleep(float(sys.argv[3]))
    print("the signal was lost")

sys.exit(guarded(run))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_c_calls_python_is_not_lost(tmp_path, number, status):
    samples.write_wav(tmp_path / "clip.wav", samples.voice())
    command = [sys.executable, "-c", CODE, str(tmp_path / "clip.wav"), str(int(number)), str(WAIT)]
    # A shell starts background jobs with SIGINT ignored, which children inherit.
    restore = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=restore)
    assert time.monotonic() - started < WAIT / 2
    assert (done.returncode, done.stdout) == (status, "")
    assert "Exception ignored" not in done.stderr


def test_handlers_are_given_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with ended_by_exceptions():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_who_uses_a_signal_keeps_it():
    mine = lambda number, frame: None  # noqa: E731
    before = signal.signal(signal.SIGTERM, mine)
    try:
        with ended_by_exceptions():
            assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_leave_signals_alone():
    seen = []

    def run():
        with ended_by_exceptions():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
