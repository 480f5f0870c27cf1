"""A task for worker processes, in a module that is quick to import."""

import os
import signal


def die_once(task):
    """A number doubled; the process dies where it finds the file, and removes it."""
    path, number = task
    try:
        os.unlink(path)
    except FileNotFoundError:
        return 2 * number
    os.kill(os.getpid(), signal.SIGKILL)
