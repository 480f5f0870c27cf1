"""The examples of the MicroPython port, and the tool that hears a corpus with it."""

import numpy as np
import pytest
from integer_sounds import RATE, ordinary
from micropython_runs import exported, program, run
from samples import write_wav

from npreslstm.errors import InputError
from npreslstm.integer_recognizer import IntegerRecognizer
from tools.accuracy import micropython as hear


def test_a_wav_file_gives_pythons_label(tmp_path):
    exported("mcu", tmp_path)
    pcm = ordinary()["speech"]
    write_wav(tmp_path / "clip.wav", pcm / 32768, RATE)
    result = IntegerRecognizer("mcu").process_file(tmp_path / "clip.wav")
    status, output = run(
        tmp_path, "-c", "import sys; sys.path.append('examples')\nimport wav; wav.classify('clip.wav')"
    )
    label, *rows = output.splitlines()
    assert status == 0 and label == result.label
    percent = {row.split()[0]: int(row.split()[1]) for row in rows}
    assert percent == {name: int(100 * p + 0.5) for name, p in result.probabilities.items()}


def test_a_wav_file_of_another_rate_is_refused(tmp_path):
    exported("mcu", tmp_path)
    write_wav(tmp_path / "clip.wav", ordinary()["speech"] / 32768, 8000)
    code = "import sys; sys.path.append('examples')\nimport wav; wav.classify('clip.wav')"
    status, output = run(tmp_path, "-c", code)
    assert status == 1
    assert output.splitlines()[-1] == (
        "ValueError: the file is not 16-bit mono at 16000 Hz: convert it with sox or ffmpeg"
    )


def test_wav_files_that_are_none_are_one_line(tmp_path):
    """Cut after each byte of what comes before the samples, and with chunks that say more than there is."""
    exported("mcu", tmp_path)
    write_wav(tmp_path / "clip.wav", ordinary()["speech"][:600] / 32768, RATE)
    code = r"""
import sys
sys.path.append("examples")
import wav
data = open("clip.wav", "rb").read()
at = data.find(b"data")
def said(damaged):
    with open("bad.wav", "wb") as file:
        file.write(damaged)
    try:
        wav.classify("bad.wav")
    except ValueError as error:
        return str(error)
ends = "the file ends before its samples: copy it again"
for n in range(at + 8):
    message = said(data[:n])
    assert message.startswith("no WAV file") or message == ends, (n, message)
assert said(data[:-2]) == "bad.wav ends 2 bytes before its end: copy it again"
assert said(data[:12] + b"LIST\xff\xff\xff\x7f" + data[12:]) == ends
assert said(data[:12] + data[at:]).startswith("the file is not 16-bit mono at 16000 Hz")
print("all")
"""
    status, output = run(tmp_path, "-c", code)
    assert (status, output) == (0, "all\n"), output


def test_the_microphone_example_hears_a_stand_in(tmp_path):
    """The class of machine.I2S by its documentation: `readinto` fills a buffer and gives its bytes."""
    exported("mcu", tmp_path)
    (tmp_path / "pcm").write_bytes(np.tile(ordinary()["speech"], 5)[: 94 * 512].tobytes())
    (tmp_path / "machine.py").write_text(
        "class Pin:\n    def __init__(self, name): pass\n"
        "class I2S:\n    RX = MONO = 0\n"
        "    def __init__(self, number, **options): self.file = open('pcm', 'rb')\n"
        "    def readinto(self, block): return self.file.readinto(block)\n"
        "    def deinit(self): print('closed')\n"
    )
    status, output = run(
        tmp_path, "-c", "import sys; sys.path.append('examples')\nimport i2s; i2s.listen(windows=1)"
    )
    quantized = IntegerRecognizer("mcu")
    assert status == 0 and output.splitlines()[1] == "closed"
    assert output.split()[0] in quantized.checkpoint.classes


def test_a_label_is_numpys_on_speech(ravdess, capsys):
    """Three of the clips that docs/micropython.md counts; the tool hears all of them."""
    assert hear.main([str(ravdess), "--every", "120", "--micropython", program("micropython")]) is None
    output = capsys.readouterr().out
    assert "clips: 3\n" in output and "of them different: 0\nclips with the same label: 3\n" in output


def test_the_tool_says_what_is_missing(ravdess):
    with pytest.raises(InputError, match="there is no 'absent'; expected MicroPython's Unix port"):
        hear.main([str(ravdess), "--every", "300", "--micropython", "absent"])
