"""``npreslstm gradcheck``: the backward pass against numeric differences."""

import sys

HELP = "compare every gradient of the backward pass with numeric differences"

EXAMPLES = """\
examples:
  npreslstm gradcheck
  npreslstm gradcheck --kind lstm-sa --hidden 7 --padding original
  npreslstm gradcheck --layers 2 --vectors 3 --seed 1
"""


CLIPS, FRAMES, CLASSES = 3, 7, 6  # differ from each other and from the default sizes, so that no transposition can hide


def add_arguments(parser):
    parser.add_argument("--kind", default="reslstm-sa", metavar="KIND", help="reslstm-sa (default) or lstm-sa")
    parser.add_argument("--input", type=int, default=4, metavar="D", help="features a frame (default 4)")
    parser.add_argument("--hidden", type=int, default=5, metavar="H", help="hidden units (default 5)")
    parser.add_argument("--layers", type=int, default=1, metavar="L", help="layers in each LSTM (default 1)")
    parser.add_argument("--vectors", type=int, default=1, metavar="K", help="attention vectors, combined linearly if several (default 1)")
    parser.add_argument("--padding", default="masked", metavar="PADDING", help="masked (default) or original")
    parser.add_argument("--seed", type=int, default=0, metavar="SEED", help="of the random weights and features (default 0)")


def run(args):
    import numpy as np

    from npreslstm.cli import say
    from npreslstm.errors import InputError
    from npreslstm.gradient_check import TOLERANCE, gradcheck
    from npreslstm.report.text import table
    from npreslstm.schema import ModelConfig

    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; expected 0 or more")
    config = ModelConfig(args.kind, args.input, args.hidden, CLASSES, args.layers, args.vectors, args.vectors > 1)
    if sys.stderr.isatty():
        say(f"checking {config.num_parameters + CLIPS * FRAMES * args.input:,} numbers, four forward passes each")
    errors = gradcheck(config, np.random.default_rng(args.seed), CLIPS, FRAMES, args.padding)
    shapes = {name: " x ".join(map(str, shape)) for name, shape in config.parameters.items()} | {"x": f"{CLIPS} x {FRAMES} x {args.input}"}
    worst = max(errors, key=errors.get)
    passed = errors[worst] <= TOLERANCE
    print(table(("gradient of", "shape", "relative error"), [(name, shapes[name], f"{error:.1e}") for name, error in errors.items()], right={2}))
    print(f"\nlargest {errors[worst]:.1e} ({worst}), tolerance {TOLERANCE:.0e}: {'passed' if passed else 'FAILED'}; seed {args.seed}")
    return 0 if passed else 1
