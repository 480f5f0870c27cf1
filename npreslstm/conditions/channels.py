"""Lines and files: telephone bands and companding, other sample rates, codecs."""

import io

import numpy as np
from numpy.typing import NDArray

from npreslstm.audio.resampling import resample
from npreslstm.conditions.filters import high_pass, low_pass, shape
from npreslstm.errors import InputError

TELEPHONE_RATE = 8000  # Hz
COMPANDING = ("mu-law", "a-law")
MU, A = 255.0, 87.6  # ITU-T G.711
# What libsndfile calls each codec, and the sample rates in Hz that it takes; at others sound is coded at the
# last of them.
CODECS = {
    "mp3": ("MP3", "MPEG_LAYER_III", (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
    "vorbis": ("OGG", "VORBIS", (8000, 11025, 16000, 22050, 32000, 44100, 48000)),
    "opus": ("OGG", "OPUS", (8000, 12000, 16000, 24000, 48000)),
}
LONGEST_DELAY = 0.1  # seconds, more than any of these encoders takes


def at_rate(y: NDArray[np.floating], rate: int, file_rate: int) -> NDArray[np.floating]:
    """A signal (n,) as it is after it was kept at another sample rate: nothing is left above half of that."""
    if file_rate == rate:
        return y
    return resample(resample(y, rate, file_rate), file_rate, rate)[: len(y)]


def telephone(y: NDArray[np.floating], rate: int, law: str) -> NDArray[np.floating]:
    """A telephone line: 300 to 3400 Hz, 8 kHz, eight bits by ITU-T G.711.

    Parameters
    ----------
    y : (n,) array
    rate : int
        Hz.
    law : {'mu-law', 'a-law'}

    Returns
    -------
    (n,) array
    """
    band = shape(y, rate, lambda f: high_pass(f, 300) * low_pass(f, 3400))
    narrow = resample(band, rate, TELEPHONE_RATE)
    heard = companded(np.clip(narrow, -1, 1), law)
    return resample(heard, TELEPHONE_RATE, rate)[: len(y)]


def companded(y: NDArray[np.floating], law: str) -> NDArray[np.floating]:
    """Samples in [-1, 1] rounded to 256 steps that are finer near zero (the continuous form of G.711)."""
    if law not in COMPANDING:
        raise InputError(f"companding is {law!r}; expected {' or '.join(COMPANDING)}")
    compress, expand = (_mu_compress, _mu_expand) if law == "mu-law" else (_a_compress, _a_expand)
    steps = np.round(compress(np.abs(y)) * 127) / 127
    return np.sign(y) * expand(steps)


def _mu_compress(x):
    return np.log1p(MU * x) / np.log1p(MU)


def _mu_expand(v):
    return np.expm1(v * np.log1p(MU)) / MU


def _a_compress(x):
    return np.where(x < 1 / A, A * x, 1 + np.log(np.maximum(A * x, 1))) / (1 + np.log(A))


def _a_expand(v):
    u = v * (1 + np.log(A))
    return np.where(u < 1, u, np.exp(u - 1)) / A


def coded(y: NDArray[np.floating], rate: int, codec: str, kbps: float) -> NDArray[np.floating]:
    """A signal (n,) encoded at a bit rate and decoded again, by libsndfile.

    Parameters
    ----------
    y : (n,) array
        In [-1, 1].
    rate : int
        Hz.
    codec : {'mp3', 'vorbis', 'opus'}
    kbps : float
        Bit rate in kbit/s; see `bit_rates`.

    Returns
    -------
    (n,) array

    Raises
    ------
    InputError
        If the codec is unknown, the bit rate out of its range, or soundfile or its libsndfile cannot write
        it.
    """
    if codec not in CODECS:
        raise InputError(f"codec is {codec!r}; expected one of {', '.join(CODECS)}")
    container, subtype, rates = CODECS[codec]
    coded_rate = rate if rate in rates else rates[-1]
    low, high = bit_rates(codec, coded_rate)
    if not low <= kbps <= high:
        raise InputError(f"{codec} at {kbps:g} kbit/s; expected {low} to {high} for sound at {coded_rate} Hz")
    sent = np.clip(resample(y, rate, coded_rate), -1, 1)
    received = _through_libsndfile(sent, coded_rate, container, subtype, (high - kbps) / (high - low))
    return _fit(resample(_without_delay(received, sent, coded_rate), coded_rate, rate), len(y))


def bit_rates(codec: str, rate: int) -> tuple[int, int]:
    """Lowest and highest kbit/s of a codec for one channel at a sample rate; those of Vorbis are what its
    qualities come to.
    """
    if codec == "mp3":
        return (32, 320) if rate >= 32000 else (8, 160)
    return (6, 256) if codec == "opus" else (30, 240)


def _through_libsndfile(y, rate, container, subtype, level):
    """Written to memory and read again; `level` is libsndfile's compression level, 0 to 1."""
    try:
        import soundfile
    except ImportError:
        raise InputError("codecs need soundfile: pip install soundfile") from None
    lacking = (
        f"soundfile {soundfile.__version__} with libsndfile {soundfile.__libsndfile_version__} cannot write"
        f" {subtype}"
    )
    if subtype not in soundfile.available_subtypes(container):
        raise InputError(f"{lacking}; expected soundfile 0.13 or newer")
    options = {"compression_level": min(level, 0.99)}  # libsndfile refuses 1.0 of MP3
    if container == "MP3":
        options["bitrate_mode"] = "CONSTANT"
    stream = io.BytesIO()
    try:
        with soundfile.SoundFile(stream, "w", rate, 1, subtype, format=container, **options) as file:
            file.write(y)
        stream.seek(0)
        return soundfile.read(stream, dtype="float64")[0]
    except (RuntimeError, TypeError) as error:  # TypeError: older ones know no compression level
        raise InputError(f"{lacking} ({error}); expected soundfile 0.13 or newer") from None


def _without_delay(received, sent, rate):
    """What a decoder gave, less the delay of the encoder, which shows in the correlation with
    what was sent.
    """
    size = 1 << (len(received) + len(sent)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(received, size) * np.conj(np.fft.rfft(sent, size)), size)
    delay = int(correlation[: round(LONGEST_DELAY * rate)].argmax())
    return received[delay:]


def _fit(y, n):
    """The first n samples, zeros where there are fewer."""
    return np.pad(y[:n], (0, max(0, n - len(y))))
