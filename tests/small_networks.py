"""State dicts of small networks, under other names."""

from pathlib import Path

import numpy as np

from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig

GOLDENS = Path(__file__).parent / "goldens"
SMALL = ModelConfig(input_size=6, hidden_size=8, num_classes=3)


def state_of(config=SMALL, seed=0):
    return ResLSTM(config, np.random.default_rng(seed)).state_dict()


W, OTHER = state_of(), state_of(seed=1)
BASE = state_of(ModelConfig("lstm-sa", input_size=6, hidden_size=8, num_classes=3))
ONE = np.array(1, np.float32)


def under(prefix, state=W):
    return {prefix + name: array for name, array in state.items()}


def without(*parts):
    return {name: array for name, array in W.items() if not name.endswith(parts)}


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    assert all(found[name].tobytes() == array.tobytes() for name, array in wanted.items())
