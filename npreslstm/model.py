"""ResLSTM-SA and the LSTM-SA baseline: parameters, forward, backward.

ResLSTM-SA, for one clip x (T, D) of z-scored features:

    y = x + LSTM1(x)                    (R1)   D -> D, the residual connection
    z = LSTM2(BatchNorm(y))             (R2)   D -> H
    context = SoftAttention(z)          (R3)   T -> 1
    logits = W dropout(BatchNorm(context)) + b     (R4)   H -> C

The LSTM-SA baseline has one LSTM (D -> H) in place of (R1) and (R2).

Source: Krasnoproshin & Vashkevich, DSPA 2026; parameter names, layouts and gate order are torch.nn's.
Letters: N clips, T frames, M packed frames of all clips, D inputs, H hidden, C classes, K attention vectors.
"""

import math
from typing import NamedTuple

import numpy as np

from npreslstm import initialisers
from npreslstm.errors import InputError
from npreslstm.layers.attention import AttentionCache, attention_backward, attention_forward, attention_infer, one_vector
from npreslstm.layers.batchnorm import BatchNormCache, batchnorm_affine, batchnorm_backward, batchnorm_forward, batchnorm_frozen, running_statistics
from npreslstm.layers.dense import dropout_mask, linear_backward, linear_forward
from npreslstm.layers.lstm import LSTMCache, LSTMParams, lstm_backward, lstm_forward, lstm_infer
from npreslstm.layers.lstm_pair import join_pair, pair_infer
from npreslstm.layers.packing import Packing, packing
from npreslstm.schema import BUFFERS, ModelConfig

PADDINGS = ("masked", "original")


class ModelCache(NamedTuple):
    """What `ResLSTM.backward` needs. `lstms` holds one cache a layer, in the order of the schema."""

    packing: Packing
    lstms: dict[str, list[LSTMCache]]
    bn_residual: BatchNormCache | None
    attention: AttentionCache
    bn: BatchNormCache
    head_input: np.ndarray  # (N, H)
    dropout: np.ndarray | None  # (N, H)


class _Tensors(dict):
    """Tensors by name, views into one vector: what is assigned to a name is written there."""

    def __setitem__(self, name, values):
        self[name][...] = values

    def update(self, tensors):
        for name, values in dict(tensors).items():
            self[name] = values

    def __ior__(self, tensors):
        self.update(tensors)
        return self

    def __reduce__(self):  # a copy is of the tensors alone
        return dict, ({name: tensor.copy() for name, tensor in self.items()},)


