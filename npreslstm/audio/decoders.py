"""What turns the bytes of a file into samples: libsndfile, the standard library for PCM WAV, FFmpeg's
libraries for the rest.

All have ``samplerate``, ``channels``, ``frames``, ``subtype``, ``read(count)`` and ``close()``, the part of
soundfile.SoundFile's interface that `npreslstm.audio.reader` uses, and raise InputError for what they cannot
read.
"""

import functools
import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from npreslstm.audio.containers import ENDLESS, Data, Part, Pcm
from npreslstm.audio.suffixes import MEDIA_SUFFIXES
from npreslstm.errors import InputError

FOREVER = 2**63 - 1  # as libsndfile counts what has no end
CHECKED = ("HTK",)  # formats without a walker whose length libsndfile checks itself
FORMATS = (  # that FFmpeg may find: none that names other files or hosts
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,aac,amr,ac3,eac3,dts,ape,wv,tta,mpc,mpc8,"
    "rm,avi,flv,mpeg,mpegts,ogg,wav,caf,aiff,w64,mp3,voc"
)


class View(io.RawIOBase):
    """A part of a file as a file of its own, patched; to libsndfile, which asks for its size, it may seem to
    have no end.
    """

    def __init__(self, data: Data, part: Part, endless: bool = False) -> None:
        self._data, self._part = data, part
        self._stop = (part.stop if part.shown is None else part.shown) - part.start
        self._size = FOREVER if endless else self._stop
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(offset + (0, self._at, self._size)[whence], 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._stop - self._at)
        if count <= 0:
            # where libsndfile looks for a tag at the end of what seems to have none
            beyond = self._size == FOREVER and self._at > FOREVER // 2
            zeros = bytes(len(buffer) if beyond else 0)
            buffer[: len(zeros)] = zeros
            return len(zeros)
        start = self._part.start + self._at
        content = bytearray(self._data.at(start, count))
        for offset, patch in self._part.patches:
            for place in range(max(offset, start), min(offset + len(patch), start + len(content))):
                content[place - start] = patch[place - offset]
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def open_part(data: Data, part: Part, path: str | None) -> Any:
    """The decoder of a part; `path` where the file can be opened by its name, which is faster."""
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the package is there, libsndfile is not
        return MediaFile(data, part) if part.media else WaveFile(data, part)
    if part.media:
        return MediaFile(data, part)
    estimated = part.frames is not None  # libsndfile counts the frames of what seems to have no end
    # some decoders take all that the file has after its header for sound
    alone = part.start == 0 and part.stop == data.size
    plain = path is not None and alone and not part.patches and part.shown is None and not estimated
    try:
        if plain:
            # as text it refuses names that are not UTF-8
            file = _forward(soundfile)(path if os.name == "nt" else os.fsencode(path))
        else:
            file = _forward(soundfile)(View(data, part, estimated))
    except (RuntimeError, TypeError):
        # soundfile's errors are RuntimeErrors, in 0.10 no more than that; TypeError: a headerless
        # format, such as .raw, needs to be described
        return MediaFile(data, part)
    if not part.known and file.format not in CHECKED:
        data.remarks.append(ENDLESS)
    if estimated and file.frames != part.frames:
        file.close()
        raise data.unreadable(
            "it does not say how long it is, and the decoder makes another length of it than its frames"
        )
    return file


