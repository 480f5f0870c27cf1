"""Condition: one way a recording can come about, as a list of what happens to the waveform, in the order in
which it happens.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npreslstm.conditions.channels import CODECS, COMPANDING, at_rate, coded, telephone
from npreslstm.conditions.ends import pad, trim
from npreslstm.conditions.filters import convolve, high_pass, low_pass, shape, tilt
from npreslstm.conditions.levels import active_level, amplify, converted, to_peak
from npreslstm.conditions.noise import KINDS, add_noise, make_noise
from npreslstm.conditions.rooms import room_response
from npreslstm.errors import InputError


class Sources(NamedTuple):
    """Recordings that noises are made of, all at one rate: other people's voices, and backgrounds without
    speech.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sources = Sources(voices=[rng.normal(0, 0.1, 16000) for _ in range(6)], backgrounds=[])
    >>> babble = Condition(noise="babble", noise_db=10)
    >>> apply(babble, rng.normal(0, 0.1, 8000), 16000, rng, sources).shape
    (8000,)
    """

    voices: list[NDArray[np.floating]]
    backgrounds: list[NDArray[np.floating]]


@dataclass(frozen=True)
class Condition:
    """What happens to a voice on its way into a file. Every field is off by default; they act in the order
    given here.

    Attributes
    ----------
    trim_db : float or None
        Leading and trailing silence is cut where it lies so far below the loudest frame: 10 to 80 dB.
    pad : (float, float)
        Seconds put before and after, 0 to 10.
    pad_noisy : bool
        Pad with noise at the recording's own floor, in place of digital silence.
    room : (float, float) or None
        Reverberation time, 0.05 to 3 s, and direct-to-reverberant energy ratio, -20 to 40 dB.
    noise : str or None
        One of `noise.KINDS`.
    noise_db : float
        How far the noise lies below the active speech level, -10 to 80 dB.
    high_pass, low_pass : float or None
        Cut-off of the microphone in Hz, at least 10.
    order : int
        Of these two filters, 1 to 8.
    tilt : float
        Rise of the microphone's response in dB an octave, -6 to 6.
    telephone : {'mu-law', 'a-law'} or None
    file_rate : int or None
        Hz at which the file is kept, 4000 to 192000.
    codec : (str, float) or None
        'mp3', 'vorbis' or 'opus', and kbit/s. Which bit rates there are depends on the sample rate of the
        sound, so `apply` checks them.
    level_db : float or None
        Active speech level is set to this, -80 to 20 dB of full scale.
    gain_db : float
        Louder by this, -60 to 60 dB.
    peak : float or None
        Largest sample is set to this, 0 to 1.
    offset : float
        Direct current, -0.5 to 0.5 of full scale.

    Raises
    ------
    InputError
        If a value is out of its range; names it.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(np.arange(16000) / 20)
    >>> quiet = Condition(gain_db=-20)
    >>> bool(np.isclose(np.abs(apply(quiet, y, 16000, np.random.default_rng(0))).max(), 0.1, atol=1e-3))
    True
    """

    trim_db: float | None = None
    pad: tuple[float, float] = (0.0, 0.0)
    pad_noisy: bool = False
    room: tuple[float, float] | None = None
    noise: str | None = None
    noise_db: float = 20.0
    high_pass: float | None = None
    low_pass: float | None = None
    order: int = 4
    tilt: float = 0.0
    telephone: str | None = None
    file_rate: int | None = None
    codec: tuple[str, float] | None = None
    level_db: float | None = None
    gain_db: float = 0.0
    peak: float | None = None
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not all(_is_within(part, low, high) for part in np.atleast_1d(value)):
                raise InputError(f"condition: {name} is {value}; expected {low:g} to {high:g}")
        for name, parts in (
            ("room", "seconds and dB"),
            ("codec", "a name and kbit/s"),
            ("pad", "seconds twice"),
        ):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (tuple, list)) and len(value) == 2):
                raise InputError(f"condition: {name} is {value!r}; expected {parts}")
        if self.room is not None:
            _check_room(*self.room)
        for name, allowed in (("noise", KINDS), ("telephone", COMPANDING), ("codec", tuple(CODECS))):
            value = getattr(self, name)
            chosen = value[0] if isinstance(value, (tuple, list)) else value
            if chosen is not None and chosen not in allowed:
                raise InputError(f"condition: {name} is {chosen!r}; expected one of {', '.join(allowed)}")

    def __str__(self) -> str:
        """What is on: ``noise=babble noise_db=20.0``."""
        on = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        return " ".join(f"{name}={getattr(self, name)}" for name in on) or "as recorded"


RANGES = {
    "trim_db": (10, 80),
    "pad": (0, 10),
    "noise_db": (-10, 80),
    "high_pass": (10, 20000),
    "low_pass": (10, 96000),
    "order": (1, 8),
    "tilt": (-6, 6),
    "file_rate": (4000, 192000),
    "level_db": (-80, 20),
    "gain_db": (-60, 60),
    "peak": (0, 1),
    "offset": (-0.5, 0.5),
}


def _is_within(value: object, low: float, high: float) -> bool:
    """Whether it is a number from `low` to `high`."""
    return isinstance(value, (int, float, np.number)) and bool(low <= value <= high)


def _check_room(seconds: float, direct_db: float) -> None:
    if not (_is_within(seconds, 0.05, 3) and _is_within(direct_db, -20, 40)):
        raise InputError(
            f"condition: room is {seconds} s, {direct_db} dB; expected 0.05 to 3 s and -20 to 40 dB"
        )


NO_SOURCES = Sources([], [])


def apply(
    condition: Condition,
    y: NDArray[np.floating],
    rate: int,
    rng: np.random.Generator,
    sources: Sources = NO_SOURCES,
) -> NDArray[np.float32]:
    """A recording as it would be under a condition.

    Parameters
    ----------
    condition : Condition
    y : (n,) array
        In [-1, 1].
    rate : int
        Hz.
    rng : numpy.random.Generator
        Of noises and rooms.
    sources : Sources, optional
        At the same rate.

    Returns
    -------
    (m,) float32 array
        In [-1, 1], in steps of 16 bits.

    Raises
    ------
    InputError
        If a noise needs sources that there are not, or libsndfile lacks the codec, or the codec lacks the bit
        rate at this sample rate.

    Examples
    --------
    >>> y = np.sin(np.arange(16000) / 20)
    >>> line = Condition(telephone="mu-law", peak=0.5)
    >>> print(line)
    telephone=mu-law peak=0.5
    >>> heard = apply(line, y, 16000, np.random.default_rng(0))
    >>> heard.shape, float(np.abs(heard).max())
    ((16000,), 0.5)
    """
    y = np.asarray(y, np.float32)
    if condition.trim_db is not None:
        y = trim(y, condition.trim_db)
    if any(condition.pad):
        y = pad(y, rate, condition.pad, condition.pad_noisy, rng)
    if condition.room is not None:
        y = convolve(y, room_response(rate, *condition.room, rng))
    if condition.noise is not None:
        recordings = sources.backgrounds if condition.noise == "background" else sources.voices
        y = add_noise(y, rate, make_noise(condition.noise, len(y), rng, recordings), condition.noise_db)
    if condition.high_pass is not None or condition.low_pass is not None or condition.tilt:
        y = shape(y, rate, lambda frequencies: _response(condition, frequencies))
    if (law := condition.telephone) is not None:
        y = _at_level(lambda z: telephone(z, rate, law), y, rate)
    if condition.file_rate is not None:
        y = at_rate(y, rate, condition.file_rate)
    if (codec := condition.codec) is not None:
        y = _at_level(lambda z: coded(z, rate, *codec), y, rate)
    if condition.level_db is not None:
        y = amplify(y, condition.level_db - 20 * np.log10(active_level(y, rate)))
    y = amplify(y, condition.gain_db)
    if condition.peak is not None:
        y = to_peak(y, condition.peak)
    return converted(y + condition.offset).astype(np.float32, copy=False)


def _response(condition: Condition, frequencies: NDArray[np.floating]) -> NDArray[np.floating]:
    """The microphone's gain at each frequency: (F,)."""
    gain = tilt(frequencies, condition.tilt)
    if condition.high_pass is not None:
        gain = gain * high_pass(frequencies, condition.high_pass, condition.order)
    if condition.low_pass is not None:
        gain = gain * low_pass(frequencies, condition.low_pass, condition.order)
    return gain


def _at_level(
    change: Callable[[NDArray[np.floating]], NDArray[np.floating]], y: NDArray[np.floating], rate: int
) -> NDArray[np.floating]:
    """`change` of a signal whose peak is brought to full scale before and back after: steps of rounding are
    those of a good line.
    """
    peak = np.abs(y).max()
    if peak == 0:
        return change(y)
    return change(y / peak) * peak