class ResLSTM:
    """The model: a configuration and its tensors.

    Parameters
    ----------
    config : ModelConfig
    rng : numpy.random.Generator, optional
        Fills the weights as the paper's code does. Without it they are zero, to be loaded.
    dtype : float32 or float64

    Attributes
    ----------
    vector : (P,) array
        All trainable parameters end to end; the tensors in `tensors` are views into it.
    tensors : dict
        Every tensor by its PyTorch name, running statistics included. An array assigned to a name is written into its tensor.
    """

    def __init__(self, config=None, rng=None, dtype=np.float32):
        self.config = config or ModelConfig()
        self.dtype = np.dtype(dtype)
        self._shapes = self.config.parameters
        self._kept = None  # of `_folded`
        statistics = {name: shape for name, (shape, _) in self.config.schema.items() if ".running_" in name}
        P = self.config.num_parameters
        self._numbers = np.zeros(P + sum(map(math.prod, statistics.values())), dtype=self.dtype)  # all that results depend on
        self.vector = self._numbers[:P]
        views = self.named_views(self.vector) | _named_views(self._numbers[P:], statistics)
        self.tensors = _Tensors()
        for name, (shape, initialiser) in self.config.schema.items():
            self.tensors.setdefault(name, np.zeros(shape, dtype=np.int64) if initialiser == "counter" else views[name])
            if initialiser == "ones" or rng is not None:
                self.tensors[name][...] = getattr(initialisers, initialiser)(shape, rng)

    def __reduce__(self):  # copies and pickles are made of the tensors; their views into `vector` would come apart
        return _from_state, (self.config, self.dtype, self.state_dict())

    def named_views(self, vector):
        """{parameter name: view of its shape} into a vector of P numbers laid out as `vector`."""
        return _named_views(vector, self._shapes)

    def state_dict(self):
        """Copies of all tensors under PyTorch's names."""
        return {name: tensor.copy() for name, tensor in self.tensors.items()}

    def load_state_dict(self, state):
        """Take over all tensors of `state`, converted to the model's dtype.

        Raises
        ------
        InputError
            Naming the first tensor that is missing, unexpected or misshapen; nothing is changed then.
        """
        if missing := self.tensors.keys() - state.keys():
            raise InputError(f"state_dict lacks {', '.join(sorted(missing))}: the weights are not of this configuration")
        if extra := state.keys() - self.tensors.keys():
            raise InputError(f"state_dict has unexpected {', '.join(sorted(extra))}: the weights are not of this configuration")
        for name, tensor in self.tensors.items():
            if np.shape(state[name]) != tensor.shape:
                raise InputError(f"{name} is {np.shape(state[name])}; the configuration expects {tensor.shape}")
        for name, tensor in self.tensors.items():
            tensor[...] = state[name]

    def forward(self, x, lengths, training=False, padding="masked", rng=None):
        """Logits of a batch, and the cache for `backward`.

        Parameters
        ----------
        x : (N, T, D) array
            Z-scored features; entries past a clip's length are ignored.
        lengths : (N,) int array, 1 <= lengths <= T
        training : bool
            Normalise by the statistics of the batch and update the running ones; otherwise use the running ones.
        padding : {'masked', 'original'}
            'masked' gives padded frames no part in attention and statistics, so a clip's result does not depend on its
            neighbours in evaluation. 'original' lets them in as zeros, as the paper's code does.
        rng : numpy.random.Generator, optional
            Draws the dropout; no dropout without it.

        Returns
        -------
        logits : (N, C) array
        cache : ModelCache

        Raises
        ------
        InputError
            If a shape contradicts the configuration, a value of a valid frame is not finite, or a training batch has
            a single clip.
        """
        layout, rows = self._pack(x, lengths, padding)
        if training and len(layout.lengths) < 2:  # before anything has changed
            raise InputError("a training batch has 1 clip; expected at least 2, for the batch statistics: merge it into another batch")
        caches, bn_residual = {}, None
        padded = len(layout.lengths) * len(layout.batch_sizes) - layout.rows if padding == "original" else 0
        if self.config.kind == "reslstm-sa":
            hidden, caches["lstm1"] = self._run_lstm("lstm1", rows, layout)
            rows, bn_residual = self._normalise("bn_residual", rows + hidden, training, padded)  # (M, D)  (R1)
        last = self._last_lstm
        hidden, caches[last] = self._run_lstm(last, rows, layout)  # (M, H)  (R2)
        context, attention = self._attend(hidden, layout, padding)  # (N, H)  (R3)
        head_input, bn = self._normalise("bn", context, training)
        mask = None
        if rng is not None and self.config.dropout:
            mask = dropout_mask(head_input.shape, self.config.dropout, rng, self.dtype.type)
            head_input = head_input * mask
        logits = linear_forward(head_input, self.tensors["fc.weight"], self.tensors["fc.bias"])  # (N, C)  (R4)
        return logits, ModelCache(layout, caches, bn_residual, attention, bn, head_input, mask)

    def infer(self, x, lengths, padding="masked"):
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
        """
        x = np.asarray(x, dtype=self.dtype)
        if (rows := self._one_clip(x, lengths, padding)) is not None:
            return self._infer_one(rows)
        layout, rows = self._pack(x, lengths, padding)
        if self.config.kind == "reslstm-sa":
            rows, _ = self._normalise("bn_residual", rows + self._infer_lstm("lstm1", rows, layout), False)  # (R1)
        hidden = self._infer_lstm(self._last_lstm, rows, layout)  # (M, H)  (R2)
        context, attention = self._attend(hidden, layout, padding)  # (R3)
        head_input, _ = self._normalise("bn", context, False)
        return linear_forward(head_input, self.tensors["fc.weight"], self.tensors["fc.bias"]), attention.alpha  # (R4)

    def _one_clip(self, x, lengths, padding):
        """The frames (T, D) of a single clip that `_infer_one` takes; None for others, and for what `_pack` has to complain about."""
        lengths = np.asarray(lengths)
        if self.config.kind != "reslstm-sa" or self.config.num_layers > 1 or x.ndim != 3 or x.shape[::2] != (1, self.config.input_size):
            return None
        if lengths.shape != (1,) or lengths.dtype.kind not in "iu" or not 1 <= lengths[0] <= x.shape[1] or padding not in PADDINGS:
            return None
        rows = x[0, : lengths[0]]
        return rows if math.isfinite(np.vdot(rows, rows)) else None  # one call; where squares overflow, `_pack` looks at each number

    def _infer_one(self, rows):
        """`infer` of a single clip (T, D), in half the time that a batch of one would take."""
        pair, v, W, b = self._folded()
        context, alpha = attention_infer(pair_infer(rows, pair), v)  # (H,), (T,)  (R1), (R2), (R3)
        return (W.dot(context) + b)[None], alpha[None]  # (R4)

    def backward(self, dlogits, cache, return_dx=False, out=None):
        """Gradients of every parameter.

        Parameters
        ----------
        dlogits : (N, C) array
        cache : ModelCache
            Of a `forward` in training (batch norms by batch statistics) or evaluation mode (batch norms frozen).
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
        """
        grads = self.named_views(np.empty_like(self.vector) if out is None else out)
        dhead, grads["fc.weight"][...], grads["fc.bias"][...] = linear_backward(dlogits, cache.head_input, self.tensors["fc.weight"])  # (R4)
        if cache.dropout is not None:
            dhead = dhead * cache.dropout
        dcontext, grads["bn.weight"][...], grads["bn.bias"][...] = batchnorm_backward(dhead, cache.bn)
        dhidden, grads["attention_vector"][...], dw = attention_backward(dcontext, cache.attention)  # (R3)
        if dw is not None:
            grads["head_combine.weight"][...] = dw
        residual = self.config.kind == "reslstm-sa"
        drows = self._backward_lstm(self._last_lstm, cache.packing.pack(dhidden), cache, grads, residual or return_dx)  # (M, D)  (R2)
        if residual:
            drows, grads["bn_residual.weight"][...], grads["bn_residual.bias"][...] = batchnorm_backward(drows, cache.bn_residual)
            through = self._backward_lstm("lstm1", drows, cache, grads, return_dx)
            drows = drows + through if return_dx else None  # (R1)
        return (grads, cache.packing.unpack(drows)) if return_dx else grads

    @property
    def _last_lstm(self):
        return "lstm2" if self.config.kind == "reslstm-sa" else "lstm"

    def _pack(self, x, lengths, padding):
        """Check a batch and pack it: (layout, rows (M, D))."""
        if padding not in PADDINGS:
            raise InputError(f"padding is {padding!r}; expected one of {', '.join(PADDINGS)}")
        x = np.asarray(x, dtype=self.dtype)
        if x.ndim != 3 or x.shape[2] != self.config.input_size:
            raise InputError(f"features are {x.shape}; expected (clips, frames, {self.config.input_size})")
        layout = packing(lengths, x.shape[:2])
        rows = layout.pack(x)
        if not np.isfinite(rows).all():
            raise InputError("features hold NaN or infinite values; expected finite ones: check the audio and the statistics")
        return layout, rows

    def _lstm_params(self, prefix):
        """The layers of one stacked LSTM."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [LSTMParams(*(self.tensors[f"{prefix}.{name}_l{k}"] for name in names)) for k in range(self.config.num_layers)]

    def _run_lstm(self, prefix, rows, layout):
        caches = []
        for params in self._lstm_params(prefix):
            rows, _, cache = lstm_forward(rows, params, layout)
            caches.append(cache)
        return rows, caches

    def _infer_lstm(self, prefix, rows, layout):
        for params in self._lstm_params(prefix):
            rows, _ = lstm_infer(rows, params, layout)
        return rows

    def _backward_lstm(self, prefix, drows, cache, grads, need_dx):
        """Write the gradients of one stacked LSTM into `grads`; return that of its input, or None if not needed."""
        for k in reversed(range(self.config.num_layers)):
            drows, _, d = lstm_backward(drows, cache.lstms[prefix][k], need_dx=need_dx or k > 0)
            for name, gradient in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), d):
                grads[f"{prefix}.{name}_l{k}"][...] = gradient
        return drows

    def _folded(self):
        """The weights for one clip, both batch norms folded in: those of `pair_infer`, the attention's one vector (H,), and (C, H) and (C,)
        of the head. They are kept as long as the numbers that they were made from are the same."""
        if self._kept is None or self._kept[0] != self._numbers.data:
            (first,), (second,) = self._lstm_params("lstm1"), self._lstm_params("lstm2")
            v = one_vector(self.tensors["attention_vector"], self.tensors.get("head_combine.weight"))
            scale, shift = self._affine("bn")
            W, b = self.tensors["fc.weight"], self.tensors["fc.bias"]
            folded = join_pair(first, second, *self._affine("bn_residual")), v.copy(), W * scale, b + W @ shift
            self._kept = bytearray(self._numbers), folded  # a bytearray compares with memory without a copy of it
        return self._kept[1]

    def _affine(self, prefix):
        """A frozen batch norm as a scale and a shift, (F,) each."""
        return batchnorm_affine(*(self.tensors[f"{prefix}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")))

    def _normalise(self, prefix, rows, training, zero_rows=0):
        """One batch norm: by the batch, updating the running statistics, or frozen."""
        gamma, beta, mean, var, count = (self.tensors[f"{prefix}.{name}"] for name in ("weight", "bias", *BUFFERS))
        if not training:
            return batchnorm_frozen(rows, gamma, beta, mean, var)
        y, batch, cache = batchnorm_forward(rows, gamma, beta, zero_rows)
        mean[...], var[...] = running_statistics(mean, var, batch, cache.n)
        count += 1
        return y, cache

    def _attend(self, hidden, layout, padding):
        mask = layout.mask() if padding == "masked" else None
        return attention_forward(layout.unpack(hidden), self.tensors["attention_vector"], self.tensors.get("head_combine.weight"), mask)


def _named_views(vector, shapes):
    """{name: view of its shape} into a vector that holds all of `shapes` end to end."""
    views, start = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        views[name] = vector[start : start + size].reshape(shape)
        start += size
    return views


def _from_state(config, dtype, state):
    model = ResLSTM(config, dtype=dtype)
    model.load_state_dict(state)
    return model
