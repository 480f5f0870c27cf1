"""`npreslstm listen`: pipes, a simulated microphone, a device of ALSA that is a file, a terminal, Ctrl-C."""

import contextlib
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import types
import wave
from pathlib import Path

import numpy as np
import pytest
from samples import voice, write_wav, write_weights

from npreslstm import cli
from npreslstm.audio.activity import as_pcm
from npreslstm.audio.config import FEATURE_CONFIGS
from npreslstm.checkpoint import load_checkpoint
from npreslstm.listening import Listener

ROOT = Path(__file__).parents[2]
SIGNAL = np.concatenate([np.zeros(8000, np.float32), voice(2.2, seed=1), np.zeros(36800, np.float32)])
PCM = as_pcm(SIGNAL)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_weights(tmp_path_factory.mktemp("weights") / "w.npz", features=FEATURE_CONFIGS["mcu"]))


@pytest.fixture(scope="module")
def expected(weights):
    """The events of `Listener`."""
    listener = Listener(load_checkpoint(weights), 16000)
    return [*listener.push(PCM), *listener.finish()]


@pytest.fixture
def listen(capsys, monkeypatch, weights):
    def run(*options, content=None):
        """Exit status, standard output, lines of standard error."""
        if content is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        status = cli.main(["listen", "--weights", weights, *map(str, options)])
        out, err = capsys.readouterr()
        return status, out, err.splitlines()

    return run


def wav_bytes(folder, signal, rate=16000):
    return write_wav(folder / "sound.wav", signal, rate).read_bytes()


def float_wav(signal):
    """A WAV of 32-bit floats (n,) or (n, channels)."""
    values = np.asarray(signal, "<f4")
    channels = 1 if values.ndim == 1 else values.shape[1]
    form = (16, 3, channels, 16000, 64000 * channels, 4 * channels, 32)
    head = struct.pack("<4sI8sIHHIIHH", b"RIFF", 36 + values.nbytes, b"WAVEfmt ", *form)
    return head + struct.pack("<4sI", b"data", values.nbytes) + values.tobytes()


