"""The C entries under attack: built with sanitizers, and run by libFuzzer or on random bytes."""

import re
import shutil
import subprocess
from pathlib import Path

from npreslstm.checkpoint import load_checkpoint
from npreslstm.ports.c_export import export_c

HERE = Path(__file__).resolve().parent / "c"
FLOAT, INT8, INTEGER = {"type": "float32"}, {"type": "int8"}, {"type": "int8", "frontend": "integer"}
BLOB = {"weights": "blob"}
# target: (its source, bundled weights, what else export_c takes, flags of the compiler)
C_TARGETS = {
    "c-model-float": ("model.c", "mcu", FLOAT, ()),
    "c-model-int8": ("model.c", "mcu", INT8, ()),
    "c-frontend": ("frontend.c", "mcu", FLOAT, ()),
    "c-activity": ("activity.c", "mcu", FLOAT, ()),
    "c-clip": ("clip.c", "paper", FLOAT, ()),
    "c-integer": ("integer.c", "mcu", INTEGER, ()),
    "c-integer-short": ("integer.c", "mcu", INTEGER, ("-DNPR_SHORT_MULTIPLY",)),
    "c-stream": ("stream.c", "mcu", INTEGER, ()),
    # Weights that are forged may add up to more than 32 bits: of no use, but no harm either.
    "c-blob-int8": ("blob.c", "mcu", INTEGER | BLOB, ("-fwrapv",)),
    "c-blob-float": ("blob.c", "mcu", FLOAT | BLOB, ()),
}
FLAGS = ("-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-sanitize-recover=all")


def build(name, scratch):
    """Build a target in a folder; returns (program, engine: libFuzzer or 'random bytes')."""
    source, weights, options, flags = C_TARGETS[name]
    folder = scratch / "-".join([weights, *options.values()])
    if not folder.exists():
        export_c(load_checkpoint(weights), folder, **options)
    sources = [HERE / source, *sorted((folder / "src").glob("*.c"))]
    if "weights" in options:
        sources.append(folder / "extras" / "npr_subject.c")  # with the file in it
        flags = *flags, f'-DNPR_BLOB_FILE="{folder / "npr_weights.bin"}"'
    program = scratch / name
    arguments = [*FLAGS, *flags, f"-I{folder / 'src'}", f"-I{HERE}", "-o", program]
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
