"""A whole ResLSTM-SA in evaluation mode, for clips that come one at a time: folded, joined, its memory kept.

Equals `ResLSTM.infer` on a batch, and so the reference, to 2e-14 in float64; tests/fast/test_lstm_pair.py and
tests/test_backend.py hold it. It is 10 times as fast as the reference, and twice as fast as `fast.lstm`
layer by layer.

Letters: T frames, D inputs, H hidden, C classes.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.fast.attention import attention_infer
from npreslstm.fast.lstm_pair import Workspaces, join_pair, pair_infer
from npreslstm.folding import fold
from npreslstm.schema import ModelConfig


class OneClip:
    """What is kept from clip to clip; the model that made it owns it.

    Parameters
    ----------
    config : ModelConfig
        Of a ResLSTM-SA with one layer in each LSTM.
    tensors : mapping of str to array
    numbers : array
        The memory that `tensors` are views into.

    Attributes
    ----------
    workspaces : Workspaces
        The memory of clips.
    """

    def __init__(self, config: ModelConfig, tensors: dict[str, np.ndarray], numbers: np.ndarray) -> None:
        self._made_from = bytearray(numbers)  # which compares with memory without a copy of it
        folded = fold(config, tensors, numbers.dtype)
        self._pair = join_pair(*folded.lstms)
        self._attention = folded.attention
        self._W = folded.head_W
        self._b = folded.head_b
        self.workspaces = Workspaces()

    @staticmethod
    def takes(config: ModelConfig) -> bool:
        """Whether a model of this configuration can be run this way."""
        return config.kind == "reslstm-sa" and config.num_layers == 1

    @staticmethod
    def rows_of(config: ModelConfig, x: np.ndarray, lengths: ArrayLike) -> np.ndarray | None:
        """The frames (T, D) of a batch of one clip that can be run this way; None for other batches, and for
        what `Batch` refuses.
        """
        lengths = np.asarray(lengths)
        if not OneClip.takes(config) or x.ndim != 3 or x.shape[::2] != (1, config.input_size):
            return None
        if lengths.shape != (1,) or lengths.dtype.kind not in "iu" or not 1 <= lengths[0] <= x.shape[1]:
            return None
        rows = x[0, : lengths[0]]
        # One call; where squares overflow, `ResLSTM` looks at each number.
        return rows if math.isfinite(np.vdot(rows, rows)) else None

    def is_made_from(self, numbers: np.ndarray) -> bool:
        """Whether the model's numbers are still those that were folded."""
        return self._made_from == numbers.data

    def infer(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits (C,) and attention (T,) of the z-scored frames (T, D) of one clip."""
        hidden = pair_infer(x, self._pair, self.workspaces)  # (T, H)  (R1), (R2)
        context, alpha = attention_infer(hidden, self._attention)  # (H,), (T,)  (R3)
        return self._W.dot(context) + self._b, alpha  # (R4)
