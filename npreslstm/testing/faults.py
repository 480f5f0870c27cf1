"""The usual mistakes in a backward pass through LSTM layers, each as data that `backward` can run.

A mistake is made in all layers and directions or in some, and gives gradients of its own. Where gradients
under test are exactly those, the mistake is named.
"""

from collections.abc import Callable
from itertools import permutations
from typing import NamedTuple

import numpy as np

from npreslstm.layers.lstm import GATES, LSTMParams
from npreslstm.testing.backward import (
    REVERSE,
    at_last_frame,
    by_layer,
    direction_backward,
    direction_gradients,
    in_order,
    local_derivatives,
    plain,
    valid_frames,
)

ORDERS = list(permutations(range(4)))[1:]  # of the gates, but for the right one
LOST = 32  # frames at either end that are tried as lost


class Scope(NamedTuple):
    """Layers and directions in which a mistake is made."""

    words: str  # as a sentence ends with it
    names: frozenset[str]


class Fault(NamedTuple):
    """A way to run one layer and direction wrongly, in place of `direction_gradients`."""

    what: str
    run: Callable
    fits: Callable = lambda params: True  # to a layer of these weights


def scopes(names):
    """Where a mistake can be: everywhere, in one direction, in one layer, in one direction of one layer.

    Parameters
    ----------
    names : iterable of str
        'l0', 'l0_reverse', 'l1', ...

    Returns
    -------
    list of Scope
        Distinct ones, the widest first.
    """
    names = list(names)
    backwards = {name for name in names if name.endswith(REVERSE)}
    found = [Scope("", frozenset(names))]
    found.append(Scope(", in the forward direction", frozenset(names) - backwards))
    found.append(Scope(", in the backward direction", frozenset(backwards)))
    found += [Scope(f", in {place(of_layer[0])}", frozenset(of_layer)) for of_layer in by_layer(names)]
    for name in names:
        direction = "backward" if name in backwards else "forward"
        found.append(Scope(f", in {place(name)}, {direction} direction", frozenset([name])))
    distinct = {}
    for scope in found:
        distinct.setdefault(scope.names, scope)
    return [scope for scope in distinct.values() if scope.names]


def backward_scopes(names):
    """The backward directions of all layers, or of one."""
    backwards = [name for name in names if name.endswith(REVERSE)]
    if not backwards:
        return []
    layers = [Scope(f", in {place(name)}", frozenset([name])) for name in backwards if len(backwards) > 1]
    return [Scope("", frozenset(backwards)), *layers]


def place(name):
    """'layer 1' of 'l1_reverse'."""
    return f"layer {name.removesuffix(REVERSE)[1:]}"


def by_block(w, order):
    """Four blocks of rows as read by somebody who takes them for gates in another order."""
    blocks = np.split(w, 4)
    return np.concatenate([blocks[k] for k in np.argsort(order)])


def in_words(order):
    """'i, f, o, g' of (0, 1, 3, 2)."""
    return ", ".join(GATES[k] for k in order)


def transposed(w):
    """Four square blocks (4H, H), each transposed."""
    return np.concatenate([block.T for block in np.split(w, 4)])


def running(back):
    """`direction_gradients` with something else in place of `direction_backward`."""
    return lambda *given: direction_gradients(*given, back=back)


def going_back(what, change):
    """The fault of going back with other data: `change` takes and returns (cache, local derivatives)."""

    def back(dh_in, dc_in, cache):
        return direction_backward(dh_in, dc_in, *change(cache, local_derivatives(cache)))

    return Fault(what, running(back))


def with_weights(cache, **changed):
    """The cache with other weights to go back by."""
    return cache._replace(params=cache.params._replace(**changed))


def derivatives_left_out():
    """Faults of one activation's derivative, or of all of a kind."""
    sigmoids = {
        "da_i": lambda cache: {"i": cache.g},
        "da_f": lambda cache: {"f": cache.c_before},
        "da_o": lambda cache: {"o": np.tanh(cache.c)},
    }
    tanhs = {"da_g": lambda cache: {"g": cache.i}, "dc": lambda cache: {"c": cache.o}}
    for kind, places in (("sigmoid", sigmoids), ("tanh", tanhs), ("activation", sigmoids | tanhs)):
        single = [] if kind == "activation" else [[where] for where in places]
        for where in [*single, list(places)]:
            changes = [places[gradient] for gradient in where]
            listed = ", ".join(where[:-1]) + (" and " if where[:-1] else "") + where[-1]
            yield going_back(
                f"without the derivative of {'any ' if kind == 'activation' else ''}{kind} in {listed}",
                lambda cache, local, changes=changes: (
                    cache,
                    local._replace(**{k: v for change in changes for k, v in change(cache).items()}),
                ),
            )


