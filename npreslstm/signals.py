"""SIGTERM and Ctrl-C end the program by an exception, so that it leaves no file half-written.

An exception that is raised while a C library calls back into Python ends that call and no more: the library
goes on, and the signal is lost. soundfile reads and writes file objects by such calls. A signal that comes in
one is therefore raised again a moment later, until it finds Python at work.
"""

import contextlib
import signal
import sys
import threading

AGAIN = 0.002  # seconds until a signal that came at a bad time is raised again
CALLED_BY_C = "vio_"  # how soundfile's functions that libsndfile calls begin


@contextlib.contextmanager
def ended_by_exceptions():
    """Within, SIGTERM is SystemExit (143) and SIGINT is KeyboardInterrupt, wherever they come.

    Who has another use for a signal keeps it; so does who runs this in another thread than the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    taken = {number: handler for number, handler in usual.items() if signal.getsignal(number) is handler}
    for number in taken:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def _end(number, frame):
    """The exception that a signal stands for; later, if it would be lost here."""
    if _called_by_c(frame):
        timer = threading.Timer(AGAIN, _raise_again, (number,))
        timer.daemon = True
        timer.start()
        return
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def _raise_again(number):
    """The signal once more, for the main thread, which it wakes where it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, number)
    else:
        signal.raise_signal(number)


def _called_by_c(frame):
    """Whether C called one of the functions at work."""
    while frame is not None:
        if frame.f_code.co_name.startswith(CALLED_BY_C):
            return True
        frame = frame.f_back
    return False


def until_interrupted(items):
    """The items of an iterator until Ctrl-C or SIGTERM: it ends the wait for the next one at once, and lets
    what is done with the last one come to its end. Then Ctrl-C is an end like any other, and SIGTERM
    SystemExit (143). A second one is KeyboardInterrupt or SystemExit at once.
    """
    asked, waiting = [], False

    def note(number, frame):
        if asked or waiting:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield from items
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        while not asked:
            waiting = True
            try:
                item = next(items)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                waiting = False
            yield item
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if signal.SIGTERM in asked:
        sys.exit(128 + signal.SIGTERM)
