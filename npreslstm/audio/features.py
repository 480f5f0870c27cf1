"""A signal or a sound file in, (T, 46) raw features out."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from npreslstm.annotations import FloatArray, Source
from npreslstm.audio import chroma, mfcc, reader, resampling, spectrum
from npreslstm.audio.config import FEATURE_CONFIGS, FeatureConfig
from npreslstm.audio.reader import Sound
from npreslstm.audio.signal import (
    TRIM_HOP,
    as_float,
    check_memory,
    check_sample_rate,
    to_mono,
    trim_bounds,
    trim_energies,
    trim_silence,
    warn_of_samples,
)

__all__ = ["FeatureConfig", "extract_features", "extract_file"]

FRAMES_AT_ONCE = 512  # of a long signal: 4 MB of power spectra at n_fft 4096
SAMPLES_AT_ONCE = 1 << 21  # of all these frames: of longer frames there are fewer

Blocks = Callable[[], Iterable[FloatArray]]  # starts an iteration over frames (B, n_fft)


def extract_features(
    signal: ArrayLike,
    sample_rate: int,
    config: FeatureConfig = FEATURE_CONFIGS["paper"],
    dtype: DTypeLike = np.float32,
) -> FloatArray:
    """Raw features of a signal: MFCC, then chroma.

    Parameters
    ----------
    signal : array_like [shape=(n,) or (n, channels)]
        Floats in [-1, 1], int16 or int32; channels are averaged.
    sample_rate : int
        Hz. Another rate than the configuration's means resampling, and a `ResamplingWarning`.
    config : FeatureConfig
    dtype : {np.float32, np.float64}
        Of the arithmetic after the transform, and of the result.

    Returns
    -------
    np.ndarray [shape=(T, n_mfcc + n_chroma), dtype=dtype]
        Not z-scored. Equal to librosa 0.11 called on audio of this type; docs/frontend.md says to how much.

    Raises
    ------
    InputError
        If the signal is empty, not finite, or of another type or shape, or if the rate is impossible.

    Warns
    -----
    ScaleWarning
        If the samples look like integers, or are of another scale than [-1, 1].
    ChannelWarning
        If the channels cancel each other.

    Examples
    --------
    >>> y = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    >>> X = extract_features(y, 48000)
    >>> X.shape, X.dtype
    ((24, 46), dtype('float32'))
    >>> FeatureConfig().columns[int(X[12, 34:].argmax()) + 34]
    'chroma_A'
    """
    check_sample_rate(sample_rate)
    y = as_float(signal, dtype)
    warn_of_samples(y)
    return features_of_signal(y, sample_rate, config, stacklevel=3)


def features_of_signal(
    signal: FloatArray, sample_rate: int, config: FeatureConfig, stacklevel: int = 2
) -> FloatArray:
    """`extract_features` of floats that have been checked, (n,) or (n, channels)."""
    y = _at_rate(to_mono(signal), sample_rate, config, stacklevel + 1)
    if config.trim_db is not None:
        y = trim_silence(y, config.trim_db)
    shape = config.n_fft, config.hop_length, config.framing
    return _features_of_blocks(lambda: spectrum.frame_blocks(y, *shape, frames_at_once(config)), config)


def prepare_signal(
    signal: ArrayLike,
    sample_rate: int,
    config: FeatureConfig,
    dtype: DTypeLike = np.float32,
    stacklevel: int = 2,
    warn: bool = True,
) -> FloatArray:
    """What comes before trimming: a signal as floats, mono, at the configuration's rate: (n,); see
    `extract_features`.
    """
    check_sample_rate(sample_rate)
    return _at_rate(to_mono(as_float(signal, dtype)), sample_rate, config, stacklevel + 1, warn)


def _at_rate(
    y: FloatArray, sample_rate: int, config: FeatureConfig, stacklevel: int, warn: bool = True
) -> FloatArray:
    """A signal (n,) at the configuration's rate."""
    if sample_rate != config.sample_rate:
        if warn:
            _warn_resampling(sample_rate, config, stacklevel)
        y = resampling.resample(y, sample_rate, config.sample_rate)
    return y


def extract_file(path: Source, config: FeatureConfig = FEATURE_CONFIGS["paper"]) -> NDArray[np.float32]:
    """Raw features of a sound file of any length, in constant memory but for the result.

    A file that `extract_features` would take in more than one block is read in blocks, several times if need
    be: trimming takes one pass to find the bounds, and an estimated tuning one pass before the chroma can be
    computed. `top_db` and the tuning stay those of the whole file; log-mel bands are kept (n_mels float32 a
    frame) until its loudest is known.

    Parameters
    ----------
    path : str, os.PathLike or binary file
    config : FeatureConfig

    Returns
    -------
    np.ndarray [shape=(T, n_mfcc + n_chroma), dtype=float32]
        As ``extract_features(*read_audio(path), config)``.

    Raises
    ------
    FileNotFoundError, InputError
        As `read_audio` and `extract_features`.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> extract_file(demo_clip_path(), FeatureConfig.named("paper")).shape
    (61, 46)
    """
    with reader.open_audio(path) as file:
        frames = file.frames / file.samplerate * config.sample_rate / config.hop_length
        if frames <= frames_at_once(config):
            return features_of_signal(reader.read_all(file), file.samplerate, config, stacklevel=3)
        columns = config.n_mels + 2 * config.n_features
        check_memory(file.name, file.size, 4 * frames * columns, "its features")
        if file.samplerate != config.sample_rate:
            _warn_resampling(file.samplerate, config, stacklevel=2)
        start, stop = 0, None
        if config.trim_db is not None:
            start, stop = trim_bounds(*trim_energies(_pieces(file, config, TRIM_HOP)), config.trim_db)
        return _features_of_blocks(lambda: _file_frames(file, config, start, stop), config)


