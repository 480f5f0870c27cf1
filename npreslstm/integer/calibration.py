"""The ranges of a model's activations, which decide where the integer model has its points."""

import numbers

import numpy as np

from npreslstm.errors import InputError
from npreslstm.fast.packing import packing


def calibrate(checkpoint, x, lengths):
    """Ranges of a model's activations on clips of training speakers; `fit` keeps them as
    ``notes["calibration"]``.

    Parameters
    ----------
    checkpoint : Checkpoint
    x : (N, T, D) array
        Z-scored features; never of test speakers.
    lengths : (N,) int array

    Returns
    -------
    dict
        JSON values: ``input``, the largest size of a feature after the residual connection at most; ``cell``,
        the largest size of a cell state of each layer.
    """
    _, cache = checkpoint.model().forward(x, lengths)
    rows = packing(lengths).pack(np.asarray(x))
    cells = [float(np.abs(layer.c).max()) for layers in cache.lstms.values() for layer in layers]
    return {"input": float(np.abs(rows).max()) + 1.0, "cell": cells}


def check_calibration(calibration, layers):
    """Refuse what `calibrate` does not give for that many layers."""
    cells = calibration.get("cell") if isinstance(calibration, dict) else None
    limits = (
        [calibration.get("input"), *cells]
        if isinstance(cells, (list, tuple)) and len(cells) == layers
        else [None]
    )
    if not all(isinstance(limit, numbers.Real) and 0 < limit < 1e300 for limit in limits):
        raise InputError(
            f"calibration is {calibration!r}; expected positive ranges: 'input' and a list 'cell' of {layers}"
        )
