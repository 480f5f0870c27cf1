"""What the model is made of: its sizes, and every tensor by PyTorch's name, shape and initialiser.

`SCHEMA` is the one list from which initialisation, loading, saving, export and tests follow.
Letters: D inputs, H hidden, C classes, K attention vectors; "4H" are four gates of H rows.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from npreslstm.annotations import Array
from npreslstm.errors import InputError, shown

KINDS = ("reslstm-sa", "lstm-sa")
LARGEST = 10_000  # of any size: beyond use, and soon said
MOST_CLASSES = 1000  # scores take tables of classes by classes
SHOWN = 12  # names in a message


class Entry(NamedTuple):
    """One tensor of the model: its name, the letters of its shape, and the initialiser of `initialisers` that
    fills it.

    Examples
    --------
    >>> SCHEMA["reslstm-sa"][-1]
    Entry(name='fc.bias', shape=('C',), initialiser='zeros')
    """

    name: str
    shape: tuple[str, ...]
    initialiser: str


def _lstm(prefix: str, inputs: str, hidden: str) -> tuple[Entry, ...]:
    """Entries of one LSTM layer; {k} is the layer's number, and `inputs` holds for layer 0 (later ones take
    `hidden`).
    """
    gates = "4" + hidden
    return (
        Entry(prefix + ".weight_ih_l{k}", (gates, inputs), "xavier_normal"),
        Entry(prefix + ".weight_hh_l{k}", (gates, hidden), "orthogonal"),
        Entry(prefix + ".bias_ih_l{k}", (gates,), "forget_bias"),
        Entry(prefix + ".bias_hh_l{k}", (gates,), "forget_bias"),
    )


def _batchnorm(prefix: str, features: str) -> tuple[Entry, ...]:
    return (
        Entry(prefix + ".weight", (features,), "ones"),
        Entry(prefix + ".bias", (features,), "zeros"),
        Entry(prefix + ".running_mean", (features,), "zeros"),
        Entry(prefix + ".running_var", (features,), "ones"),
        Entry(prefix + ".num_batches_tracked", (), "counter"),
    )


_ATTENTION = (
    Entry("attention_vector", ("H", "K"), "xavier_normal"),
    Entry("head_combine.weight", ("1", "K"), "xavier_uniform"),
)
_HEAD = (
    *_batchnorm("bn", "H"),
    Entry("fc.weight", ("C", "H"), "xavier_uniform"),
    Entry("fc.bias", ("C",), "zeros"),
)

SCHEMA = {
    "reslstm-sa": (
        *_lstm("lstm1", "D", "D"),
        *_lstm("lstm2", "D", "H"),
        *_ATTENTION,
        *_batchnorm("bn_residual", "D"),
        *_HEAD,
    ),
    "lstm-sa": (*_lstm("lstm", "D", "H"), *_ATTENTION, *_HEAD),
}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
# of one layer, in the order of `layers.lstm.LSTMParams`
LSTM_TENSORS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
NORM_TENSORS = ("weight", "bias", *BUFFERS)  # of one batch norm: gamma, beta and its statistics


def lstm_names(prefix: str, layer: int) -> list[str]:
    """Names of the four tensors of one LSTM layer: ['lstm1.weight_ih_l0', ...].

    Examples
    --------
    >>> lstm_names("lstm1", 0)
    ['lstm1.weight_ih_l0', 'lstm1.weight_hh_l0', 'lstm1.bias_ih_l0', 'lstm1.bias_hh_l0']
    """
    return [f"{prefix}.{name}_l{layer}" for name in LSTM_TENSORS]


def norm_names(prefix: str) -> list[str]:
    """Names of the five tensors of one batch norm: ['bn.weight', ...].

    Examples
    --------
    >>> norm_names("bn")
    ['bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var', 'bn.num_batches_tracked']
    """
    return [f"{prefix}.{name}" for name in NORM_TENSORS]


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a model.

    Attributes
    ----------
    kind : {'reslstm-sa', 'lstm-sa'}
    input_size : int
        D, features a frame.
    hidden_size : int
        H of the last LSTM.
    num_classes : int
        C.
    num_layers : int
        Layers stacked in each LSTM.
    attention_vectors : int
        K.
    head_combine : bool
        Whether a bias-free linear layer combines the K scores; needed when K > 1.
    dropout : float in [0, 1)
        Probability before the last layer, where `ResLSTM.forward` is given a generator. `Recipe.dropout` sets
        it for training; weights files record it.

    Examples
    --------
    >>> config = ModelConfig()
    >>> config.num_parameters, config.lstms
    (46772, ('lstm1', 'lstm2'))
    >>> config.schema["lstm2.weight_hh_l0"]
    ((256, 64), 'orthogonal')
    >>> ModelConfig.from_dict(config.to_dict()) == config
    True
    """

    kind: str = "reslstm-sa"
    input_size: int = 46
    hidden_size: int = 64
    num_classes: int = 8
    num_layers: int = 1
    attention_vectors: int = 1
    head_combine: bool = False
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind is {shown(self.kind)}; expected one of {', '.join(KINDS)}")
        for name in ("input_size", "hidden_size", "num_classes", "num_layers", "attention_vectors"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name} is {shown(value)}; expected an integer of at least 1")
            most = MOST_CLASSES if name == "num_classes" else LARGEST
            if value > most:
                raise InputError(f"{name} is {shown(value)}; expected at most {most}")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {shown(self.dropout)}; expected a probability in [0, 1)")
        if self.attention_vectors > 1 and not self.head_combine:
            raise InputError(
                f"attention_vectors is {self.attention_vectors} without head_combine; expected"
                " head_combine=True when there are several"
            )

    @property
    def lstms(self) -> tuple[str, ...]:
        """Prefixes of the LSTMs, in the order of computation.

        Examples
        --------
        >>> ModelConfig(kind="lstm-sa").lstms
        ('lstm',)
        """
        return ("lstm1", "lstm2") if self.kind == "reslstm-sa" else ("lstm",)

    @property
    def schema(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """{name: (shape, initialiser)} of every tensor, in state_dict order.

        Examples
        --------
        >>> ModelConfig().schema["attention_vector"]
        ((64, 1), 'xavier_normal')
        """
        D, H = self.input_size, self.hidden_size
        letters = {
            "D": D,
            "4D": 4 * D,
            "H": H,
            "4H": 4 * H,
            "C": self.num_classes,
            "K": self.attention_vectors,
            "1": 1,
        }
        entries = {}
        for entry in _stacked(SCHEMA[self.kind], self.num_layers):
            if entry.name == "head_combine.weight" and not self.head_combine:
                continue
            entries[entry.name] = (tuple(letters[letter] for letter in entry.shape), entry.initialiser)
        return entries

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """{name: shape} of what training changes: the schema without the running statistics.

        Examples
        --------
        >>> ModelConfig().parameters["fc.weight"], "bn.running_mean" in ModelConfig().parameters
        ((8, 64), False)
        """
        return {
            name: shape for name, (shape, _) in self.schema.items() if name.rpartition(".")[2] not in BUFFERS
        }

    @property
    def num_parameters(self) -> int:
        """Count of trainable numbers: 46,772 for the default.

        Examples
        --------
        >>> ModelConfig().num_parameters
        46772
        """
        return sum(int(np.prod(shape)) for shape in self.parameters.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of the fields.

        Examples
        --------
        >>> ModelConfig().to_dict()["hidden_size"]
        64
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelConfig":
        """The inverse of `to_dict`; an unknown or missing field is an InputError.

        Examples
        --------
        >>> ModelConfig.from_dict(ModelConfig(hidden_size=32).to_dict()).hidden_size
        32
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict):
            raise InputError(f"a model configuration is {type(values).__name__}; expected a table of fields")
        if set(values) != names:
            raise InputError(
                f"model configuration has fields {shown(list(values), 500)}; expected {sorted(names)}"
            )
        return cls(**values)

    @classmethod
    def from_state(cls, state: Mapping[str, Array], dropout: float = 0.5) -> "ModelConfig":
        """Read the sizes off the shapes of a state_dict.

        Raises
        ------
        InputError
            If the tensors are not those of a ResLSTM-SA or LSTM-SA model.

        Examples
        --------
        >>> from npreslstm.checkpoint import load_checkpoint
        >>> ModelConfig.from_state(load_checkpoint("mcu").state).hidden_size
        64
        """
        kind = "reslstm-sa" if "lstm1.weight_ih_l0" in state else "lstm-sa"
        prefix = "lstm1" if kind == "reslstm-sa" else "lstm"
        needed = (prefix + ".weight_ih_l0", "attention_vector", "fc.weight")
        if absent := [name for name in needed if name not in state or np.ndim(state[name]) != 2]:
            if absent[0] in state:
                raise InputError(f"{absent[0]} is {np.shape(state[absent[0]])}; expected a matrix")
            found = ", ".join(sorted(state)[:SHOWN]) or "nothing"
            found += f" and {len(state) - SHOWN} more" if len(state) > SHOWN else ""
            raise InputError(
                f"state_dict lacks the matrix {absent[0]}; expected a ResLSTM-SA or LSTM-SA model; found"
                f" {found}"
            )
        layers = sum(name.startswith(prefix + ".weight_ih_l") for name in state)
        H, K = state["attention_vector"].shape
        D, C = state[needed[0]].shape[1], len(state["fc.weight"])
        return cls(kind, D, H, C, layers, K, "head_combine.weight" in state, dropout)


def _stacked(entries: tuple[Entry, ...], layers: int) -> list[Entry]:
    """The entries with every LSTM layer written out `layers` times, one whole layer after the other."""
    written = []
    for entry in entries:
        if not entry.name.endswith("_l{k}"):
            written.append(entry)
        elif "weight_ih" in entry.name:
            block = entries[entries.index(entry) : entries.index(entry) + 4]
            hidden = block[1].shape[1]
            for k in range(layers):
                written += [
                    Entry(
                        e.name.format(k=k), (e.shape[0], hidden) if k and i == 0 else e.shape, e.initialiser
                    )
                    for i, e in enumerate(block)
                ]
    return written
