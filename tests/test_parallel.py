"""Tasks in order, over processes that die and connections that are lost."""

import contextlib
import os
import sys
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from dying import die_once

from npreslstm import parallel


class TestRunInOrder:
    def test_few_tasks_are_held(self):
        taken = []

        def tasks():
            for k in range(100):
                taken.append(k)
                yield k

        results = parallel.run_in_order(abs, tasks(), 2)
        for k in range(100):
            assert next(results) == k and len(taken) <= k + 1 + 2 * parallel.AHEAD
        assert list(results) == []

    @pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
    def test_a_killed_worker(self, tmp_path):
        path = tmp_path / "kill"
        path.touch()
        tasks = [(str(path) if k == 9 else "none", k) for k in range(20)]
        assert list(parallel.run_in_order(die_once, tasks, 2)) == list(range(0, 40, 2)) and not path.exists()

    @pytest.mark.parametrize("ways", ["run_in_order", "run_all"])
    @pytest.mark.parametrize("lost", [1, parallel.ATTEMPTS])
    def test_a_lost_connection(self, monkeypatch, ways, lost):
        """A cluster's futures are cancelled when its scheduler is out of reach for a moment, and its client
        fails when it is closed.
        """
        clients = []

        class Client(contextlib.AbstractContextManager):
            def __init__(self):
                clients.append(self)

            def __exit__(self, *exception):
                assert len(clients) > lost  # so does dask

            def wait_for_workers(self, count, timeout):
                pass

            def get_executor(self, pure):
                return self

            def submit(self, function, task):
                future = Future()
                if len(clients) <= lost and task >= 5 * (lost == 1):
                    future.cancel()
                    future.set_running_or_notify_cancel()
                else:
                    future.set_result(function(task))
                return future

        monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(KilledWorker=KeyError))
        monkeypatch.setattr(parallel, "_client", lambda address: Client())
        results = getattr(parallel, ways)(abs, range(20), dask="tcp://host:1")
        if lost == parallel.ATTEMPTS:
            with pytest.raises(OSError, match="the work at tcp://host:1 was lost again and again"):
                list(results)
        else:
            results = [result if ways == "run_in_order" else result[1] for result in results]
            assert sorted(results) == list(range(20)) and len(clients) == 2

    def test_no_tasks(self):
        assert list(parallel.run_in_order(abs, [], 2)) == []
