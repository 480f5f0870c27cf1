"""Sound files: read whole or in blocks, found in folders."""

import contextlib
import glob
import os
import sys
import wave

import numpy as np

from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import check_memory, check_sample_rate, check_samples, to_mono
from npreslstm.errors import InputError

__all__ = ["AUDIO_SUFFIXES", "find_audio", "open_audio", "read_audio", "resample", "to_mono"]

MAX_SAMPLES = 1 << 40  # of a channel: more is no recording, but a header that does not know
AUDIO_SUFFIXES = (".flac", ".wav", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")


def read_audio(path):
    """Read a sound file.

    FLAC, WAV, OGG and whatever else libsndfile knows, through soundfile; PCM WAV of 8, 16, 24 or 32 bits through
    the standard library where soundfile is not installed.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    signal : np.ndarray [shape=(n,) or (n, channels), dtype=float32]
        Samples; full scale of an integer format is [-1, 1).
    sample_rate : int
        In Hz.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If the file is empty, not audio, cut short, without samples, or holds NaN or infinite samples, if its rate
        is below 1 kHz or above 1 MHz, or if it is small and its samples are many, as of hours of silence.
    """
    path = os.fspath(path)
    with open_audio(path) as file:
        check_memory(path, 4 * file.frames * file.channels, "its samples")
        signal = _read(file, path, -1)
        sample_rate = file.samplerate
    check_samples(signal, path)
    return signal, sample_rate


@contextlib.contextmanager
def open_audio(path):
    """Open a sound file to be read in pieces; errors as of `read_audio`.

    Parameters
    ----------
    path : str or os.PathLike

    Yields
    ------
    file
        With ``samplerate``, ``channels`` and ``frames``; pass it to `read_blocks`.
    """
    path = os.fspath(path)
    check_file(path)
    with _open(path) as file:
        check_sample_rate(file.samplerate, path)
        if file.frames == 0:
            raise InputError(f"{path}: no samples")
        if file.frames >= MAX_SAMPLES:  # libsndfile says 2^63 - 1 of a FLAC that was written to a pipe
            raise InputError(f"{path}: it does not say how long it is; write it to a file once more")
        yield file


def read_blocks(file, path, size):
    """Pieces of an opened file, (size,) or (size, channels) float32, the last one maybe shorter."""
    left = file.frames
    while left > 0:
        block = _read(file, path, min(size, left))
        check_samples(block, path)
        left -= len(block)
        yield block


def find_audio(paths):
    """Sound files behind files, folders (searched through and through) and glob patterns.

    Parameters
    ----------
    paths : iterable of str or os.PathLike

    Returns
    -------
    list of str
        In the order of `paths`; sorted within a folder or pattern; each file once.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    InputError
        If a folder holds no sound file, or a pattern matches nothing.
    """
    found = {}
    for path in map(os.fspath, paths):
        found.update(dict.fromkeys(_expand(path)))
    return list(found)


def _expand(path):
    if os.path.isdir(path):
        inside = [os.path.join(folder, name) for folder, names in walk(path) for name in names]
        matches = sorted(name for name in inside if name.lower().endswith(AUDIO_SUFFIXES))
        if not matches:
            raise InputError(f"{path}: a folder without sound files; expected some of {' '.join(AUDIO_SUFFIXES)}")
        return matches
    if os.path.exists(path):
        return [path]
    if not glob.has_magic(path):
        raise FileNotFoundError(f"{path}: no such file")
    matches = sorted(name for name in glob.glob(path, recursive=True) if os.path.isfile(name))
    if not matches:
        raise InputError(f"{path}: no file matches this pattern")
    return matches


def walk(path):
    """Yield (folder, sorted names of its files) of a folder and all in it, those behind symbolic links included, each once."""
    seen = set()
    for folder, folders, names in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders.sort(key=lambda name: (os.path.islink(os.path.join(folder, name)), name))  # beside its link, a folder goes by its own name
        yield folder, sorted(names)


def check_file(path):
    """Raise FileNotFoundError or InputError unless there is a file, with content, that may be read."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such file")
    if not os.path.isfile(path):
        raise InputError(f"{path}: not a file; expected FLAC, WAV or OGG")
    if os.path.getsize(path) == 0:
        raise InputError(f"{path}: an empty file (0 bytes); expected FLAC, WAV or OGG")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: no permission to read it")


def _open(path):
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the package is there, libsndfile is not
        return _WaveFile(path)
    try:
        return soundfile.SoundFile(path if os.name == "nt" else os.fsencode(path))  # as text it refuses names that are not UTF-8
    except (soundfile.SoundFileError, TypeError):  # TypeError: a headerless format, such as .raw, needs to be described
        raise InputError(f"{path}: not a sound file that can be read; expected FLAC, WAV or OGG") from None


def _read(file, path, count):
    """Read `count` frames, or all for -1; InputError if the file has fewer than it says."""
    expected = file.frames if count < 0 else count
    try:
        block = file.read(count, dtype="float32")
    except MemoryError:
        raise InputError(f"{path}: {expected} samples are too many for the memory; cut it, or read it in blocks") from None
    except (RuntimeError, ValueError) as error:  # soundfile's own are RuntimeErrors
        raise InputError(f"{path}: broken sound file: {str(error).rstrip('.')}") from None
    if len(block) < expected:
        raise InputError(f"{path}: cut short: {expected - len(block)} of {file.frames} samples are missing")
    return block


class _WaveFile:
    """PCM WAV by the standard library alone, with the part of soundfile.SoundFile's interface that is used here."""

    def __init__(self, path):
        try:
            self._file = wave.open(path, "rb")
        except (wave.Error, EOFError, RuntimeError) as error:  # RuntimeError: a chunk that claims to be longer than the file
            reason = str(error) or "it ends too early"
            raise InputError(f"{path}: without soundfile only PCM WAV can be read ({reason}): pip install soundfile") from None
        self._width = self._file.getsampwidth()
        self.samplerate, self.channels, self.frames = self._file.getframerate(), self._file.getnchannels(), self._file.getnframes()
        if self._width not in (1, 2, 3, 4):
            self._file.close()
            raise InputError(f"{path}: {8 * self._width} bits a sample; expected 8, 16, 24 or 32")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()

    def read(self, count, dtype):
        data = self._file.readframes(self.frames if count < 0 else count)
        size = self._width * self.channels
        signal = _pcm_to_float(data[: len(data) // size * size], self._width)  # a cut file may end inside a frame
        return signal.astype(dtype, copy=False) if self.channels == 1 else signal.reshape(-1, self.channels)


def _pcm_to_float(data, width):
    """PCM in the machine's byte order, as `wave` gives it, to float32 in [-1, 1); 8-bit WAV is unsigned, the others signed."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    little = sys.byteorder == "little"
    order = "<" if little else ">"
    if width == 3:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        upper = slice(1, 4) if little else slice(0, 3)  # the three bytes that hold the sign
        wide[:, upper] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view(f"{order}i4")[:, 0] / 2.0**31).astype(np.float32)
    return (np.frombuffer(data, f"{order}i{width}") / 2.0 ** (8 * width - 1)).astype(np.float32)
