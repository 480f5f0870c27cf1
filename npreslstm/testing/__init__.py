"""For other projects' tests: this package as the reference that a framework, an export or a port is checked
against.

    from npreslstm.testing import assert_lstm_equal, assert_lstm_gradients_equal
    assert_lstm_equal(net(x), net.state_dict(), x)  # any torch.nn.LSTM; `from_keras`, `from_onnx`
    assert_lstm_gradients_equal(grads, net.state_dict(), x, dy)  # and its backward pass

Everything takes NumPy arrays, or tensors that NumPy can read; nothing but NumPy is imported. The reference
computes in float64, so that a deviation is the framework's own. docs/testing.md has examples for PyTorch,
Keras and ONNX.
"""

from npreslstm.formats.lstm_layouts import from_keras, from_onnx
from npreslstm.testing.backward_call import GRADIENT_TOLERANCES
from npreslstm.testing.cases import LSTMCase, lstm_cases
from npreslstm.testing.compare import TOLERANCES, assert_tensors_equal
from npreslstm.testing.gradients import (
    assert_lstm_gradients_equal,
    gradients_from_keras,
    trace_lstm_gradients,
)
from npreslstm.testing.lstm import assert_lstm_equal, trace_lstm
from npreslstm.testing.model import assert_trace_equal, trace

__all__ = [
    "GRADIENT_TOLERANCES", "LSTMCase", "TOLERANCES", "assert_lstm_equal", "assert_lstm_gradients_equal",
    "assert_tensors_equal", "assert_trace_equal", "from_keras", "from_onnx", "gradients_from_keras",
    "lstm_cases", "trace", "trace_lstm", "trace_lstm_gradients",
]  # fmt: skip
