"""``npreslstm info``: everything a weights file holds."""

from npreslstm.commands.arguments import add_key_argument
from npreslstm.terminal import printable, show

HELP = (
    "print everything about a weights file: sizes, tensors, features, statistics, classes, where it comes"
    " from"
)

EXAMPLES = """\
examples:
  npreslstm info                     the bundled weights
  npreslstm info my.npz
  npreslstm info model.pt --format json
  npreslstm info training.ckpt --key ema
"""

COLUMNS = 3  # of the statistics, side by side
LONGEST_LIST = 30


def add_arguments(parser):
    parser.add_argument(
        "weights",
        nargs="?",
        metavar="WEIGHTS",
        help=".npz, .pt or .safetensors, or the name of bundled weights (default robust)",
    )
    add_key_argument(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def execute(args):
    import json

    facts = _facts(args.weights, args.key)
    if args.format == "json":
        print(json.dumps(_as_json(facts), indent=1))
    else:
        show(_text(facts))


def _facts(weights, key):
    """All of a weights file as plain values."""
    import os

    from npreslstm.checkpoint import FORMAT, VERSION, find_weights, is_native, load_checkpoint

    path = find_weights(weights)
    checkpoint = load_checkpoint(path, key)
    config = checkpoint.config
    return {
        "file": path,
        "bytes": os.path.getsize(path),
        "format": f"{FORMAT} {VERSION}" if is_native(path) else None,
        "sha256": checkpoint.sha256,
        "model": config.to_dict(),
        "num_parameters": config.num_parameters,
        "tensors": _tensors(config, checkpoint.state),
        "features": checkpoint.features and checkpoint.features.to_dict(),
        "mean": None if checkpoint.mean is None else checkpoint.mean.tolist(),
        "std": None if checkpoint.std is None else checkpoint.std.tolist(),
        "classes": checkpoint.classes and list(checkpoint.classes),
        "notes": checkpoint.notes,
    }


def _as_json(value):
    """A value with null for what JSON has no number for: notes may hold a loss that is NaN."""
    import math

    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tensors(config, state):
    return [
        {
            "name": name,
            "shape": list(shape),
            "dtype": str(state[name].dtype),
            "trained": name in config.parameters,
        }
        for name, (shape, _) in config.schema.items()
    ]


def _text(facts):
    from npreslstm.training.calibration import temperature_text

    absent = (
        f"none: Recognizer needs them; npreslstm convert {facts['file']} OUT.npz --like OTHER.npz adds them"
    )
    sections = [
        _pairs(
            {
                "file": f"{facts['file']} ({facts['bytes']:,} bytes)",
                "format": facts["format"] or "of another project",
                "sha256": facts["sha256"],
                "classes": ", ".join(facts["classes"]) if facts["classes"] else absent,
                "parameters": f"{facts['num_parameters']:,}",
                "probabilities": temperature_text(facts["notes"]) or "as trained, without a temperature",
            }
        ),
        "model\n" + _pairs(facts["model"], "  "),
        _tensor_table(facts["tensors"]),
        "features\n" + (_pairs(facts["features"], "  ") if facts["features"] else f"  {absent}"),
        "mean and standard deviation of the features\n"
        + (_statistics(facts) if facts["mean"] and facts["std"] else f"  {absent}"),
        "notes\n" + (_pairs(_flat(facts["notes"]), "  ") if facts["notes"] else "  none"),
    ]
    return "\n\n".join(sections)


def _pairs(values, indent=""):
    width = max(map(len, values))
    lines = [f"{name.ljust(width)}  {'none' if value is None else value}" for name, value in values.items()]
    return "\n".join(indent + printable(line) for line in lines)


def _tensor_table(tensors):
    import math

    from npreslstm.report.text import table

    rows = []
    for tensor in tensors:
        count = f"{math.prod(tensor['shape']):,}" if tensor["trained"] else "not trained"
        rows.append(
            (tensor["name"], " x ".join(map(str, tensor["shape"])) or "number", tensor["dtype"], count)
        )
    return table(("tensor", "shape", "type", "parameters"), rows, right={3})


def _statistics(facts):
    """Rows of `COLUMNS` features each, numbered downwards."""
    names = [f"column {k}" for k in range(len(facts["mean"]))]
    if facts["features"]:
        names = [f"mfcc {k}" for k in range(facts["features"]["n_mfcc"])] + [
            f"chroma {k}" for k in range(facts["features"]["n_chroma"])
        ]
    cells = [
        f"{name:<10}{mean:>10.4g}{std:>10.4g}" for name, mean, std in zip(names, facts["mean"], facts["std"])
    ]
    height = -(-len(cells) // COLUMNS)
    return "\n".join("  " + "    ".join(cells[row::height]) for row in range(height))


def _flat(notes, prefix=""):
    """{'scores.uar': 0.6} of {'scores': {'uar': 0.6}}; of a long list the first and the last value."""
    flat = {}
    for name, value in notes.items():
        if isinstance(value, dict) and value:
            flat.update(_flat(value, f"{prefix}{name}."))
        elif isinstance(value, list) and len(value) > LONGEST_LIST:
            flat[prefix + name] = f"{value[0]} ... {value[-1]}  ({len(value)} values; --format json has all)"
        else:
            flat[prefix + name] = value
    return flat
