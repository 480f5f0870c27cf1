"""The backward pass of any LSTM layer or stack against this package's."""

from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError, shown
from npreslstm.formats.arrays import as_array, as_arrays
from npreslstm.formats.lstm_layouts import from_keras
from npreslstm.layers.lstm import GATES, LSTMParams
from npreslstm.layers.padding import check_fit, check_lengths
from npreslstm.schema import LSTM_TENSORS
from npreslstm.testing.backward import (
    REVERSE,
    DirectionGradients,
    by_layer,
    direction_gradients,
    in_order,
    local_derivatives,
    stack_backward,
    stack_forward,
    valid_frames,
)
from npreslstm.testing.compare import EXPLAINED, rounding
from npreslstm.testing.faults import (
    ORDERS,
    Scope,
    by_block,
    derivatives_left_out,
    factors_mistaken,
    frames_lost,
    gates_stacked,
    in_words,
    place,
    running_forwards,
    scopes,
    states_not_carried,
    turned_wrongly,
    weights_handed_over,
)
from npreslstm.testing.recurrent import lstm_layers

# Largest deviation allowed from the float64 reference, times the tensor's scale, by the type of the tensor
# under test: at most ten times what PyTorch shows over 1 to 500 frames. docs/testing.md derives the scale.
GRADIENT_TOLERANCES = {"float64": 2e-14, "float32": 1e-5, "float16": 1e-2, "bfloat16": 2e-1}

# What underflow may take away, by the type under test: gradients of early frames vanish, in float16 soon.
SMALLEST = {"float64": 1e-300, "float32": 1e-35, "bfloat16": 1e-35, "float16": 1e-5}
EXACTLY = 1e-4  # a mistake that leaves no more than this of the deviation is named without trying others

STATES = ("dh0", "dc0")


def assert_lstm_gradients_equal(
    grads,
    weights,
    x,
    dy,
    lengths=None,
    h0=None,
    c0=None,
    dh_n=None,
    dc_n=None,
    batch_first=True,
    tolerance=None,
):
    """Fail unless a backward pass through an LSTM gives the gradients that this package computes.

    Parameters
    ----------
    grads : mapping of str to array
        The gradients under test, any part of them: ``dx``, ``dh0``, ``dc0``, and those of the weights under
        the weights' own names. Of torch: ``{name: p.grad for name, p in net.named_parameters()} | {"dx":
        x.grad}``; `gradients_from_keras` makes them of a Keras tape's.
    weights : mapping of str to array
        Under torch.nn.LSTM's names, as `assert_lstm_equal` takes them. Any number of layers, one direction or
        two, with biases or without.
    x : (N, T, D) array
        The input.
    dy : (N, T, directions * H) array
        Gradient of the loss with respect to the output: ones for ``y.sum()``.
    lengths : (N,) int array, optional
        Frames of each clip; what lies past it in `x`, `dy` and ``dx`` has no part. Default: all of T.
    h0, c0 : (L, N, H) arrays, optional
        Initial states, L layers times directions; default zeros.
    dh_n, dc_n : (L, N, H) arrays, optional
        Gradients of the loss with respect to the final states; default zeros.
    batch_first : bool
        False: `x`, `dy` and ``dx`` are time-major, (T, N, .), as torch.nn.LSTM has them by default.
    tolerance : float or str, optional
        Largest deviation allowed, as a part of each tensor's scale; or the name of the type in which the
        gradients were computed, if it is not that of the arrays. Default: `GRADIENT_TOLERANCES`, by type.

    Raises
    ------
    AssertionError
        Naming the first tensor that deviates on the way back, its layer and direction, the largest deviation
        and its place, and the usual mistake that explains all gradients, if one does.
    InputError
        If names, shapes or types are not those of an LSTM.

    Notes
    -----
    The scale of a tensor is the largest entry that it would have if nothing cancelled and every activation's
    derivative were at its largest, 1/4 for sigmoid and 1 for tanh. It is taken over each weight and bias, over
    each clip of ``dh0`` and ``dc0``, and over each frame of ``dx``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> weights = {"weight_ih_l0": rng.normal(size=(8, 3)), "weight_hh_l0": rng.normal(size=(8, 2))}
    >>> x, dy = rng.normal(size=(1, 2, 3)), np.ones((1, 2, 2))
    >>> grads = trace_lstm_gradients(weights, x, dy)
    >>> assert_lstm_gradients_equal(grads, weights, x, dy)
    """
    call = _Call(weights, x, dy, lengths, h0, c0, dh_n, dc_n, batch_first)
    reference = call.reference()
    found = call.under_test(grads, reference, tolerance)
    wrong = [name for name in reference if name in found and not found[name].excess(reference[name]) <= 1]
    if wrong:
        message = _message(wrong, found, reference)
        raise AssertionError(message + _explanation(call, found, reference))