def frames_at_once(config: FeatureConfig) -> int:
    """How many frames of a configuration are computed at a time."""
    return max(1, min(FRAMES_AT_ONCE, SAMPLES_AT_ONCE // config.n_fft))


def _features_of_blocks(blocks: Blocks, config: FeatureConfig) -> FloatArray:
    """Features of frames that come in blocks; `blocks()` starts the iteration anew, over (B,
    n_fft) arrays.
    """
    return _features_of_spectra(_Spectra(blocks), config)


def _features_of_spectra(spectra: "_Spectra", config: FeatureConfig) -> FloatArray:
    """Features of blocks of power spectra (B, F); an estimated tuning takes one more iteration over them."""
    tuning = config.tuning
    if tuning is None:
        peaks = [chroma.spectral_peaks(power, config.sample_rate) for power in spectra]
        hz, height = map(np.concatenate, zip(*peaks))
        tuning = chroma.tuning_of_peaks(hz, height, config.n_chroma)
    log_mel, pitch = zip(*(_frame_features(power, config, tuning) for power in spectra))
    loudest = max(block.max() for block in log_mel)
    cepstrum = [mfcc.mfcc(_apply_top_db(block, loudest, config.top_db), config.n_mfcc) for block in log_mel]
    return np.concatenate([np.concatenate(pair, axis=1) for pair in zip(cepstrum, pitch)])


class _Spectra:
    """Power spectra of blocks of frames; the spectra of an only block are kept, those of several are computed
    anew.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._only = None

    def __iter__(self) -> Iterator[FloatArray]:
        if self._only is not None:
            yield self._only
            return
        power, count = None, 0
        for frames in self._blocks():
            power = spectrum.power_spectrum(frames)
            count += 1
            yield power
        self._only = power if count == 1 else None


def _frame_features(power: FloatArray, config: FeatureConfig, tuning: float) -> tuple[FloatArray, FloatArray]:
    """What each frame gives by itself: log-mel bands (T, n_mels) and chroma (T, n_chroma)."""
    mel = mfcc.mel_spectrogram(power, config.sample_rate, config.n_mels, config.fmin, config.upper_hz)
    return mfcc.power_to_db(mel, config.floor_db), chroma.chroma(
        power, config.sample_rate, config.n_chroma, tuning
    )


def _apply_top_db(log_mel: FloatArray, loudest: float, top_db: float | None) -> FloatArray:
    return log_mel if top_db is None else np.maximum(log_mel, loudest - log_mel.dtype.type(top_db))


def _file_frames(file: Sound, config: FeatureConfig, start: int, stop: int | None) -> Iterator[FloatArray]:
    """Frames of samples `start` to `stop` of a file, in blocks."""
    framer = spectrum.Framer(config.n_fft, config.hop_length, config.framing)
    position = 0
    for piece in _pieces(file, config, config.hop_length):
        low, high = max(start - position, 0), len(piece) if stop is None else max(stop - position, 0)
        position += len(piece)
        frames = framer.push(piece[low:high])
        if len(frames):
            yield frames
    frames = framer.flush()
    if len(frames):
        yield frames


def _pieces(file: Sound, config: FeatureConfig, multiple: int) -> Iterator[FloatArray]:
    """A file's samples, mono and at the configuration's rate, in pieces of a multiple of `multiple`, but for
    the last.
    """
    size = -(-frames_at_once(config) * config.hop_length // multiple) * multiple
    held = np.zeros(0, np.float32)
    file.rewind()
    mono = map(to_mono, reader.read_blocks(file, size))
    for block in resampling.resample_blocks(mono, file.samplerate, config.sample_rate):
        held = np.concatenate((held, block))
        ready = len(held) // multiple * multiple
        yield held[:ready]
        held = held[ready:]
    yield held


def _warn_resampling(sample_rate: int, config: FeatureConfig, stacklevel: int) -> None:
    edges = mfcc.mel_edges(config.n_mels, config.fmin, config.upper_hz)
    # bands that begin above all there is to hear
    empty = int(np.count_nonzero(edges[:-2] >= sample_rate / 2))
    resampling.warn_resampling(sample_rate, config.sample_rate, empty, config.n_mels, stacklevel + 1)
