"""``npreslstm gradcheck``: the backward pass against numeric differences."""

import contextlib
import sys

from npreslstm.terminal import say

HELP = "compare every gradient of the backward pass with numeric differences"

EXAMPLES = """\
examples:
  npreslstm gradcheck
  npreslstm gradcheck --kind lstm-sa --hidden 7 --padding original
  npreslstm gradcheck --layers 2 --vectors 3 --seed 1
  npreslstm gradcheck --show "lstm1.weight_hh_l0[3,2]"    one entry: the losses around it, and both gradients
  npreslstm gradcheck --break dc                          without a term: which gradients fail?

terms that --break leaves out of the backward pass of npreslstm/layers, in memory only:
  dc        the gradient of the cell that comes back from the frame after (L4')
  dh        the gradient of the hidden state that comes back from the frame after
  tanh      the derivative of tanh(c) in (L4')
  sigmoid   the derivative of the forget gate's sigmoid (L2')
  score     what a hidden state is paid for its score (A1')
  softmax   what a frame's weight takes from the others' (A2')
  mean      what a row does to all rows through the mean (B1')
  var       what a row does to all rows through the variance (B1')
"""

CLIPS, FRAMES, CLASSES = (
    3,
    7,
    6,
)  # differ from each other and from the default sizes: no transposition can hide

# Where in npreslstm/layers a gradient is computed, by the last part of the tensor's name.
LINES = {
    "weight_ih": ("lstm.py", "dW_ih = da.T @ x"),
    "weight_hh": ("lstm.py", "dW_hh = da.T @ h_before"),
    "bias_ih": ("lstm.py", "db = da.sum(axis=0)"),
    "bias_hh": ("lstm.py", "db = da.sum(axis=0)"),
    "attention_vector": ("attention.py", "dV = np.outer(dv, w_k)"),
    "head_combine.weight": ("attention.py", "dw_k = (de[:, :, None] * projections).sum(axis=(0, 1))"),
    "bn.weight": ("batchnorm.py", "dgamma = (dy * u).sum(axis=0)"),
    "bn.bias": ("batchnorm.py", "dbeta = dy.sum(axis=0)"),
    "bn_residual.weight": ("batchnorm.py", "dgamma = (dy * u).sum(axis=0)"),
    "bn_residual.bias": ("batchnorm.py", "dbeta = dy.sum(axis=0)"),
    "fc.weight": ("dense.py", "dW = dy.T @ x"),
    "fc.bias": ("dense.py", "db = dy.sum(axis=0)"),
    "x": ("lstm.py", "dx = da @ W_ih"),
}


def add_arguments(parser):
    add = parser.add_argument
    add("--kind", default="reslstm-sa", metavar="KIND", help="reslstm-sa (default) or lstm-sa")
    add("--input", type=int, default=4, metavar="D", help="features a frame (default 4)")
    add("--hidden", type=int, default=5, metavar="H", help="hidden units (default 5)")
    add("--layers", type=int, default=1, metavar="L", help="layers in each LSTM (default 1)")
    add(
        "--vectors", type=int, default=1, metavar="K", help="attention vectors, combined linearly (default 1)"
    )
    add("--padding", default="masked", metavar="PADDING", help="masked (default) or original")
    add("--seed", type=int, default=0, metavar="SEED", help="of the random weights and features (default 0)")
    add(
        "--backend", metavar="BACKEND", help="whose layers: fast (default), or reference, which --break takes"
    )
    add("--show", metavar="ENTRY", help="only one entry of a tensor, such as 'lstm1.weight_hh_l0[3,2]'")
    add("--break", dest="term", metavar="TERM", help="leave a term out, see below; fails, with exit status 1")


def run(args):
    from npreslstm.broken_terms import broken

    with contextlib.ExitStack() as stack:
        cut = "" if args.term is None else _cut(stack.enter_context(broken(args.term)))
        check = _check(args)
        found, passed = _compare_all(check, args) if args.show is None else _show(check, args.show)
    print(cut + found)
    return 0 if passed else 1


def _check(args):
    """The `GradientCheck` of the arguments."""
    import numpy as np

    from npreslstm.errors import InputError
    from npreslstm.gradient_check import GradientCheck
    from npreslstm.schema import ModelConfig

    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; expected 0 or more")
    if args.term is not None and args.backend not in (None, "reference"):
        raise InputError(
            f"--break with --backend {args.backend}; expected reference, whose terms can be left out"
        )
    backend = args.backend or ("fast" if args.term is None else "reference")
    config = ModelConfig(
        args.kind, args.input, args.hidden, CLASSES, args.layers, args.vectors, args.vectors > 1
    )
    return GradientCheck(config, np.random.default_rng(args.seed), CLIPS, FRAMES, args.padding, True, backend)


def _cut(term):
    """What is left out, as a difference of two lines."""
    place = f"{term.module.__name__.replace('.', '/')}.py, {term.function}"
    return f"without {term.what}: {place}\n\n- {term.line}\n+ {term.without}\n\n"


def _compare_all(check, args):
    """A table of every tensor's relative error, and whether all pass."""
    from npreslstm.gradient_check import TOLERANCE
    from npreslstm.report.text import table

    if sys.stderr.isatty():
        numbers = sum(tensor.size for tensor in check.tensors.values())
        say(f"checking {numbers:,} numbers, four forward passes each")
    errors = check.errors()
    failed = [name for name, error in errors.items() if not error <= TOLERANCE]
    rows = []
    for name, error in errors.items():
        shape = " x ".join(map(str, check.tensors[name].shape))
        rows.append((name, shape, f"{error:.1e}", "FAILED" if name in failed else ""))
    worst = max(errors, key=errors.get)
    verdict = f"FAILED in {len(failed)} of {len(errors)}" if failed else "passed"
    last = f"largest {errors[worst]:.1e} ({worst}), tolerance {TOLERANCE:.0e}: {verdict}; seed {args.seed}"
    return table(("gradient of", "shape", "relative error", ""), rows, right={2}) + f"\n\n{last}", not failed


def _show(check, entry):
    """One entry both ways, and whether it passes."""
    from npreslstm.gradient_check import DELTA, TOLERANCE

    probe = check.probe(entry)
    index = ",".join(map(str, probe.index))
    lines = [f"{probe.name}[{index}] = {probe.value:.9f}, moved by d = {DELTA:g}", ""]
    for steps, loss in probe.losses.items():
        place = f"{steps:+d}d".replace("1", "")
        lines.append(f"loss at {place:<3}    {loss:.15f}")
    file, line = LINES[_last_part(probe.name)]
    passed = probe.error <= TOLERANCE
    verdict = "passed" if passed else "FAILED"
    lines += [
        "",
        f"numeric       {probe.numeric:+.15f}  (8 (f(+d) - f(-d)) - (f(+2d) - f(-2d))) / 12 d  (G1)",
        f"analytic      {probe.analytic:+.15f}  {line}  in npreslstm/layers/{file}",
        "",
        (
            f"difference {probe.error:.1e} of the tensor's largest gradient, tolerance {TOLERANCE:.0e}:"
            f" {verdict}"
        ),
    ]
    return "\n".join(lines), passed


def _last_part(name):
    """'weight_hh' of 'lstm1.weight_hh_l0'; other names as they are."""
    return name.split(".")[1].rpartition("_l")[0] if name.startswith("lstm") else name
