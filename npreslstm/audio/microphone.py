"""The microphone, through sounddevice (the extra `live`) and PortAudio."""

import numpy as np

from npreslstm.audio.decimation import RATES
from npreslstm.errors import InputError

BLOCK = 0.1  # seconds
BUFFER = 0.5  # seconds that the system is asked to keep while a block is heard
PIPE = "or through a pipe: arecord -q -f S16_LE -r 16000 | npreslstm listen -"


def load_sounddevice():
    """The module; InputError that says what is missing."""
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise InputError(f"the microphone needs sounddevice: pip install 'npreslstm[live]'; {PIPE}") from None
    except OSError:
        raise InputError(
            "the microphone needs PortAudio: apt-get install libportaudio2, or brew install portaudio;"
            f" {PIPE}"
        ) from None
    return sounddevice


def list_devices():
    """One line for each device that records: its number, `>` at the default one, name, channels, rate.

    Raises
    ------
    InputError
        If sounddevice or PortAudio is missing, or there is no such device.
    """
    sounddevice = load_sounddevice()
    lines, default = [], sounddevice.default.device[0]
    for number, device in enumerate(sounddevice.query_devices()):
        if device["max_input_channels"] > 0:
            mark = ">" if number == default else " "
            channels, rate = device["max_input_channels"], device["default_samplerate"]
            lines.append(
                f"{mark} {number:2}  {_one_line(device['name'])}  ({channels} channels, {rate:.0f} Hz)"
            )
    if not lines:
        raise InputError(f"no device records; plug in a microphone, {PIPE}")
    return lines


class Microphone:
    """Blocks of sound from a device, one channel of 16 bits.

    Parameters
    ----------
    device : int or str, optional
        Number, or part of the name; default: the system's.

    Attributes
    ----------
    name : str
    rate : int
        The device's own if it is 16, 44.1 or 48 kHz, else one of these that it takes.
    overruns : int
        How many times sound was lost since it was not fetched in time.

    Raises
    ------
    InputError
        If there is no such device, or it takes none of these rates.
    """

    def __init__(self, device=None):
        self._sounddevice = sounddevice = load_sounddevice()
        try:
            about = sounddevice.query_devices(device, "input")
        except (ValueError, sounddevice.PortAudioError) as error:
            which = "no microphone" if device is None else f"--device is {device}: no such microphone"
            remedy = f"npreslstm listen --devices lists them; {PIPE}"
            raise InputError(f"{which} ({_one_line(error)}); {remedy}") from None
        self.name, self.overruns = _one_line(about["name"]), 0
        self._format = {"device": device, "channels": 1, "dtype": "int16"}
        self.rate = self._choose_rate(round(about["default_samplerate"]))

    def _choose_rate(self, own):
        """The first that the device takes of its own rate and the others."""
        complaint = None
        for rate in sorted(RATES, key=lambda rate: (rate != own, rate)):
            try:
                self._sounddevice.check_input_settings(samplerate=rate, **self._format)
            except self._sounddevice.PortAudioError as error:
                complaint = _one_line(error)
                continue
            return rate
        expected = " or ".join(f"{rate}" for rate in RATES)
        raise InputError(f"{self.name}: {complaint}; expected a microphone at {expected} Hz; {PIPE}")

    def blocks(self):
        """Arrays (n,) int16 without end."""
        size = round(BLOCK * self.rate)
        try:
            opened = self._sounddevice.RawInputStream(samplerate=self.rate, latency=BUFFER, **self._format)
            with opened as stream:
                while True:
                    content, overrun = stream.read(size)
                    self.overruns += bool(overrun)
                    yield np.frombuffer(content, np.int16).copy()
        except self._sounddevice.PortAudioError as error:
            raise InputError(f"{self.name} gives no sound: {_one_line(error)}") from None


def _one_line(text):
    return " ".join(str(text).split())
