"""Work for several processes, or for a cluster, through one `concurrent.futures.Executor`."""

import collections
import contextlib
import os
import signal

from npreslstm.errors import InputError

# A worker of a script runs it again, up to its `if`: without one it begins the work anew and dies of that.
DIED = (
    "a worker process died: killed, maybe for want of memory (try fewer), or started by a script without if"
    " __name__ == '__main__'"
)
ATTEMPTS = 3  # pools in a row that die before anything is done
CLUSTER_SECONDS = 20  # to wait for a scheduler, and for its first worker
# tasks under way, or done before an earlier one: for each process, and on a cluster (workers come and go)
AHEAD, AHEAD_ON_CLUSTER = 4, 256


def available_cores():
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def open_executor(workers=1, dask=None):
    """An executor that ends with the block, and with this process, however that ends.

    Parameters
    ----------
    workers : int
        Processes, each with one BLAS thread.
    dask : str, optional
        Address of a dask.distributed scheduler (``tcp://host:8786``) whose workers are used instead. They
        need this package and the same folders; start them with ``--nthreads 1``.

    Yields
    ------
    concurrent.futures.Executor

    Raises
    ------
    InputError
        If `workers` is not positive, or dask.distributed is not installed.
    OSError
        If there is no scheduler at the address.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}; expected at least 1")
    with _processes(workers) if dask is None else _cluster(dask) as executor:
        yield executor


@contextlib.contextmanager
def _processes(workers):
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")  # the same on every system, and no threads are copied
    watched, held = context.Pipe(duplex=False)
    with one_thread_each():
        try:
            pool = ProcessPoolExecutor(workers, context, _end_with, (watched,))
        except OSError as error:  # no room for semaphores, say
            raise OSError(f"worker processes cannot be started: {error.strerror}") from None
        try:
            yield pool
            pool.shutdown()
        finally:
            held.close()  # ends workers that are still at it: an interruption need not wait for them
            pool.shutdown(cancel_futures=True)
            watched.close()


@contextlib.contextmanager
def one_thread_each():
    """One BLAS thread in processes started meanwhile, and in this one, if it has not loaded NumPy yet.

    The matrices are small, processes would fight for the cores, and the last digits depend on the number of
    threads.
    """
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _interrupts_held():
    """Processes started meanwhile never hear Ctrl-C, which a terminal sends to all; this one hears it
    afterwards, and ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # started later, it would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(connection):
    """In a worker: end at once when the other end of `connection` closes.

    It closes when the parent gives up and when the parent is killed: no worker is left behind that would go
    on writing.
    """
    import threading

    from npreslstm.files import remove_unfinished

    def wait():
        with contextlib.suppress(EOFError, OSError):
            connection.recv()
        remove_unfinished()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be held
    threading.Thread(target=wait, daemon=True).start()


def _client(address):
    """A client of a cluster's scheduler; InputError without dask.distributed, OSError if nobody answers."""
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--dask needs dask.distributed: pip install 'dask[distributed]', or npreslstm[cluster]"
        ) from None
    try:
        return Client(address, timeout=CLUSTER_SECONDS)
    except (OSError, ValueError) as error:
        raise OSError(
            f"no dask scheduler answers at {address} ({error}); start one with: dask scheduler"
        ) from None


@contextlib.contextmanager
def _cluster(address):
    import asyncio

    client = _client(address)
    from distributed import KilledWorker

    with _left(client), _left(client.get_executor(pure=False)) as executor:
        try:
            client.wait_for_workers(1, timeout=CLUSTER_SECONDS)
            yield executor
        except (TimeoutError, asyncio.TimeoutError):  # two things before Python 3.11
            raise OSError(
                f"the dask scheduler at {address} has no workers; start some with: dask worker {address}"
                " --nthreads 1"
            ) from None
        except KilledWorker as error:
            raise OSError(
                f"workers of the cluster died again and again, maybe for want of memory: {error}"
            ) from None
        except ImportError as error:
            raise OSError(
                f"the workers of the cluster lack a package ({error}); install npreslstm where they run"
            ) from None


