"""`npreslstm export`: the model in other forms. Each form is a subcommand with its own two functions here."""

HELP = "write the model as C99 sources"
EXAMPLES = """\
examples:
  npreslstm export c paper --out paper_c                  the bundled weights as float32 C
  npreslstm export c my.npz --out my_c --type int8        the integer model; make -C my_c test proves it
"""


def add_arguments(parser):
    forms = parser.add_subparsers(dest="form", metavar="FORM", required=True)
    _add_c(forms.add_parser("c", help="hand-written C99 with generated weights, vectors and a self-test"))


def run(args):
    return FORMS[args.form](args)


def _add_c(parser):
    parser.add_argument("weights", metavar="WEIGHTS", help="weights file (.npz, .pt, .safetensors) or the name of bundled ones")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder to write, made if it is not there")
    parser.add_argument("--type", choices=("float32", "int8"), default="float32", help="int8: int8 weights, int16 activations (default: float32)")
    parser.add_argument("--config", choices=("mcu", "paper"), help="features the model was trained on, where its file does not say")


def _run_c(args):
    from npreslstm.checkpoint import load_checkpoint
    from npreslstm.ports.c_export import export_c

    files = export_c(load_checkpoint(args.weights), args.out, args.type, args.config)
    print(f"{args.out}: {len(files)} files; `make -C {args.out} test` builds and runs the self-test")


FORMS = {"c": _run_c}
