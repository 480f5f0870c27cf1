"""Types of arguments and results, for annotations. Shapes, units and ranges are in the docstrings."""

import os
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray["np.floating[Any]"]  # in quotes, since before NumPy 1.22 these take no parameter
IntArray = NDArray["np.integer[Any]"]
StrPath = str | os.PathLike[str]
Source = StrPath | BinaryIO  # of sound
Progress = Callable[[int, int], None]  # called with how many are done, and of how many
