"""The backward pass of any LSTM layer or stack against this package's."""

import numpy as np

from npreslstm.formats.lstm_layouts import from_keras
from npreslstm.layers.lstm import GATES
from npreslstm.testing.backward import REVERSE
from npreslstm.testing.backward_call import STATES, BackwardCall
from npreslstm.testing.backward_mistakes import explanation
from npreslstm.testing.faults import place


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
    derivative were at its largest, 1/4 for sigmoid and 1 for tanh. It is taken over each weight and bias,
    over each clip of ``dh0`` and ``dc0``, and over each frame of ``dx``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> weights = {"weight_ih_l0": rng.normal(size=(8, 3)), "weight_hh_l0": rng.normal(size=(8, 2))}
    >>> x, dy = rng.normal(size=(1, 2, 3)), np.ones((1, 2, 2))
    >>> grads = trace_lstm_gradients(weights, x, dy)
    >>> assert_lstm_gradients_equal(grads, weights, x, dy)
    """
    call = BackwardCall(weights, x, dy, lengths, h0, c0, dh_n, dc_n, batch_first)
    reference = call.reference()
    found = call.under_test(grads, reference, tolerance)
    wrong = [name for name in reference if name in found and not found[name].excess(reference[name]) <= 1]
    if wrong:
        message = _message(wrong, found, reference)
        raise AssertionError(message + explanation(call, found, reference))


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

    Examples
    --------
    >>> weights = {"weight_ih_l0": np.ones((4, 1)), "weight_hh_l0": np.ones((4, 1))}
    >>> grads = trace_lstm_gradients(weights, np.ones((1, 3, 1)), np.ones((1, 3, 1)))
    >>> list(grads), grads["dx"].shape
    (['weight_ih_l0', 'weight_hh_l0', 'dh0', 'dc0', 'dx'], (1, 3, 1))
    """
    call = BackwardCall(weights, x, dy, lengths, h0, c0, dh_n, dc_n, batch_first)
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
    others += f" Right: {_listed(right)}." if right else ""
    return (
        f"{_called(name)} deviates most at {_where(name, most, expected.shape)}:"
        f" {tensor.array[most] + 0.0:.9g}, npreslstm has {expected[most]:.9g}; the difference"
        f" {difference[most]:.2e} exceeds {allowed[most]:.2e}. {count} of {expected.size} values"
        f" deviate.{others}"
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