def trace_lstm_gradients(
    weights, x, dy, lengths=None, h0=None, c0=None, dh_n=None, dc_n=None, batch_first=True
):
    """The gradients of everything that an LSTM was given, in float64.

    Parameters
    ----------
    weights, x, dy, lengths, h0, c0, dh_n, dc_n, batch_first
        As `assert_lstm_gradients_equal`.

    Returns
    -------
    dict of str to array
        On the way back: the gradients of the last layer's weights first, under the weights' names; then
        ``dh0``, ``dc0`` (L, N, H) and ``dx``, zero past a clip's length.
    """
    call = _Call(weights, x, dy, lengths, h0, c0, dh_n, dc_n, batch_first)
    grads = {name: gradient.copy() for name, gradient in call.gradients()}  # both biases have one array
    return grads | {"dx": call.outwards("dx", grads["dx"])}


def gradients_from_keras(grads):
    """Gradients of a Keras LSTM's weights, or of a Bidirectional's, under torch.nn.LSTM's names.

    Parameters
    ----------
    grads : list of arrays
        In the order of ``layer.trainable_weights``, as ``tape.gradient(loss, layer.trainable_weights)`` gives
        them.

    Returns
    -------
    dict of str to array
        Of Keras's one bias it has ``bias_ih_l0`` alone: that of ``bias_hh_l0`` would be the same.

    Raises
    ------
    InputError
        If they do not have the shapes of an LSTM's weights.

    Examples
    --------
    >>> list(gradients_from_keras([np.zeros((3, 8)), np.zeros((2, 8)), np.zeros(8)]))
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0']
    """
    return {name: tensor for name, tensor in from_keras(grads).items() if not name.startswith("bias_hh")}


class _Tensor(NamedTuple):
    """A gradient under test, and what it may deviate by."""

    array: np.ndarray
    allowed: np.ndarray  # as many axes

    def excess(self, expected):
        """The largest deviation, as a multiple of what is allowed."""
        with np.errstate(invalid="ignore"):
            share = np.abs(self.array - expected) / self.allowed
        return float(np.nan_to_num(share, nan=np.inf).max(initial=0))


class _Call:
    """The arguments of an LSTM's backward pass, as float64 arrays, frames first."""

    def __init__(self, weights, x, dy, lengths, h0, c0, dh_n, dc_n, batch_first):
        self.batch_first = batch_first
        self.weights = as_arrays(weights)
        self.layers = lstm_layers(self.weights, np.float64)
        self.L, self.D, self.H = len(self.layers), *self._sizes()
        self.x = self._padded("x", x, self.D)  # (T, N, D)
        self.T, self.N, _ = self.x.shape
        directions = 1 + ("l0" + REVERSE in self.layers)
        self.dy = self._padded("dy", dy, directions * self.H, (self.T, self.N))
        self.lengths = np.full(self.N, self.T) if lengths is None else check_lengths(lengths)
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
        """{name: _Tensor} of the gradients under test."""
        if not hasattr(grads, "items"):
            raise InputError(
                f"the gradients are {shown(grads)}; expected a mapping of names to arrays: dx, dh0, dc0 and"
                " the weights' names"
            )
        scales = _scales(self)
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
        return _Tensor(array, np.maximum(allowed, np.finfo(np.float64).tiny))

    def _remedy(self, name, found, expected):
        if found == expected[::-1] and len(found) == 2:
            return ", the shape of the weight: it looks transposed"
        if name == "dx" and found == (expected[1], expected[0], *expected[2:]):
            return f": it looks {'time-major' if self.batch_first else 'batch-first'}, see batch_first"
        return ""


