"""What bad input raises."""

from typing import Any


class InputError(ValueError):
    """Input that cannot be used: the message says the value, what was expected, and the remedy.

    The command line prints the message as one line on stderr and exits with status 2.

    Examples
    --------
    >>> from npreslstm import FeatureConfig
    >>> FeatureConfig.named("phone")
    Traceback (most recent call last):
        ...
    npreslstm.errors.InputError: no feature configuration 'phone'; expected paper or mcu
    """


class DivergedError(InputError):
    """Training that has come to a loss which is no finite number."""


class SnapshotError(InputError):
    """A state file of training that is of another run, or damaged."""


def shown(value: Any, longest: int = 60) -> str:
    """A value as a message shows it: its `repr`, cut off where it is long.

    Examples
    --------
    >>> shown(10**90, 20)
    '10000000000000000...'
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more digits than Python writes, or lists without end
        text = f"a very large {type(value).__name__}"
    return text if len(text) <= longest else text[: longest - 3] + "..."
