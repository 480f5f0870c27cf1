"""ResLSTM-SA and the LSTM-SA baseline: parameters, forward, backward.

ResLSTM-SA, for one clip x (T, D) of z-scored features:

    y = x + LSTM1(x)                               (R1)   D -> D, the residual connection
    z = LSTM2(BatchNorm(y))                        (R2)   D -> H
    context = SoftAttention(z)                     (R3)   T -> 1
    logits = W dropout(BatchNorm(context)) + b     (R4)   H -> C

and backwards the gradient of each, (R4') to (R1'), by the layers' own; that of the sum in (R1) goes to both
its terms:

    dx = dy + the dx of LSTM1                      (R1')

The LSTM-SA baseline has one LSTM (D -> H) in place of (R1) and (R2).

The layers come from one of two folders that equal each other to rounding: `fast`, or `layers`, the
reference, which is the one to be read (``ResLSTM(..., backend="reference")``).

Source: Krasnoproshin & Vashkevich, DSPA 2026; parameter names, layouts and gate order are torch.nn's.
Letters: N clips, T frames, D inputs, H hidden, C classes, K attention vectors. "frames" are those of all
clips, laid out as the backend has them: packed rows (M, .) in `fast`, (T, N, .) in `layers`.
"""

from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from npreslstm.annotations import Array
from npreslstm.errors import InputError
from npreslstm.fast import batch as fast
from npreslstm.fast.lstm import LSTMCache as FastLSTMCache
from npreslstm.fast.one_clip import OneClip
from npreslstm.layers import batch as reference
from npreslstm.layers.attention import AttentionCache
from npreslstm.layers.batchnorm import BatchNormCache, running_statistics
from npreslstm.layers.dense import dropout_mask, linear_backward, linear_forward
from npreslstm.layers.lstm import LSTMCache, LSTMParams
from npreslstm.parameters import Parameters
from npreslstm.schema import ModelConfig, lstm_names, norm_names

PADDINGS = ("masked", "original")
BACKENDS = {"fast": fast, "reference": reference}
Batch = fast.Batch | reference.Batch
LSTMCaches = list[FastLSTMCache | LSTMCache]  # of one stacked LSTM, a layer each


class ModelCache(NamedTuple):
    """What `ResLSTM.backward` needs. `lstms` holds one cache a layer, in the order of the schema.

    Examples
    --------
    >>> model = ResLSTM(ModelConfig(hidden_size=8), backend="reference")
    >>> _, cache = model.forward(np.zeros((2, 5, 46)), lengths=[5, 3])
    >>> list(cache.lstms), cache.lstms["lstm2"][0].c.shape
    (['lstm1', 'lstm2'], (5, 2, 8))
    """

    batch: Batch
    lstms: dict[str, LSTMCaches]
    bn_residual: BatchNormCache | None
    attention: AttentionCache
    bn: BatchNormCache
    head_input: Array  # (N, H)
    dropout: Array | None  # (N, H)


