"""Tasks in order, over processes that die and connections that are lost."""

import contextlib
import os
from concurrent.futures import Future

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

    def test_a_lost_connection(self, monkeypatch):
        """A cluster's futures are cancelled when its scheduler is out of reach for a moment."""
        opened = []

        class Executor:
            def submit(self, function, task):
                future = Future()
                if len(opened) == 1 and task == 5:
                    future.cancel()
                else:
                    future.set_result(function(task))
                return future

        @contextlib.contextmanager
        def open_executor(workers, dask):
            opened.append(dask)
            yield Executor()

        monkeypatch.setattr(parallel, "open_executor", open_executor)
        results = list(parallel.run_in_order(abs, range(20), dask="tcp://host:1"))
        assert results == list(range(20)) and opened == ["tcp://host:1"] * 2

    def test_no_tasks(self):
        assert list(parallel.run_in_order(abs, [], 2)) == []
