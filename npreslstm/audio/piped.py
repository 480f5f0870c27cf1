"""Sound from a pipe as it comes: WAV, or samples of 16 bits without a header."""

import struct

import numpy as np

from npreslstm.audio.containers import starts_file
from npreslstm.audio.containers.chunks import UNKNOWN
from npreslstm.audio.signal import check_sample_rate
from npreslstm.errors import InputError
from npreslstm.terminal import say

BLOCK = 0.1  # seconds
HEAD = 512  # bytes that are looked at
LONGER_HEAD = 4096  # the same, where they may be MPEG or AAC frames
LARGEST_CHUNK = 1 << 20  # bytes of what comes before the samples
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # formats of WAV
# what else samples without a header may be, where they are taken for 16 bits, little-endian: how to read
# them, and ffmpeg's name
OTHER_SAMPLES = {
    "big-endian": (lambda content: np.frombuffer(content, ">i2"), "s16be"),
    "of 24 bits": (lambda content: np.frombuffer(content, np.int8)[2::3], "s24le"),
    "like floats": (lambda content: np.frombuffer(content[: len(content) // 4 * 4], "<f4"), "f32le"),
    "of 32 bits": (lambda content: np.frombuffer(content[: len(content) // 4 * 4], "<i4"), "s32le"),
}
SMOOTH, ROUGH = 0.5, 1.0  # of `_roughness`: voices are below, noise and what is misread above
LOUD = 2000  # mean size of 16-bit samples: what is misread is louder
REMEDY = "convert it: ffmpeg -v error -i IN -ac 1 -ar 16000 -f wav - | npreslstm listen -"


class PipedSound:
    """Blocks of sound from a binary stream.

    Parameters
    ----------
    source : binary file
        Of WAV (PCM or floats), or of little-endian samples of 16 bits.
    rate, channels : int
        Of samples without a header.

    Attributes
    ----------
    name : str
    rate, channels : int
    overruns : int
        0: a pipe waits.

    Raises
    ------
    InputError
        If nothing comes, or text, or a file of another kind.

    Examples
    --------
    >>> import io
    >>> sound = PipedSound(io.BytesIO(bytes(4000)))
    >>> sound.rate, [len(block) for block in sound.blocks()]
    (16000, [1600, 400])
    """

    name, overruns = "-", 0

    def __init__(self, source, rate=16000, channels=1):
        self._source, self._ahead = source, b""
        self._left = None  # bytes of samples; None: until the end
        self.rate, self.channels = rate, channels
        self._kind, self._width = PCM, 2
        self._is_doubtful = False  # whether the samples may be others than they are taken for
        head = self._ahead = source.read(HEAD)
        if not head:
            raise InputError("-: nothing came through the pipe; expected WAV or samples of 16 bits")
        if _is_wave(head):
            self._read_header()
        else:
            if head[0] == 0xFF:
                self._ahead += source.read(LONGER_HEAD - HEAD)
            _refuse_others(self._ahead)
            self._is_doubtful = True
        check_sample_rate(self.rate, self.name)

    def blocks(self):
        """Arrays (n,) or (n, channels): int16, or floats where the WAV has another kind of samples."""
        yield from self._until_the_end()
        while self._left == 0 and self._another_wave():
            yield from self._until_the_end()
        if self._left:
            say(f"warning: -: cut short: {self._left} bytes of sound are missing")

    def _until_the_end(self):
        """Blocks up to where the WAV says that it ends, or to the end of the pipe."""
        frame = self._width * self.channels
        size = max(1, round(BLOCK * self.rate)) * frame
        while content := self._read(size if self._left is None else min(size, self._left)):
            if self._left is not None:
                self._left -= len(content)
            if rest := len(content) % frame:
                say(f"warning: -: the last sample is incomplete: {rest} of {frame} bytes")
            if samples := content[: len(content) - rest]:
                if self._is_doubtful:
                    self._doubt(samples)
                yield self._decoded(samples)

    def _doubt(self, content):
        """Warn once of samples that are noise as they are read, and a voice if read otherwise."""
        found = _other_kind(content)
        if found is None:
            return
        self._is_doubtful = False
        kind, name = found
        remedy = f"ffmpeg -v error -f {name} -ar {self.rate} -ac {self.channels} -i - -f wav -"
        say(
            f"warning: -: the samples look {kind}, and are heard as 16 bits, little-endian; convert them:"
            f" {remedy} | npreslstm listen -"
        )

    def _another_wave(self):
        """Whether a WAV of the same kind was joined to the one that has ended; what else follows is said."""
        after = self._read(12)
        while len(after) >= 8 and not _is_wave(after):
            name, size = struct.unpack_from("<4sI", after)
            if after[:1] == b"\0":  # the byte that fills up a sound of odd length
                after = after[1:] + self._read(1)
            elif name.isalnum() and size <= LARGEST_CHUNK:
                after = (after + self._read(max(0, 8 + size + size % 2 - 12)))[8 + size + size % 2 :]
                after += self._read(12 - len(after))
            else:
                break
        if not _is_wave(after):
            self._pass_over(after, "no sound that can be heard")
            return False
        self._ahead = after + self._ahead
        kind = self._kind, self._width, self.channels, self.rate
        self._read_header()
        if (self._kind, self._width, self.channels, self.rate) != kind:
            self._kind, self._width, self.channels, self.rate = kind
            self._left = None
            self._pass_over(after, "a WAV of another rate or kind")
            return False
        return True

    def _pass_over(self, content, what):
        """Read to the end, and say that it was not heard."""
        count = 0
        while content:
            count += len(content.strip(b"\0"))
            content = self._read(LARGEST_CHUNK)
        if count:
            say(f"warning: -: after the end of the WAV comes {what}: passed over")

    def _read(self, size):
        """The next `size` bytes; fewer at the end."""
        content, self._ahead = self._ahead[:size], self._ahead[size:]
        return content + self._source.read(size - len(content)) if len(content) < size else content

    def _exactly(self, size):
        content = self._read(size)
        if len(content) < size:
            raise InputError("-: the WAV ends within its header; expected samples")
        return content

    def _read_header(self):
        """Up to the first sample."""
        self._exactly(12)
        known = False
        while True:
            name, size = struct.unpack("<4sI", self._exactly(8))
            if name == b"data":
                break
            if size > LARGEST_CHUNK:
                raise InputError(f"-: a chunk of {size:,} bytes in the WAV's header: it is damaged")
            content = self._exactly(size + size % 2)
            if name == b"fmt ":
                self._take_format(content)
                known = True
        if not known:
            raise InputError("-: the WAV does not say what its samples are")
        # 0, or a very large number, is what a writer to a pipe puts where it does not know
        self._left = size if 0 < size < UNKNOWN[4] else None

    def _take_format(self, content):
        if len(content) < 16:
            raise InputError("-: the WAV's format is cut short")
        kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
        if kind == EXTENSIBLE and len(content) >= 26:
            kind = struct.unpack_from("<H", content, 24)[0]
        allowed = {PCM: (8, 16, 24, 32), FLOAT: (32, 64)}.get(kind, ())
        if bits not in allowed or channels == 0:
            raise InputError(
                f"-: a WAV of kind {kind}, {bits} bits, {channels} channels; expected PCM or floats: {REMEDY}"
            )
        self._kind, self._width, self.channels, self.rate = kind, bits // 8, channels, rate

    def _decoded(self, content):
        if self._kind == FLOAT:
            samples = np.frombuffer(content, f"<f{self._width}")
        elif self._width == 1:
            samples = (np.frombuffer(content, np.uint8).astype(np.int16) - 128) * 256
        elif self._width == 3:
            padded = np.zeros((len(content) // 3, 4), np.uint8)
            padded[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
            samples = padded.view("<i4")[:, 0]
        else:
            samples = np.frombuffer(content, f"<i{self._width}")
        samples = samples.astype(samples.dtype.newbyteorder("="))
        return samples if self.channels == 1 else samples.reshape(-1, self.channels)


def _other_kind(content):
    """What samples look like that are loud noise as 16 bits, little-endian: words, and ffmpeg's name."""
    samples = np.frombuffer(content, "<i2")
    if np.abs(samples.astype(np.int32)).mean() > LOUD and _roughness(samples) > ROUGH:
        for kind, (read, name) in OTHER_SAMPLES.items():
            if _roughness(read(content)) < SMOOTH:
                return kind, name
    return None


def _roughness(samples):
    """Mean size of a step over mean size: 0 where nothing moves, about 1.4 of white noise; infinite for
    numbers that are no samples.
    """
    with np.errstate(all="ignore"):  # of floats that are none
        x = samples.astype(np.float64)
        x -= x.mean()
        size = np.abs(x).mean()
        if not 0 < size < 2.0**32:
            return np.inf
        return np.abs(np.diff(x)).mean() / size


def _is_wave(head):
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def _refuse_others(head):
    """What is no samples is not heard as noise."""
    if starts_file(head):
        raise InputError(f"-: a sound file that is no WAV; expected WAV or samples of 16 bits: {REMEDY}")
    if len(head) > 1 and all(32 <= byte < 127 or byte in b"\t\n\r" for byte in head[:HEAD]):
        raise InputError("-: text; expected WAV or samples of 16 bits")
