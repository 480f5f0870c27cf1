"""Print how long reading the weights of ResLSTM-SA h64 takes, beside torch.load and the safetensors library
in the same run.

    python tools/bench formats [--repeats N]

Two figures a reader: its first read in a fresh process, after its imports (best of 5 processes), and its best
of N reads, all readers in turns. Ratios are to torch.load(weights_only=True). The same file is read by all
but the last two, which read a .safetensors of equal content.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

# before NumPy is imported
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

READERS = {  # name: (imports, expression of `path`, extension)
    "torch.load": ("import torch", "torch.load(path, weights_only=True)", "pt"),
    "npreslstm .pt": ("from npreslstm.formats import torch_pt", "torch_pt.read_state_dict(path)", "pt"),
    "safetensors": ("import safetensors.numpy", "safetensors.numpy.load_file(path)", "safetensors"),
    "npreslstm .safetensors": (
        "from npreslstm.formats import safetensors as ours",
        "ours.read_state_dict(path)",
        "safetensors",
    ),
}


def weights(D=46, H=64, C=8):
    """Random tensors with the names and shapes of ResLSTM-SA."""
    shapes = {"lstm1": (D, D), "lstm2": (D, H)}
    state = {"attention_vector": (H, 1)}
    for name, (inputs, hidden) in shapes.items():
        state |= {f"{name}.weight_ih_l0": (4 * hidden, inputs), f"{name}.weight_hh_l0": (4 * hidden, hidden)}
        state |= {f"{name}.bias_ih_l0": (4 * hidden,), f"{name}.bias_hh_l0": (4 * hidden,)}
    for name, size in {"bn_residual": D, "bn": H}.items():
        state |= {f"{name}.{part}": (size,) for part in ("weight", "bias", "running_mean", "running_var")}
    state |= {"fc.weight": (C, H), "fc.bias": (C,)}
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in state.items()}


def first_read(imports, expression, path):
    """Seconds of the first read in a fresh process."""
    code = (
        f"import sys, time\n{imports}\npath = sys.argv[1]\nstart ="
        f" time.perf_counter()\n{expression}\nprint(time.perf_counter() - start)"
    )
    return float(
        subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    )


def best_reads(paths, repeats):
    """{reader: best seconds of `repeats`}, the readers in turns."""
    compiled = {name: compile(expression, name, "eval") for name, (_, expression, _) in READERS.items()}
    scopes = {name: {"path": paths[extension]} for name, (_, _, extension) in READERS.items()}
    for name, (imports, _, _) in READERS.items():
        exec(imports, scopes[name])
    best = dict.fromkeys(READERS, float("inf"))
    for _ in range(repeats):
        for name, code in compiled.items():
            start = time.perf_counter()
            eval(code, scopes[name])
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main(argv=None):
    from npreslstm.formats import safetensors, torch_pt

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--repeats", type=int, default=200, metavar="N", help="reads of which the best counts (default 200)"
    )
    repeats = parser.parse_args(argv).repeats
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            extension: os.path.join(folder, f"weights.{extension}") for extension in ("pt", "safetensors")
        }
        torch_pt.write_state_dict(paths["pt"], weights())
        safetensors.write_state_dict(paths["safetensors"], weights())
        first = {
            name: min(first_read(imports, read, paths[ext]) for _ in range(5))
            for name, (imports, read, ext) in READERS.items()
        }
        best = best_reads(paths, repeats)
        print(
            f"{os.path.getsize(paths['pt'])} bytes (.pt), {os.path.getsize(paths['safetensors'])} bytes"
            f" (.safetensors); best of {repeats} reads"
        )
    print(f"{'reader':24}{'first read':>12}{'best read':>12}{'ratio':>8}")
    for name in READERS:
        ratio = best[name] / best["torch.load"]
        print(f"{name:24}{1e3 * first[name]:9.2f} ms{1e3 * best[name]:9.2f} ms{ratio:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