def samples_of(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")


class TestPipe:
    @pytest.mark.parametrize("kind", ["pcm", "wav"])
    def test_json_lines_are_the_events_of_listener(self, listen, tmp_path, kind, expected):
        content = PCM.astype("<i2").tobytes() if kind == "pcm" else wav_bytes(tmp_path, PCM)
        status, out, err = listen("-", "--format", "jsonl", content=content)
        lines = [json.loads(line) for line in out.splitlines()]
        found = [event for line in lines for event in line["events"]]
        assert status == 0 and len(lines) == -(-len(PCM) // 16000)
        assert [event["kind"].upper() for event in found] == [event.kind.name for event in expected]
        for one, event in zip(found, expected, strict=True):
            assert one["time"] == round(event.hop * 0.032, 3)
            if event.label is not None:
                assert one["predicted"] == event.label
                values = list(one["probabilities"].values())
                np.testing.assert_allclose(values, event.probabilities, rtol=0, atol=5.1e-7)  # six decimals
        assert err == ["npreslstm: -: 5.0 s at 16000 Hz, 1 utterance, 0 overruns"]

    def test_csv_is_the_same(self, listen):
        content = PCM.astype("<i2").tobytes()
        _, csv, _ = listen("-", content=content)
        _, jsonl, _ = listen("-", "--format", "jsonl", content=content)
        header, *rows = [line.split(",") for line in csv.splitlines()]
        assert header == "start,end,state,level,overruns,calm,happy,sad,predicted".split(",")
        for row, line in zip(rows, map(json.loads, jsonl.splitlines()), strict=True):
            assert [float(row[0]), float(row[1]), row[2], row[-1]] == [
                line[name] for name in ("start", "end", "state", "predicted")
            ]
            assert float(row[3]) == (-np.inf if line["level"] is None else line["level"])
            if line["probabilities"]:
                assert list(map(float, row[5:8])) == list(line["probabilities"].values())
            else:
                assert row[5:8] == ["", "", ""]
        assert rows[-1][-1] == "silence"

    def test_joined_wavs_are_heard_one_after_the_other(self, listen, tmp_path):
        content = wav_bytes(tmp_path, SIGNAL[:16001])
        for between in (b"", b"LIST\4\0\0\0INFO"):
            status, _, err = listen("-", content=content + between + content)
            assert status == 0 and len(err) == 1 and "2.0 s at 16000 Hz" in err[0]

    def test_what_a_wav_lacks_or_has_after_its_end_is_said(self, listen, tmp_path):
        content = wav_bytes(tmp_path, SIGNAL[:16000])
        other = wav_bytes(tmp_path, SIGNAL[:48000], 48000)
        for given, words in (
            (content[:-100], "cut short: 100 bytes of sound are missing"),
            (content + other, "comes a WAV of another rate or kind"),
            (content + b"ID3 and more", "comes no sound that can be heard"),
            (content + bytes(100), None),
        ):
            status, _, err = listen("-", content=given)
            assert status == 0 and "1.0 s at 16000 Hz" in err[-1]
            assert len(err) == 1 if words is None else (len(err) == 2 and words in err[0])

    def test_all_that_was_heard_before_a_bad_sample_is_told(self, listen, weights):
        """The utterance that it breaks off ends as at the end of the sound."""
        bad = np.append(SIGNAL[:40000], np.float32(np.nan))
        status, out, err = listen("-", "--format", "jsonl", content=float_wav(bad))
        lines = [json.loads(line) for line in out.splitlines()]
        heard = round(lines[-1]["end"] * 16000)
        listener = Listener(load_checkpoint(weights), 16000)
        whole = [*listener.push(PCM[:heard]), *listener.finish()]
        found = [event["kind"].upper() for line in lines for event in line["events"]]
        assert found == [event.kind.name for event in whole] and found[-1] == "END"
        assert status == 2 and "NaN or infinite" in err[-1] and err[-2].endswith("1 utterance, 0 overruns")

    def test_floats_of_another_scale_are_said(self, listen):
        status, _, err = listen("-", content=float_wav(50 * SIGNAL))
        assert status == 0 and "of another scale than [-1, 1]: divide by their full scale" in err[0]

    def test_channels_that_cancel_are_said(self, listen):
        status, _, err = listen("-", content=float_wav(np.stack([SIGNAL, -SIGNAL], axis=1)))
        assert status == 0 and "the channels cancel each other" in err[0] and err[1].endswith("0 overruns")

    def test_sound_files_of_other_kinds_are_refused(self, listen):
        for name in ("complete.mp3", "joined.mp3", "cut.w64", "a.aac", "a.amr", "a.m4a", "chained.ogg"):
            status, out, err = listen("-", content=(ROOT / "tests/sounds" / name).read_bytes())
            assert status == 2 and not out and "a sound file that is no WAV" in err[0], name
        sounds = [b"NIST_1A\n   1024\n", b"Creative Voice File\x1a", b"FLV\1", b"RIFF\0\0\0\0AVI ", b"2BIT"]
        sounds += [bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), b"RF64\xff\xff\xff\xffWAVE"]
        for head in sounds:
            assert listen("-", content=head + bytes(8000))[0] == 2, head

    def test_quiet_noise_is_no_mpeg(self, listen):
        """Though it begins like a frame: -1, and a small number."""
        for seed in range(50):
            noise = np.random.default_rng(seed).integers(-30, 30, 8000).astype("<i2")
            noise[:2] = -1, -28
            assert listen("-", content=noise.tobytes())[0] == 0

    def test_a_rate_and_channels(self, listen):
        signal = voice(1.5, 48000, seed=4)
        stereo = np.stack([as_pcm(signal)] * 2, axis=1)
        options = ("-", "--rate", 48000, "--format", "jsonl")
        _, one, _ = listen(*options, content=as_pcm(signal).tobytes())
        _, other, err = listen(*options, "--channels", 2, content=stereo.tobytes())
        assert one == other and "1.5 s at 48000 Hz" in err[0]

    def test_seconds_count_sound_and_record_keeps_it(self, listen, tmp_path):
        path = tmp_path / "out.wav"
        content = PCM.astype("<i2").tobytes()
        status, out, err = listen("-", "--seconds", "1.25", "--record", path, content=content)
        assert status == 0 and out.splitlines()[-1].startswith("1.000,1.250,speech,")
        rate, samples = samples_of(path)
        assert rate == 16000 and err[0].endswith(f"0 overruns; recorded: {path}")
        np.testing.assert_array_equal(samples, PCM[:20000])

    def test_windows_that_overlap(self, listen, weights, tmp_path):
        """The events of `Listener`, in lines of the same form; the recording is what was heard."""
        pcm, path = as_pcm(np.resize(voice(2.5, seed=1), 13 * 16000)), tmp_path / "out.wav"
        listener = Listener(load_checkpoint(weights), 16000, overlap=4.96)
        told = [event for event in [*listener.push(pcm), *listener.finish()] if event.label is not None]
        options, content = ("-", "--format", "jsonl"), pcm.astype("<i2").tobytes()
        status, out, err = listen(*options, "--overlap", "4.96", "--record", path, content=content)
        _, apart, _ = listen(*options, content=content)
        lines, others = ([json.loads(line) for line in text.splitlines()] for text in (out, apart))
        found = [event for line in lines for event in line["events"] if "probabilities" in event]
        assert status == 0 and "1 utterance, 0 overruns; recorded: " in err[0]
        for one, event in zip(found, told, strict=True):
            assert one["time"] == round(event.hop * 0.032, 3) and one["predicted"] == event.label
            values = list(one["probabilities"].values())
            np.testing.assert_allclose(values, event.probabilities, rtol=0, atol=5.1e-7)  # six decimals
        np.testing.assert_array_equal(samples_of(path)[1], pcm)
        assert lines[:10] == others[:10] and lines[11] != others[11]  # a window is 9.92 s
        assert [list(line) for line in lines] == [list(line) for line in others]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (
                ["clip.wav"],
                "clip.wav is no pipe; expected - or nothing; for a file: npreslstm predict clip.wav",
            ),
            (["-", "--weights", "paper"], "sound still to come: .* the weights robust and mcu"),
            (["-", "--rate", "22050"], "rate of a stream is 22050; expected 16000, 44100, 48000"),
            (["-", "--rate", "0"], "--rate is 0"),
            (["-", "--seconds", "0"], "--seconds is 0"),
            (["-", "--overlap", "9.92"], "--overlap is 9.92; expected seconds from 0 to less than 9.92"),
            (["-", "--overlap", "-1"], "--overlap is -1"),
            (["-", "--overlap", "nan"], "--overlap is nan"),
            (["-", "--device", "2"], "--device is for the microphone"),
            (["--rate", "16000"], "for sound from a pipe"),
            (["-", "--record", "out.mp3"], "--record is out.mp3; expected .* .wav"),
            (["-", "--record", "no/out.wav"], "there is no folder no"),
        ],
    )
    def test_bad_use_is_one_line(self, listen, options, words):
        status, out, err = listen(*options, content=PCM.tobytes())
        assert status == 2 and out == "" and len(err) == 1 and re.search(words, err[0]), err

    @pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="standard input has no name there")
    def test_a_recording_onto_its_input_is_refused(self, weights, tmp_path):
        path = write_wav(tmp_path / "talk.wav", PCM)
        before = path.read_bytes()
        command = [sys.executable, "-m", "npreslstm", "listen", "-", "--weights", weights, "--record", path]
        with open(path, "rb") as file:
            run = subprocess.run(command, stdin=file, capture_output=True, cwd=ROOT)
        assert run.returncode == 2 and run.stdout == b"" and path.read_bytes() == before
        assert b"talk.wav, which is also to be read; give another name" in run.stderr

    def test_a_reader_that_goes_away_leaves_the_recording(self, weights, tmp_path):
        path = tmp_path / "out.wav"
        line = f"{sys.executable} -m npreslstm listen - --weights {weights} --record {path} | head -n 2"
        run = subprocess.run(["sh", "-c", line], input=PCM.tobytes(), capture_output=True, cwd=ROOT)
        assert run.stdout.count(b"\n") == 2 and b"Traceback" not in run.stderr
        assert len(samples_of(path)[1]) > 0


