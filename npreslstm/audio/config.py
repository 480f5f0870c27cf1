"""FeatureConfig: what the features are, in full, and the two named ones."""

import dataclasses
import math
import numbers
import os
from collections.abc import Iterator, Mapping
from typing import Any

from npreslstm.audio.signal import check_sample_rate
from npreslstm.errors import InputError, shown
from npreslstm.formats.plain_data import read_json

LARGEST = 2**20  # of any size: beyond use
LARGEST_TABLE = 2**22  # numbers of a filter bank or basis, which is made in float64
SPECTRUM_WORK = 60  # multiplications a bin of the transform and of the mel bands come to
MOST_WORK = 2e9  # multiplications a second of sound: about what a slow core does
MOST_FRAMES = 1000  # a second
PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


@dataclasses.dataclass(frozen=True)
class FeatureConfig:
    """What the features are, in full; the defaults are ``paper``: librosa 0.11's defaults at 48 kHz.

    Parameters
    ----------
    sample_rate : int
        Hz; signals at another rate are resampled.
    n_fft, hop_length : int
        Samples in a frame (even), and from one frame to the next (at most n_fft).
    n_mels, n_mfcc, n_chroma : int
        Mel bands, cepstral coefficients (at most n_mels), pitch classes.
    fmin : float
    fmax : float or None
        Hz, the range of the mel bands; fmax None means half the sample rate.
    top_db : float or None
        Mel bands are raised to at least the clip's loudest minus this, in dB. None: no such floor.
    floor_db : float
        Absolute floor of a mel band, in dB: 0 dB is a band power of 1, see docs/frontend.md.
    tuning : float or None
        Deviation from A440 as a fraction of a pitch class, in [-0.5, 0.5). None: estimated from each clip.
    framing : {'centered', 'causal'}
        Whether frame t is centred on sample t * hop_length, or ends with sample (t + 1) * hop_length - 1.
    trim_db : float or None
        Leading and trailing silence is cut where frames (2048 samples, every 512) are this many dB below the
        loudest. None: nothing is cut.

    Raises
    ------
    InputError
        If a value, or a combination of values, is impossible.

    Examples
    --------
    >>> mcu = FeatureConfig.named("mcu")
    >>> mcu.sample_rate, mcu.n_features, mcu.columns[-1], mcu.noncausal_steps
    (16000, 46, 'chroma_B', [])
    >>> FeatureConfig.from_dict({"sample_rate": 16000, "n_fft": 1024, "hop_length": 512}).upper_hz
    8000.0
    """

    sample_rate: int = 48000
    n_fft: int = 4096
    hop_length: int = 2048
    n_mels: int = 128
    n_mfcc: int = 34
    n_chroma: int = 12
    fmin: float = 0.0
    fmax: float | None = None
    top_db: float | None = 80.0
    floor_db: float = -100.0
    tuning: float | None = None
    framing: str = "centered"
    trim_db: float | None = None

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "hop_length", "n_mels", "n_mfcc", "n_chroma"):
            self._normalise_int(name)
        for name in ("fmin", "floor_db"):
            self._normalise_float(name)
        for name in ("fmax", "top_db", "tuning", "trim_db"):
            if getattr(self, name) is not None:
                self._normalise_float(name)
        self._check_ranges()

    def _normalise_int(self, name: str) -> None:
        value = getattr(self, name)
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or not 1 <= value <= LARGEST:
            raise InputError(f"{name} is {shown(value)}; expected a whole number from 1 to {LARGEST}")
        object.__setattr__(self, name, int(value))

    def _normalise_float(self, name: str) -> None:
        value = getattr(self, name)
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not real or not _is_finite(value):
            raise InputError(f"{name} is {shown(value)}; expected a finite number")
        object.__setattr__(self, name, float(value))

    def _check_ranges(self) -> None:
        check_sample_rate(self.sample_rate, "sample_rate")
        for good, message in (*self._of_frames(), *self._of_bands(), *self._of_levels()):
            if not good:
                raise InputError(message)
        self._check_cost()

    def _of_frames(self) -> Iterator[tuple[bool, str]]:
        """(whether it holds, message) of what is required of frames."""
        yield (
            self.n_fft % 2 == 0 and self.n_fft >= 4,
            f"n_fft is {self.n_fft}; expected an even number from 4",
        )
        yield (
            self.hop_length <= self.n_fft,
            f"hop_length is {self.hop_length}; expected at most n_fft = {self.n_fft}",
        )
        least = -(-self.sample_rate // MOST_FRAMES)
        yield (
            self.sample_rate <= MOST_FRAMES * self.hop_length,
            f"hop_length is {self.hop_length}; expected at least {least}, a thousandth of a second",
        )
        yield (
            self.framing in ("centered", "causal"),
            f"framing is {shown(self.framing)}; expected 'centered' or 'causal'",
        )

    def _of_bands(self) -> Iterator[tuple[bool, str]]:
        nyquist = self.sample_rate / 2
        yield self.n_mfcc <= self.n_mels, f"n_mfcc is {self.n_mfcc}; expected at most n_mels = {self.n_mels}"
        yield (
            0 <= self.fmin < self.upper_hz,
            f"fmin is {self.fmin:g} Hz; expected from 0 to below fmax = {self.upper_hz:g} Hz",
        )
        yield (
            self.upper_hz <= nyquist,
            f"fmax is {self.upper_hz:g} Hz; expected at most half the sample rate, {nyquist:g} Hz",
        )
        yield (
            self.tuning is None or -0.5 <= self.tuning < 0.5,
            f"tuning is {self.tuning}; expected from -0.5 to below 0.5, or None",
        )

    def _of_levels(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.top_db is None or self.top_db >= 0,
            f"top_db is {self.top_db}; expected 0 or more, or None",
        )
        yield -300 <= self.floor_db <= 100, f"floor_db is {self.floor_db:g}; expected -300 to 100"
        yield (
            self.trim_db is None or self.trim_db > 0,
            f"trim_db is {self.trim_db}; expected above 0, or None",
        )

    def _check_cost(self) -> None:
        """Refuse what no sound is heard better by, and what takes more memory or time than a machine has."""
        bins = self.n_fft // 2
        tables = {
            "n_mels": self.n_mels * bins,
            "n_chroma": self.n_chroma * bins,
            "n_mfcc": self.n_mfcc * self.n_mels,
        }
        for name, size in tables.items():
            if size > LARGEST_TABLE:
                other = "n_mels" if name == "n_mfcc" else "n_fft"
                sizes = f"{name} is {getattr(self, name)} with {other} = {getattr(self, other)}"
                raise InputError(f"{sizes}: a table of {size:,} numbers; expected at most {LARGEST_TABLE:,}")
        frame = bins * (SPECTRUM_WORK + self.n_chroma) + self.n_mels * self.n_mfcc
        if frame * self.sample_rate / self.hop_length > MOST_WORK:
            sizes = f"n_fft = {self.n_fft}, n_mels = {self.n_mels} and n_chroma = {self.n_chroma}"
            raise InputError(
                f"hop_length is {self.hop_length} with {sizes}: slower than the sound itself; expected a"
                " longer hop"
            )

    @property
    def upper_hz(self) -> float:
        """The upper end of the mel bands in Hz.

        Examples
        --------
        >>> FeatureConfig(fmax=8000.0).upper_hz, FeatureConfig().upper_hz
        (8000.0, 24000.0)
        """
        return self.sample_rate / 2 if self.fmax is None else self.fmax

    @property
    def noncausal_steps(self) -> list[str]:
        """The steps that need samples still to come, in words; empty if features can be computed as the sound
        comes in.

        Examples
        --------
        >>> len(FeatureConfig.named("paper").noncausal_steps), FeatureConfig.named("mcu").noncausal_steps
        (3, [])
        """
        steps = {
            "trim_db (the loudest frame of the clip)": self.trim_db is not None,
            f"framing='centered' ({self.n_fft // 2} samples after the frame's centre)": (
                self.framing == "centered"
            ),
            "top_db (the loudest mel band of the clip)": self.top_db is not None,
            "tuning=None (the spectral peaks of the whole clip)": self.tuning is None,
        }
        return [step for step, needed in steps.items() if needed]

    @property
    def columns(self) -> list[str]:
        """Names of the features: mfcc_0, ..., chroma_0, ...; with 12 pitch classes chroma_C to chroma_B.

        Examples
        --------
        >>> FeatureConfig().columns[32:36]
        ['mfcc_32', 'mfcc_33', 'chroma_C', 'chroma_C#']
        """
        classes = PITCH_NAMES if self.n_chroma == 12 else range(self.n_chroma)
        return [f"mfcc_{k}" for k in range(self.n_mfcc)] + [f"chroma_{k}" for k in classes]

    @property
    def n_features(self) -> int:
        """Columns of the features: n_mfcc + n_chroma.

        Examples
        --------
        >>> FeatureConfig(n_mfcc=20).n_features
        32
        """
        return self.n_mfcc + self.n_chroma

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON.

        Examples
        --------
        >>> FeatureConfig().to_dict()["framing"]
        'centered'
        """
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "FeatureConfig":
        """The inverse of `to_dict`; fields that are left out keep their defaults, unknown ones are an
        InputError.

        Examples
        --------
        >>> FeatureConfig.from_dict({"n_mfcc": 20}).n_mels
        128
        """
        if not isinstance(fields, dict):
            raise InputError(
                f"a feature configuration is {type(fields).__name__}; expected a table of fields"
            )
        known = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                raise InputError(
                    f"unknown field {shown(name)} in the feature configuration; expected some of"
                    f" {', '.join(known)}"
                )
        return cls(**fields)

    @classmethod
    def named(cls, name: str) -> "FeatureConfig":
        """The configuration ``paper`` or ``mcu``.

        Raises
        ------
        InputError
            If there is none of that name.

        Examples
        --------
        >>> FeatureConfig.named("mcu").hop_length
        512
        """
        if name not in FEATURE_CONFIGS:
            raise InputError(f"no feature configuration {name!r}; expected {' or '.join(FEATURE_CONFIGS)}")
        return FEATURE_CONFIGS[name]


FEATURE_CONFIGS = {
    "paper": FeatureConfig(),
    "mcu": FeatureConfig(
        sample_rate=16000,
        n_fft=1024,
        hop_length=512,
        n_mels=64,
        top_db=None,
        floor_db=-80.0,
        tuning=0.0,
        framing="causal",
    ),
}


def load_config(name: str) -> FeatureConfig:
    """A configuration by name, ``paper`` or ``mcu``, or from a JSON file with the fields of `paper` to
    change.

    Raises
    ------
    InputError
        If there is neither such a name nor such a file, or the file is not such a table.
    """
    if name in FEATURE_CONFIGS:
        return FEATURE_CONFIGS[name]
    if not os.path.isfile(name):
        raise InputError(
            f"no feature configuration {name!r}; expected {' or '.join(FEATURE_CONFIGS)} or a JSON file"
        )
    fields = read_json(name, "expected a JSON object of fields")
    try:
        return FeatureConfig.from_dict(fields)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