@functools.cache
def _forward(soundfile: Any) -> type:
    """A SoundFile that is read from beginning to end: after every read, soundfile seeks to where it is, which
    decoders take their time for.
    """

    class Forward(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    return Forward


class WaveFile:
    """PCM WAV by the standard library alone."""

    subtype = "PCM_"

    def __init__(self, data: Data, part: Part) -> None:
        pcm = part.pcm
        if pcm is None:
            raise InputError(
                f"{data.name}: without soundfile only PCM WAV can be read: pip install soundfile"
            )
        _check_pcm(data, pcm)
        self._data, self._pcm, self._at = data, pcm, 0
        self.samplerate, self.channels = pcm.rate, pcm.channels
        self.frames = (pcm.stop - pcm.start) // pcm.frame

    def close(self) -> None:
        """Nothing is held."""

    def read(self, count: int, dtype: str) -> np.ndarray:
        """Up to `count` frames, (n,) or (n, channels)."""
        count = min(count, self.frames - self._at)
        content = self._data.at(self._pcm.start + self._at * self._pcm.frame, count * self._pcm.frame)
        self._at += count
        # the file may have got shorter meanwhile
        content = content[: len(content) // self._pcm.frame * self._pcm.frame]
        signal = _pcm_to_float(content, self._pcm.bits // 8).astype(dtype, copy=False)
        return signal if self.channels == 1 else signal.reshape(-1, self.channels)


def _check_pcm(data: Data, pcm: Pcm) -> None:
    if pcm.form != 1:
        raise InputError(
            f"{data.name}: without soundfile only PCM WAV can be read (its form is {pcm.form}): pip install"
            " soundfile"
        )
    if pcm.bits not in (8, 16, 24, 32) or pcm.channels < 1 or pcm.frame != pcm.channels * pcm.bits // 8:
        raise InputError(
            f"{data.name}: {pcm.bits} bits a sample, {pcm.channels} channels, {pcm.frame} bytes; expected 8,"
            " 16, 24 or 32 bits"
        )


def _pcm_to_float(content: bytes, width: int) -> np.ndarray:
    """Little-endian PCM bytes to float32 in [-1, 1); 8-bit WAV is unsigned, the others signed.

    Scaled in place: float64 in between would take twice the memory, and change no bit.
    """
    if width == 1:
        signal = np.frombuffer(content, np.uint8).astype(np.float32)
        signal -= 128
        signal /= 128
        return signal
    if width == 3:
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        # into the upper three bytes: the sign comes along
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        integers, width = wide.view("<i4")[:, 0], 4
    else:
        integers = np.frombuffer(content, f"<i{width}")
    signal = integers.astype(np.float32)
    signal /= 2.0 ** (8 * width - 1)
    return signal


class MediaFile:
    """The first sound track of whatever FFmpeg's libraries know, through PyAV; decoded twice, since only that
    tells the length.
    """

    subtype = ""

    def __init__(self, data: Data, part: Part) -> None:
        try:
            import av
        except ImportError:
            raise _not_readable(data, part, False) from None
        self._data, self._part, self._av = data, part, av
        if not part.known:
            data.remarks.append(ENDLESS)
        self.samplerate, self.channels, self.frames = 0, 0, 0
        for block, rate in self._blocks():
            self.samplerate, self.channels = rate, block.shape[1]
            self.frames += len(block)
        self._decoded = self._blocks()
        self._held = np.zeros((0, max(self.channels, 1)), np.float32)

    def close(self) -> None:
        """End the decoder."""
        self._decoded.close()

    def read(self, count: int, dtype: str) -> np.ndarray:
        """Up to `count` frames, (n,) or (n, channels)."""
        blocks, held = [self._held], len(self._held)
        while held < count and (decoded := next(self._decoded, None)) is not None:
            blocks.append(decoded[0])
            held += len(decoded[0])
        whole = np.concatenate(blocks)
        signal, self._held = whole[:count].astype(dtype, copy=False), whole[count:]
        return signal[:, 0] if self.channels == 1 else signal

    def _blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Pieces of the sound (n, channels) float32, and their rate."""
        kind = None
        try:
            with self._av.open(
                View(self._data, self._part), options={"format_whitelist": FORMATS}
            ) as container:
                if not container.streams.audio:
                    raise InputError(f"{self._data.name}: no sound in it; expected a sound track")
                resampler = self._av.AudioResampler(format="fltp")
                for frame in container.decode(audio=0):
                    found = frame.sample_rate, frame.layout.nb_channels
                    if kind not in (None, found):
                        raise self._data.unreadable(f"its rate and channels change from {kind} to {found}")
                    kind = found
                    for piece in resampler.resample(frame):
                        yield piece.to_ndarray().T, frame.sample_rate
        except self._av.error.FFmpegError as error:
            if kind is None:
                raise _not_readable(self._data, self._part, True) from None
            raise InputError(f"{self._data.name}: broken sound file: {error.strerror}") from None


def _not_readable(data: Data, part: Part, installed: bool) -> InputError:
    if installed or not (part.media or part.known or data.name.lower().endswith(MEDIA_SUFFIXES)):
        return InputError(f"{data.name}: not a sound file that can be read; expected FLAC, WAV or OGG")
    return InputError(
        f"{data.name}: not a sound file that can be read without FFmpeg: pip install 'npreslstm[media]', or"
        f" {data.remedy}"
    )
