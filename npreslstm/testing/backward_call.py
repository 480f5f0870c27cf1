"""The arguments of an LSTM's backward pass, its reference, and what gradients under test may deviate by."""

from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError, shown
from npreslstm.formats.arrays import as_array, as_arrays
from npreslstm.layers.lstm import LSTMParams
from npreslstm.layers.padding import check_fit, check_lengths
from npreslstm.schema import LSTM_TENSORS
from npreslstm.testing.backward import (
    REVERSE,
    DirectionGradients,
    by_layer,
    in_order,
    local_derivatives,
    stack_backward,
    stack_forward,
    valid_frames,
)
from npreslstm.testing.compare import rounding
from npreslstm.testing.recurrent import lstm_layers

# Largest deviation allowed from the float64 reference, times the tensor's scale, by the type of the tensor
# under test: at most ten times what PyTorch shows over 1 to 500 frames. docs/testing.md derives the scale.
GRADIENT_TOLERANCES = {"float64": 2e-14, "float32": 1e-5, "float16": 1e-2, "bfloat16": 2e-1}

# What underflow may take away, by the type under test: gradients of early frames vanish, in float16 soon.
SMALLEST = {"float64": 1e-300, "float32": 1e-35, "bfloat16": 1e-35, "float16": 1e-5}
STATES = ("dh0", "dc0")


class Compared(NamedTuple):
    """A gradient under test, and what it may deviate by."""

    array: np.ndarray
    allowed: np.ndarray  # as many axes

    def excess(self, expected):
        """The largest deviation, as a multiple of what is allowed."""
        with np.errstate(invalid="ignore"):
            share = np.abs(self.array - expected) / self.allowed
        return float(np.nan_to_num(share, nan=np.inf).max(initial=0))


class BackwardCall:
    """The arguments of an LSTM's backward pass, as float64 arrays, frames first."""

    def __init__(self, weights, x, dy, lengths, h0, c0, dh_n, dc_n, batch_first):
        if not isinstance(batch_first, bool):
            raise InputError(f"batch_first is {shown(batch_first)}; expected True or False")
        self.batch_first = batch_first
        self.weights = as_arrays(weights)
        self.layers = lstm_layers(self.weights, np.float64)
        self.L, self.D, self.H = len(self.layers), *self._sizes()
        self.x = self._padded("x", x, self.D)  # (T, N, D)
        self.T, self.N, _ = self.x.shape
        directions = 1 + ("l0" + REVERSE in self.layers)
        self.dy = self._padded("dy", dy, directions * self.H, (self.T, self.N))
        given = np.full(self.N, self.T) if lengths is None else as_array(lengths, "lengths")
        self.lengths = check_lengths(given)
        check_fit(self.lengths, (self.N, self.T))
        states = {"h0": h0, "c0": c0, "dh_n": dh_n, "dc_n": dc_n}
        self.h0, self.c0, self.dh_n, self.dc_n = (self._state(*state) for state in states.items())
        self.valid = valid_frames(self.lengths, self.T)[:, :, None]
        self.unmasked = {"x": self.x, "dy": self.dy}  # what a pass that ignores the lengths would read
        self.x, self.dy = (np.where(self.valid, frames, 0) for frames in (self.x, self.dy))
        self.caches = self._forward()
        self.ways = {}  # DirectionGradients of the reference, once it has run

    def _sizes(self):
        params = self.layers["l0"]
        return params.W_ih.shape[1], params.W_hh.shape[1]

    def _padded(self, what, value, width, batch=None):
        """`value` as (T, N, width)."""
        array = as_array(value, what)
        axes = "(clips, frames, " if self.batch_first else "(frames, clips, "
        if array.ndim != 3 or array.shape[2] != width or 0 in array.shape:
            raise InputError(f"{what} is {array.shape}; expected {axes}{width}), clips and frames at least 1")
        array = self.outwards(what, array.astype(np.float64))
        if batch not in (None, array.shape[:2]):
            T, N = batch
            shape = (N, T, width) if self.batch_first else (T, N, width)
            raise InputError(f"{what} is {np.shape(value)}; expected {shape}, as x and weight_hh_l0 have it")
        return array

    def _state(self, what, value):
        shape = self.L, self.N, self.H
        if value is None:
            return np.zeros(shape)
        array = as_array(value, what)
        if array.shape != shape:
            raise InputError(
                f"{what} is {array.shape}; expected {shape}: layers times directions, clips, hidden units"
            )
        return array.astype(np.float64)

    def outwards(self, name, frames):
        """(T, N, .) to the caller's order of axes, or back."""
        return frames.swapaxes(0, 1) if self.batch_first else frames

    def reference(self):
        """The right gradients by name, in the order of the way back; frames first."""
        return dict(self.gradients(keep=self.ways))

    def _forward(self, **changed):
        given = {name: getattr(self, name) for name in ("x", "lengths", "layers", "h0", "c0")}
        return stack_forward(**given | changed)

    def unchanged_by(self, scope):
        """The caches of what runs before anything in `scope`, or beside it."""
        kept = {}
        for names in by_layer(self.caches):
            kept |= {name: self.caches[name] for name in names if name not in scope}
            if not scope.isdisjoint(names):
                return kept
        return kept

    def gradients(self, directions=None, keep=None, forward=None, **changed):
        """Yield (name, gradient) on the way back.

        Parameters
        ----------
        directions : dict, optional
            Of `stack_backward`.
        keep : dict, optional
            Is given what `stack_backward` yields.
        forward : dict, optional
            Arguments of `stack_forward` that are others than the call's.
        changed
            The same of `stack_backward`.
        """
        caches = self.caches if forward is None else self._forward(**forward)
        ways = {} if keep is None else keep
        given = {name: getattr(self, name) for name in ("dy", "lengths", "dh_n", "dc_n")}
        for name, way in stack_backward(caches=caches, directions=directions, **given | changed):
            ways[name] = way
            yield from self.of_weights(name, way.params)
        for state in STATES:
            yield state, np.stack([getattr(ways[name], state) for name in caches])
        yield "dx", self.valid * sum(ways[name].dx for name in by_layer(caches)[0])

    def of_weights(self, name, params):
        """Yield (name, gradient) of the weights that were given."""
        for tensor, gradient in zip(LSTM_TENSORS, params):
            if f"{tensor}_{name}" in self.weights:
                yield f"{tensor}_{name}", gradient

    def under_test(self, grads, reference, tolerance):
        """{name: Compared} of the gradients under test."""
        if not hasattr(grads, "items"):
            raise InputError(
                f"the gradients are {shown(grads)}; expected a mapping of names to arrays: dx, dh0, dc0 and"
                " the weights' names"
            )
        if not len(grads):
            raise InputError(f"there is nothing to compare; expected some of {', '.join(reference)}")
        scales = scales_of(self)
        found = {}
        for name, value in grads.items():
            if name not in reference:
                raise InputError(
                    f"{shown(name)} is no gradient of this LSTM; expected some of {', '.join(reference)}"
                )
            if value is None:
                raise InputError(
                    f"{name} is None; expected a gradient: torch keeps none where requires_grad is False"
                )
            found[name] = self._tensor(name, value, reference[name], scales[name], tolerance)
        return found

    def _tensor(self, name, value, expected, scale, tolerance):
        array, (kind, allowed) = as_array(value, name), rounding(value, tolerance, GRADIENT_TOLERANCES)
        shape = self.outwards(name, expected).shape if name == "dx" else expected.shape
        if array.shape != shape:
            raise InputError(
                f"{name} is {array.shape}; expected {shape}{self._remedy(name, array.shape, shape)}"
            )
        array = array.astype(np.float64)
        allowed = allowed * scale + SMALLEST.get(kind, 0.0)
        if name == "dx":
            array = self.outwards(name, array)
            array = np.where(self.valid, array, 0)
        return Compared(array, np.maximum(allowed, np.finfo(np.float64).tiny))

    def _remedy(self, name, found, expected):
        if found == expected[::-1] and len(found) == 2:
            return ", the shape of the weight: it looks transposed"
        if name == "dx" and found == (expected[1], expected[0], *expected[2:]):
            return f": it looks {'time-major' if self.batch_first else 'batch-first'}, see batch_first"
        return ""


