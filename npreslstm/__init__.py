"""ResLSTM-SA in NumPy: speech emotion recognition by a residual LSTM with soft attention.

Importing the package loads NumPy and nothing heavier; public names are imported from their modules on first
use.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "FeatureConfig": "npreslstm.audio.features",
    "extract_features": "npreslstm.audio.features",
    "VoiceActivity": "npreslstm.audio.activity",
    "speech_spans": "npreslstm.audio.activity",
    "read_audio": "npreslstm.audio.reader",
    "InputError": "npreslstm.errors",
    "gradcheck": "npreslstm.gradient_check",
    "ModelConfig": "npreslstm.schema",
    "ResLSTM": "npreslstm.model",
    "Checkpoint": "npreslstm.checkpoint",
    "load_checkpoint": "npreslstm.checkpoint",
    "load_model": "npreslstm.checkpoint",
    "save_checkpoint": "npreslstm.checkpoint",
    "Prediction": "npreslstm.prediction",
    "Recognizer": "npreslstm.recognizer",
    "Listener": "npreslstm.listening",
    "StreamingFeatures": "npreslstm.audio.streaming",
    "StreamingResLSTM": "npreslstm.streaming",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'npreslstm' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