def states_not_carried():
    """Faults of what goes from frame to frame. dh0 and dc0 are lost with the rest, or not."""

    def no_dh(cache, local):
        return with_weights(cache, W_hh=np.zeros_like(cache.params.W_hh)), local

    def no_dc(cache, local):
        return cache, local._replace(carry=np.zeros_like(local.carry))

    def neither(cache, local):
        return no_dc(*no_dh(cache, local))

    for what, change, lost in (
        ("that carries dc from frame to frame, but not dh", no_dh, ("dh",)),
        ("that carries dh from frame to frame, but not dc", no_dc, ("dc",)),
        ("that carries neither dh nor dc from frame to frame", neither, ("dh", "dc")),
    ):
        fault = going_back(what, change)
        for run in (fault.run, with_initial_states(fault.run, lost)):
            yield fault._replace(run=run)
            last = " or ".join(f"{name}_n" for name in lost)
            yield Fault(f"{what}, nor takes {last}", without_final_states(run, lost))


def without_final_states(run, names):
    """`run`, with dh_n, dc_n or both ignored."""

    def ignoring(name, dy, dh_n, dc_n, lengths, cache):
        dh_n = np.zeros_like(dh_n) if "dh" in names else dh_n
        dc_n = np.zeros_like(dc_n) if "dc" in names else dc_n
        return run(name, dy, dh_n, dc_n, lengths, cache)

    return ignoring


def with_initial_states(run, names):
    """`run`, with what frame 0 hands on in dh0, dc0 or both."""

    def kept(*given):
        gradients, cache = run(*given), given[-1]
        local = local_derivatives(cache)
        dh, dc = gradients.dh[0], gradients.dc[0]  # (N, H)
        da = np.concatenate([dc * local.i[0], dc * local.f[0], dc * local.g[0], dh * local.o[0]], axis=1)
        states = {"dh0": da @ cache.params.W_hh, "dc0": dc * local.carry[0]}
        return gradients._replace(**{f"{name}0": states[f"{name}0"] for name in names})

    return kept


def factors_mistaken():
    """Faults of one factor in a product."""
    yield going_back(
        "that leaves dh * o * (1 - tanh(c)^2) out of dc",
        lambda cache, local: (cache, local._replace(c=np.zeros_like(local.c))),
    )
    yield going_back(
        "that takes c for c_before in df",
        lambda cache, local: (cache, local._replace(f=cache.c * cache.f * (1 - cache.f))),
    )
    yield going_back(
        "that takes h for h_before in dW_hh", lambda cache, local: (cache._replace(h_before=cache.h), local)
    )
    yield going_back(
        "that takes weight_hh for its transpose, gate by gate, in dh_before",
        lambda cache, local: (with_weights(cache, W_hh=transposed(cache.params.W_hh)), local),
    )
    fault = going_back(
        "that takes weight_ih for its transpose, gate by gate, in dx",
        lambda cache, local: (with_weights(cache, W_ih=transposed(cache.params.W_ih)), local),
    )
    yield fault._replace(fits=square)


def square(params):
    """Whether as many inputs as hidden units, so that a block of weight_ih can be transposed."""
    return params.W_ih.shape[1] == params.W_hh.shape[1]


def gates_stacked(order):
    """The fault of da's gates in another order than the weights'."""

    def change(cache, local):
        W_ih, W_hh, _, _ = cache.params
        return with_weights(cache, W_ih=by_block(W_ih, order), W_hh=by_block(W_hh, order)), local

    fault = going_back(f"that stacks da's gates in the order {in_words(order)}", change)

    def run(*given):
        gradients = fault.run(*given)
        as_stacked = LSTMParams(*(by_block(w, np.argsort(order)) for w in gradients.params))
        return gradients._replace(params=as_stacked)

    return fault._replace(run=run)


def frames_lost(T, lengths):
    """Faults of a way back that begins or ends in the wrong frame."""
    for k in range(1, T):
        if k <= LOST or T - k <= LOST:
            what = f"that misses the first {frames(k)} (goes back through {T - k} of {T})"
            yield Fault(what, missing_first(k))
    for k in range(1, min(T, LOST + 1)):
        for moved in (True, False):
            what = f"that misses each clip's last {frames(k)}"
            yield Fault(what, missing_last(lengths - k, moved))
            if lengths.min() < T:
                what = f"that misses the batch's last {frames(k)}"
                yield Fault(what, missing_last(np.minimum(lengths, T - k), moved))


