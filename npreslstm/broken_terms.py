"""Terms of the reference's backward pass that can be left out, to see which gradients then fail.

A term is named by the line of `npreslstm.layers` that holds it and by that line without it. The function is
compiled once more from its source with the line changed, and put in its place while it is tried. The
sources on disk stay as they are.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

from npreslstm.errors import InputError
from npreslstm.layers import activations, attention, batch, batchnorm, lstm

_MODULES = (activations, attention, batch, batchnorm, lstm)  # a function is replaced wherever it was imported


class Term(NamedTuple):
    """A term of a function's line."""

    what: str
    module: ModuleType
    function: str
    line: str
    without: str


TERMS = {
    "dc": Term(
        "the gradient of the cell that comes back from the frame after (L4')",
        lstm, "lstm_step_backward", "dc = dc + dh * o * (1 - tanh_c**2)", "dc = dh * o * (1 - tanh_c**2)",
    ),
    "dh": Term(
        "the gradient of the hidden state that comes back from the frame after",
        lstm, "lstm_backward", "dh = dh + dy[t]", "dh = dy[t]",
    ),
    "tanh": Term(
        "the derivative of tanh(c) in (L4')",
        lstm, "lstm_step_backward", "dc = dc + dh * o * (1 - tanh_c**2)", "dc = dc + dh * o",
    ),
    "sigmoid": Term(
        "the derivative of the forget gate's sigmoid (L2')",
        lstm, "lstm_step_backward", "da_f = df * f * (1 - f)", "da_f = df",
    ),
    "score": Term(
        "what a hidden state is paid for its score (A1')",
        attention, "attention_backward", "dh = dh + de[:, :, None] * v", "dh = dh",
    ),
    "softmax": Term(
        "what a frame's weight takes from the others' (A2')",
        activations, "softmax_backward", "return p * (dp - mean)", "return p * dp",
    ),
    "mean": Term(
        "what a row does to all rows through the mean (B1')",
        batchnorm, "batchnorm_backward",
        "dx = (du - through_mean - through_var) * inverse_std", "dx = (du - through_var) * inverse_std",
    ),
    "var": Term(
        "what a row does to all rows through the variance (B1')",
        batchnorm, "batchnorm_backward",
        "dx = (du - through_mean - through_var) * inverse_std", "dx = (du - through_mean) * inverse_std",
    ),
}  # fmt: skip


@contextmanager
def broken(name: str) -> Iterator[Term]:
    """Leave a term of `TERMS` out of the reference's backward pass, as long as the context lasts.

    Raises
    ------
    InputError
        If there is no such term, or the package is installed without its sources.

    Examples
    --------
    >>> from npreslstm.gradient_check import TOLERANCE, gradcheck
    >>> with broken("dc") as term:
    ...     errors = gradcheck(backend="reference")
    >>> [name for name, error in errors.items() if error > TOLERANCE and name.startswith("lstm2")]
    ['lstm2.weight_ih_l0', 'lstm2.weight_hh_l0', 'lstm2.bias_ih_l0', 'lstm2.bias_hh_l0']
    """
    if name not in TERMS:
        raise InputError(f"there is no term {name!r} to leave out; expected one of {', '.join(TERMS)}")
    term = TERMS[name]
    right = getattr(term.module, term.function)
    wrong = _without(term, right)
    places = [module for module in _MODULES if getattr(module, term.function, None) is right]
    for module in places:
        setattr(module, term.function, wrong)
    try:
        yield term
    finally:
        for module in places:
            setattr(module, term.function, right)


def _without(term, function):
    """The function compiled from its source without the term."""
    try:
        source = inspect.getsource(function)
    except OSError:
        raise InputError(
            f"the source of {term.module.__name__} is not at hand; expected it, to leave a term out"
        ) from None
    if source.count(term.line) != 1:
        raise InputError(
            f"{term.function} does not hold {term.line!r} once: its source is of another version"
        )
    names = dict(vars(term.module))
    exec(compile(source.replace(term.line, term.without), term.module.__file__, "exec"), names)
    return names[term.function]
