"""`npreslstm export`: the model in other forms. Each form is a subcommand with its own two functions here."""

import shlex

from npreslstm.commands.arguments import add_features_argument, add_key_argument
from npreslstm.terminal import Progress, printable, show

HELP = (
    "write the model as C99 sources, for MicroPython or as an ONNX file, or golden vectors that other"
    " implementations are tested with"
)
EXAMPLES = """\
examples:
  npreslstm export c paper --out paper_c                  the bundled weights as float32 C
  npreslstm export c my.npz --out my_c --type int8        the integer model; make -C my_c test proves it
  npreslstm export micropython mcu --out mcu_upy          for unmodified firmware; import selftest proves it
  npreslstm export onnx my.npz --out my.onnx              dynamic batch and time, masked by lengths
  npreslstm export onnx training.ckpt --key ema --out ema.onnx
  npreslstm export vectors my.npz --out vectors           every stage from PCM to logits: .npz, JSON, C
  npreslstm export vectors --check vectors                compute them again and compare
"""


def add_arguments(parser):
    forms = parser.add_subparsers(dest="form", metavar="FORM", required=True)
    _add_c(forms.add_parser("c", help="hand-written C99 with generated weights, vectors and a self-test"))
    _add_micropython(
        forms.add_parser("micropython", help="the integer model and its frontend for unmodified MicroPython")
    )
    _add_onnx(forms.add_parser("onnx", help="an ONNX file for inference (needs the extra `onnx`)"))
    _add_vectors(forms.add_parser("vectors", help="golden vectors: every stage of synthetic inputs"))


def execute(args):
    return FORMS[args.form](args)


def _add_weights_and_folder(parser):
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        help="weights file (.npz, .pt, .safetensors) or the name of bundled ones",
    )
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="folder to write, made if it is not there"
    )
    add_key_argument(parser)


def _add_c(parser):
    _add_weights_and_folder(parser)
    parser.add_argument(
        "--type",
        choices=("float32", "int8"),
        default="float32",
        help="int8: int8 weights, int16 activations (default: float32)",
    )
    add_features_argument(
        parser,
        choices=("mcu", "paper"),
        help="features the model was trained on, where its file does not say",
    )
    parser.add_argument(
        "--prefix",
        metavar="NAME",
        default="npr",
        help="of all names, in capitals of macros, for several models in one program (default: npr)",
    )
    parser.add_argument(
        "--weights",
        dest="where",
        choices=("c", "blob"),
        default="c",
        help="blob: not in the program but in a file for a partition of its own (default: c)",
    )
    parser.add_argument(
        "--frontend",
        choices=("float", "integer"),
        default="float",
        help="integer: no float from samples to probabilities, for cores without a floating point unit; with"
        " --type int8 (default: float)",
    )


def _export_c(args):
    from npreslstm.checkpoint import load_checkpoint
    from npreslstm.ports.c_export import export_c

    checkpoint = load_checkpoint(args.weights, args.key)
    options = args.type, args.features, args.frontend, args.prefix, args.where
    files = export_c(checkpoint, args.out, *options)
    command = f"make -C {shlex.quote(printable(args.out))} test"
    show(f"{printable(args.out)}: {len(files)} files; `{command}` builds and runs the self-test")


def _add_micropython(parser):
    _add_weights_and_folder(parser)
    add_features_argument(
        parser,
        choices=("mcu", "paper"),
        help="features the model was trained on, where its file does not say",
    )


def _export_micropython(args):
    from npreslstm.checkpoint import load_checkpoint
    from npreslstm.ports.micropython_export import export_micropython

    files = export_micropython(load_checkpoint(args.weights, args.key), args.out, args.features)
    show(f"{printable(args.out)}: {len(files)} files; `import selftest` on the board proves them")


def _add_onnx(parser):
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        help="weights file (.npz, .pt, .safetensors) or the name of bundled ones",
    )
    parser.add_argument("--out", metavar="FILE.onnx", required=True, help="file to write")
    add_key_argument(parser)


def _export_onnx(args):
    from npreslstm.checkpoint import find_weights, load_checkpoint
    from npreslstm.errors import InputError
    from npreslstm.files import check_output
    from npreslstm.formats.onnx import export_onnx

    check_output("--out", args.out, [find_weights(args.weights)])
    if not args.out.lower().endswith(".onnx"):
        raise InputError(f"--out {args.out} does not end in .onnx; weights: npreslstm convert")
    checkpoint = load_checkpoint(args.weights, args.key)
    export_onnx(checkpoint, args.out)
    D, C = checkpoint.config.input_size, checkpoint.config.num_classes
    show(
        f"{printable(args.out)}: features (clips, frames, {D}) and lengths (clips,) to logits (clips, {C})"
        " and attention (clips, frames)"
    )


def _add_vectors(parser):
    parser.add_argument(
        "weights",
        nargs="?",
        metavar="WEIGHTS",
        help="default: with --out the bundled `paper`, with --check those in DIR",
    )
    add_key_argument(parser)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--out", metavar="DIR", help="folder to write, made if it is not there")
    way.add_argument(
        "--check",
        metavar="DIR",
        help="compute the vectors in this folder again and compare; exit status 1 if any deviates",
    )


def _export_vectors(args):
    from npreslstm.checkpoint import load_checkpoint
    from npreslstm.ports.vector_cases import cases
    from npreslstm.ports.vectors import check_vectors, read_vectors, write_vectors

    if args.check:
        problems = check_vectors(args.check, args.weights and load_checkpoint(args.weights, args.key))
        cases = read_vectors(args.check).cases.values()
        good = (
            f"{args.check}: {sum(map(len, cases))} arrays in {len(cases)} cases are what this version"
            " computes"
        )
        show("\n".join(map(printable, problems or [good])))
        return 1 if problems else 0
    checkpoint = load_checkpoint(args.weights, args.key)
    with Progress(len(cases(checkpoint)), "cases") as progress:
        manifest = write_vectors(checkpoint, args.out, lambda name: progress.step())
    show(
        f"{printable(args.out)}: {len(manifest['cases'])} cases, {len(manifest['files']) + 1} files;"
        " manifest.json says what is in them"
    )
    return 0


FORMS = {
    "c": _export_c,
    "micropython": _export_micropython,
    "onnx": _export_onnx,
    "vectors": _export_vectors,
}
