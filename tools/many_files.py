"""Show that `npreslstm predict` and `features` go through any number of files: memory, kills, lost workers.

    python tools/many_files.py [--count 20000] [--kills 5] [--only csv jsonl npz]
                               [--ways killed processes cluster] [--folder DIR] [--seed 0]

Makes COUNT clips of 0.1 to 0.3 s out of the demo clip, and runs the commands on them: once undisturbed, of
which the memory is measured at a tenth of the rows and at all; then killed (SIGKILL) KILLS times at random
places and taken up again with --resume; with two processes, and with two workers of a dask cluster on this
machine if dask.distributed is installed, of which one is killed in the middle. The bytes of all must be the
same. Linux only. Exit status 1 if they are not.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
MARK = re.compile(rb"# (\d+) files, \d+ failed, (\d+) bytes, ")
RATE = 16000  # Hz
IN_A_FOLDER = 1000
WAYS = ("killed", "processes", "cluster")
COMMANDS = {
    "predict, CSV": ("predict", "--weights", "mcu", "csv"),
    "predict, JSON lines": ("predict", "--weights", "mcu", "jsonl"),
    "features, .npz": ("features", "--features", "mcu", "npz"),
}


def make_clips(folder, count, seed):
    """Write `count` short WAV files into folders of a thousand."""
    import wave

    import numpy as np

    from npreslstm.assets import demo_clip_path
    from npreslstm.audio.reader import read_audio, resample

    rng = np.random.default_rng(seed)
    voice = resample(*read_audio(demo_clip_path()), RATE)
    voice /= abs(voice).max()
    for k in range(count):
        length = int(rng.integers(RATE // 10, 3 * RATE // 10))
        start = int(rng.integers(0, len(voice) - length))
        clip = rng.uniform(0.1, 0.9) * voice[start : start + length]
        place = Path(folder, f"{k // IN_A_FOLDER:04}")
        place.mkdir(exist_ok=True)
        with wave.open(str(place / f"{k:07}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((32767 * clip).astype(np.int16).tobytes())


class Counter:
    """Counts the files that are done in a growing OUT.partial."""

    def __init__(self, output):
        self._path, self._at, self.done = f"{output}.partial", 0, 0

    def update(self):
        """Files that are done."""
        with contextlib.suppress(FileNotFoundError), open(self._path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(self._at)
            while (line := file.readline()).endswith(b"\n"):
                mark = MARK.match(line)
                after = file.tell() + (int(mark[2]) if mark else 0)
                if after > size:
                    break
                self._at = file.seek(after)
                self.done += int(mark[1]) if mark else 0
        return self.done


def start(folder, output, command, *more):
    """A process that runs a command on all clips."""
    name, option, value, _ = command
    line = [
        sys.executable,
        "-m",
        "npreslstm",
        name,
        str(folder),
        option,
        value,
        "--output",
        str(output),
        *more,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with open(f"{output}.log", "ab") as log:
        return subprocess.Popen(line, env=environment, stderr=log, cwd=ROOT)


def resident(process):
    """Megabytes of memory that a process holds; nan when it has ended."""
    with contextlib.suppress(FileNotFoundError, StopIteration), open(f"/proc/{process.pid}/status") as lines:
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
    return float("nan")


def undisturbed(folder, output, command, count):
    """Seconds, and megabytes at a tenth of the rows and at the last ones."""
    begun, counter, early, late = time.monotonic(), Counter(output), None, None
    process = start(folder, output, command)
    while process.poll() is None:
        done, memory = counter.update(), resident(process)
        if early is None and done >= count // 10:
            early = memory
        if done and memory == memory:
            late = memory
        time.sleep(0.02)
    finish(process, output)
    return time.monotonic() - begun, early, late


def killed(folder, output, command, count, kills, rng):
    """The files that were done at each kill."""
    places = []
    for turn in range(kills):
        counter, goal = Counter(output), count * (turn + rng.random()) / (kills + 1)
        process = start(folder, output, command, "--resume")
        while process.poll() is None and counter.update() < goal:
            time.sleep(0.01)
        check(process.poll() is None, "ended before it was killed")
        process.kill()
        process.wait()
        check(not os.path.exists(output), f"{output} is there before all is done")
        places.append(Counter(output).update())
    finish(start(folder, output, command, "--resume"), output)
    return places


def finish(process, output):
    """Wait for a process; where it failed, say with which words."""
    if process.wait() != 0:
        check(False, f"exit status {process.returncode}: {Path(f'{output}.log').read_text()[-2000:]}")


def with_two_processes(folder, output, command, count):
    """Kill one of two worker processes in the middle."""
    counter = Counter(output)
    process = start(folder, output, command, "--jobs", "2")
    while counter.update() < count // 3:
        time.sleep(0.01)
    workers = [pid for pid in children(process.pid) if b"multiprocessing.spawn" in command_line(pid)]
    check(len(workers) == 2, f"{len(workers)} workers")
    os.kill(workers[0], signal.SIGKILL)
    finish(process, output)


def with_a_cluster(folder, output, command, count):
    """Kill one of two dask workers in the middle; False if there is no dask.distributed."""
    try:
        from distributed import LocalCluster
    except ImportError:
        return False
    options = {"threads_per_worker": 1, "dashboard_address": None, "protocol": "tcp"}
    os.environ["PYTHONPATH"] = str(ROOT)
    with LocalCluster(n_workers=2, **options) as cluster:
        workers = [worker.pid for worker in cluster.workers.values()]
        counter = Counter(output)
        process = start(folder, output, command, "--dask", cluster.scheduler_address)
        while counter.update() < count // 3 and process.poll() is None:
            time.sleep(0.01)
        os.kill(workers[0], signal.SIGKILL)
        finish(process, output)
    return True


def children(pid):
    """Processes that a process has started."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def command_line(pid):
    """How a process was started."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def check(good, what):
    """End with a message unless it is good."""
    if not good:
        sys.exit(f"many_files.py: {what}")


def run(folder, args):
    """Everything with every command."""
    rng = random.Random(args.seed)
    clips = Path(folder, "clips")
    clips.mkdir()
    make_clips(clips, args.count, args.seed)
    for what, command in COMMANDS.items():
        if command[-1] not in args.only:
            continue
        outputs = [Path(folder, f"{name}.{command[-1]}") for name in ("whole", "killed", "two", "cluster")]
        seconds, early, late = undisturbed(clips, outputs[0], command, args.count)
        print(f"{what}: {args.count} files, {seconds:.0f} s, {1e3 * seconds / args.count:.2f} ms a file")
        print(f"  memory at {args.count // 10} files {early:.1f} MB, at {args.count} {late:.1f} MB")
        whole = outputs[0].read_bytes()
        if "killed" in args.ways:
            places = killed(clips, outputs[1], command, args.count, args.kills, rng)
            check(outputs[1].read_bytes() == whole, "bytes differ after kills")
            print(f"  killed at {', '.join(map(str, places))} files and resumed: the same {len(whole)} bytes")
        if "processes" in args.ways:
            with_two_processes(clips, outputs[2], command, args.count)
            check(outputs[2].read_bytes() == whole, "bytes differ after a worker was killed")
            print(f"  two processes, one killed: the same {len(whole)} bytes")
        if "cluster" in args.ways and with_a_cluster(clips, outputs[3], command, args.count):
            check(outputs[3].read_bytes() == whole, "bytes differ after a worker of the cluster was killed")
            print(f"  two workers of a dask cluster, one killed: the same {len(whole)} bytes")
        check(not list(Path(folder).glob("*.partial")), "a partial file is left")
        sys.stdout.flush()


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000, help="clips (default 20000)")
    parser.add_argument("--kills", type=int, default=5, help="kills of each command (default 5)")
    forms = [command[-1] for command in COMMANDS.values()]
    parser.add_argument("--only", nargs="+", choices=forms, default=forms, help="outputs (default: all)")
    parser.add_argument("--folder", help="where the clips are made (default: a temporary folder)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="what is killed (default: all)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="many-", dir=args.folder) as folder:
        run(folder, args)


if __name__ == "__main__":
    main()
