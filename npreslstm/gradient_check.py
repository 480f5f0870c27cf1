"""Analytic gradients against numeric ones.

    numeric_k = (8 (f(+d) - f(-d)) - (f(+2d) - f(-2d))) / 12 d                 (G1)   error of order d^4
    relative error = max |analytic - numeric| / max(|analytic|, |numeric|)     (G2)   over one tensor

where f(s) is the loss with entry k of a tensor moved by s. In float64 a correct gradient shows 1e-12 to
1e-7; a wrong term shows 1e-3 or more.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from npreslstm.annotations import Array
from npreslstm.errors import InputError
from npreslstm.layers.loss import cross_entropy, one_hot
from npreslstm.model import ModelCache, ResLSTM
from npreslstm.schema import ModelConfig

TOLERANCE = (
    4e-7  # largest relative error (G2) of a correct gradient: ten times what batch norms of few rows show
)
DELTA = 3e-4  # d of (G1)
WEIGHTS = {1: 8, -1: -8, 2: -1, -2: 1}  # of the loss at so many d, in (G1)


class Probe(NamedTuple):
    """One entry of a gradient, both ways.

    Examples
    --------
    >>> GradientCheck().probe("fc.bias[0]").index
    (0,)
    """

    name: str
    index: tuple[int, ...]  # type: ignore[assignment]  # tuples have a method of this name
    value: float  # of the entry itself
    analytic: float
    losses: dict[int, float]  # {steps of d: loss there}
    numeric: float
    error: float  # |analytic - numeric| over the tensor's largest analytic gradient


def probe_losses(
    f: Callable[[], float], p: Array, index: tuple[int, ...], delta: float = DELTA
) -> dict[int, float]:
    """The losses that (G1) needs, {steps of d: loss}, with ``p[index]`` moved in place and put back.

    Examples
    --------
    >>> p = np.array([1.0, 2.0])
    >>> losses = probe_losses(lambda: float((p**2).sum()), p, (0,))
    >>> sorted(losses), p.tolist()
    ([-2, -1, 1, 2], [1.0, 2.0])
    """
    kept = p[index]
    losses = {}
    for steps in WEIGHTS:
        p[index] = kept + steps * delta
        losses[steps] = f()
    p[index] = kept
    return losses


def slope(losses: dict[int, float], delta: float = DELTA) -> float:
    """The numeric derivative (G1) of the losses of `probe_losses`.

    Examples
    --------
    >>> p = np.array([1.0, 2.0])
    >>> round(slope(probe_losses(lambda: float((p**2).sum()), p, (1,))), 9)
    4.0
    """
    return sum(weight * losses[steps] for steps, weight in WEIGHTS.items()) / (12 * delta)


def numeric_gradient(f: Callable[[], float], p: Array, delta: float = DELTA) -> Array:
    """Five-point central differences (G1) of a scalar function.

    Parameters
    ----------
    f : callable
        Takes nothing, reads `p`, returns a float.
    p : array
        Any shape, float64; changed in place and restored.
    delta : float
        Step.

    Returns
    -------
    array shaped as `p`

    Examples
    --------
    >>> p = np.array([1.0, 2.0])
    >>> numeric_gradient(lambda: float((p**2).sum()), p).round(9).tolist()
    [2.0, 4.0]
    """
    gradient = np.empty_like(p)
    for index in np.ndindex(p.shape):
        gradient[index] = slope(probe_losses(f, p, index, delta), delta)
    return gradient


def relative_error(analytic: Array, numeric: Array) -> float:
    """Largest deviation of two arrays over the largest entry of either (G2); 0 if both are zero.

    Examples
    --------
    >>> relative_error(np.array([1.0, -2.0]), np.array([1.0, -1.5]))
    0.25
    """
    scale = max(np.abs(analytic).max(), np.abs(numeric).max())
    return float(np.abs(analytic - numeric).max() / scale) if scale else 0.0


class GradientCheck:
    """A model with random weights and a batch for it, whose gradients are compared with numeric ones.

    Parameters
    ----------
    config, rng, N, T, padding, training, backend
        As of `gradcheck`.

    Attributes
    ----------
    tensors, gradients : dict of str to array
        What the loss depends on, every parameter and the features under 'x', and its gradients by
        `ResLSTM.backward`.

    Examples
    --------
    >>> check = GradientCheck()
    >>> round(check.loss(), 3) > 0
    True
    >>> probe = check.probe("lstm1.weight_hh_l0[3,2]")
    >>> probe.name, probe.index, probe.error < TOLERANCE
    ('lstm1.weight_hh_l0', (3, 2), True)
    """

    def __init__(
        self,
        config: ModelConfig | None = None,
        rng: np.random.Generator | None = None,
        N: int = 3,
        T: int = 7,
        padding: str = "masked",
        training: bool = True,
        backend: str = "fast",
    ) -> None:
        rng = np.random.default_rng(0) if rng is None else rng
        config = config or ModelConfig(input_size=4, hidden_size=5, num_classes=6)
        self.model = ResLSTM(config, rng, np.float64, backend)
        for tensor in self.model.tensors.values():
            if (
                tensor.dtype == np.float64
            ):  # distinct random numbers everywhere, biases and running statistics too
                tensor += 0.3 * rng.random(tensor.shape)
        self._lengths = np.maximum(T - np.arange(N), 1)[::-1]
        x = rng.normal(size=(N, T, config.input_size))
        self.tensors: dict[str, Array] = {"x": x}
        self._targets = one_hot(rng.integers(config.num_classes, size=N), config.num_classes, np.float64)
        self._seed = int(rng.integers(2**32))
        self._training, self._padding = training, padding
        (_, dlogits), cache = self._run()
        grads, dx = self.model.backward(dlogits, cache, return_dx=True)
        self.gradients: dict[str, Array] = {"x": dx, **grads}
        self.tensors |= {name: self.model.tensors[name] for name in grads}

    def loss(self) -> float:
        """The loss of the tensors as they are.

        Examples
        --------
        >>> check = GradientCheck()
        >>> check.loss() == check.loss()
        True
        """
        return self._run()[0][0]

    def errors(self) -> dict[str, float]:
        """{name: relative error (G2)} of every tensor.

        Examples
        --------
        >>> check = GradientCheck(ModelConfig(input_size=2, hidden_size=3, num_classes=4), N=2, T=3)
        >>> max(check.errors().values()) < TOLERANCE
        True
        """
        numeric = {name: numeric_gradient(self.loss, tensor) for name, tensor in self.tensors.items()}
        return {name: relative_error(gradient, numeric[name]) for name, gradient in self.gradients.items()}

    def probe(self, entry: str) -> Probe:
        """One entry both ways.

        Parameters
        ----------
        entry : str
            A tensor and an index, such as ``"lstm1.weight_hh_l0[3,2]"``.

        Raises
        ------
        InputError
            If there is no such entry.

        Examples
        --------
        >>> probe = GradientCheck().probe("lstm1.weight_hh_l0[3,2]")
        >>> abs(probe.analytic - probe.numeric) < 1e-9
        True
        """
        name, index = self._parse(entry)
        gradient = self.gradients[name]
        losses = probe_losses(self.loss, self.tensors[name], index)
        analytic, numeric = float(gradient[index]), slope(losses)
        largest = np.abs(gradient).max()
        error = abs(analytic - numeric) / largest if largest else abs(numeric)
        return Probe(name, index, float(self.tensors[name][index]), analytic, losses, numeric, float(error))

    def _run(self) -> tuple[tuple[float, Array], ModelCache]:
        rng = np.random.default_rng(self._seed) if self._training else None
        x = self.tensors["x"]
        logits, cache = self.model.forward(x, self._lengths, self._training, self._padding, rng)
        return cross_entropy(logits, self._targets), cache

    def _parse(self, entry: str) -> tuple[str, tuple[int, ...]]:
        """('lstm1.weight_hh_l0', (3, 2)) of 'lstm1.weight_hh_l0[3,2]'."""
        found = re.fullmatch(r"\s*([\w.]+)\s*\[([\d\s,]*)\]\s*", entry)
        if not found:
            raise InputError(
                f"{entry!r} is no entry of a tensor; expected one such as 'lstm1.weight_hh_l0[3,2]'"
            )
        name, numbers = found.groups()
        if name not in self.tensors:
            raise InputError(f"the model has no tensor {name!r}; expected one of {', '.join(self.tensors)}")
        shape = self.tensors[name].shape
        index = tuple(int(number) for number in numbers.split(",") if number.strip())
        if len(index) != len(shape) or any(k >= size for k, size in zip(index, shape)):
            last = ",".join(str(size - 1) for size in shape)
            raise InputError(f"{entry!r} is not in {name}, which is {shape}; expected up to {name}[{last}]")
        return name, index


def gradcheck(
    config: ModelConfig | None = None,
    rng: np.random.Generator | None = None,
    N: int = 3,
    T: int = 7,
    padding: str = "masked",
    training: bool = True,
    backend: str = "fast",
) -> dict[str, float]:
    """Check `ResLSTM.backward` on random weights and input.

    Parameters
    ----------
    config : ModelConfig, optional
        Default: ResLSTM-SA with distinct small sizes (D, H, C = 4, 5, 6), so that no transposition can hide.
    rng : numpy.random.Generator, optional
        Default: seed 0.
    N, T : int
        Clips (at least 2 in training) and frames; the clips have different lengths.
    padding : {'masked', 'original'}
    training : bool
        Batch statistics and dropout, or evaluation with frozen statistics.
    backend : {'fast', 'reference'}
        Whose layers are checked.

    Returns
    -------
    dict
        {parameter name: relative error}, and the same for the features under 'x'.

    Examples
    --------
    >>> small = ModelConfig(input_size=2, hidden_size=3, num_classes=4)
    >>> max(gradcheck(small, N=2, T=3, backend="reference").values()) < TOLERANCE
    True
    """
    return GradientCheck(config, rng, N, T, padding, training, backend).errors()