def scales_of(call):
    """{name: scale}, with as many axes as the gradient: see the notes of `assert_lstm_gradients_equal`."""
    scales, states, dx = {}, [], 0
    for name in call.caches:
        way, cache = call.ways[name], call.caches[name]
        size_a, size_c = _sizes_on_the_way(way, cache)
        by_x = np.einsum("tnk,tnd->kd", size_a, np.abs(cache.x), optimize=True).max()
        by_h = np.einsum("tnk,tnj->kj", size_a, np.abs(cache.h_before), optimize=True).max()
        bias = size_a.sum(axis=(0, 1)).max()
        largest = LSTMParams(
            *(np.full((1,) * w.ndim, s) for w, s in zip(cache.params, (by_x, by_h, bias, bias)))
        )
        scales |= dict(call.of_weights(name, largest))
        of_h0 = (size_a[0] @ np.abs(cache.params.W_hh)).max(axis=1, keepdims=True)  # (N, 1)
        of_c0 = (size_c[0] * cache.f[0]).max(axis=1, keepdims=True)  # (N, 1)
        states.append(np.maximum(of_h0, of_c0))
        if name.removesuffix(REVERSE) == "l0":
            dx = dx + in_order(name, size_a @ np.abs(cache.params.W_ih), call.lengths)
    return scales | dict.fromkeys(STATES, np.stack(states)) | {"dx": dx.max(axis=2, keepdims=True)}


def _sizes_on_the_way(way: DirectionGradients, cache):
    """What |da| (T, N, 4H) and |dc| (T, N, H) would be with every activation's derivative at its largest.

    Rounding does to 1 - i what it does to 1, however close to 1 i is; so where a gate saturates, its part of
    the gradient is small and the error in it is not.
    """
    dh, dc_after = np.abs(way.dh), np.abs(way.dc - way.dh * local_derivatives(cache).c)
    size_c = dc_after + dh * cache.o
    size_a = [size_c * np.abs(cache.g) / 4, size_c * np.abs(cache.c_before) / 4, size_c * cache.i]
    size_a.append(dh * np.abs(np.tanh(cache.c)) / 4)
    return np.concatenate(size_a, axis=2), size_c
