"""``npreslstm evaluate``: how well weights do on a corpus."""

import os
import sys

from npreslstm.assets import DEFAULT_WEIGHTS
from npreslstm.commands.arguments import (
    DATA,
    add_corpus_arguments,
    add_plot_arguments,
    add_speeds_argument,
    check_plots,
    corpus_paths,
    load_data,
    parse_speeds,
    read_paths,
)
from npreslstm.terminal import ClipLine, printable, say

HELP = "score weights on a corpus: UAR, recall by class, by sex, intensity and speaker; pictures"

EXAMPLES = """\
examples:
  npreslstm evaluate ravdess/
      the bundled weights on the speakers held out of their training
  npreslstm evaluate ravdess/ --weights mine.npz --plots pictures/
  npreslstm evaluate ravdess/ --type int8
      the integer model of the C port
  npreslstm evaluate ravdess/ --weights mcu --speeds 1,0.85,1.15
  npreslstm evaluate ravdess/ --conditions --jobs 2
      as other microphones, rooms, lines and files would give them
  npreslstm evaluate corpus.csv --speakers anna,ben --format csv --output predictions.csv
  npreslstm evaluate nemo.csv --weights mcu --label anger=angry --label happiness=happy --label sadness=sad
  npreslstm evaluate --corpus ravdess/ --corpus nemo.csv --weights both.npz
      each over its own classes, and together

Speakers that the weights were trained on are only scored if you ask for them, and then it says so. UAR is the
mean recall of the classes; its interval is of a bootstrap over speakers. Strong intensity has no neutral
clips, so its UAR is of seven classes. The expected calibration error is the mean distance between the largest
probability of clips and how often they are labelled rightly, in 15 bins of it. Each clip is heard whole, as
in training, however long it is; `npreslstm predict` hears more than 10 s in windows.
"""


def add_arguments(parser):
    parser.add_argument("data", nargs="?", help=DATA)
    add_corpus_arguments(parser)
    parser.add_argument(
        "--weights", metavar="W", help=".npz, or the name of bundled weights (default robust)"
    )
    parser.add_argument(
        "--speakers",
        default="held-out",
        metavar="WHO",
        help="held-out (default), all, or names with commas; one that has a comma itself in quotation marks",
    )
    add_speeds_argument(parser)
    conditions = (
        "score under eighteen recording conditions: levels, silence, noise, rooms, telephone, rates, codecs"
    )
    parser.add_argument("--conditions", action="store_true", help=conditions)
    parser.add_argument(
        "--type", default="float32", choices=("float32", "int8"), help="of the numbers (default float32)"
    )
    _add_output(parser)


def _add_output(parser):
    parser.add_argument(
        "--format",
        choices=("text", "json", "csv"),
        help="scores as text or JSON, or predictions as CSV (default: by the ending of --output, else text)",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="write there, whole or not at all, instead of standard output"
    )
    add_plot_arguments(parser)
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes that extract features (default 1)"
    )
    parser.add_argument("--cache", metavar="DIR", help="keep extracted features here for the next run")


def execute(args):
    from npreslstm.checkpoint import find_weights
    from npreslstm.experiments.evaluate import choose_speakers, evaluate
    from npreslstm.files import check_output
    from npreslstm.recognizer import Recognizer

    args.format = args.format or _format_of(args.output)
    _check(args)
    speeds = parse_speeds(args.speeds)
    checkpoint = Recognizer(args.weights).checkpoint
    dataset = load_data(args, checkpoint.classes)
    clips = [clip.path for clip in dataset.clips]
    check_output("--output", args.output, [*read_paths(args), *clips, find_weights(args.weights)])
    speakers = choose_speakers(checkpoint, dataset, args.speakers)
    if warning := _warning(checkpoint, dataset, speakers):
        say(f"warning: {warning}")
    if args.conditions:
        _write(args, _under_conditions(args, checkpoint, dataset, speakers))
        return
    evaluation = evaluate(
        checkpoint, dataset, speakers, args.type, speeds, args.jobs, args.cache, _progress()
    )
    _write(args, _report(args, evaluation, warning))
    if args.plots:
        _plot(args, evaluation)


def _format_of(output):
    """What the ending of a file asks for."""
    return {".csv": "csv", ".json": "json"}.get(os.path.splitext(output or "")[1].lower(), "text")


def _warning(checkpoint, dataset, speakers):
    """What is to be said about speakers that the weights know; None if they know none."""
    from npreslstm.experiments.evaluate import seen_speakers

    seen = seen_speakers(checkpoint, dataset)
    if seen is None:
        return (
            "the weights do not say whom they were trained on; the scores may be of speakers that they know"
        )
    warnings = _other_corpora(checkpoint, dataset)
    if known := [speaker for speaker in speakers if speaker in seen]:
        warnings.append(
            f"the weights were trained on speaker {', '.join(known)}: these scores are NOT those of unseen"
            " speakers"
        )
    scored = {name.partition("/")[0] for name in speakers} if dataset.several else {dataset.name}
    if silent := [part.name for part in dataset.parts if part.name not in scored]:
        warnings.append(f"nobody of {' and '.join(silent)} is scored")
    return "; ".join(warnings) or None


