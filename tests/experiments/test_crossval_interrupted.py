"""Cross-validation that is killed, interrupted, or loses its workers: the same bits in the end."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from crossval_runs import EPOCHS, FOLDS, RUNS, command, finished, plan_of, quick_recipe, results, small_model

from npreslstm.cli import main
from npreslstm.experiments import crossval as cv
from npreslstm.experiments.journal import Journal
from npreslstm.experiments.plan import Plan
from npreslstm.files import atomic_write
from npreslstm.parallel import run_all
from npreslstm.training.dataset import load_dataset
from npreslstm.training.recipe import training_features

ROOT = Path(__file__).resolve().parents[2]


def start(arguments):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    # A shell starts background jobs with SIGINT ignored, which children inherit: have it back, it is under
    # test.
    restore = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    return subprocess.Popen(
        [sys.executable, "-m", "npreslstm", *arguments],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore,
    )


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children(process):
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="lists the children of a process by /proc")
def test_killed_and_run_again_it_ends_with_the_same_bits_and_leaves_no_worker(corpus, whole, tmp_path):
    arguments = command(corpus, whole, tmp_path / "out", "--workers", "2")
    process = start(arguments)
    wait_for(lambda: finished(tmp_path / "out") >= 1)
    workers = children(process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not any(os.path.exists(f"/proc/{worker}") for worker in workers))
    assert 1 <= finished(tmp_path / "out") < RUNS * FOLDS
    assert main(arguments) == 0
    assert results(tmp_path / "out") == results(whole)


def test_interrupted_it_stops_at_once_and_says_so(corpus, whole, tmp_path):
    process = start([*command(corpus, whole, tmp_path / "out", "--workers", "1"), "--set", "epochs=100000"])
    assert "2 runs of 3 folds from seed 7" in process.stderr.readline()
    wait_for(lambda: (tmp_path / "out" / "config.json").exists())
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert (
        process.communicate(timeout=30)[1].strip() == "npreslstm: interrupted" and process.returncode == 130
    )


def test_a_fold_under_way_goes_on_from_its_snapshot(corpus, whole, tmp_path, monkeypatch):
    store = next(whole.glob("features/corpus-*"))
    plan = plan_of(corpus, epochs=4)
    task = cv._task(plan, Journal(str(tmp_path / "j"), plan.config("")), str(store), 0, 0)
    uninterrupted = cv.run_fold(replace(task, snapshot=None))

    from npreslstm.training import fit, loop, trainer

    monkeypatch.setattr(fit, "train", lambda *args: loop.train(*args, snapshot_seconds=-1))
    steps = []

    def stop_in_the_third(self, run_epoch=trainer.Trainer.run_epoch):
        steps.append(self.epoch)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return run_epoch(self)

    monkeypatch.setattr(trainer.Trainer, "run_epoch", stop_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        cv.run_fold(task)
    again = cv.run_fold(task)
    assert steps == [0, 1, 2, 2, 3]
    assert (again.predictions.probabilities == uninterrupted.predictions.probabilities).all()
    assert again.history["loss"] == uninterrupted.history["loss"] and len(again.history["loss"]) == 4


def test_a_snapshot_that_does_not_fit_is_begun_anew(corpus, whole, tmp_path):
    """The folder's settings vouch for all that decides the result; such a snapshot is of an earlier version,
    or damaged.
    """
    store, plan = next(whole.glob("features/corpus-*")), plan_of(corpus, epochs=2)
    journal = Journal(str(tmp_path / "j"), plan.config(""))
    task = cv._task(plan, journal, str(store), 0, 0)
    expected = cv.run_fold(task).predictions.probabilities
    for content in (b"x", (whole / "weights" / "run-00-fold-1.npz").read_bytes()):
        Path(task.snapshot).write_bytes(content)
        assert (cv.run_fold(task).predictions.probabilities == expected).all()
    (tmp_path / "j" / "snapshots" / ".x.part").touch()
    journal.clear()
    assert not list((tmp_path / "j" / "snapshots").glob(".*.part"))


def work_that_is_killed_once(task):
    """Square a number; in the worker that comes first, be killed."""
    number, marker = task
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return number**2
    os.kill(os.getpid(), signal.SIGKILL)


def work_that_is_always_killed(task):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_lost_process_costs_nothing_but_time(tmp_path):
    tasks = [(number, str(tmp_path / "marker")) for number in range(4)]
    (tmp_path / "marker").touch()
    assert dict(run_all(work_that_is_killed_once, tasks)) == {task: task[0] ** 2 for task in tasks}
    tasks = [(0, str(tmp_path / "marker")), (1, str(tmp_path / "another")), (2, str(tmp_path / "marker"))]
    assert dict(run_all(work_that_is_killed_once, tasks)) == {task: task[0] ** 2 for task in tasks}


def test_a_process_that_is_killed_before_anything_is_done_costs_nothing_but_time(tmp_path):
    tasks = [(3, str(tmp_path / "marker"))]
    assert list(run_all(work_that_is_killed_once, tasks)) == [(tasks[0], 9)]
    tasks = [(number, str(tmp_path / f"marker {number}")) for number in range(2)]  # each kills a pool
    assert dict(run_all(work_that_is_killed_once, tasks, 2)) == {task: task[0] ** 2 for task in tasks}


def work_that_writes_without_end(folder):
    """Write a file that is never finished."""
    with atomic_write(os.path.join(folder, str(os.getpid()))) as file:
        file.write(b"half")
        time.sleep(1000)


WRITING = """
import sys
from test_crossval_interrupted import work_that_writes_without_end
from npreslstm.cli import guarded
from npreslstm.parallel import run_all
if __name__ == "__main__":
    folders = [sys.argv[1], sys.argv[1] + "/."]
    sys.exit(guarded(lambda: list(run_all(work_that_writes_without_end, folders, 2))))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="lists the children of a process by /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_that_are_ended_leave_no_file_and_no_process(tmp_path, number):
    (tmp_path / "out").mkdir()
    (tmp_path / "script.py").write_text(WRITING)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            [*map(str, (ROOT, ROOT / "tests", Path(__file__).parent)), os.environ.get("PYTHONPATH", "")]
        )
    }
    restore = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "out")]
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore,
        start_new_session=True,
    )
    wait_for(lambda: len(list((tmp_path / "out").iterdir())) == 2)
    started = children(process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal sends it
    else:
        process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    wait_for(lambda: not any(os.path.exists(f"/proc/{child}") for child in started))
    assert list((tmp_path / "out").iterdir()) == []
    if number == signal.SIGINT:
        assert (process.returncode, said) == (130, "npreslstm: interrupted\n")


def test_processes_that_are_killed_again_and_again_are_an_error():
    with pytest.raises(OSError, match="a worker process died: killed, maybe for want of memory"):
        list(run_all(work_that_is_always_killed, [1, 2]))


@pytest.mark.oracle
def test_on_a_cluster_that_loses_a_worker_the_bits_are_the_same(corpus, whole, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        processes = [worker.pid for worker in cluster.workers.values()]
        assert len(processes) == 2
        done = []

        def kill_one(run, fold, history, entries):
            done.append((run, fold))
            if len(done) == 1:
                os.kill(processes[0], signal.SIGKILL)

        data = load_dataset(corpus)
        plan = Plan.make(data, "3", training_features("mcu"), small_model(), quick_recipe(EPOCHS), seed=7)
        cv.crossval(
            plan,
            RUNS,
            str(tmp_path / "out"),
            str(whole / "features"),
            dask=cluster.scheduler_address,
            on_entry=kill_one,
        )
    assert results(tmp_path / "out") == results(whole) and len(done) == RUNS * FOLDS


@pytest.mark.oracle
def test_no_scheduler_or_no_workers_at_the_address_is_one_line(corpus, whole, tmp_path, capsys, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("npreslstm.parallel.CLUSTER_SECONDS", 0.5)
    assert main(command(corpus, whole, tmp_path / "out", "--dask", "tcp://127.0.0.1:1")) == 2
    assert "no dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err.splitlines()[-1]
    with distributed.LocalCluster(
        n_workers=0, processes=False, dashboard_address=None, protocol="tcp"
    ) as cluster:
        assert main(command(corpus, whole, tmp_path / "out", "--dask", cluster.scheduler_address)) == 2
    assert "has no workers; start some with: dask worker tcp://" in capsys.readouterr().err.splitlines()[-1]
