"""Which of the usual mistakes explains the gradients under test."""

import numpy as np

from npreslstm.layers.lstm import LSTMParams
from npreslstm.testing.backward import by_layer, direction_gradients, in_order
from npreslstm.testing.compare import EXPLAINED
from npreslstm.testing.faults import (
    ORDERS,
    backward_scopes,
    by_block,
    derivatives_left_out,
    factors_mistaken,
    frames_lost,
    gates_stacked,
    in_words,
    running_forwards,
    scopes,
    states_not_carried,
    turned_wrongly,
    weights_handed_over,
)

EXACTLY = 1e-4  # a mistake that leaves no more than this of the deviation is named without trying others


@np.errstate(all="ignore")  # what a mistake makes of padding need not be numbers
def explanation(call, found, reference):
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
    for scope in backward_scopes(call.caches):
        run = dict.fromkeys(scope.names, running_forwards)
        turn = _turning_all_but(scope.names)
        yield (
            f"that runs the backward direction forwards{scope.words}",
            call.gradients(run, forward={"turn": turn}),
        )


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
    tried += [(fault, backward_scopes(call.caches)) for fault in turned_wrongly()]
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