def frames(k):
    """'frame', or '3 frames'."""
    return "frame" if k == 1 else f"{k} frames"


def missing_first(k):
    """Go back to frame k and no further; a clip that ends before passes on what its final state is given."""

    def back(dh_in, dc_in, cache):
        *arrays, params = cache
        later = type(cache)(*(array[k:] for array in arrays), params)
        gradients = direction_backward(dh_in[k:], dc_in[k:], later, local_derivatives(later))
        return gradients._replace(dx=np.concatenate([np.zeros_like(cache.x[:k]), gradients.dx]))

    def run(name, dy, dh_n, dc_n, lengths, cache):
        gradients = direction_gradients(name, dy, dh_n, dc_n, lengths, cache, back)
        return passed_on(gradients, dh_n, dc_n, lengths > k)

    return run


def missing_last(ends, moved):
    """Begin where each clip has the frames `ends`; what its final state is given goes there, or is lost."""

    def run(name, dy, dh_n, dc_n, lengths, cache):
        T, any_left = len(dy), (ends > 0)[:, None]
        at_end = (ends == lengths)[:, None] | moved
        dh_n, dc_n = dh_n * at_end, dc_n * at_end
        dh_in = in_order(name, dy, lengths) * valid_frames(ends, T)[:, :, None]
        dh_in = dh_in + at_last_frame(dh_n * any_left, ends, T)
        dc_in = at_last_frame(dc_n * any_left, ends, T)
        gradients = plain(dh_in, dc_in, cache)
        gradients = gradients._replace(dx=in_order(name, gradients.dx, lengths))
        return passed_on(gradients, dh_n, dc_n, ends > 0)

    return run


def passed_on(gradients, dh_n, dc_n, run):
    """`gradients`, but for clips that do not `run`: their initial state has the gradient of the final one."""
    dh0, dc0 = (np.where(run[:, None], *pair) for pair in ((gradients.dh0, dh_n), (gradients.dc0, dc_n)))
    return gradients._replace(dh0=dh0, dc0=dc0)


def turned_wrongly():
    """Faults of a backward direction whose frames are not turned round, in the backward pass alone."""

    def dy_not_turned(name, dy, dh_n, dc_n, lengths, cache):
        return direction_gradients(name, in_order(name, dy, lengths), dh_n, dc_n, lengths, cache)

    def dx_not_turned(name, dy, dh_n, dc_n, lengths, cache):
        gradients = direction_gradients(name, dy, dh_n, dc_n, lengths, cache)
        return gradients._replace(dx=in_order(name, gradients.dx, lengths))

    yield Fault("that does not turn the frames of dy round for a backward direction", dy_not_turned)
    yield Fault("that does not turn the frames of a backward direction's dx back", dx_not_turned)


def running_forwards(name, dy, dh_n, dc_n, lengths, cache):
    """A backward direction that runs as a forward one does, with the cache of such a run."""
    return direction_gradients(name.removesuffix(REVERSE), dy, dh_n, dc_n, lengths, cache)


def weights_handed_over(divisors):
    """Yield (what, change) of right gradients that are handed over wrongly: `change` takes and returns the
    gradients of one layer's weights.
    """
    yield "that leaves bias_hh's gradient at zero", lambda w: w._replace(b_hh=0 * w.b_hh)
    yield "that leaves bias_ih's gradient at zero", lambda w: w._replace(b_ih=0 * w.b_ih)
    yield (
        "that counts each bias gradient twice",
        lambda w: w._replace(b_ih=2 * w.b_ih, b_hh=2 * w.b_hh),
    )
    yield (
        "that gives each of the two biases half of their gradient",
        lambda w: w._replace(b_ih=w.b_ih / 2, b_hh=w.b_hh / 2),
    )
    yield "that transposes dW_hh gate by gate", lambda w: w._replace(W_hh=transposed(w.W_hh))
    yield (
        "that transposes dW_ih gate by gate",
        lambda w: w._replace(W_ih=transposed(w.W_ih)) if square(w) else w,
    )
    for words, n in divisors.items():
        yield (
            f"whose gradients of weights are means over {words}, not sums",
            lambda w, n=n: LSTMParams(*(tensor / n for tensor in w)),
        )