def _scales(call):
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


def _message(wrong, found, reference):
    """The first wrong tensor on the way back, where it is wrong most, and what else is."""
    name = wrong[0]
    tensor, expected = found[name], reference[name]
    with np.errstate(invalid="ignore"):
        difference = np.nan_to_num(np.abs(tensor.array - expected), nan=np.inf)
    allowed = np.broadcast_to(tensor.allowed, expected.shape)
    most = np.unravel_index(int((difference / allowed).argmax()), expected.shape)
    count = np.count_nonzero(difference > allowed)
    others = f" Wrong as well: {_listed(wrong[1:])}." if wrong[1:] else ""
    right = [other for other in found if other not in wrong]
    return (
        f"{_called(name)} deviates most at {_where(name, most, expected.shape)}: {tensor.array[most] + 0.0:.9g},"
        f" npreslstm has {expected[most]:.9g}; the difference {difference[most]:.2e} exceeds"
        f" {allowed[most]:.2e}. {count} of {expected.size} values deviate.{others}"
        + (f" Right: {_listed(right)}." if right else "")
    )


def _listed(names):
    """Names as a message lists them, not more than six."""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


def _called(name):
    """'the gradient of weight_hh_l1_reverse (layer 1, backward direction)'; 'dx' as it is."""
    if name in (*STATES, "dx"):
        return name
    suffix = name[name.rindex("_l") + 1 :]
    direction = "backward" if suffix.endswith(REVERSE) else "forward"
    return f"the gradient of {name} ({place(suffix)}, {direction} direction)"


def _where(name, index, shape):
    """The place of an entry in words."""
    if name == "dx":
        frame, clip, column = index
        return f"clip {clip}, frame {frame}, input {column}"
    if name in STATES:
        layer, clip, unit = index
        return f"state {layer}, clip {clip}, unit {unit}"
    H = shape[0] // 4
    gate, unit = divmod(index[0], H)
    column = f", column {index[1]}" if len(index) > 1 else ""
    return f"gate {GATES[gate]}, unit {unit}{column} (row {index[0]})"


@np.errstate(all="ignore")  # what a mistake makes of padding need not be numbers
def _explanation(call, found, reference):
    """Which of the usual mistakes gives exactly these gradients, as a sentence; empty if none does."""
    before = {name: tensor.excess(reference[name]) for name, tensor in found.items()}
    most = max(before.values())
    for stage in (  # the cheapest first; what explains all is not looked for further
        _handed_over,
        _given_otherwise,
        _gone_back_otherwise,
        _gates_read_otherwise,
    ):
        best, named = min(1, EXPLAINED * most), None
        for what, gradients in stage(call, reference):
            left = _left(found, gradients, best)
            if left < best:
                best, named = left / 2, what  # a later one must explain clearly more
            if left <= EXACTLY * most:
                break
        if named:
            return f" The gradients are those of a backward pass {named}."
    return ""


def _left(found, gradients, enough):
    """The largest excess over named gradients; infinite as soon as it is more than enough."""
    left = 0.0
    for name, gradient in gradients:
        if name in found:
            left = max(left, found[name].excess(gradient))
            if not left <= enough:
                return np.inf
    return left


def _handed_over(call, reference):
    """Mistakes in what is made of right gradients."""
    names = scopes(call.caches)
    for what, change in weights_handed_over(_divisors(call)):
        yield from _changed_weights(call, reference, what, change, names)
    for order in ORDERS:
        what = f"whose gradients of weights have their gates in the order {in_words(order)}"
        change = _rows_in(order)
        yield from _changed_weights(call, reference, what, change, names)
    exchanged = reference | {"dh0": reference["dc0"], "dc0": reference["dh0"]}
    yield "that exchanges dh0 and dc0", exchanged.items()
    for words, n in _divisors(call).items():
        scaled = {name: gradient / n for name, gradient in reference.items()}
        yield f"whose gradients are all divided by the number of {words}", scaled.items()


def _changed_weights(call, reference, what, change, where):
    for scope in where:
        gradients = dict(reference)
        for name in scope.names:
            gradients |= dict(call.of_weights(name, change(call.ways[name].params)))
        yield what + scope.words, gradients.items()