class ResLSTM(Parameters):
    """The model: its `Parameters`, and what is computed with them.

    Parameters
    ----------
    config : ModelConfig
    rng : numpy.random.Generator, optional
        Fills the weights as the paper's code does. Without it they are zero, to be loaded.
    dtype : float32 or float64
    backend : {'fast', 'reference'}
        Whose layers forward, backward and inference run on. 'reference' are those of `npreslstm.layers`, to
        be read, stepped through and compared with; they give the same to rounding, in several times the
        time.

    Attributes
    ----------
    vector : (P,) array
        All trainable parameters end to end; the tensors in `tensors` are views into it.
    tensors : dict
        Every tensor by its PyTorch name, running statistics included. An array assigned to a name is
        written into its tensor.

    Examples
    --------
    >>> model = ResLSTM(ModelConfig(hidden_size=32), np.random.default_rng(0), backend="reference")
    >>> logits, cache = model.forward(np.zeros((2, 5, 46)), lengths=[5, 3])
    >>> logits.shape, cache.lstms["lstm2"][0].f.shape     # the forget gates of LSTM2: (T, N, H)
    ((2, 8), (5, 2, 32))
    """

    def __init__(
        self,
        config: ModelConfig | None = None,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        backend: str = "fast",
    ) -> None:
        if backend not in BACKENDS:
            raise InputError(f"backend is {backend!r}; expected one of {', '.join(BACKENDS)}")
        super().__init__(config, rng, dtype)
        self.backend = backend
        self._layers = BACKENDS[backend]
        self._one_clip: OneClip | None = None  # made by the first inference of a single clip

    def _arguments(self) -> tuple[Any, ...]:
        return *super()._arguments(), self.backend

    def forward(
        self,
        x: ArrayLike,
        lengths: ArrayLike,
        training: bool = False,
        padding: str = "masked",
        rng: np.random.Generator | None = None,
    ) -> tuple[Array, ModelCache]:
        """Logits of a batch, and the cache for `backward`.

        Parameters
        ----------
        x : (N, T, D) array
            Z-scored features; entries past a clip's length are ignored.
        lengths : (N,) int array, 1 <= lengths <= T
        training : bool
            Normalise by the statistics of the batch and update the running ones; otherwise use the running
            ones.
        padding : {'masked', 'original'}
            'masked' gives padded frames no part in attention and statistics, so a clip's result does not
            depend on its neighbours in evaluation. 'original' lets them in as zeros, as the paper's code
            does.
        rng : numpy.random.Generator, optional
            Draws the dropout; no dropout without it.

        Returns
        -------
        logits : (N, C) array
        cache : ModelCache

        Raises
        ------
        InputError
            If a shape contradicts the configuration, a value of a valid frame is not finite, or a training
            batch has a single clip.

        Examples
        --------
        >>> model = ResLSTM(ModelConfig(hidden_size=8), np.random.default_rng(0))
        >>> x = np.random.default_rng(1).normal(size=(3, 20, 46))
        >>> logits, cache = model.forward(x, lengths=[20, 7, 12])
        >>> logits.shape, cache.head_input.shape
        ((3, 8), (3, 8))
        """
        batch, frames = self._batch(x, lengths, padding)
        N = len(np.asarray(lengths))
        if training and N < 2:  # before anything has changed
            raise InputError(
                "a training batch has 1 clip; expected at least 2, for the batch statistics: "
                "merge it into another batch"
            )
        lstms, bn_residual = {}, None
        if self.config.kind == "reslstm-sa":
            hidden, lstms["lstm1"] = self._run_lstm("lstm1", frames, batch)
            y = frames + hidden  # frames of D  (R1)
            frames, bn_residual = self._normalise("bn_residual", y, training, batch)
        last = self.config.lstms[-1]
        z, lstms[last] = self._run_lstm(last, frames, batch)  # frames of H  (R2)
        context, _, attention = self._attend(z, batch)  # (N, H)  (R3)
        head_input, bn = self._normalise("bn", context, training)  # (N, H)
        mask = None
        if rng is not None and self.config.dropout:
            mask = dropout_mask(head_input.shape, self.config.dropout, rng, self.dtype.type)  # (N, H)
            head_input = head_input * mask
        logits = self._head(head_input)  # (N, C)  (R4)
        return logits, ModelCache(batch, lstms, bn_residual, attention, bn, head_input, mask)

    def infer(self, x: ArrayLike, lengths: ArrayLike, padding: str = "masked") -> tuple[Array, Array]:
        """Logits and attention of a batch in evaluation mode; keeps no cache.

        Parameters
        ----------
        x, lengths, padding
            As in `forward`.

        Returns
        -------
        logits : (N, C) array
        alpha : (N, max(lengths)) array
            Attention weights; 0 past a clip's length when masked.

        Raises
        ------
        InputError
            If a shape contradicts the configuration, or a value of a valid frame is not finite.

        Examples
        --------
        >>> model = ResLSTM(ModelConfig(hidden_size=8), np.random.default_rng(0))
        >>> logits, alpha = model.infer(np.zeros((2, 5, 46)), lengths=[5, 3])
        >>> alpha.shape, alpha[1, 3:].tolist()
        ((2, 5), [0.0, 0.0])
        """
        x = np.asarray(x, dtype=self.dtype)
        if self.backend == "fast" and padding in PADDINGS:
            rows = OneClip.rows_of(self.config, x, lengths)  # (T, D), or None
            if rows is not None:
                logits, alpha = self._folded().infer(rows)  # (C,), (T,)
                return logits[None], alpha[None]
        batch, frames = self._batch(x, lengths, padding)
        if self.config.kind == "reslstm-sa":
            frames = frames + self._infer_lstm("lstm1", frames, batch)  # (R1), under one name to save memory
            frames, _ = self._normalise("bn_residual", frames, False, batch)
        z = self._infer_lstm(self.config.lstms[-1], frames, batch)  # frames of H  (R2)
        context, alpha, _ = self._attend(z, batch)  # (N, H), (N, T)  (R3)
        head_input, _ = self._normalise("bn", context, False)  # (N, H)
        return self._head(head_input), alpha  # (R4)

    def _folded(self) -> OneClip:
        """The model folded for single clips, made anew when a number of it has changed."""
        if self._one_clip is None or not self._one_clip.is_made_from(self._numbers):
            self._one_clip = OneClip(self.config, self.tensors, self._numbers)
        return self._one_clip

    @overload
    def backward(
        self,
        dlogits: Array,
        cache: ModelCache,
        return_dx: Literal[False] = False,
        out: Array | None = None,
    ) -> dict[str, Array]: ...

    @overload
    def backward(
        self, dlogits: Array, cache: ModelCache, return_dx: Literal[True], out: Array | None = None
    ) -> tuple[dict[str, Array], Array]: ...

    def backward(
        self, dlogits: Array, cache: ModelCache, return_dx: bool = False, out: Array | None = None
    ) -> dict[str, Array] | tuple[dict[str, Array], Array]:
        """Gradients of every parameter.

        Parameters
        ----------
        dlogits : (N, C) array
        cache : ModelCache
            Of a `forward` in training (batch norms by batch statistics) or evaluation mode (batch norms
            frozen).
        return_dx : bool
            Whether the gradient of the features is wanted too.
        out : (P,) array, optional
            Where to write the gradients, laid out as `vector`.

        Returns
        -------
        grads : dict
            {parameter name: gradient}, shapes as in `state_dict`; views into `out` or a new vector.
        dx : (N, T, D) array
            Only with `return_dx`; T is the longest length, padded frames are zero.

        Examples
        --------
        >>> model = ResLSTM(ModelConfig(hidden_size=8), np.random.default_rng(0))
        >>> logits, cache = model.forward(np.zeros((2, 5, 46)), lengths=[5, 3])
        >>> grads, dx = model.backward(np.ones_like(logits), cache, return_dx=True)
        >>> grads["lstm2.weight_hh_l0"].shape, dx.shape
        ((32, 8), (2, 5, 46))
        """
        grads = self.named_views(np.empty_like(self.vector) if out is None else out)
        dhead, dW, db = linear_backward(dlogits, cache.head_input, self.tensors["fc.weight"])  # (N, H)  (R4')
        grads["fc.weight"][...] = dW
        grads["fc.bias"][...] = db
        if cache.dropout is not None:
            dhead = dhead * cache.dropout
        dcontext = self._normalise_backward("bn", dhead, cache.bn, grads)  # (N, H)
        dz, dV, dw = cache.batch.attention_backward(dcontext, cache.attention)  # frames of H  (R3')
        grads["attention_vector"][...] = dV
        if dw is not None:
            grads["head_combine.weight"][...] = dw
        residual = cache.bn_residual  # None in the LSTM-SA baseline
        last = self.config.lstms[-1]
        need_dx = residual is not None or return_dx
        dx: Any = self._backward_lstm(last, dz, cache, grads, need_dx)  # frames of D  (R2')
        if residual is not None:
            dy = self._normalise_backward("bn_residual", dx, residual, grads, cache.batch)
            through = self._backward_lstm("lstm1", dy, cache, grads, return_dx)
            dx = dy + through if return_dx else None  # (R1')
        return (grads, cache.batch.give(dx)) if return_dx else grads

    def _batch(self, x: ArrayLike, lengths: ArrayLike, padding: str) -> tuple[Batch, Array]:
        """Check a batch and lay it out: (Batch, frames of D)."""
        if padding not in PADDINGS:
            raise InputError(f"padding is {padding!r}; expected one of {', '.join(PADDINGS)}")
        x = np.asarray(x, dtype=self.dtype)
        if x.ndim != 3 or x.shape[2] != self.config.input_size:
            raise InputError(f"features are {x.shape}; expected (clips, frames, {self.config.input_size})")
        batch = self._layers.Batch(lengths, padding, x.shape[:2])
        frames = batch.take(x)
        if not np.isfinite(frames).all():
            raise InputError(
                "features hold NaN or infinite values; expected finite ones: "
                "check the audio and the statistics"
            )
        return batch, frames

    def _lstm_params(self, prefix: str) -> list[LSTMParams]:
        """The layers of one stacked LSTM."""
        layers = range(self.config.num_layers)
        return [LSTMParams(*(self.tensors[name] for name in lstm_names(prefix, k))) for k in layers]

    def _run_lstm(self, prefix: str, frames: Array, batch: Batch) -> tuple[Array, LSTMCaches]:
        caches: LSTMCaches = []
        for params in self._lstm_params(prefix):
            frames, cache = batch.lstm_forward(frames, params)
            caches.append(cache)
        return frames, caches

    def _infer_lstm(self, prefix: str, frames: Array, batch: Batch) -> Array:
        for params in self._lstm_params(prefix):
            frames = batch.lstm_infer(frames, params)
        return frames

    def _backward_lstm(
        self, prefix: str, dframes: Array, cache: ModelCache, grads: dict[str, Array], need_dx: bool
    ) -> Any:
        """Write one stacked LSTM's gradients into `grads`; return that of its input, or None if
        not needed.
        """
        batch: Any = cache.batch  # of the same backend as the caches of its layers
        for k in reversed(range(self.config.num_layers)):
            dframes, d = batch.lstm_backward(dframes, cache.lstms[prefix][k], need_dx or k > 0)
            for name, gradient in zip(lstm_names(prefix, k), d):
                grads[name][...] = gradient
        return dframes

    def _normalise(
        self, prefix: str, x: Array, training: bool, batch: Batch | None = None
    ) -> tuple[Array, BatchNormCache]:
        """One batch norm: by the batch, updating the running statistics, or frozen.

        `x` are the frames of `batch`, or contexts (N, H) without one.
        """
        layers = batch or self._layers
        gamma, beta, mean, var, count = (self.tensors[name] for name in norm_names(prefix))
        if not training:
            return layers.batchnorm_frozen(x, gamma, beta, mean, var)
        y, statistics, cache = layers.batchnorm_forward(x, gamma, beta)
        mean[...], var[...] = running_statistics(mean, var, statistics, cache.n)
        count += 1
        return y, cache

    def _normalise_backward(
        self,
        prefix: str,
        dy: Array,
        cache: BatchNormCache,
        grads: dict[str, Array],
        batch: Batch | None = None,
    ) -> Array:
        """Write the gradients of one batch norm into `grads`; return that of its input."""
        dx, dgamma, dbeta = (batch or self._layers).batchnorm_backward(dy, cache)
        grads[f"{prefix}.weight"][...] = dgamma
        grads[f"{prefix}.bias"][...] = dbeta
        return dx

    def _attend(self, z: Array, batch: Batch) -> tuple[Array, Array, AttentionCache]:
        V, w = self.tensors["attention_vector"], self.tensors.get("head_combine.weight")
        return batch.attention_forward(z, V, w)

    def _head(self, head_input: Array) -> Array:
        return linear_forward(head_input, self.tensors["fc.weight"], self.tensors["fc.bias"])
