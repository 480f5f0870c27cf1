"""A recording of what is heard: WAV of 16 bits, one channel."""

import contextlib
import os
import wave

from npreslstm.errors import InputError
from npreslstm.files import atomic_write, check_output

LARGEST = (1 << 32) - (1 << 20)  # bytes that the header of a WAV can count


class Recorder:
    """Writes samples (n,) int16."""

    def __init__(self, path, file, rate):
        self._path, self._bytes = path, 0
        self._wave = wave.open(file, "wb")
        self._wave.setnchannels(1)
        self._wave.setsampwidth(2)
        self._wave.setframerate(rate)

    def write(self, pcm):
        """Add samples; InputError when a WAV can hold no more, OSError that names the file."""
        self._bytes += pcm.nbytes
        if self._bytes > LARGEST:
            raise InputError(f"{self._path}: 4 GB, and a WAV holds no more; it is kept")
        try:
            self._wave.writeframesraw(pcm.astype("<i2", copy=False).tobytes())
        except OSError as error:
            error.filename = self._path
            raise

    def close(self):
        """Put the length into the header."""
        self._wave.close()


@contextlib.contextmanager
def recorder(path, rate):
    """What writes a file that is there, whole, when the block ends; None for no path."""
    if path is None:
        yield None
        return
    with atomic_write(path) as file:
        with contextlib.closing(Recorder(path, file, rate)) as made:
            yield made


def check_recording(path, read=()):
    """Raise InputError, before anything is heard, if no WAV can be written there."""
    check_output("--record", path, read)
    if path is None:
        return
    if os.path.splitext(path)[1].lower() != ".wav" or (os.path.exists(path) and not os.path.isfile(path)):
        raise InputError(f"--record is {path}; expected the name of a file that ends in .wav")
