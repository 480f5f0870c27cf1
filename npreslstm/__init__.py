"""ResLSTM-SA in NumPy: speech emotion recognition by a residual LSTM with soft attention.

Importing the package loads NumPy and nothing heavier; public names are imported from their modules on first
use.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "FeatureConfig": "npreslstm.audio.config",
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
    "StreamingRecognizer": "npreslstm.streaming_recognizer",
    "StreamingResLSTM": "npreslstm.streaming",
}

__all__ = [
    "Checkpoint",
    "FeatureConfig",
    "InputError",
    "Listener",
    "ModelConfig",
    "Prediction",
    "Recognizer",
    "ResLSTM",
    "StreamingFeatures",
    "StreamingRecognizer",
    "StreamingResLSTM",
    "VoiceActivity",
    "__version__",
    "extract_features",
    "gradcheck",
    "load_checkpoint",
    "load_model",
    "read_audio",
    "save_checkpoint",
    "speech_spans",
]

TYPE_CHECKING = False  # editors and type checkers take it for true; `typing` itself takes time to import
if TYPE_CHECKING:
    from npreslstm.audio.activity import VoiceActivity, speech_spans
    from npreslstm.audio.config import FeatureConfig
    from npreslstm.audio.features import extract_features
    from npreslstm.audio.reader import read_audio
    from npreslstm.audio.streaming import StreamingFeatures
    from npreslstm.checkpoint import Checkpoint, load_checkpoint, load_model, save_checkpoint
    from npreslstm.errors import InputError
    from npreslstm.gradient_check import gradcheck
    from npreslstm.listening import Listener
    from npreslstm.model import ResLSTM
    from npreslstm.prediction import Prediction
    from npreslstm.recognizer import Recognizer
    from npreslstm.schema import ModelConfig
    from npreslstm.streaming import StreamingResLSTM
    from npreslstm.streaming_recognizer import StreamingRecognizer
else:

    def __getattr__(name):
        if name not in _HOME:
            raise AttributeError(f"module 'npreslstm' has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
