"""``npreslstm calibrate``: probabilities that are how often the weights are right."""

from npreslstm.terminal import show

HELP = "calibrate the probabilities of weights by a cross-validation inside their training speakers"

EXAMPLES = """\
examples:
  npreslstm calibrate mine.npz --results inner/ --out calibrated.npz

with inner/ a cross-validation of the same recipe that hears nobody but the speakers mine.npz was trained on:
  npreslstm train ravdess/ --test 2,5,14,15,16 --out mine.npz
  npreslstm crossval ravdess-without-those/ --folds 4 --out inner/

A temperature is fitted on the predictions in DIR of the weights' training speakers, and the network's head
is divided by it. Labels stay as they are, and whatever runs the weights (predict, C, ONNX, PyTorch,
streaming) gives calibrated probabilities. DIR must be of the same corpus (a manifest goes by its name),
features, model and recipe, and with teachers if the weights had some. It is refused if a network in it
heard a speaker whom the weights did not. Without teachers, npreslstm train --calibrate does it all at once.
"""


def add_arguments(parser):
    parser.add_argument("weights", metavar="WEIGHTS", help=".npz that npreslstm train or crossval wrote")
    results = "folder of a crossval whose predictions the temperature is fitted on"
    parser.add_argument("--results", required=True, metavar="DIR", help=results)
    parser.add_argument("--out", required=True, metavar="OUT.npz", help="weights file to write")


def execute(args):
    from npreslstm.checkpoint import find_weights, load_checkpoint, save_checkpoint
    from npreslstm.experiments.temperature import calibrate_by_results
    from npreslstm.files import check_output
    from npreslstm.training.calibration import temperature_text

    check_output("--out", args.out, [find_weights(args.weights)])
    checkpoint = calibrate_by_results(load_checkpoint(args.weights), args.results)
    save_checkpoint(args.out, checkpoint)
    show(f"wrote {args.out}")
    show(temperature_text(checkpoint.notes))