@contextlib.contextmanager
def _left(resource):
    """Like ``with resource``, but what fails at its end is passed over: after a lost connection dask fails
    there in ways of its own, which would hide what happened inside.
    """
    try:
        yield resource.__enter__()
    finally:
        with contextlib.suppress(Exception):
            resource.__exit__(None, None, None)


def check_cluster(address):
    """Find out before the work whether there is a cluster: OSError or InputError as of `run_all`."""
    with _cluster(address):
        pass


def run_all(function, tasks, workers=1, dask=None):
    """Yield (task, result) of ``function(task)`` for every task, as they are done.

    A worker of a cluster that is lost is replaced by another one. A process that is killed takes its pool
    with it: the rest of the tasks go to a new pool, of half as many processes where nothing was done, until
    `ATTEMPTS` pools in a row have done nothing. So they do when the connection to a scheduler is lost.

    Parameters
    ----------
    function : callable
        Of a module, so that it can be found by its name in another process.
    tasks : list
        Hashable and small.
    workers, dask
        As of `open_executor`.

    Raises
    ------
    OSError
        If processes are killed again and again.
    """
    from concurrent.futures import CancelledError, as_completed
    from concurrent.futures.process import BrokenProcessPool

    left, fruitless = dict.fromkeys(tasks), 0
    while left:
        before = len(left)
        try:
            processes = min(workers, before)
            if fruitless:  # it may have been for want of memory
                processes = max(1, processes >> fruitless)
            with open_executor(processes, dask) as executor:
                with _interrupts_held():  # the processes start here
                    futures = {executor.submit(function, task): task for task in left}
                for future in as_completed(futures):
                    result = future.result()
                    del left[futures[future]]
                    yield futures[future], result
        except (BrokenProcessPool, CancelledError):  # cancelled: the connection to the scheduler was lost
            fruitless = fruitless + 1 if len(left) == before else 0
            if fruitless == ATTEMPTS:
                raise OSError(_lost(dask)) from None


def run_in_order(function, tasks, workers=1, dask=None):
    """Yield the result of ``function(task)`` for every task, in the order of the tasks.

    There may be any number: few tasks and results are held at a time (`AHEAD`). Workers that are lost are
    replaced as in `run_all`.

    Parameters
    ----------
    function : callable
        Of a module, so that it can be found by its name in another process.
    tasks : iterable
    workers, dask
        As of `open_executor`.

    Raises
    ------
    OSError
        If processes are killed again and again.
    """
    from concurrent.futures import CancelledError
    from concurrent.futures.process import BrokenProcessPool

    tasks, waiting, fruitless = iter(tasks), collections.deque(), 0
    ahead = AHEAD * workers if dask is None else AHEAD_ON_CLUSTER
    ended = False
    while waiting or not ended:
        done = 0
        try:
            with open_executor(max(1, workers >> fruitless), dask) as executor:
                futures = collections.deque(_submit(executor, function, task) for task in waiting)
                while True:
                    while not ended and len(waiting) < ahead:
                        ended = not _take(tasks, waiting)
                        if not ended:
                            futures.append(_submit(executor, function, waiting[-1]))
                    if not waiting:
                        break
                    result = futures.popleft().result()
                    waiting.popleft()
                    done += 1
                    yield result
        except (BrokenProcessPool, CancelledError):  # cancelled: the connection to the scheduler was lost
            fruitless = 0 if done else fruitless + 1
            if fruitless == ATTEMPTS:
                raise OSError(_lost(dask)) from None


def _lost(dask):
    """What is said where nothing is done again and again."""
    return DIED if dask is None else f"the work at {dask} was lost again and again"


def _take(tasks, waiting):
    """Put the next task into the queue; False if there is none."""
    for task in tasks:
        waiting.append(task)
        return True
    return False


def _submit(executor, function, task):
    with _interrupts_held():  # processes start here
        return executor.submit(function, task)