def _divisors(call):
    """What a mean may be taken over: {words: number}."""
    return {"the clips": call.N, "the frames": call.T, "clips and frames": int(call.lengths.sum())}


def _rows_in(order):
    return lambda params: LSTMParams(*(by_block(w, np.argsort(order)) for w in params))


def _given_otherwise(call, reference):
    """Mistakes in what the passes are given."""
    zeros = np.zeros_like(call.h0)
    if (call.lengths < call.T).any():
        whole = {"lengths": np.full_like(call.lengths, call.T)}
        x, dy = ({name: call.unmasked[name]} for name in ("x", "dy"))
        yield (
            "that runs the padded frames as well (lengths ignored)",
            call.gradients(forward=x | whole, **dy | whole),
        )
    for words, states in (
        ("from zero h0 and c0", {"h0": zeros, "c0": zeros}),
        ("from zero h0", {"h0": zeros}),
        ("from zero c0", {"c0": zeros}),
        ("with h0 and c0 exchanged", {"h0": call.c0, "c0": call.h0}),
    ):
        yield f"of a forward pass {words}", call.gradients(forward=states)
    for lost in (("dh_n", "dc_n"), ("dh_n",), ("dc_n",)):
        yield f"without {' and '.join(lost)}", call.gradients(**dict.fromkeys(lost, zeros))
    for scope in _backward_scopes(call):
        run = dict.fromkeys(scope.names, running_forwards)
        turn = _turning_all_but(scope.names)
        yield (
            f"that runs the backward direction forwards{scope.words}",
            call.gradients(run, forward={"turn": turn}),
        )


def _backward_scopes(call):
    """The backward directions of all layers, or of one."""
    backwards = [name for name in call.caches if name.endswith(REVERSE)]
    if not backwards:
        return []
    layers = [Scope(f", in {place(name)}", frozenset([name])) for name in backwards if len(backwards) > 1]
    return [Scope("", frozenset(backwards)), *layers]


def _turning_all_but(names):
    return lambda name, frames, lengths: frames if name in names else in_order(name, frames, lengths)


def _gone_back_otherwise(call, reference):
    """Mistakes in the equations and the loop."""
    faults = [
        *derivatives_left_out(),
        *states_not_carried(),
        *factors_mistaken(),
        *map(gates_stacked, ORDERS),
    ]
    everywhere = scopes(call.caches)
    tried = [(fault, everywhere) for fault in faults]
    tried += [(fault, everywhere[:1]) for fault in frames_lost(call.T, call.lengths)]
    tried += [(fault, _backward_scopes(call)) for fault in turned_wrongly()]
    for fault, where in tried:
        for scope in where:
            if all(fault.fits(call.layers[name]) for name in scope.names):
                yield fault.what + scope.words, call.gradients(_directions(call, fault, scope))


def _directions(call, fault, scope):
    """The fault's way in its scope; what is not below it is as in the reference, which has run."""
    names = list(call.caches)
    directions = {}
    for of_layer in reversed(by_layer(names)):
        directions |= {name: _kept(call.ways[name]) for name in of_layer if name not in scope.names}
        if not scope.names.isdisjoint(of_layer):
            break
    return directions | dict.fromkeys(scope.names, fault.run)


def _kept(way):
    return lambda *given: way


def _gates_read_otherwise(call, reference):
    """Gates in another order, forwards and back."""
    for order in ORDERS:
        change = _rows_in(order)
        for scope in scopes(call.caches):
            layers = {
                name: LSTMParams(*(by_block(w, order) for w in params)) if name in scope.names else params
                for name, params in call.layers.items()
            }
            run = dict.fromkeys(scope.names, _handing_over(change))
            what = f"for weights with gates in the order {in_words(order)}{scope.words}"
            changed = {"layers": layers, "kept": call.unchanged_by(scope.names)}
            yield what, call.gradients(run, forward=changed)


def _handing_over(change):
    """`direction_gradients` with the gradients of weights changed."""

    def run(*given):
        way = direction_gradients(*given)
        return way._replace(params=change(way.params))

    return run
