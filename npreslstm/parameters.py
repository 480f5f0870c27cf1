"""The tensors of a model by their PyTorch names, as views into one vector."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from npreslstm import initialisers
from npreslstm.annotations import Array
from npreslstm.errors import InputError
from npreslstm.schema import ModelConfig


class Parameters:
    """A configuration, and its tensors.

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
        Every tensor by its PyTorch name, running statistics included. An array assigned to a name is
        written into its tensor.

    Examples
    --------
    >>> parameters = Parameters(ModelConfig(), np.random.default_rng(0))
    >>> parameters.vector.shape, parameters.tensors["fc.bias"].shape
    ((46772,), (8,))
    >>> parameters.tensors["fc.bias"] = np.arange(8)
    >>> bool(7 in parameters.vector)
    True
    """

    def __init__(
        self,
        config: ModelConfig | None = None,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.config = config or ModelConfig()
        self.dtype = np.dtype(dtype)
        schema = self.config.schema
        self._shapes = self.config.parameters
        statistics = {name: shape for name, (shape, _) in schema.items() if ".running_" in name}
        P = self.config.num_parameters
        count = P + sum(map(math.prod, statistics.values()))
        self._numbers = np.zeros(count, dtype=self.dtype)  # all that results depend on
        self.vector = self._numbers[:P]
        views = self.named_views(self.vector) | _named_views(self._numbers[P:], statistics)
        self.tensors = _Tensors()
        for name, (shape, initialiser) in schema.items():
            counter = initialiser == "counter"  # of batches
            self.tensors.setdefault(name, np.zeros(shape, dtype=np.int64) if counter else views[name])
            if initialiser == "ones" or rng is not None:
                self.tensors[name][...] = getattr(initialisers, initialiser)(shape, rng)

    # copies and pickles are made of the tensors: views into `vector` would come apart
    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self._arguments(), self.state_dict())

    def _arguments(self) -> tuple[Any, ...]:
        """Those that make another one like this, to be loaded."""
        return self.config, None, self.dtype

    def named_views(self, vector: Array) -> dict[str, Array]:
        """{parameter name: view of its shape} into a vector of P numbers laid out as `vector`.

        Examples
        --------
        >>> parameters = Parameters()
        >>> moments = np.zeros_like(parameters.vector)
        >>> parameters.named_views(moments)["fc.bias"].shape
        (8,)
        """
        return _named_views(vector, self._shapes)

    def state_dict(self) -> dict[str, Array]:
        """Copies of all tensors under PyTorch's names.

        Examples
        --------
        >>> state = Parameters().state_dict()
        >>> list(state)[:2], state["fc.weight"].shape
        (['lstm1.weight_ih_l0', 'lstm1.weight_hh_l0'], (8, 64))
        """
        return {name: tensor.copy() for name, tensor in self.tensors.items()}

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Take over all tensors of `state`, converted to the dtype of these.

        Raises
        ------
        InputError
            Naming the first tensor that is missing, unexpected or misshapen; nothing is changed then.

        Examples
        --------
        >>> first, second = Parameters(rng=np.random.default_rng(0)), Parameters()
        >>> second.load_state_dict(first.state_dict())
        >>> bool((second.vector == first.vector).all())
        True
        """
        other = "the weights are not of this configuration"
        if missing := self.tensors.keys() - state.keys():
            raise InputError(f"state_dict lacks {', '.join(sorted(missing))}: {other}")
        if extra := state.keys() - self.tensors.keys():
            raise InputError(f"state_dict has unexpected {', '.join(sorted(extra))}: {other}")
        for name, tensor in self.tensors.items():
            if np.shape(state[name]) != tensor.shape:
                raise InputError(
                    f"{name} is {np.shape(state[name])}; the configuration expects {tensor.shape}"
                )
        with np.errstate(over="ignore"):  # what is too large for the type becomes infinite
            for name, tensor in self.tensors.items():
                tensor[...] = state[name]


class _Tensors(dict[str, Array]):
    """Tensors by name, views into one vector: what is assigned to a name is written there."""

    def __setitem__(self, name: str, values: ArrayLike) -> None:
        self[name][...] = values

    def update(self, tensors: Any) -> None:  # type: ignore[override]
        for name, values in dict(tensors).items():
            self[name] = values

    def __ior__(self, tensors: Any) -> "_Tensors":  # type: ignore[override,misc]
        self.update(tensors)
        return self

    def __reduce__(self) -> tuple[Any, ...]:  # a copy is of the tensors alone
        return dict, ({name: tensor.copy() for name, tensor in self.items()},)


def _named_views(vector: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """{name: view of its shape} into a vector that holds all of `shapes` end to end."""
    views, start = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        views[name] = vector[start : start + size].reshape(shape)
        start += size
    return views


def _restored(kind: type[Parameters], arguments: tuple[Any, ...], state: dict[str, Array]) -> Parameters:
    """A copy, whose tensors are views into a vector of its own."""
    copy = kind(*arguments)
    copy.load_state_dict(state)
    return copy