def _other_corpora(checkpoint, dataset):
    """What is to be said about corpora that the weights were not trained on, though their teachers may have
    been.
    """
    from npreslstm.experiments.evaluate import knows_corpus
    from npreslstm.training.ancestors import ANCESTORS

    warnings, of_teachers = [], checkpoint.noted(ANCESTORS, ())
    names = [part.name for part in dataset.parts if not knows_corpus(checkpoint, part.name)]
    if taught := [name for name in names if name in of_teachers]:
        warnings.append(
            f"teachers of the weights learnt from {' and '.join(taught)}: these scores may be of speakers"
            " that they know"
        )
    if others := [name for name in names if name not in of_teachers]:
        trained_on, unknown = checkpoint.noted("data"), " and ".join(others)
        warnings.append(
            f"the weights were trained on {trained_on}; whether they know speakers of {unknown} cannot be"
            " told"
        )
    return warnings


def _progress():
    return ClipLine() if sys.stderr.isatty() else None


def _under_conditions(args, checkpoint, dataset, speakers):
    """Scores under recording conditions, as text or JSON."""
    import json

    from npreslstm.experiments.robustness import robustness
    from npreslstm.report.robustness import robustness_json, robustness_text

    name = args.weights or DEFAULT_WEIGHTS
    clips = tuple(dataset.of(set(speakers)))
    found = robustness(
        {name: checkpoint},
        dataset._replace(clips=clips),
        jobs=args.jobs,
        cache=args.cache,
        progress=_progress(),
    )
    if args.format == "json":
        return json.dumps(robustness_json(found), indent=1) + "\n"
    return robustness_text(found)


def _check(args):
    """Refuse what cannot be done, and options that --conditions leaves no room for."""
    from npreslstm.errors import InputError

    if args.jobs < 1:
        raise InputError(f"--jobs is {args.jobs}; expected at least 1")
    check_plots(args)
    if not corpus_paths(args):
        raise InputError("give DATA (a RAVDESS folder or a manifest CSV) or several --corpus")
    others = {
        "--plots": args.plots,
        "--format csv": args.format == "csv",
        "--type int8": args.type != "float32",
        "--speeds": args.speeds != "1",
    }
    if args.conditions and (given := [option for option, there in others.items() if there]):
        raise InputError(
            "--conditions scores clips heard once in float32, as a table or JSON; leave out"
            f" {', '.join(given)}"
        )


def _report(args, evaluation, warning):
    import io
    import json

    from npreslstm.experiments.evaluate import scores
    from npreslstm.experiments.journal import write_predictions
    from npreslstm.report.evaluation import evaluation_text
    from npreslstm.report.text import can_draw

    classes = evaluation.checkpoint.classes
    if args.format == "csv":
        text = io.StringIO(newline="")
        write_predictions(text, evaluation.predictions, classes)
        return text.getvalue()
    found = scores(evaluation)
    what = {
        "data": evaluation.dataset.name,
        "weights": evaluation.checkpoint.sha256,
        "type": args.type,
        "speeds": list(parse_speeds(args.speeds)),
    }
    what["speakers"] = evaluation.dataset.speakers
    if args.format == "json":
        return json.dumps(what | {"warning": warning} | found, indent=1) + "\n"
    return _head(args, what, found, warning) + evaluation_text(
        found, classes, args.output is not None or can_draw(sys.stdout)
    )


def _head(args, what, found, warning):
    """What was scored, and by what."""
    who = printable(f"{what['data']}, speakers {', '.join(what['speakers'])}")
    head = f"{who}: weights {what['weights'][:16]}, {args.type}\n"
    if args.speeds != "1":
        head += f"mean of the probabilities at the speeds {args.speeds}\n"
    if warning:
        head += printable(warning) + "\n"
    if args.type == "int8":
        head += f"same label as float32: {100 * found['agreement with float32']:.1f} % of the clips\n"
    return head


def _write(args, text):
    from npreslstm.files import atomic_write

    if args.output is None:
        sys.stdout.write(text)
        return
    with atomic_write(args.output, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def _plot(args, evaluation):
    from npreslstm.experiments.evaluate import scores
    from npreslstm.report import plots
    from npreslstm.training.calibration import SCORES, reliability

    labels, classes = evaluation.predictions.labels, evaluation.checkpoint.classes
    found = scores(evaluation, resamples=1)
    bins = reliability(evaluation.predictions.probabilities, labels)
    error = f"{SCORES['ECE']} {found['ECE']:.3f}"
    figures = {
        "confusion": plots.confusion_figure(
            found["confusion"], classes, f"{evaluation.dataset.name}: UAR {found['UAR']:.3f}"
        ),
        "embeddings": plots.embedding_figure(evaluation.averages, evaluation.contexts, labels, classes),
        "attention": plots.attention_figure(evaluation.attention, labels, classes),
        "training": plots.training_figure([evaluation.checkpoint.noted("history", {})]),
        "reliability": plots.reliability_figure(bins, f"{evaluation.dataset.name}\n{error}"),
    }
    for path in plots.save_pictures(figures, args.plots, args.plot_format):
        say(f"drew {path}")