@pytest.mark.skipif(os.name == "nt", reason="signals are others there")
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_cleanly(weights, tmp_path, number, status):
    path = tmp_path / "out.wav"
    command = [sys.executable, "-m", "npreslstm", "listen", "-", "--weights", weights, "--record", str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        process.stdin.write(PCM[:40000].tobytes())
        process.stdin.flush()
        lines = [process.stdout.readline() for _ in range(3)]  # the header, and two seconds
        process.send_signal(number)  # while it waits for more
        out, err = process.communicate(timeout=60)
    assert process.returncode == status and lines[2].startswith(b"1.000,2.000,speech,")
    assert out.startswith(b"2.000,2.") and out.count(b"\n") == 1
    assert b"Traceback" not in err and b"; recorded: " in err
    samples = samples_of(path)[1]
    np.testing.assert_array_equal(samples, PCM[: len(samples)])
    assert len(samples) >= 32000


class FakePortAudio(types.ModuleType):
    """sounddevice with devices of which one plays PCM, and loses some of it."""

    class PortAudioError(Exception):
        pass

    def __init__(self, rates=(16000,), lost=(3, 17), fails_after=None):
        super().__init__("sounddevice")
        self.rates, self.lost, self.fails_after = rates, lost, fails_after
        self.default = types.SimpleNamespace(device=(1, 0))
        self.opened, self.closed = [], 0

    def query_devices(self, device=None, kind=None):
        devices = [
            {"name": "Speaker", "max_input_channels": 0, "default_samplerate": 48000.0},
            {"name": "Desk\nmicrophone", "max_input_channels": 2, "default_samplerate": 44100.0},
        ]
        if kind is None:
            return devices
        if device not in (None, 1, "Desk"):
            raise ValueError(f"No input device matching {device!r}")
        return devices[1]

    def check_input_settings(self, samplerate, **options):
        if samplerate not in self.rates:
            raise self.PortAudioError("Invalid sample rate")

    def RawInputStream(self, samplerate, latency, **options):
        self.opened.append((samplerate, options))
        return self._stream()

    @contextlib.contextmanager
    def _stream(self):
        at, count = 0, 0

        def read(size):
            nonlocal at, count
            count += 1
            if count == self.fails_after:
                raise self.PortAudioError("Device\nunavailable")
            part = np.resize(PCM[at % len(PCM) :], size)
            at += size
            return part.tobytes(), count in self.lost

        try:
            yield types.SimpleNamespace(read=read)
        finally:
            self.closed += 1


class TestMicrophone:
    def use(self, monkeypatch, **options):
        fake = FakePortAudio(**options)
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        return fake

    def test_overruns_are_counted(self, listen, monkeypatch):
        fake = self.use(monkeypatch)
        status, out, err = listen("--seconds", 3)
        rows = [line.split(",") for line in out.splitlines()[1:]]
        assert status == 0 and [row[4] for row in rows[:3]] == ["1", "2", "2"]
        assert err == ["npreslstm: Desk microphone: 3.0 s at 16000 Hz, 1 utterance, 2 overruns"]
        assert fake.opened == [(16000, {"device": None, "channels": 1, "dtype": "int16"})]
        assert fake.closed == 1

    def test_it_hears_what_a_pipe_would(self, listen, monkeypatch):
        self.use(monkeypatch, lost=())
        _, one, _ = listen("--seconds", 3, "--format", "jsonl", "--device", "Desk")
        content = PCM[:48000].tobytes()
        assert one == listen("-", "--format", "jsonl", content=content)[1]

    def test_its_own_rate_comes_first(self, listen, monkeypatch):
        for rates, chosen in (((16000, 44100, 48000), 44100), ((48000,), 48000)):
            fake = self.use(monkeypatch, rates=rates)
            assert listen("--seconds", 1, "--device", "1")[0] == 0
            assert fake.opened[0][0] == chosen

    def test_devices_are_listed(self, listen, monkeypatch):
        self.use(monkeypatch)
        assert listen("--devices") == (0, ">  1  Desk microphone  (2 channels, 44100 Hz)\n", [])

    def test_one_that_fails_leaves_what_it_gave(self, listen, monkeypatch, tmp_path):
        self.use(monkeypatch, fails_after=16)
        path = tmp_path / "out.wav"
        status, out, err = listen("--record", path)
        assert status == 2 and out.count("\n") == 3 and len(err) == 2  # the header, a second, and half of one
        assert out.splitlines()[-1].startswith("1.000,1.500,speech,")
        assert err[1] == "npreslstm: error: Desk microphone gives no sound: Device unavailable"
        np.testing.assert_array_equal(samples_of(path)[1], PCM[:24000])

    @pytest.mark.parametrize(
        ("options", "fake", "words"),
        [
            (["--device", "7"], {}, "--device is 7: no such microphone .*--devices lists them"),
            ([], {"rates": ()}, "Invalid sample rate; expected a microphone at 16000 or 44100 or 48000 Hz"),
        ],
    )
    def test_one_that_will_not_do(self, listen, monkeypatch, options, fake, words):
        self.use(monkeypatch, **fake)
        status, out, err = listen(*options)
        assert (status, out, len(err)) == (2, "", 1) and re.search(words, err[0]), err

    def test_what_is_missing_is_named(self, listen, monkeypatch):
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        status, out, [line] = listen()
        assert (status, out) == (2, "") and "pip install 'npreslstm[live]'" in line


@pytest.mark.oracle
def test_a_device_of_alsa_that_is_a_file(weights, tmp_path):
    """Such a device is not paced: it gives sound as fast as it is asked for."""
    pytest.importorskip("sounddevice", exc_type=ImportError)
    signal = as_pcm(voice(4.0, 44100, seed=5))
    (tmp_path / "clip.raw").write_bytes(signal.tobytes())
    device = f'type file slave.pcm "null" file "/dev/null" infile "{tmp_path}/clip.raw" format "raw"'
    (tmp_path / ".asoundrc").write_text(f"pcm.!default {{ {device} }}\n")
    command = [sys.executable, "-m", "npreslstm", "listen", "--weights", weights, "--seconds", "2.5"]
    command += ["--record", str(tmp_path / "out.wav")]
    environment = {**os.environ, "HOME": str(tmp_path)}
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)
    if "needs PortAudio" in run.stderr:
        pytest.skip("PortAudio is not installed: apt-get install libportaudio2")
    if "no microphone" in run.stderr:
        pytest.skip("PortAudio has no ALSA here")
    assert run.returncode == 0, run.stderr
    rate, samples = samples_of(tmp_path / "out.wav")
    assert rate == 44100
    np.testing.assert_array_equal(samples, signal[:110250])
    command = [sys.executable, "-m", "npreslstm", "listen", "-", "--weights", weights]
    piped = subprocess.run(command, input=(tmp_path / "out.wav").read_bytes(), capture_output=True, cwd=ROOT)
    assert piped.stdout.decode() == run.stdout and run.stdout.count("\n") == 4


class Terminal(io.StringIO):
    def isatty(self):
        return True


def screen(text):
    """The lines that a terminal shows in the end, and those that it showed at any time."""
    lines, seen = [], set()
    for up, line in re.findall(r"(?:\x1b\[(\d+)A)?\r\x1b\[J|([^\n]*)\n", text):
        if line or not up:
            lines += [line] if line else []
            seen.add(line)
        else:
            del lines[-int(up) :]
    return lines, seen


def test_bars_on_a_terminal(listen, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("LINES", "30")
    status, _, _ = listen("-", content=PCM.tobytes())
    text = terminal.getvalue()
    lines, seen = screen(text)
    assert status == 0 and len(lines) == 5
    assert [line.split()[2] for line in lines] == ["speech", "speech", "speech", "speech", "silence"]
    assert lines[-1].split()[0] == "5.0"
    for name in ("calm", "happy", "sad"):
        assert any(re.match(rf"  {name} +0\.\d{{3}}  ", line) for line in seen), name
    assert any(re.match(r"  level +█+", line) for line in seen)
    monkeypatch.setenv("LINES", "4")  # too low for bars
    terminal.truncate(0)
    listen("-", content=PCM.tobytes())
    assert "happy  " not in terminal.getvalue().replace("happy 0", "")
