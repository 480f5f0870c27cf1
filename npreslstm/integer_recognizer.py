"""IntegerRecognizer: a `Recognizer` that hears as firmware does, in integers from sound to probabilities."""

from collections.abc import Sequence

import numpy as np

from npreslstm.annotations import Array, FloatArray, StrPath
from npreslstm.audio.activity import as_pcm
from npreslstm.checkpoint import Checkpoint
from npreslstm.integer import fixed_point as fp
from npreslstm.integer import frontend, frontend_tables
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.recognizer import Recognizer


class IntegerRecognizer(Recognizer):
    """A `Recognizer` with the integer frontend and the integer network.

    From 16-bit samples on, at the rate of the features, everything is what an export with ``--type int8
    --frontend integer`` computes, in every bit. Reading, resampling and the windows of long recordings are
    those of `Recognizer`.

    Parameters
    ----------
    weights : str, os.PathLike or Checkpoint, optional
    speeds : sequence of float
        As of `Recognizer`.

    Attributes
    ----------
    quantized : QuantizedModel
        In place of `model`.

    Raises
    ------
    InputError
        As `Recognizer`; or if the integer frontend cannot compute the features, or the network has no integer
        form.

    Examples
    --------
    >>> from npreslstm.assets import demo_clip_path
    >>> IntegerRecognizer("mcu").process_file(demo_clip_path()).label
    'disgust'
    """

    def __init__(self, weights: StrPath | Checkpoint | None = None, speeds: Sequence[float] = (1.0,)) -> None:
        super().__init__(weights, speeds)
        frontend_tables.check_supported(self.checkpoint.features)
        self.quantized = QuantizedModel.from_checkpoint(self.checkpoint)
        self._statistics = frontend_tables.statistics(self.checkpoint, self.quantized.x_bits)

    def _inputs(self, y: FloatArray) -> Array:
        """The network's input (T, D) int16 of samples (n,)."""
        features = frontend.features_of_clip(as_pcm(y), self._config)
        return frontend.z_score(features, self._statistics)

    def _infer(self, clips: Sequence[Array]) -> list[tuple[FloatArray, FloatArray]]:
        """Class probabilities (C,) and attention (T,) of each of some clips of the network's input (T, D)."""
        return [self._infer_clip(clip) for clip in clips]

    def _infer_clip(self, x: Array) -> tuple[FloatArray, FloatArray]:
        quantized, head = self.quantized, self.quantized.head
        state, scores = quantized.start(1), []
        for row in x:
            quantized.step(row[None], state)
            product = fp.exact_product(state.h[-1], head.attention)
            scores.append(fp.requantize(product, head.score_multiplier, head.score_shift)[0])
        probabilities = fp.softmax(quantized.logits(quantized.context(state)))[0] / np.float32(32768)
        weights = 2.0 ** ((np.array(scores) - max(scores)) / 65536)  # (T,)
        return probabilities, (weights / weights.sum()).astype(np.float32)
