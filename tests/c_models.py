"""Checkpoints for the tests of the C port: every kind of model, random weights of a trained model's size."""

import ctypes
import shutil

import numpy as np
import pytest

from npreslstm.audio.features import FeatureConfig
from npreslstm.checkpoint import Checkpoint
from npreslstm.integer.calibration import calibrate
from npreslstm.model import ResLSTM
from npreslstm.ports.c_export import export_c
from npreslstm.ports.c_library import CLibrary, build
from npreslstm.schema import ModelConfig

CONFIGS = {
    "h64": ModelConfig(),
    "h32": ModelConfig(hidden_size=32),
    "h128": ModelConfig(hidden_size=128),
    "lstm-sa": ModelConfig(kind="lstm-sa"),
    "two layers, two vectors": ModelConfig(
        input_size=5, hidden_size=7, num_classes=3, num_layers=2, attention_vectors=2, head_combine=True
    ),
    "size one": ModelConfig(input_size=1, hidden_size=1, num_classes=1),
}
LABELS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprised")


def random_clips(config, lengths, seed=1):
    """Z-scored features (N, T, D): slow and fast parts, as speech has them."""
    rng = np.random.default_rng(seed)
    fast = rng.normal(size=(len(lengths), max(lengths), config.input_size))
    return (0.7 * fast + rng.normal(size=(len(lengths), 1, config.input_size))).astype(np.float32)


def checkpoint(name="h64", features="mcu", seed=0):
    """A calibrated checkpoint; features only where the model has their 46 inputs."""
    config = CONFIGS[name]
    rng = np.random.default_rng(seed)
    model = ResLSTM(config, rng)
    for key, tensor in model.tensors.items():
        if "running_var" in key or key in ("bn.weight", "bn_residual.weight"):
            tensor *= rng.uniform(0.5, 2, tensor.shape).astype(np.float32)
        elif "num_batches" not in key:
            tensor += (0.1 * rng.normal(size=tensor.shape)).astype(np.float32)
    model.tensors["fc.weight"] *= 4  # spreads the logits as training does
    full = config.input_size == 46
    features = FeatureConfig.named(features) if full and features else None
    mean, std = rng.normal(size=config.input_size), rng.uniform(0.5, 20, config.input_size)
    labels = LABELS if config.num_classes == 8 else None
    made = Checkpoint(config, model.state_dict(), features, mean, std, labels, {"licence": "CC0"})
    lengths = [40, 87, 20]
    made.notes["calibration"] = calibrate(made, random_clips(config, lengths, seed=2), np.array(lengths))
    return made


def needs(*tools):
    """Skip the test unless every program is installed."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def needs_aligned_integers():
    """Skip the test where 64-bit integers lie at multiples of 4, as on 32-bit x86; on all boards it is 8."""
    if ctypes.alignment(ctypes.c_int64) != 8:
        pytest.skip("64-bit integers lie at multiples of 4 here; the sizes of the pages are those of boards")


def library(made, type, folder, frontend="float", **options):
    """Export, compile and load."""
    needs("make", "cc")
    export_c(made, folder, type, frontend=frontend)
    build(folder, **options)
    return CLibrary(folder)


def libraries(tmp_path_factory):
    """exported(name, type): (checkpoint, CLibrary, folder), each made once."""
    made = {}

    def exported(name, type):
        if (name, type) not in made:
            folder, model = tmp_path_factory.mktemp("c"), checkpoint(name)
            made[name, type] = model, library(model, type, folder, cflags="-O2"), folder
        return made[name, type]

    return exported
