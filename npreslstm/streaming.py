"""The model frame by frame, in constant memory: what the C port mirrors.

One clip is pushed in pieces of any size. What is kept from frame to frame does not grow:

    h, c        of every LSTM layer                                2 H (2 D in the first LSTM) numbers a layer
    attention   largest score, sum of weights, weighted sum of h   H + 2 numbers

so a clip may have any number of frames, and `result` may be asked after each. Push, result and reset are
the three calls of the C port, in its order of work and with the equation tags of `model`, `layers.lstm` and
`layers.attention`. The logits are those of `ResLSTM.infer` on the whole clip.

Letters: T frames, D inputs, H hidden, C classes.
"""

import numpy as np
from numpy.typing import ArrayLike

from npreslstm.annotations import FloatArray
from npreslstm.errors import InputError
from npreslstm.layers.attention import attention_start, attention_step
from npreslstm.layers.batchnorm import batchnorm_frozen
from npreslstm.layers.dense import linear_forward
from npreslstm.layers.lstm import LSTMParams, lstm_step
from npreslstm.model import ResLSTM
from npreslstm.schema import lstm_names, norm_names


class StreamingResLSTM:
    """One clip through a model, frame by frame.

    Parameters
    ----------
    model : ResLSTM
        Its tensors are used, not copied.

    Attributes
    ----------
    frames : int
        Frames pushed since the start or the last `reset`.

    Examples
    --------
    >>> from npreslstm import load_model
    >>> model = load_model("mcu", np.float64)
    >>> x = np.random.default_rng(0).normal(size=(20, 46))  # z-scored frames
    >>> stream = StreamingResLSTM(model)
    >>> for frame in x:
    ...     stream.push(frame)
    >>> stream.frames, stream.context.shape
    (20, (64,))
    >>> logits, attention = model.infer(x[None], [20])
    >>> bool(np.abs(stream.result() - logits[0]).max() < 1e-12)
    True
    """

    def __init__(self, model: ResLSTM) -> None:
        self.model = model
        layers = range(model.config.num_layers)
        self._layers = {lstm: [self._params(lstm, k) for k in layers] for lstm in model.config.lstms}
        self.reset()

    def reset(self) -> None:
        """Forget the clip: the next frame is the first of another.

        Examples
        --------
        >>> from npreslstm import load_model
        >>> stream = StreamingResLSTM(load_model("mcu"))
        >>> stream.push(np.zeros((3, 46)))
        >>> stream.reset()
        >>> stream.frames
        0
        """
        self.frames = 0
        self._states = {
            lstm: [self._zero_state(params) for params in layers] for lstm, layers in self._layers.items()
        }
        self._attention = attention_start(1, self.model.config.hidden_size, self.model.dtype)

    def push(self, frames: ArrayLike) -> None:
        """Take in the next frame or frames.

        Parameters
        ----------
        frames : (D,) or (T, D) array
            Z-scored features, T >= 0.

        Raises
        ------
        InputError
            If the shape is another, or a value is not finite; nothing is taken in then.

        Examples
        --------
        >>> from npreslstm import load_model
        >>> stream = StreamingResLSTM(load_model("mcu"))
        >>> stream.push(np.zeros(46))
        >>> stream.push(np.zeros((3, 46)))
        >>> stream.frames
        4
        """
        x = np.asarray(frames, dtype=self.model.dtype)
        D = self.model.config.input_size
        if x.ndim not in (1, 2) or x.shape[-1] != D:
            raise InputError(f"frames are {x.shape}; expected ({D},) or (frames, {D})")
        if not np.isfinite(x).all():
            raise InputError(
                "frames hold NaN or infinite values; expected finite ones: check the audio and the statistics"
            )
        for row in x.reshape(-1, 1, D):
            self._push_frame(row)

    @property
    def context(self) -> FloatArray:
        """Attention's weighted mean of the hidden states so far: (H,) (A3).

        Raises
        ------
        InputError
            Before the first frame.

        Examples
        --------
        >>> from npreslstm import load_model
        >>> stream = StreamingResLSTM(load_model("mcu"))
        >>> stream.push(np.zeros(46))
        >>> stream.context.shape
        (64,)
        """
        if not self.frames:
            raise InputError("no frame was pushed; expected at least one before a result")
        return (self._attention.weighted / self._attention.total[:, None])[0]

    @property
    def states(self) -> list[tuple[FloatArray, FloatArray]]:
        """(h, c), each (H,), of every LSTM layer after the last frame, in the order of computation.

        Examples
        --------
        >>> from npreslstm import load_model
        >>> stream = StreamingResLSTM(load_model("mcu"))
        >>> [(h.shape, c.shape) for h, c in stream.states]
        [((46,), (46,)), ((64,), (64,))]
        """
        return [(h[0], c[0]) for layers in self._states.values() for h, c in layers]

    def result(self) -> FloatArray:
        """Logits of the clip so far: (C,). More frames may follow.

        Raises
        ------
        InputError
            Before the first frame.

        Examples
        --------
        >>> from npreslstm import load_model
        >>> stream = StreamingResLSTM(load_model("mcu"))
        >>> stream.push(np.zeros((3, 46)))
        >>> stream.result().shape
        (8,)
        """
        head_input = self._normalise("bn", self.context[None])
        # (R4)
        return linear_forward(head_input, self.model.tensors["fc.weight"], self.model.tensors["fc.bias"])[0]

    def _push_frame(self, x: FloatArray) -> None:
        """One frame (1, D) through all layers."""
        if "lstm1" in self._layers:
            x = self._normalise("bn_residual", x + self._step("lstm1", x))  # (1, D)  (R1)
        h = self._step(self.model.config.lstms[-1], x)  # (1, H)  (R2)
        tensors = self.model.tensors
        # (R3)
        self._attention = attention_step(
            h, self._attention, tensors["attention_vector"], tensors.get("head_combine.weight")
        )
        self.frames += 1

    def _step(self, lstm: str, x: FloatArray) -> FloatArray:
        """One frame through the stacked layers of one LSTM, whose states move on."""
        states = self._states[lstm]
        for k, params in enumerate(self._layers[lstm]):
            h, c, _ = lstm_step(x, *states[k], params)
            states[k] = h, c
            x = h
        return x

    def _normalise(self, prefix: str, rows: FloatArray) -> FloatArray:
        gamma, beta, mean, var, _ = (self.model.tensors[name] for name in norm_names(prefix))
        return batchnorm_frozen(rows, gamma, beta, mean, var)[0]

    def _params(self, lstm: str, k: int) -> LSTMParams:
        return LSTMParams(*(self.model.tensors[name] for name in lstm_names(lstm, k)))

    def _zero_state(self, params: LSTMParams) -> tuple[FloatArray, FloatArray]:
        shape = (1, params.W_hh.shape[1])
        return np.zeros(shape, dtype=self.model.dtype), np.zeros(shape, dtype=self.model.dtype)
