"""``npreslstm convert``: weights from one file format to another."""

from npreslstm.commands.arguments import add_key_argument
from npreslstm.terminal import printable, say, show

HELP = "convert weights between PyTorch's .pt, .safetensors and the native .npz, without PyTorch"

EXAMPLES = """\
examples:
  npreslstm convert model.pt model.npz --like paper
      with the features, statistics and classes of other weights
  npreslstm convert model.pt model.npz --features paper --classes neutral,calm,happy --mean-std statistics.npz
  npreslstm convert model.npz model.pt                      torch.load("model.pt", weights_only=True) reads it
  npreslstm convert checkpoint.pth model.safetensors
  npreslstm convert training.ckpt model.npz --key ema       one of several networks in a file

Any prefix of the tensors' names is removed, pruned and weight-normed tensors are put together, and losses,
optimizers and the like are left aside; docs/formats.md has the whole list.
"""


def add_arguments(parser):
    parser.add_argument(
        "source",
        metavar="IN",
        help="weights (.npz, .pt, .pth, .ckpt, .bin, .safetensors) or the name of bundled ones",
    )
    parser.add_argument(
        "target",
        metavar="OUT",
        help="file to write; its ending says the format: .npz, .pt, .pth or .safetensors",
    )
    add_key_argument(parser)
    parser.add_argument(
        "--like", metavar="OTHER", help="weights to take features, classes, mean and std from"
    )
    parser.add_argument(
        "--features", metavar="paper|mcu|FILE", help="how the features were made: a name, or a JSON file"
    )
    parser.add_argument("--classes", metavar="A,B,C", help="names of the classes in the order of the logits")
    parser.add_argument(
        "--mean-std", metavar="FILE.npz", help="arrays `mean` and `std` that the features were z-scored with"
    )


def execute(args):
    from npreslstm.conversion import convert

    classes = None if args.classes is None else [name.strip() for name in args.classes.split(",")]
    checkpoint, notices = convert(
        args.source, args.target, args.like, args.features, classes, args.mean_std, args.key
    )
    config = checkpoint.config
    show(
        f"{printable(args.target)}: {config.kind}, {config.input_size} features, hidden size"
        f" {config.hidden_size}, layers {config.num_layers}, attention vectors {config.attention_vectors},"
        f" {config.num_classes} classes, {config.num_parameters:,} parameters"
    )
    for notice in notices:
        say(f"note: {notice}")
