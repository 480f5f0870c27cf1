"""What the tests of the explaining page share: Node, pages of several networks, and its engine's answers."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from npreslstm.assets import demo_clip_path
from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import Checkpoint
from npreslstm.explain.hearing import hear
from npreslstm.explain.page import explain_page
from npreslstm.model import ResLSTM
from npreslstm.schema import ModelConfig

FOLDER = Path(__file__).parent / "explain"


def node():
    """Node.js, or a skip that says that it is missing."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("Node.js is not installed: apt-get install nodejs")
    return path


def other_network():
    """A network of every size unlike the bundled ones: stacked, of several attention vectors, with features
    of its own that trim silence and estimate the tuning.
    """
    features = FeatureConfig(
        sample_rate=22050, n_fft=1024, hop_length=400, n_mels=40, n_mfcc=13, n_chroma=7, trim_db=40.0
    )
    config = ModelConfig(
        input_size=20,
        hidden_size=9,
        num_classes=3,
        num_layers=2,
        attention_vectors=2,
        head_combine=True,
    )
    return random_checkpoint(config, features)


def baseline_network():
    """LSTM-SA: one LSTM, no residual connection."""
    return random_checkpoint(ModelConfig(kind="lstm-sa", hidden_size=11), FeatureConfig.named("mcu"))


def random_checkpoint(config, features, seed=0):
    """Weights that nobody trained, with statistics that move every batch norm."""
    rng = np.random.default_rng(seed)
    state = ResLSTM(config, rng).state_dict()
    for tensor in state.values():
        if tensor.ndim == 1:
            tensor += rng.uniform(0, 0.5, tensor.shape).astype(tensor.dtype)
    mean, std = rng.normal(size=config.input_size), rng.uniform(20, 60, config.input_size)
    classes = tuple(f"class {k}" for k in range(config.num_classes))
    return Checkpoint(config, state, features, mean, std, classes)


NETWORKS = {
    "robust": lambda: "robust",
    "mcu": lambda: "mcu",
    "paper": lambda: "paper",
    "other": other_network,
    "lstm-sa": baseline_network,
}


def make_page(name, folder):
    """(hearing, path of the page) of the demo clip."""
    heard = hear(demo_clip_path(), NETWORKS[name]())
    path = folder / f"{name}.html"
    path.write_text(explain_page(heard), encoding="utf-8")
    return heard, path


def ask(path, queries):
    """The answers of the page's engine, under Node, to queries {changes, tell}."""
    done = subprocess.run(
        [node(), FOLDER / "engine.mjs", path], input=json.dumps(queries), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
