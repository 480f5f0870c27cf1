"""What `ResLSTM` asks of its layers, on plain frames (T, N, .): clips of different lengths side by side,
padded.

Every layer is run over the padding too, and three lines keep it from mattering:

- What an LSTM gives for a frame past a clip's end is set to zero, forwards, and so is the gradient that
  comes back to it. The states of a clip that has ended are run on and read by nobody.
- Attention gives such frames the score -inf, and so the weight 0.
- Batch norm takes its statistics over the clips' own frames, as rows.

``padding="original"`` leaves the second and the third line out, as the paper's code does: the zeros take
part.

Letters: N clips, T frames of the longest one, D inputs, H hidden, F features.
"""

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.layers.attention import AttentionCache, attention_backward, attention_forward
from npreslstm.layers.batchnorm import (
    BatchNormCache,
    Statistics,
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_frozen,
)
from npreslstm.layers.lstm import LSTMCache, LSTMParams, lstm_backward, lstm_forward
from npreslstm.layers.padding import check_fit, check_lengths, valid_frames

__all__ = ["Batch", "batchnorm_backward", "batchnorm_forward", "batchnorm_frozen"]


class Batch:
    """Clips of different lengths as plain frames (T, N, .), zero past each end.

    Parameters
    ----------
    lengths : (N,) int array, each from 1 to T
    padding : {'masked', 'original'}
        See `ResLSTM.forward`.
    shape : (N, T)
        Of the padded input.

    Raises
    ------
    InputError
        If `lengths` are not of such an input.
    """

    def __init__(self, lengths: ArrayLike, padding: str, shape: tuple[int, int]) -> None:
        self.lengths = check_lengths(lengths)
        check_fit(self.lengths, shape)
        self.masked = padding == "masked"
        self.valid = valid_frames(self.lengths)  # (T, N)

    def take(self, x: np.ndarray) -> np.ndarray:
        """(N, T, D) -> (T, N, D)."""
        frames = x.swapaxes(0, 1)[: len(self.valid)]  # (T, N, D)
        return self._zero_past_ends(frames)

    def give(self, frames: np.ndarray) -> np.ndarray:
        """(T, N, D) -> (N, T, D)."""
        return self._zero_past_ends(frames).swapaxes(0, 1)

    def lstm_forward(self, x: np.ndarray, params: LSTMParams) -> tuple[np.ndarray, LSTMCache]:
        """(T, N, D) -> (T, N, H)."""
        y, _, cache = lstm_forward(x, params)
        return self._zero_past_ends(y), cache

    def lstm_infer(self, x: np.ndarray, params: LSTMParams) -> np.ndarray:
        """`lstm_forward` without a cache."""
        y, _ = self.lstm_forward(x, params)
        return y

    def lstm_backward(self, dy: np.ndarray, cache: LSTMCache, need_dx: bool) -> tuple[np.ndarray, LSTMParams]:
        """Gradients of x and of the weights."""
        dx, _, grads = lstm_backward(self._zero_past_ends(dy), cache)
        return dx, grads

    def batchnorm_forward(
        self, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray
    ) -> tuple[np.ndarray, Statistics, BatchNormCache]:
        """By the statistics of all frames that count."""
        y, statistics, cache = batchnorm_forward(x[self._counted], gamma, beta)
        return self._frames(y), statistics, cache

    def batchnorm_frozen(
        self, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, var: np.ndarray
    ) -> tuple[np.ndarray, BatchNormCache]:
        """By given statistics."""
        y, cache = batchnorm_frozen(x[self._counted], gamma, beta, mean, var)
        return self._frames(y), cache

    def batchnorm_backward(
        self, dy: np.ndarray, cache: BatchNormCache
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gradients of x (T, N, F), gamma and beta."""
        dx, dgamma, dbeta = batchnorm_backward(dy[self._counted], cache)
        return self._frames(dx), dgamma, dbeta

    def attention_forward(
        self, h: np.ndarray, V: np.ndarray, w: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, AttentionCache]:
        """(T, N, H) -> contexts (N, H) and weights (N, T)."""
        context, cache = attention_forward(h, V, w, self.valid if self.masked else None)
        return context, cache.alpha.T, cache

    def attention_backward(
        self, dcontext: np.ndarray, cache: AttentionCache
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Gradients of h (T, N, H) and of the attention vectors."""
        return attention_backward(dcontext, cache)

    @property
    def _counted(self):
        """(T, N) bool: the frames that batch norm counts."""
        return self.valid if self.masked else np.ones_like(self.valid)

    def _frames(self, rows):
        """Rows (n, F) of the frames that count, as frames (T, N, F)."""
        frames = np.zeros((*self.valid.shape, rows.shape[1]), rows.dtype)
        frames[self._counted] = rows
        return self._zero_past_ends(frames)

    def _zero_past_ends(self, frames):
        return np.where(self.valid[:, :, None], frames, 0)
