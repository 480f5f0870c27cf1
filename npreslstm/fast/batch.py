"""What `ResLSTM` asks of its layers, on packed frames: the names of `layers.batch`, on this folder's
functions.

Equals `layers.batch` to 2e-14 in float64, the whole model forward and backward; tests/test_backend.py holds
it. A step of training on 32 clips is 1.7 times as fast.
"""

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.fast.attention import attention_backward, attention_forward
from npreslstm.fast.batchnorm import batchnorm_backward, batchnorm_forward
from npreslstm.fast.lstm import LSTMCache, lstm_backward, lstm_forward, lstm_infer
from npreslstm.fast.packing import packing
from npreslstm.layers.attention import AttentionCache
from npreslstm.layers.batchnorm import BatchNormCache, Statistics, batchnorm_frozen
from npreslstm.layers.lstm import LSTMParams

__all__ = ["Batch", "batchnorm_backward", "batchnorm_forward", "batchnorm_frozen"]


class Batch:
    """Clips of different lengths as packed rows (M, .).

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
        self.packing = packing(lengths, shape)
        self.masked = padding == "masked"

    def take(self, x: np.ndarray) -> np.ndarray:
        """(N, T, D) -> (M, D)."""
        return self.packing.pack(x)

    def give(self, frames: np.ndarray) -> np.ndarray:
        """(M, D) -> (N, T, D), zero past each end."""
        return self.packing.unpack(frames)

    def lstm_forward(self, x: np.ndarray, params: LSTMParams) -> tuple[np.ndarray, LSTMCache]:
        """(M, D) -> (M, H)."""
        y, _, cache = lstm_forward(x, params, self.packing)
        return y, cache

    def lstm_infer(self, x: np.ndarray, params: LSTMParams) -> np.ndarray:
        """`lstm_forward` without a cache."""
        y, _ = lstm_infer(x, params, self.packing)
        return y

    def lstm_backward(
        self, dy: np.ndarray, cache: LSTMCache, need_dx: bool
    ) -> tuple[np.ndarray | None, LSTMParams]:
        """Gradients of x, or None if it is not needed, and of the weights."""
        dx, _, grads = lstm_backward(dy, cache, need_dx=need_dx)
        return dx, grads

    def batchnorm_forward(
        self, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray
    ) -> tuple[np.ndarray, Statistics, BatchNormCache]:
        """By the statistics of all frames; the padding's are zeros, and count unless they are masked."""
        zero_rows = 0
        if not self.masked:
            zero_rows = len(self.packing.lengths) * len(self.packing.batch_sizes) - self.packing.rows
        return batchnorm_forward(x, gamma, beta, zero_rows)

    batchnorm_frozen = staticmethod(batchnorm_frozen)
    batchnorm_backward = staticmethod(batchnorm_backward)

    def attention_forward(
        self, h: np.ndarray, V: np.ndarray, w: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, AttentionCache]:
        """(M, H) -> contexts (N, H) and weights (N, T)."""
        mask = self.packing.mask() if self.masked else None
        context, cache = attention_forward(self.packing.unpack(h), V, w, mask)
        return context, cache.alpha, cache

    def attention_backward(
        self, dcontext: np.ndarray, cache: AttentionCache
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Gradients of h (M, H) and of the attention vectors."""
        dh, dV, dw = attention_backward(dcontext, cache)
        return self.packing.pack(dh), dV, dw
