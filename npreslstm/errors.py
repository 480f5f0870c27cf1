"""What bad input raises."""


class InputError(ValueError):
    """Input that cannot be used: the message says the value, what was expected, and the remedy.

    The command line prints the message as one line on stderr and exits with status 2.
    """


class DivergedError(InputError):
    """Training that has come to a loss which is no finite number."""


class SnapshotError(InputError):
    """A state file of training that is of another run, or damaged."""
