"""Make the small files in tests/goldens that PyTorch itself wrote, and the values they must give.

    python tools/goldens/make_torch_goldens.py            # write them anew
    python tools/goldens/make_torch_goldens.py --check    # make them in a temporary folder and compare

torch_*.pt are files of torch.save in its several formats; torch_values.npz holds what torch.load makes of
them, as '<file>/<name>', and the version of torch. Needs torch (the extra `oracle`); the tests that read the
files do not.
"""

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch

GOLDENS = Path(__file__).resolve().parents[2] / "tests" / "goldens"
CHANGING = ("torch_stream.pt", "torch_script.pt")  # torch writes addresses and an order by chance into them
DTYPES = (
    "float64 float32 float16 bfloat16 complex64 complex128 bool uint8 int8 int16 int32 int64 uint16 uint32"
    " uint64".split()
)


class Small(torch.nn.Module):
    """The names and kinds of tensors of ResLSTM-SA, at D = 3, H = 4, C = 2; filled with numbers that no BLAS
    computes.
    """

    def __init__(self):
        super().__init__()
        self.lstm1 = torch.nn.LSTM(3, 3, batch_first=True)
        self.lstm2 = torch.nn.LSTM(3, 4, batch_first=True)
        self.attention_vector = torch.nn.Parameter(torch.empty(4, 1))
        self.bn_residual, self.bn = torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(4)
        self.fc = torch.nn.Linear(4, 2)
        for number, parameter in enumerate(self.parameters()):
            parameter.data = (
                torch.arange(parameter.numel(), dtype=torch.float32).reshape(parameter.shape) / (7 + number)
                - 0.5
            )
            parameter.grad = torch.ones_like(parameter)


def layouts():
    """Tensors of every dtype and of every relation to their storage."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {name: torch.tensor([[0, 1, 2], [3, 4, 100]]).to(getattr(torch, name)) for name in DTYPES}
    tensors["bfloat16_special"] = torch.tensor(
        [float("nan"), float("-inf"), -0.0, 1e-40, 3.1415927, 3e38]
    ).to(torch.bfloat16)
    tensors["bfloat16_scalar"] = tensors["bfloat16"][0, 1]
    tensors |= {"base": base, "transposed": base.T, "column": base[:, 2], "steps": base[1::2, ::3]}
    tensors |= {
        "permuted": base.reshape(2, 3, 4).permute(2, 0, 1),
        "expanded": torch.tensor([1.5]).expand(3, 2),
    }
    tensors |= {
        "scalar": torch.tensor(7.0),
        "empty": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(base[0]),
    }
    tensors["with_attribute"] = torch.ones(2)
    tensors["with_attribute"].note = "an attribute makes torch use another rebuilder"
    return tensors


def plain():
    """Every plain type that torch.load(weights_only=True) accepts."""
    numbers = {
        "small": 5,
        "negative": -70000,
        "large": 2**70,
        "float": 0.1,
        "complex": 1 - 2j,
        "true": True,
        "none": None,
    }
    texts = {"text": "na\u00efve \U0001f3a4", "bytes": b"\x00\xff", "bytearray": bytearray(b"abc")}
    names = {
        "device": torch.device("cuda:1"),
        "dtype": torch.float32,
        "size": torch.Size([2, 3]),
        7: "a number as key",
    }
    groups = {"list": [1, [2.5, "x"]], "tuple": (1, (2, 3), ()), "set": {1, 2}, "counter": Counter("abca")}
    return {**numbers, **texts, **names, **groups}


def write(folder):
    """Write all files to a folder, and return {'<file>/<name>': array}."""
    model = Small()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    optimizer.step()
    model.load_state_dict(Small().state_dict())
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in model.state_dict().items()}
    checkpoint = {
        "epoch": 3,
        "state_dict": wrapped,
        "optimizer": optimizer.state_dict(),
        "args": {"hidden": 4, "lr": 1e-3},
    }
    torch.save(model.state_dict(), folder / "torch_state.pt")
    torch.save(checkpoint, folder / "torch_checkpoint.pt")
    torch.save(layouts(), folder / "torch_layouts.pt")
    torch.save(plain(), folder / "torch_plain.pt")
    torch.serialization.set_crc32_options(False)
    torch.save(model.state_dict(), folder / "torch_no_crc.pt")
    torch.serialization.set_crc32_options(True)
    torch.manual_seed(0)
    torch.save(torch.nn.Linear(2, 2), folder / "torch_module.pt")
    torch.save({"weight": torch.ones(2)}, folder / "torch_stream.pt", _use_new_zipfile_serialization=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(folder / "torch_script.pt"))
    return values(folder)


def values(folder):
    """What torch makes of the state dicts and the layouts."""
    arrays = {"version": np.array(torch.__version__)}
    for file in ("torch_state", "torch_layouts"):
        for name, tensor in torch.load(folder / f"{file}.pt", weights_only=True).items():
            tensor = tensor.detach()
            arrays[f"{file}/{name}"] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return arrays


def differences(made, kept):
    """Names of the arrays that are not bit-equal."""
    same = {name for name in made.keys() & kept.keys() if made[name].tobytes() == kept[name].tobytes()}
    return sorted((made.keys() | kept.keys()) - same)


def check():
    with np.load(GOLDENS / "torch_values.npz", allow_pickle=False) as file:
        kept = {name: file[name] for name in file.files}
    with tempfile.TemporaryDirectory() as folder:
        made = write(Path(folder))
        if made["version"] == kept["version"]:
            files = [path for path in sorted(Path(folder).glob("*.pt")) if path.name not in CHANGING]
            wrong = [path.name for path in files if path.read_bytes() != (GOLDENS / path.name).read_bytes()]
        else:
            print(
                f"torch {made['version']} here, {kept['version']} there: values are compared, bytes are not"
            )
            kept["version"], wrong = made["version"], []
    wrong += differences(made, kept) + differences(values(GOLDENS), kept)
    print("differ: " + ", ".join(wrong) if wrong else "the golden files are what this script makes")
    return 1 if wrong else 0


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed files instead of writing them"
    )
    if parser.parse_args(argv).check:
        return check()
    np.savez(GOLDENS / "torch_values.npz", **write(GOLDENS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
