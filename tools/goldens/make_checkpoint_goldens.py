"""Make the small checkpoints in tests/goldens whose tensors PyTorch saved in parts or quantised, and what it
computes from them.

    python tools/goldens/make_checkpoint_goldens.py            # write them anew
    python tools/goldens/make_checkpoint_goldens.py --check    # make them elsewhere and compare the values

checkpoint_*.pt are state dicts; checkpoint_values.npz holds the tensors that the layers work with, as
'<file>/<name>'. Needs torch (the extra `oracle`); the tests that read the files do not.
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from make_torch_goldens import GOLDENS, Small, differences
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

TENSORS = ("lstm1.weight_hh_l0", "attention_vector", "fc.weight")  # those that are saved in parts


def pruned():
    """Two tensors with their masks."""
    model = Small()
    for name in TENSORS:
        prune.l1_unstructured(*_owner(model, name), amount=0.4)
    return model


def normed(norm):
    """Weight norm by rows, by columns, and of the whole tensor."""
    model = Small()
    for name, dim in zip(TENSORS, (0, 1, None)):
        norm(*_owner(model, name), dim=dim)
    return model


def _owner(model, name):
    module, _, parameter = name.rpartition(".")
    return model.get_submodule(module), parameter


def spectral():
    model = Small()
    torch.manual_seed(0)
    spectral_norm(model.fc)
    return model


def orthogonal():
    model = Small()
    parametrizations.orthogonal(model.lstm1, "weight_hh_l0", use_trivialization=False)
    return model


def dynamic(kinds):
    return torch.ao.quantization.quantize_dynamic(Small(), kinds, dtype=torch.qint8)


def quantised_tensors():
    quantise = torch.quantize_per_tensor
    state = Small().state_dict()
    return {name: quantise(x, 0.01, 0, torch.qint8) if x.ndim == 2 else x for name, x in state.items()}


def write(folder):
    """Write all files to a folder, and return {'<file>/<name>': array}."""
    whole = {
        "pruned": pruned(),
        "weight_norm": normed(weight_norm),
        "parametrized": normed(parametrizations.weight_norm),
    }
    refused = {
        "spectral": spectral(),
        "orthogonal": orthogonal(),
        "dynamic": dynamic({torch.nn.LSTM, torch.nn.Linear}),
        "dynamic_head": dynamic({torch.nn.Linear}),
    }
    for name, model in (whole | refused).items():
        torch.save(model.state_dict(), folder / f"checkpoint_{name}.pt")
    torch.save(quantised_tensors(), folder / "checkpoint_quantised.pt")
    arrays = {"version": np.array(torch.__version__)}
    for name, model in whole.items():
        for tensor in (*TENSORS, "fc.bias"):
            module, parameter = _owner(model, tensor)
            arrays[f"{name}/{tensor}"] = getattr(module, parameter).detach().numpy()
    return arrays


def check():
    with np.load(GOLDENS / "checkpoint_values.npz", allow_pickle=False) as file:
        kept = dict(file)
    with tempfile.TemporaryDirectory() as folder:
        wrong = differences(write(Path(folder)), kept)
    print("differ: " + ", ".join(wrong) if wrong else "the values are those that this script makes")
    return 1 if wrong else 0


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed values instead of writing them"
    )
    warnings.simplefilter("ignore")  # the old weight norm and quantisation are to go
    if parser.parse_args(argv).check:
        return check()
    np.savez(GOLDENS / "checkpoint_values.npz", **write(GOLDENS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
