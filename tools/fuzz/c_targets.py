"""The C entries under attack: built with sanitizers, and run by libFuzzer or on random bytes."""

import re
import shutil
import subprocess
from pathlib import Path

from npreslstm.checkpoint import load_checkpoint
from npreslstm.ports.c_export import export_c

HERE = Path(__file__).resolve().parent / "c"
# target: (its source, bundled weights, type)
C_TARGETS = {
    "c-model-float": ("model.c", "mcu", "float32"),
    "c-model-int8": ("model.c", "mcu", "int8"),
    "c-frontend": ("frontend.c", "mcu", "float32"),
    "c-activity": ("activity.c", "mcu", "float32"),
    "c-clip": ("clip.c", "paper", "float32"),
}
FLAGS = ("-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-sanitize-recover=all")


def build(name, scratch):
    """Build a target in a folder; returns (program, engine: libFuzzer or 'random bytes')."""
    source, weights, type = C_TARGETS[name]
    folder = scratch / f"{weights}-{type}"
    if not folder.exists():
        export_c(load_checkpoint(weights), folder, type)
    sources = [HERE / source, *sorted((folder / "src").glob("*.c"))]
    program = scratch / name
    arguments = [*FLAGS, f"-I{folder / 'src'}", f"-I{HERE}", "-o", program]
    clang = ["clang", "-fsanitize=fuzzer,address,undefined,float-cast-overflow", *arguments, *sources]
    if shutil.which("clang") and subprocess.run(clang, capture_output=True).returncode == 0:
        return program, "libFuzzer"
    plain = ["-fsanitize=address,undefined,float-cast-overflow", *arguments, HERE / "main.c", *sources]
    subprocess.run([shutil.which("gcc") or "cc", *plain], check=True)
    return program, "random bytes"


def run_c(program, engine, seconds, executions, seed, results):
    """Run a target; returns (executions, what is wrong, or None)."""
    results.mkdir(parents=True, exist_ok=True)
    if engine == "libFuzzer":
        limit = [f"-runs={executions}"] if executions else [f"-max_total_time={max(1, int(seconds))}"]
        corpus = results / "corpus"
        corpus.mkdir(exist_ok=True)
        options = [
            f"-seed={seed}",
            "-max_len=4096",
            "-timeout=10",
            "-rss_limit_mb=500",
            f"-artifact_prefix={results}/",
        ]
        command = [program, *options, *limit, corpus]
    else:
        command = [program, str(executions or int(1000 * seconds)), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    counts = re.findall(r"^(?:Done (\d+) runs|#(\d+)\s)", done.stderr, re.MULTILINE)
    count = max((int(a or b) for a, b in counts), default=0)
    if done.returncode == 0:
        return count, None
    said = re.search(
        r"broken: .*|runtime error: .*|ERROR: \w+Sanitizer: .*|ERROR: libFuzzer: .*", done.stderr
    )
    return count, said.group() if said else f"exit status {done.returncode}: {done.stderr.strip()[-200:]}"
