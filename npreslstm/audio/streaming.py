"""Features frame by frame while the sound comes in, in constant memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from npreslstm.annotations import FloatArray
from npreslstm.audio import chroma, mfcc, spectrum
from npreslstm.audio.config import FEATURE_CONFIGS, FeatureConfig
from npreslstm.audio.signal import as_float, to_mono, warn_of_samples
from npreslstm.errors import InputError


class StreamingFeatures:
    """The features of `extract_features`, as the samples arrive.

    Each frame is computed by itself, so the result is the same in every bit however the samples are cut into
    pieces. It differs from the offline result, which computes many frames in one matrix product, in the last
    digits only.

    Parameters
    ----------
    config : FeatureConfig
        A causal one, such as ``FeatureConfig.named("mcu")``. Samples are taken to be at its rate.
    dtype : {np.float32, np.float64}
        Of the arithmetic after the transform, and of the features.

    Raises
    ------
    InputError
        If the configuration has steps that need samples still to come; the message names them.

    Examples
    --------
    >>> import numpy as np
    >>> from npreslstm.audio.config import FeatureConfig
    >>> stream = StreamingFeatures(FeatureConfig.named("mcu"))
    >>> stream.push(np.zeros(1000, np.int16)).shape
    (1, 46)
    >>> stream.push(np.zeros(24, np.int16)).shape
    (1, 46)
    """

    def __init__(self, config: FeatureConfig = FEATURE_CONFIGS["mcu"], dtype: DTypeLike = np.float32) -> None:
        if config.noncausal_steps:
            raise InputError(
                "this feature configuration cannot be streamed, for these steps need samples still to come: "
                + "; ".join(config.noncausal_steps)
                + ": take FeatureConfig.named('mcu')"
            )
        self.config = config
        self._dtype = dtype
        self._warned = False
        self._framer = spectrum.Framer(config.n_fft, config.hop_length, config.framing, dtype)

    def push(self, samples: ArrayLike) -> FloatArray:
        """Take in samples, give the frames that they complete: one for every hop_length samples.

        Parameters
        ----------
        samples : array_like [shape=(n,) or (n, channels)]
            As of `extract_features`, any number of them, at the configuration's rate.

        Returns
        -------
        np.ndarray [shape=(m, n_mfcc + n_chroma)]
            m may be 0.

        Raises
        ------
        InputError
            If a sample is NaN or infinite, or the array has another shape.

        Examples
        --------
        >>> StreamingFeatures().push(np.zeros(1600, np.int16)).shape
        (3, 46)
        """
        samples = np.asarray(samples)
        if samples.size == 0:
            return self._features(())
        samples = as_float(samples, self._dtype)
        self._warned = self._warned or warn_of_samples(samples)
        return self._features(self._framer.push(to_mono(samples)))

    def flush(self) -> FloatArray:
        """End the signal: give the frame of the samples since the last whole hop, zeros after them, if there
        are any.

        The stream is then ready for another signal. Leave it out where the sound has no end.

        Returns
        -------
        np.ndarray [shape=(0 or 1, n_mfcc + n_chroma)]

        Examples
        --------
        >>> stream = StreamingFeatures()
        >>> stream.push(np.zeros(600, np.int16)).shape, stream.flush().shape
        ((1, 46), (1, 46))
        """
        return self._features(self._framer.flush())

    def reset(self) -> None:
        """Forget all samples and be ready for another signal.

        Examples
        --------
        >>> stream = StreamingFeatures()
        >>> _ = stream.push(np.zeros(600, np.int16))
        >>> stream.reset()
        >>> stream.flush().shape
        (0, 46)
        """
        self._framer.reset()

    def _features(self, frames: Sequence[FloatArray] | FloatArray) -> FloatArray:
        rows = np.empty((len(frames), self.config.n_features), self._dtype)
        for row, samples in zip(rows, frames):
            row[:] = self._frame(samples)
        return rows

    def _frame(self, samples: FloatArray) -> FloatArray:
        """One frame, (n_fft,) -> (n_features,): spectrum, mel bands, decibels, cepstrum; chroma from the same
        spectrum.
        """
        config = self.config
        power = spectrum.power_spectrum(samples[None])  # (1, F)
        mel = mfcc.mel_spectrogram(power, config.sample_rate, config.n_mels, config.fmin, config.upper_hz)
        cepstrum = mfcc.mfcc(mfcc.power_to_db(mel, config.floor_db), config.n_mfcc)
        pitch = chroma.chroma(power, config.sample_rate, config.n_chroma, config.tuning)
        return np.concatenate((cepstrum[0], pitch[0]))
